// Judges a drain by what is seen of its server again and again: whether it is done, whether it never will be, and whether
// nobody can tell any more.
#pragma once

#include <optional>
#include <string>

#include "core/base/error.h"
#include "core/base/time.h"
#include "core/wire/meta.pb.h"

namespace dogfs::cli {

class DrainWatch {
 public:
  // What stands in the way must do so for that long: a server that restarts does too, for a moment.
  static constexpr Duration kPatience = seconds(10);
  // A leader that tells of the server is waited for that long: the group may be restarted meanwhile.
  static constexpr Duration kSilenceLimit = seconds(60);

  // `blocks`: that were to be moved when it began.
  explicit DrainWatch(int64_t blocks) : most_blocks_(blocks) {}

  // `server` as a leader that has surveyed its repairs shows it.
  void see(const wire::ChunkServerInfo& server, MonoTime now);
  // As a leader shows it that has not.
  void see_before_survey(const wire::ChunkServerInfo& server);
  // No leader tells of it, for this reason. The error to give up with: one that is final at once, another as kUnavailable
  // after kSilenceLimit; else nullopt.
  std::optional<Error> miss(const Error& error, MonoTime now);

  // All that is left and could go is held up by something that only an operator can change.
  bool stuck(MonoTime now) const { return stuck_since_ && now - *stuck_since_ >= kPatience; }
  // Since the first miss, until it is seen again.
  bool missing() const { return missing_since_.has_value(); }
  // The most that were seen: files that were being written when it began have added theirs.
  int64_t most_blocks() const { return most_blocks_; }

 private:
  std::optional<MonoTime> stuck_since_;
  std::optional<MonoTime> missing_since_;
  int64_t closed_blocks_ = 0;
  int64_t most_blocks_;
};

// "4 of 13 blocks are left (1 of files that are being written: …), about 1:20 at the rate of late", and what holds them up.
std::string describe_drain(const wire::ChunkServerInfo& server, int64_t most_blocks);

// " (1 of files that are being written: …)"; empty if there is none.
std::string describe_open_blocks(const wire::ChunkServerInfo& server);

// Why, in words. Precondition: it is stuck.
std::string describe_stuck_drain(const wire::ChunkServerInfo& server);

}  // namespace dogfs::cli
