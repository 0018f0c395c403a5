// Completion: the one place where a coroutine waits for plain code (a socket's callback, a thread of a pool).
//
// A coroutine suspends in await_completion(), which hands its continuation to a function of the caller's choice. Who
// holds the Completion resumes the coroutine, exactly once, by complete(). It may be moved to and kept by any thread;
// the coroutine always resumes from the executor's queue, never inline. A Completion that is dropped instead destroys
// the waiting coroutine, which is how a node that is torn down leaves nothing behind; it must then be dropped on the
// executor's thread, or after that has ended.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <utility>

#include "core/env/task.h"

namespace dogfs {

template <class T>
class Completion {
 public:
  Completion() = default;

  template <class Handler>
  Completion(Executor executor, Handler handler)
      : executor_(std::move(executor)),
        work_(std::make_unique<Work>(executor_)),
        resume_(std::make_unique<Resume<Handler>>(std::move(handler))) {}

  explicit operator bool() const { return resume_ != nullptr; }
  const Executor& executor() const { return executor_; }

  // Queues the coroutine to resume with `value`. This is empty afterwards.
  void complete(T value) {
    Executor executor = executor_;
    boost::asio::post(
        executor, [self = std::move(*this), value = std::move(value)]() mutable { self.resume_now(std::move(value)); });
  }

  // Resumes the coroutine inline. Precondition: called from the executor, by a function that was posted to it and that
  // touches nothing afterwards which the coroutine may have destroyed.
  void resume_now(T value) {
    const std::unique_ptr<ResumeBase> resume = std::move(resume_);
    const std::unique_ptr<Work> work = std::move(work_);
    resume->run(std::move(value));
  }

 private:
  // Keeps the event loop running while an operation is under way outside of it.
  using Work = boost::asio::executor_work_guard<Executor>;

  struct ResumeBase {
    virtual ~ResumeBase() = default;
    virtual void run(T value) = 0;
  };
  template <class Handler>
  struct Resume final : ResumeBase {
    explicit Resume(Handler h) : handler(std::move(h)) {}
    void run(T value) override {
      // The handler goes first: what it resumes may free the memory that it lives in.
      Handler local = std::move(handler);
      std::move(local)(std::move(value));
    }
    Handler handler;
  };

  Executor executor_;
  std::unique_ptr<Work> work_;
  std::unique_ptr<ResumeBase> resume_;
};

// Suspends the calling coroutine, passes its Completion to `start`, and returns what it is completed with. `start` runs
// once, after the coroutine is suspended.
template <class T, class Start>
Task<T> await_completion(Start start) {
  const Executor executor = co_await boost::asio::this_coro::executor;
  co_return co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<Executor>, void(T)>(
      [](auto handler, Executor on, Start&& begin) {
        std::move(begin)(Completion<T>(std::move(on), std::move(handler)));
      },
      boost::asio::use_awaitable_t<Executor>(), executor, std::move(start));
}

}  // namespace dogfs
