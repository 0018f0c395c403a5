#include "runtime/cli/drain_watch.h"

#include <fmt/format.h>

#include "runtime/cli/hindrance.h"

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

}  // namespace

void DrainWatch::see(const wire::ChunkServerInfo& server, MonoTime now) {
  const bool moved = server.blocks() < blocks_;
  blocks_ = server.blocks();
  if (server.blocks() == 0 || stuck_blocks(server) < server.blocks()) return see_nothing();
  if (moved || !stuck_since_) stuck_since_ = now;
}

std::string describe_stuck_drain(const wire::ChunkServerInfo& server) {
  std::string text = fmt::format("it cannot be emptied, and {} blocks are left", server.blocks());
  for (const wire::RepairHindrance& hindrance : server.hindrances()) {
    if (needs_operator(hindrance.reason())) text += "; " + describe_hindrance(hindrance);
  }
  return text + ". It stays draining, and goes on when that changes; `dogfs admin node return` ends it";
}

}  // namespace dogfs::cli
