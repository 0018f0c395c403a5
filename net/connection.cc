#include "net/connection.h"

#include <boost/asio/post.hpp>

#include "net/endpoint.h"

namespace dogfs {

Connection::Connection(TcpSocket socket, Owner& owner, Clock& clock)
    : socket_(std::move(socket)), owner_(&owner), clock_(clock), last_activity_(clock.now()) {
  peer_ = describe_peer(socket_);
  tune_socket(socket_);
}

void Connection::start() {
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] { self->receive_frames(); });
  wake_writer();
}

void Connection::wake_writer() {
  if (owner_ == nullptr || writing_ || flush_posted_) return;
  // By the time that this runs, all coroutines that are ready now have added their frames to the same write.
  flush_posted_ = true;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->flush_posted_ = false;
    self->write_more();
  });
}

void Connection::resume_reading() {
  if (owner_ == nullptr || !reading_paused_ || resume_posted_) return;
  resume_posted_ = true;
  boost::asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->resume_posted_ = false;
    self->reading_paused_ = false;
    self->receive_frames();
  });
}

void Connection::close() {
  owner_ = nullptr;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void Connection::fail(Error reason) {
  if (owner_ == nullptr) return;
  Owner* owner = owner_;
  close();
  owner->on_closed(std::move(reason));
}

// The owner may close this connection from any of its functions: owner_ is looked at again after each.
void Connection::receive_frames() {
  while (owner_ != nullptr) {
    const Result<FrameReader::State> state = reader_.advance();
    if (!state) return fail(state.error());
    if (state.value() == FrameReader::State::kNeedsBytes) return read_more();
    if (state.value() == FrameReader::State::kHeader) {
      if (!owner_->admit(reader_.header())) {
        reading_paused_ = true;
        frame_since_ = kNotNow;  // it is we who keep the peer waiting
        return;
      }
      reader_.begin_frame();
      frame_since_ = clock_.now();
    } else {
      frame_since_ = kNotNow;
      owner_->on_frame(reader_.take());
    }
  }
}

void Connection::read_more() {
  if (frame_since_ == kNotNow && reader_.mid_frame()) frame_since_ = clock_.now();
  const auto spans = reader_.space();
  const std::array<boost::asio::mutable_buffer, 2> buffers = {boost::asio::buffer(spans[0].data(), spans[0].size()),
                                                              boost::asio::buffer(spans[1].data(), spans[1].size())};
  socket_.async_read_some(buffers, [self = shared_from_this()](const boost::system::error_code& error, size_t bytes) {
    self->on_read(error, bytes);
  });
}

void Connection::on_read(const boost::system::error_code& error, size_t bytes) {
  if (owner_ == nullptr) return;
  if (error) return fail(Error(ErrorCode::kConnectionLost, error.message()));
  last_activity_ = clock_.now();
  reader_.commit(bytes);
  receive_frames();
}

void Connection::write_more() {
  if (owner_ == nullptr || writing_) return;
  OutFrame frame;
  while (writer_.bytes() < kWriteAheadBytes && owner_->next_frame(frame)) writer_.push(std::move(frame));
  if (owner_ == nullptr || writer_.empty()) return;
  FrameWriter::Pieces pieces;
  const size_t used = writer_.gather(pieces);
  for (size_t i = 0; i < used; ++i) write_buffers_[i] = boost::asio::buffer(pieces[i].data(), pieces[i].size());
  writing_ = true;
  write_since_ = clock_.now();
  socket_.async_write_some(std::span<const boost::asio::const_buffer>(write_buffers_.data(), used),
                           [self = shared_from_this()](const boost::system::error_code& error, size_t bytes) {
                             self->on_written(error, bytes);
                           });
}

void Connection::on_written(const boost::system::error_code& error, size_t bytes) {
  writing_ = false;
  if (owner_ == nullptr) return;
  if (error) return fail(Error(ErrorCode::kConnectionLost, error.message()));
  last_activity_ = clock_.now();
  writer_.consume(bytes, [this](uint64_t tag) {
    if (owner_ != nullptr) owner_->on_sent(tag);
  });
  write_more();
}

}  // namespace dogfs
