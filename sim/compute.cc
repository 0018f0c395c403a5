#include "sim/compute.h"

#include <memory>
#include <utility>

namespace dogfs::sim {
namespace {

constexpr microseconds kShortestJob(1);
constexpr microseconds kLongestJob(60);

}  // namespace

Task<void> SimCompute::run(std::function<void()> job) {
  const Duration delay = delays_.between(kShortestJob, kLongestJob);
  co_await park(executor_, [this, delay, &job](ParkId id) {
    Simulator& simulator = executor_.simulator();
    simulator.at(executor_.incarnation(), simulator.now() + delay, [&simulator, &job, id] {
      job();
      simulator.resume(id, Wake::kCompleted);
    });
  });
}

}  // namespace dogfs::sim
