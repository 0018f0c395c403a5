#include "runtime/cli/fsck.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/client/file_block.h"
#include "runtime/cli/paths.h"

namespace dogfs::cli {
namespace {

struct Tally {
  uint64_t files = 0;
  uint64_t directories = 0;
  std::array<uint64_t, 4> blocks{};  // by health

  uint64_t& of(BlockHealth health) { return blocks.at(static_cast<size_t>(health)); }
};

void print_block(const Session& session, const std::string& path, const wire::BlockLocation& block) {
  print(fmt::format("{}: block {} at {}: {}, {} of {} shards, {} needed\n", session.shown_name(path), block.block(),
                    block.offset(), health_name(health_of(block)), intact_shards(block), block.shards_size(),
                    needed_shards(block)));
  for (const wire::Shard& shard : block.shards()) {
    if (!is_intact(shard)) print(fmt::format("    shard {:>2}: {}\n", shard.index(), describe_place(shard)));
  }
}

Task<Status> check_file(Session& session, std::string path, uint64_t length, Tally& tally) {
  ++tally.files;
  for (uint64_t offset = 0; offset < length;) {
    DOGFS_CO_TRY(const wire::GetBlocksReply page, co_await session.client().blocks(path, offset, length - offset));
    for (const wire::BlockLocation& block : page.blocks()) {
      const BlockHealth health = health_of(block);
      ++tally.of(health);
      if (health != BlockHealth::kHealthy) print_block(session, path, block);
      offset = std::max<uint64_t>(offset, block.offset() + visible_length(block));
    }
    if (!page.more() || page.blocks_size() == 0) break;
  }
  co_return ok();
}

// One directory: its files are checked, and its directories added to `pending`.
Task<Status> check_directory(Session& session, std::string path, std::vector<std::string>& pending, Tally& tally) {
  ++tally.directories;
  std::string after;
  for (bool more = true; more && !session.interrupted();) {
    DOGFS_CO_TRY(const wire::ListReply page, co_await session.client().list(path, after, 0));
    for (const wire::FileStatus& entry : page.entries()) {
      const std::string child = join_path(path, entry.name());
      if (entry.directory()) {
        pending.push_back(child);
        continue;
      }
      const Status checked = co_await check_file(session, child, entry.length(), tally);
      // It may have been deleted since it was listed.
      if (!checked && checked.error().code != ErrorCode::kNotFound) session.fail(child, checked.error());
    }
    more = page.more() && page.entries_size() > 0;
    if (more) after = page.entries(page.entries_size() - 1).name();
  }
  co_return ok();
}

void print_tally(Tally& tally) {
  uint64_t blocks = 0;
  for (const uint64_t count : tally.blocks) blocks += count;
  print(fmt::format("{} files in {} directories, {} blocks: {} healthy, {} degraded, {} at risk, {} lost\n",
                    tally.files, tally.directories, blocks, tally.of(BlockHealth::kHealthy),
                    tally.of(BlockHealth::kDegraded), tally.of(BlockHealth::kAtRisk), tally.of(BlockHealth::kLost)));
}

}  // namespace

bool is_intact(const wire::Shard& shard) {
  return shard.server() != 0 && (shard.condition() == wire::Shard::INTACT || shard.condition() == wire::Shard::LEAVING);
}

uint32_t intact_shards(const wire::BlockLocation& block) {
  return static_cast<uint32_t>(std::ranges::count_if(block.shards(), is_intact));
}

uint32_t needed_shards(const wire::BlockLocation& block) {
  return static_cast<uint32_t>(block.shards_size()) - block.policy().parity_shards();
}

BlockHealth health_of(const wire::BlockLocation& block) {
  const uint32_t intact = intact_shards(block);
  const uint32_t needed = needed_shards(block);
  if (intact < needed) return BlockHealth::kLost;
  if (intact == static_cast<uint32_t>(block.shards_size())) return BlockHealth::kHealthy;
  return intact == needed ? BlockHealth::kAtRisk : BlockHealth::kDegraded;
}

std::string_view health_name(BlockHealth health) {
  switch (health) {
    case BlockHealth::kHealthy:
      return "healthy";
    case BlockHealth::kDegraded:
      return "degraded";
    case BlockHealth::kAtRisk:
      return "at risk";
    case BlockHealth::kLost:
      return "LOST";
  }
  return "unknown";
}

std::string describe_place(const wire::Shard& shard) {
  if (shard.server() == 0) return "missing";
  std::string place = fmt::format("server {} {}", shard.server(), shard.server_address());
  switch (shard.condition()) {
    case wire::Shard::UNREACHABLE:
      return "unreachable on " + place;
    case wire::Shard::DAMAGED:
      return "damaged on " + place;
    case wire::Shard::LEAVING:
      return "to leave " + place;
    default:
      return place;
  }
}

Task<void> check_files(Session& session, FsckOptions options) {
  const Result<std::string> path = parse_path(options.path);
  if (!path) {
    session.fail(options.path, path.error());
    co_return;
  }
  const Result<wire::FileStatus> status = co_await session.client().stat(path.value());
  if (!status) {
    session.fail(path.value(), status.error());
    co_return;
  }
  Tally tally;
  std::vector<std::string> pending;
  if (status.value().directory()) {
    pending.push_back(path.value());
  } else {
    const Status checked = co_await check_file(session, path.value(), status.value().length(), tally);
    if (!checked) session.fail(path.value(), checked.error());
  }
  while (!pending.empty() && !session.interrupted()) {
    const std::string directory = std::move(pending.back());
    pending.pop_back();
    const Status checked = co_await check_directory(session, directory, pending, tally);
    if (!checked && checked.error().code != ErrorCode::kNotFound) session.fail(directory, checked.error());
  }
  print_tally(tally);
  if (tally.of(BlockHealth::kLost) > 0) {
    session.fail(path.value(), Error(ErrorCode::kDataLoss, fmt::format("{} blocks", tally.of(BlockHealth::kLost))));
  }
}

}  // namespace dogfs::cli
