#include "core/env/sync.h"

#include <algorithm>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/post.hpp>

namespace dogfs {

namespace {

// A waiter's place among those that wait.
class Place {
 public:
  Place(std::shared_ptr<std::deque<Waiter*>> waiting, Waiter* waiter) : waiting_(std::move(waiting)), waiter_(waiter) {
    waiting_->push_back(waiter_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { std::erase(*waiting_, waiter_); }

 private:
  std::shared_ptr<std::deque<Waiter*>> waiting_;
  Waiter* waiter_;
};

// By itself Asio would post what follows a task.
struct AtOnce {
  template <class F>
  void execute(F function) const {
    std::move(function)();
  }
  bool operator==(const AtOnce&) const = default;
};

}  // namespace

Task<void> sleep_for(Clock& clock, Duration duration) {
  const std::unique_ptr<Waiter> waiter = clock.make_waiter();
  co_await waiter->wait_until(clock.now() + duration);
}

Task<bool> Notifier::wait_until(MonoTime deadline) {
  const std::unique_ptr<Waiter> waiter = clock_.make_waiter();
  const Place place(waiting_, waiter.get());
  co_return co_await waiter->wait_until(deadline);
}

void Notifier::notify_all() {
  for (Waiter* waiter : *waiting_) waiter->notify();
  waiting_->clear();
}

void spawn(const Executor& executor, Task<void> task, std::function<void()> ended) {
  // co_spawn dispatches: on an event loop's own thread the task would begin here and now.
  const Executor later = boost::asio::require(executor, boost::asio::execution::blocking.never);
  auto finish = [ended = std::move(ended)](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
    if (ended) ended();
  };
  boost::asio::co_spawn(later, std::move(task), boost::asio::bind_executor(AtOnce(), std::move(finish)));
}

void TaskGroup::State::end_one() {
  DOGFS_CHECK(running > 0);
  if (--running == 0) idle.notify_all();
}

void TaskGroup::spawn(Task<void> task) {
  ++state_->running;
  dogfs::spawn(executor_, std::move(task), [state = state_] { state->end_one(); });
}

void TaskGroup::post(std::function<void()> work) {
  ++state_->running;
  boost::asio::post(executor_, [state = state_, work = std::move(work)] {
    work();
    state->end_one();
  });
}

Task<void> TaskGroup::join() {
  const std::shared_ptr<State> state = state_;
  while (state->running > 0) co_await state->idle.wait();
}

Task<void> Semaphore::acquire(uint64_t units) {
  DOGFS_CHECK(units <= total_);
  while (free_ < units) co_await changed_.wait();
  free_ -= units;
}

void Semaphore::release(uint64_t units) {
  free_ += units;
  DOGFS_CHECK(free_ <= total_);
  changed_.notify_all();
}

}  // namespace dogfs
