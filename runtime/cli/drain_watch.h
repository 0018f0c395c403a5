// Judges a drain by what is seen of its server again and again: whether it is done, and whether it never will be.
#pragma once

#include <optional>
#include <string>

#include "core/base/time.h"
#include "core/wire/meta.pb.h"

namespace dogfs::cli {

class DrainWatch {
 public:
  // What stands in the way must do so for that long: a server that restarts does too, for a moment.
  static constexpr Duration kPatience = seconds(10);

  // `server` as a leader that has surveyed its repairs shows it.
  void see(const wire::ChunkServerInfo& server, MonoTime now);
  // A leader has not surveyed them yet, or none answers: nothing is known.
  void see_nothing() { stuck_since_.reset(); }

  // All that is left is held up by something that only an operator can change.
  bool stuck(MonoTime now) const { return stuck_since_ && now - *stuck_since_ >= kPatience; }

 private:
  std::optional<MonoTime> stuck_since_;
  int64_t blocks_ = 0;
};

// Why, in words. Precondition: it is stuck.
std::string describe_stuck_drain(const wire::ChunkServerInfo& server);

}  // namespace dogfs::cli
