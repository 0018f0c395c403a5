#include "runtime/cli/drain_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/cli/hindrance.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

// A server has one shard of a block at most: what is not among these is under way, or waits its turn.
int64_t stuck_blocks(const wire::ChunkServerInfo& server) {
  uint64_t shards = 0;
  for (const wire::RepairHindrance& hindrance : server.hindrances()) {
    if (needs_operator(hindrance.reason())) shards += hindrance.shards();
  }
  return static_cast<int64_t>(shards);
}

// What is being written can go no sooner than it is committed: only the rest can be stuck.
int64_t closed_blocks(const wire::ChunkServerInfo& server) {
  return server.blocks() - static_cast<int64_t>(server.open_blocks());
}

}  // namespace

void DrainWatch::see(const wire::ChunkServerInfo& server, MonoTime now) {
  const std::optional<MonoTime> was_stuck_since = stuck_since_;
  see_before_survey(server);
  const int64_t closed = closed_blocks(server);
  const bool moved = closed < closed_blocks_;
  closed_blocks_ = closed;
  if (closed <= 0 || stuck_blocks(server) < closed) return;
  stuck_since_ = moved || !was_stuck_since ? now : was_stuck_since;
}

void DrainWatch::see_before_survey(const wire::ChunkServerInfo& server) {
  missing_since_.reset();
  stuck_since_.reset();
  most_blocks_ = std::max(most_blocks_, server.blocks());
}

std::optional<Error> DrainWatch::miss(const Error& error, MonoTime now) {
  stuck_since_.reset();
  if (!missing_since_) missing_since_ = now;
  const ErrorClass kind = error_class(error.code);
  if (kind != ErrorClass::kRetry && kind != ErrorClass::kRedirect) return error;
  if (now - *missing_since_ < kSilenceLimit) return std::nullopt;
  return Error(ErrorCode::kUnavailable,
               fmt::format("no metadata leader has answered for {} ({}); the drain itself goes on",
                           format_duration(now - *missing_since_), error.to_string()));
}

std::string describe_drain(const wire::ChunkServerInfo& server, int64_t most_blocks) {
  std::string text = fmt::format("{}: {} of {} blocks are left{}, {}\n", server.address(), server.blocks(), most_blocks,
                                 describe_open_blocks(server), describe_estimate(server.estimate_ms()));
  for (const wire::RepairHindrance& hindrance : server.hindrances()) {
    text += fmt::format("  held up: {}\n", describe_hindrance(hindrance));
  }
  return text;
}

std::string describe_open_blocks(const wire::ChunkServerInfo& server) {
  if (server.open_blocks() == 0) return {};
  return fmt::format(" ({} of files that are being written: they go when those are closed, or their leases end)",
                     server.open_blocks());
}

std::string describe_stuck_drain(const wire::ChunkServerInfo& server) {
  std::string text =
      fmt::format("it cannot be emptied, and {} blocks are left{}", server.blocks(), describe_open_blocks(server));
  for (const wire::RepairHindrance& hindrance : server.hindrances()) {
    if (needs_operator(hindrance.reason())) text += "; " + describe_hindrance(hindrance);
  }
  return text + ". It stays draining, and goes on when that changes; `dogfs admin node return` ends it";
}

}  // namespace dogfs::cli
