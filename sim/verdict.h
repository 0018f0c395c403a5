// Where oracles say that something is wrong. The run ends at the first.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "sim/trace.h"

namespace dogfs::sim {

class Verdict {
 public:
  explicit Verdict(Trace& trace) : trace_(trace) {}

  // `oracle` is a fixed name: "raft", "state", "file", "shard", "availability", "liveness" and so on. `what` says in its
  // first line what is wrong, for which sim/failure_kind.h tells kinds apart, and may explain it in more.
  void fail(std::string_view oracle, std::string_view what) {
    trace_.line("verdict", fmt::format("{}: {}", oracle, what));
    trace_.record("verdict", LogLevel::kError, fmt::format("{}: {}", oracle, what));
    if (!failure_) failure_ = fmt::format("{}: {}", oracle, what);
  }
  bool failed() const { return failure_.has_value(); }
  const std::optional<std::string>& failure() const { return failure_; }

 private:
  Trace& trace_;
  std::optional<std::string> failure_;
};

}  // namespace dogfs::sim
