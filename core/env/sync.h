// Ways for the coroutines of one executor to wait for each other, all built on Clock's Waiter. None is a lock, and none
// may be used from another thread.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <utility>

#include "core/base/check.h"
#include "core/env/clock.h"
#include "core/env/task.h"

namespace dogfs {

// Starts `task` on `executor` soon (never inline). When it has ended, `ended` is called at once, in its last turn. A
// task that throws ends the process.
void spawn(const Executor& executor, Task<void> task, std::function<void()> ended = nullptr);

// Suspends for `duration`.
Task<void> sleep_for(Clock& clock, Duration duration);

// Many coroutines wait; one call wakes all that are waiting now. There is no memory: check the condition in a loop.
//   while (!ready) co_await notifier.wait_until(deadline);
class Notifier {
 public:
  explicit Notifier(Clock& clock) : clock_(clock), waiting_(std::make_shared<std::deque<Waiter*>>()) {}

  // True when notified, false at the deadline.
  Task<bool> wait_until(MonoTime deadline);
  Task<bool> wait() { return wait_until(kNever); }
  void notify_all();

 private:
  Clock& clock_;
  // Waiters of suspended coroutines; each is owned by its coroutine's frame, which takes it out when it resumes, or
  // when it is destroyed where it waits. Shared, since a frame may outlive this object then.
  std::shared_ptr<std::deque<Waiter*>> waiting_;
};

// Starts coroutines on an executor and waits for them all. Its owner joins it before it goes.
class TaskGroup {
 public:
  TaskGroup(Executor executor, Clock& clock) : executor_(std::move(executor)), state_(std::make_shared<State>(clock)) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts `task` soon (never inline). A task that throws ends the process.
  void spawn(Task<void> task);
  // Calls `work` soon (never inline): a task that has nothing to wait for, without the cost of one.
  void post(std::function<void()> work);

  // Resumes when every task that was spawned or posted has ended.
  Task<void> join();

  size_t running() const { return state_->running; }

 private:
  struct State {
    explicit State(Clock& clock) : idle(clock) {}
    void end_one();
    size_t running = 0;
    Notifier idle;
  };

  Executor executor_;
  // Shared with the completion of each task, which may run after a crashed owner is gone.
  std::shared_ptr<State> state_;
};

// Counts units of a bounded resource (bytes in flight, requests under way) that coroutines take and give back.
class Semaphore {
 public:
  Semaphore(Clock& clock, uint64_t units) : total_(units), free_(units), changed_(clock) {}

  // Waits until `units` are free, in no promised order. Precondition: units <= total.
  Task<void> acquire(uint64_t units);
  void release(uint64_t units);
  uint64_t free() const { return free_; }

 private:
  uint64_t total_;
  uint64_t free_;
  Notifier changed_;
};

}  // namespace dogfs
