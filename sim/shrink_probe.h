// Runs candidates of the shrinker, several at once, each in a process of its own: a run that ends its process by a
// broken invariant is a failure like any other.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/scenario.pb.h"

namespace dogfs::sim {

// What a run came to.
struct ProbeResult {
  std::string failure;  // empty: it passed
  uint64_t faults_struck = 0;
  uint64_t operations = 0;
  uint64_t virtual_ms = 0;
};

class Prober {
 public:
  struct Options {
    uint32_t workers = 1;
    uint64_t limit_ms = 50'000;                // of real time: no run is begun later
    uint64_t limit_processor_ms = UINT64_MAX;  // of all runs together
  };

  explicit Prober(const Options& options);

  // Every scenario names its seed.
  ProbeResult run(const proto::Scenario& scenario);
  // The first candidate whose run fails in the way of `kind` (sim/failure_kind.h). Which it is does not depend on how fast each is;
  // none, once the time is over.
  std::optional<size_t> first_failing(const std::vector<proto::Scenario>& candidates, const std::string& kind);
  // From now on a run that goes on for longer, in virtual time, counts as one that passed.
  void set_patience(uint64_t virtual_ms) { patience_ms_ = virtual_ms; }
  // Of the last candidate that first_failing() found.
  const ProbeResult& found() const { return found_; }

  uint64_t runs() const { return runs_; }
  bool out_of_time() const;
  uint64_t elapsed_ms() const;
  uint64_t processor_ms() const { return processor_us_ / 1000; }

 private:
  struct Child {
    int process = 0;
    int pipe = -1;
    int log = -1;  // a file in memory: what it writes to its standard error
    size_t candidate = 0;
    uint64_t begin_ms = 0;
  };

  Child start(const proto::Scenario& scenario, size_t candidate);
  ProbeResult finish(const Child& child);
  void abandon(const Child& child);
  // Waits for its end, and adds up its processor time.
  int reap(const Child& child);
  // Ends those whose results are not worth the wait.
  void abandon_useless(std::vector<Child>& children, std::optional<size_t> best);

  Options options_;
  uint64_t begin_ms_;
  uint64_t runs_ = 0;
  uint64_t processor_us_ = 0;
  std::optional<uint64_t> patience_ms_;
  ProbeResult found_;
  std::map<std::string, ProbeResult> known_;  // by the serialised scenario
};

}  // namespace dogfs::sim
