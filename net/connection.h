// One TCP connection: frames in, frames out. What they mean is its owner's business: a Lane (net/lane.h) on the side
// that calls, an InboundConnection (net/server.h) on the side that answers.
//
// Belongs to the executor of its socket. Nothing is called inline from start(), wake_writer() or resume_reading().
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/env/clock.h"
#include "core/env/task.h"
#include "net/frame_reader.h"
#include "net/frame_writer.h"

namespace dogfs {

using TcpSocket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, Executor>;

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Whether the frame may be received. Where not, reading stops until resume_reading().
    virtual bool admit(const FrameHeader& header) = 0;
    virtual void on_frame(Frame frame) = 0;
    // Gives the next frame to send; false when there is none.
    virtual bool next_frame(OutFrame& frame) = 0;
    // The frame has been handed to the kernel whole. Of a frame for which this was not called the peer has seen an
    // incomplete part at most.
    virtual void on_sent(uint64_t tag) = 0;
    // The connection has ended; nothing is called afterwards. kConnectionLost, or kProtocolError when the peer broke
    // the rules.
    virtual void on_closed(Error reason) = 0;
  };

  // `owner` must close() before it goes.
  Connection(TcpSocket socket, Owner& owner, Clock& clock);

  void start();
  // The owner has frames to send. They leave together at the end of the executor's turn.
  void wake_writer();
  void resume_reading();
  // Ends the connection without a call of on_closed.
  void close();
  // Ends the connection with a call of on_closed.
  void fail(Error reason);

  // For the owner's limits in time. `never` stands for "not now".
  static constexpr MonoTime kNotNow = MonoTime::min();
  MonoTime last_activity() const { return last_activity_; }
  // Since when a frame has been arriving.
  MonoTime frame_since() const { return frame_since_; }
  // Since when the peer has taken nothing of what we have for it.
  MonoTime stalled_since() const { return writing_ ? write_since_ : kNotNow; }
  const std::string& peer() const { return peer_; }

 private:
  static constexpr size_t kWriteAheadBytes = 256 * kKiB;

  void receive_frames();
  void read_more();
  void on_read(const boost::system::error_code& error, size_t bytes);
  void write_more();
  void on_written(const boost::system::error_code& error, size_t bytes);

  TcpSocket socket_;
  Owner* owner_;  // null once closed
  Clock& clock_;
  std::string peer_;

  FrameReader reader_;
  bool reading_paused_ = false;
  bool resume_posted_ = false;
  MonoTime last_activity_;
  MonoTime frame_since_ = kNotNow;

  FrameWriter writer_;
  bool writing_ = false;
  bool flush_posted_ = false;
  MonoTime write_since_;
  std::array<boost::asio::const_buffer, FrameWriter::kMaxPieces> write_buffers_;
};

}  // namespace dogfs
