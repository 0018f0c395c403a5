// Runs blocking work on a pool of threads and resumes on the executor.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>

#include "core/base/result.h"
#include "core/env/task.h"
#include "net/completion.h"

namespace dogfs {

// Returns what `job` returned. The job runs to its end even when the coroutine that waits is gone: it must own what it
// uses. The executor's event loop must outlive the pool.
template <class T, class Job>
Task<T> offload(boost::asio::thread_pool& pool, Job job) {
  co_return co_await await_completion<T>([&pool, job = std::move(job)](Completion<T> done) mutable {
    boost::asio::post(pool, [job = std::move(job), done = std::move(done)]() mutable {
      // The job goes before its completion is queued: what it holds (a file, a buffer) is free when the caller resumes.
      T result = [own = std::move(job)]() mutable { return own(); }();
      done.complete(std::move(result));
    });
  });
}

// Offloaded work whose callers need not wait for its end. Belongs to their executor.
class Offloads {
 public:
  template <class T, class Job>
  Task<T> run(boost::asio::thread_pool& pool, Job job) {
    const uint64_t number = ++last_;
    // Weak, since those that wait are owned there.
    const std::weak_ptr<Waiting> waiting = waiting_;
    T result = co_await await_completion<T>([this, number, &pool, job = std::move(job)](Completion<T> done) mutable {
      const Executor executor = done.executor();
      auto caller = std::make_shared<CallerOf<T>>(std::move(done));
      waiting_->emplace(number, caller);
      boost::asio::post(pool, [job = std::move(job), caller = std::move(caller), executor]() mutable {
        T ended = [own = std::move(job)]() mutable { return own(); }();
        boost::asio::post(executor, [caller = std::move(caller), ended = std::move(ended)]() mutable {
          if (caller->done) caller->done.resume_now(std::move(ended));
        });
      });
    });
    if (const auto others = waiting.lock()) others->erase(number);
    co_return result;
  }

  // Answers all that wait now. Their work goes on.
  void give_up(const Error& error) {
    for (const auto& [number, caller] : std::exchange(*waiting_, {})) caller->answer(error);
  }

 private:
  struct Caller {
    virtual ~Caller() = default;
    virtual void answer(const Error& error) = 0;
  };
  // Whom neither of the two has answered has his Completion still.
  template <class T>
  struct CallerOf final : Caller {
    explicit CallerOf(Completion<T> d) : done(std::move(d)) {}
    void answer(const Error& error) override {
      if (done) done.complete(error);
    }
    Completion<T> done;
  };

  using Waiting = std::map<uint64_t, std::shared_ptr<Caller>>;

  uint64_t last_ = 0;
  std::shared_ptr<Waiting> waiting_ = std::make_shared<Waiting>();
};

}  // namespace dogfs
