#include "tests/core/client/test_world.h"

#include <gtest/gtest.h>

#include "core/base/hash.h"

namespace dogfs::test {
namespace {

class TestWaiter final : public Waiter {
 public:
  explicit TestWaiter(TestClock& clock) : clock_(clock) {}

  Task<bool> wait_until(MonoTime deadline) override {
    DOGFS_CHECK(parked_ == 0, "two coroutines wait at one waiter");
    if (notified_) deadline = clock_.now();
    const bool woken = co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<Executor>, void(bool)>(
        [this, deadline](auto handler) {
          auto shared = std::make_shared<decltype(handler)>(std::move(handler));
          parked_ = clock_.park(deadline, [shared](bool by_notify) { std::move (*shared)(by_notify); });
          if (notified_) clock_.wake(parked_, true);
        },
        boost::asio::use_awaitable_t<Executor>());
    parked_ = 0;
    notified_ = false;
    co_return woken;
  }

  void notify() override {
    if (notified_) return;
    notified_ = true;
    if (parked_ != 0) clock_.wake(parked_, true);
  }

 private:
  TestClock& clock_;
  uint64_t parked_ = 0;
  bool notified_ = false;
};

}  // namespace

std::unique_ptr<Waiter> TestClock::make_waiter() {
  return std::make_unique<TestWaiter>(*this);
}

uint64_t TestClock::park(MonoTime deadline, std::function<void(bool)> resume) {
  const uint64_t id = next_id_++;
  parked_[id] = Parked{std::move(resume)};
  if (deadline != kNever) {
    deadlines_[{deadline, id}] = id;
    deadline_of_[id] = deadline;
  }
  return id;
}

void TestClock::wake(uint64_t id, bool notified) {
  const auto it = parked_.find(id);
  if (it == parked_.end()) return;
  std::function<void(bool)> resume = std::move(it->second.resume);
  parked_.erase(it);
  if (const auto deadline = deadline_of_.find(id); deadline != deadline_of_.end()) {
    deadlines_.erase({deadline->second, id});
    deadline_of_.erase(deadline);
  }
  boost::asio::post(context_, [resume = std::move(resume), notified] { resume(notified); });
}

bool TestClock::advance() {
  if (deadlines_.empty()) return false;
  now_ = std::max(now_, deadlines_.begin()->first.first);
  while (!deadlines_.empty() && deadlines_.begin()->first.first <= now_) wake(deadlines_.begin()->second, false);
  return true;
}

uint64_t TestRandom::draw(std::string_view stream) {
  const uint64_t count = draws_[std::string(stream)]++;
  return combine64(hash64(stream), count);
}

Task<void> TestCompute::run(std::function<void()> job) {
  co_await sleep_for(clock_, microseconds(50));
  job();
}

struct TestTransport::Exchange {
  explicit Exchange(Clock& clock) : changed(clock) {}
  std::optional<Reply> reply;
  Notifier changed;
};

Task<void> TestTransport::execute(Handler handler, Request request, Duration delay, Clock& clock,
                                  std::shared_ptr<Exchange> exchange) {
  co_await sleep_for(clock, delay);
  exchange->reply = co_await handler(std::move(request));
  exchange->changed.notify_all();
}

Task<Result<Reply>> TestTransport::call(Address to, Request request, MonoTime deadline) {
  ++calls;
  const Fate decided = fate(to, request);
  const auto node = nodes.find(to);
  if (decided == Fate::kRefuse || node == nodes.end()) {
    co_await sleep_for(clock_, microseconds(100));
    co_return Error(ErrorCode::kRefused);
  }
  if (decided == Fate::kResetBefore) {
    co_await sleep_for(clock_, microseconds(100));
    co_return Error(ErrorCode::kConnectionLost);
  }
  auto exchange = std::make_shared<Exchange>(clock_);
  const uint64_t payload = request.payload.size();
  payload_in_flight += payload;
  if (decided != Fate::kLoseRequest) {
    const Duration takes = delay(to, request);
    tasks_.spawn(execute(node->second, std::move(request), takes, clock_, exchange));
  }
  const bool reply_is_lost = decided == Fate::kLoseReply;
  while (clock_.now() < deadline && (!exchange->reply || reply_is_lost)) {
    co_await exchange->changed.wait_until(deadline);
  }
  payload_in_flight -= payload;
  if (!exchange->reply || reply_is_lost) co_return Error(ErrorCode::kTimeout);
  if (decided == Fate::kResetAfter) co_return Error(ErrorCode::kConnectionLost);
  co_return std::move(*exchange->reply);
}

World::World()
    : clock(context),
      compute(clock),
      transport(context.get_executor(), clock),
      env{context.get_executor(), clock, random, transport, compute, log} {}

void World::run(Task<void> task) {
  bool done = false;
  boost::asio::co_spawn(context.get_executor(), std::move(task), [&](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
    done = true;
  });
  run_until([&] { return done; });
}

void World::spawn(Task<void> task) {
  boost::asio::co_spawn(context.get_executor(), std::move(task), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

void World::run_until(const std::function<bool()>& done) {
  while (!done()) {
    context.restart();
    context.poll();
    if (done()) return;
    ASSERT_TRUE(clock.advance()) << "everything waits for ever";
  }
}

void World::run_for(Duration duration) {
  run(sleep_for(clock, duration));
}

}  // namespace dogfs::test
