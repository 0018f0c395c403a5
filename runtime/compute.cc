#include "runtime/compute.h"

#include <variant>

#include "runtime/offload.h"

namespace dogfs {

Task<void> ThreadPoolCompute::run(std::function<void()> job) {
  co_await offload<std::monostate>(pool_, [job = std::move(job)] {
    job();
    return std::monostate();
  });
}

}  // namespace dogfs
