#include "runtime/clock.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "core/base/check.h"

namespace dogfs {
namespace {

using SteadyTimer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                      boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;

class TimerWaiter final : public Waiter {
 public:
  explicit TimerWaiter(const Executor& executor) : timer_(executor) {}

  Task<bool> wait_until(MonoTime deadline) override {
    DOGFS_CHECK(!std::exchange(waiting_, true), "two coroutines wait on one waiter");
    if (!notified_) {
      timer_.expires_at(std::chrono::steady_clock::time_point(deadline.time_since_epoch()));
      co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable_t<Executor>()));
    }
    waiting_ = false;
    // Also true for a notification that came after the timer had expired and before this ran.
    co_return std::exchange(notified_, false);
  }

  void notify() override {
    notified_ = true;
    timer_.cancel();
  }

 private:
  SteadyTimer timer_;
  bool waiting_ = false;
  bool notified_ = false;
};

}  // namespace

MonoTime SystemClock::now() const {
  return MonoTime(std::chrono::steady_clock::now().time_since_epoch());
}

WallTime SystemClock::wall() const {
  return WallTime(std::chrono::system_clock::now().time_since_epoch());
}

std::unique_ptr<Waiter> SystemClock::make_waiter() {
  return std::make_unique<TimerWaiter>(executor_);
}

}  // namespace dogfs
