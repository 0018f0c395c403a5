// Runs blocking work on a pool of threads and resumes on the executor.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <utility>

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

}  // namespace dogfs
