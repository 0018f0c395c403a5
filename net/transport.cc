#include "net/transport.h"

#include <boost/asio/steady_timer.hpp>
#include <map>

#include "core/env/sync.h"
#include "core/wire/message_type.h"
#include "net/lane.h"
#include "net/server.h"

namespace dogfs {
namespace {

enum class LaneKind : uint8_t { kMessages, kData };

// Replies with payload travel the way of their requests, so reads of shards count as data too.
LaneKind lane_for(const Request& request) {
  const bool data =
      !request.payload.empty() || request.type == MessageType::kAppendShard || request.type == MessageType::kReadShard;
  return data ? LaneKind::kData : LaneKind::kMessages;
}

}  // namespace

class TcpTransport::Impl final : public std::enable_shared_from_this<Impl> {
 public:
  Impl(Executor executor, Clock& clock, Log& log, TcpOptions options)
      : executor_(std::move(executor)),
        clock_(clock),
        log_(log),
        options_(options),
        server_(std::make_shared<Server>(executor_, clock, log, options_)),
        sweep_timer_(executor_) {}

  Server& server() { return *server_; }
  Clock& clock() { return clock_; }

  void give_up(const std::set<MessageType>& types) {
    given_up_.insert(types.begin(), types.end());
    for (auto& [key, lane] : lanes_) lane->give_up(types);
  }
  bool has_given_up(MessageType type) const { return given_up_.contains(type); }

  std::shared_ptr<Lane> lane(const Address& to, const Request& request) {
    std::shared_ptr<Lane>& lane = lanes_[{to, lane_for(request)}];
    if (!lane) lane = std::make_shared<Lane>(executor_, clock_, log_, options_, to);
    return lane;
  }

  void sweep_later() {
    sweep_timer_.expires_after(options_.sweep_interval);
    sweep_timer_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
      const auto self = weak.lock();
      if (error || !self) return;
      self->sweep();
      self->sweep_later();
    });
  }

  void shut_down() {
    sweep_timer_.cancel();
    for (auto& [key, lane] : lanes_) lane->shut_down();
    server_->shut_down();
  }

 private:
  using SteadyTimer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                        boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

  void sweep() {
    const MonoTime now = clock_.now();
    std::erase_if(lanes_, [now](const auto& entry) { return entry.second->sweep(now); });
    server_->sweep(now);
  }

  Executor executor_;
  Clock& clock_;
  Log& log_;
  const TcpOptions options_;
  std::map<std::pair<Address, LaneKind>, std::shared_ptr<Lane>> lanes_;
  std::set<MessageType> given_up_;
  std::shared_ptr<Server> server_;
  SteadyTimer sweep_timer_;
};

TcpTransport::TcpTransport(Executor executor, Clock& clock, Log& log, TcpOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), clock, log, options)) {
  impl_->sweep_later();
}

TcpTransport::~TcpTransport() {
  impl_->shut_down();
}

Result<Address> TcpTransport::listen(const Address& address) {
  return impl_->server().listen(address);
}

Task<Result<Reply>> TcpTransport::call(Address to, Request request, MonoTime deadline) {
  if (impl_->has_given_up(request.type)) co_return Error(ErrorCode::kUnavailable, "calls like this were given up");
  const std::shared_ptr<Lane> lane = impl_->lane(to, request);
  co_return co_await await_completion<Result<Reply>>(
      [lane, request = std::move(request), deadline](Completion<Result<Reply>> done) mutable {
        lane->call(std::move(request), deadline, std::move(done));
      });
}

void TcpTransport::send(Address to, Request message) {
  const std::shared_ptr<Lane> lane = impl_->lane(to, message);
  lane->send(std::move(message));
}

void TcpTransport::give_up(const std::set<MessageType>& types) {
  impl_->give_up(types);
}

void TcpTransport::serve(RequestHandler& handler) {
  impl_->server().serve(handler);
}

void TcpTransport::stop_serving() {
  impl_->server().stop_serving();
}

Task<void> TcpTransport::drain(MonoTime deadline) {
  const std::shared_ptr<Impl> impl = impl_;
  constexpr Duration kPoll = milliseconds(5);
  while (impl->server().connections() > 0 && impl->clock().now() < deadline) co_await sleep_for(impl->clock(), kPoll);
}

}  // namespace dogfs
