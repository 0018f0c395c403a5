#include "runtime/cli/fsck_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "core/base/check.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

std::optional<wire::FsckFinding::Kind> problem_of(const ShardFinding& finding) {
  switch (finding.kind) {
    case ShardFinding::Kind::kDamaged:
      return wire::FsckFinding::DAMAGED;
    case ShardFinding::Kind::kMissing:
      return wire::FsckFinding::MISSING;
    case ShardFinding::Kind::kUnreachable:
      return wire::FsckFinding::UNREACHABLE;
    case ShardFinding::Kind::kIntact:
    case ShardFinding::Kind::kNotStored:
      break;
  }
  return std::nullopt;
}

void add_finding(const ShardFinding& finding, wire::FsckBlock& out) {
  const std::optional<wire::FsckFinding::Kind> kind = problem_of(finding);
  if (!kind) return;
  wire::FsckFinding& line = *out.add_findings();
  line.set_index(finding.shard.index());
  line.set_generation(finding.shard.generation());
  line.set_server(finding.shard.server());
  line.set_server_address(finding.shard.server_address());
  line.set_kind(*kind);
  line.set_reason(finding.error.to_string());
}

// What the shard counts as, after it was read.
wire::Shard::Condition condition_after(const ShardFinding& finding) {
  switch (finding.kind) {
    case ShardFinding::Kind::kIntact:
      return finding.shard.condition() == wire::Shard::LEAVING ? wire::Shard::LEAVING : wire::Shard::INTACT;
    case ShardFinding::Kind::kDamaged:
    case ShardFinding::Kind::kMissing:
      return wire::Shard::DAMAGED;
    case ShardFinding::Kind::kUnreachable:
      return finding.shard.condition() == wire::Shard::DAMAGED ? wire::Shard::DAMAGED : wire::Shard::UNREACHABLE;
    case ShardFinding::Kind::kNotStored:
      break;
  }
  return finding.shard.condition();
}

std::string_view kind_name(wire::FsckFinding::Kind kind) {
  switch (kind) {
    case wire::FsckFinding::DAMAGED:
      return "damaged";
    case wire::FsckFinding::MISSING:
      return "missing";
    default:
      return "unreachable";
  }
}

std::string describe_shard(const wire::FsckBlock& block, const wire::Shard& shard) {
  const auto found = std::ranges::find(block.findings(), shard.index(), &wire::FsckFinding::index);
  if (found == block.findings().end()) return describe_place(shard);
  return fmt::format("{} on server {} {}: {}", kind_name(found->kind()), found->server(), found->server_address(),
                     found->reason());
}

}  // namespace

wire::FsckBlock judge(std::string path, wire::BlockLocation block) {
  wire::FsckBlock out;
  out.set_path(std::move(path));
  out.set_health(health_of(block));
  *out.mutable_block() = std::move(block);
  return out;
}

wire::FsckBlock judge(std::string path, wire::BlockLocation block, const std::vector<ShardFinding>& findings) {
  DOGFS_CHECK(findings.size() == static_cast<size_t>(block.shards_size()));
  wire::FsckBlock out;
  for (size_t i = 0; i < findings.size(); ++i) {
    const ShardFinding& finding = findings[i];
    wire::Shard& shard = *block.mutable_shards(static_cast<int>(i));
    shard = finding.shard;
    shard.set_condition(condition_after(finding));
    add_finding(finding, out);
  }
  out.set_path(std::move(path));
  out.set_health(health_of(block));
  *out.mutable_block() = std::move(block);
  return out;
}

void count(const wire::FsckBlock& block, wire::FsckSummary& summary) {
  summary.set_blocks(summary.blocks() + 1);
  switch (block.health()) {
    case wire::FsckBlock::HEALTHY:
      return summary.set_healthy(summary.healthy() + 1);
    case wire::FsckBlock::DEGRADED:
      return summary.set_degraded(summary.degraded() + 1);
    case wire::FsckBlock::AT_RISK:
      return summary.set_at_risk(summary.at_risk() + 1);
    case wire::FsckBlock::LOST:
      return summary.set_lost(summary.lost() + 1);
    case wire::FsckBlock::UNREACHABLE:
      return summary.set_unreachable(summary.unreachable() + 1);
    default:
      return;
  }
}

void count(const std::vector<ShardFinding>& findings, wire::FsckSummary& summary) {
  for (const ShardFinding& finding : findings) {
    switch (finding.kind) {
      case ShardFinding::Kind::kIntact:
        summary.set_shards_read(summary.shards_read() + 1);
        summary.set_bytes_read(summary.bytes_read() + finding.shard.length());
        break;
      case ShardFinding::Kind::kDamaged:
        summary.set_shards_damaged(summary.shards_damaged() + 1);
        break;
      case ShardFinding::Kind::kMissing:
        summary.set_shards_missing(summary.shards_missing() + 1);
        break;
      case ShardFinding::Kind::kUnreachable:
        summary.set_shards_unreachable(summary.shards_unreachable() + 1);
        break;
      case ShardFinding::Kind::kNotStored:
        break;
    }
  }
}

std::string describe_block(const wire::FsckBlock& block, std::string_view shown_path, bool all) {
  const wire::BlockLocation& location = block.block();
  std::string text = fmt::format("{}: block {} at {}: {}, {} of {} shards, {} needed\n", shown_path, location.block(),
                                 location.offset(), health_name(block.health()), intact_shards(location),
                                 location.shards_size(), needed_shards(location));
  for (const wire::Shard& shard : location.shards()) {
    if (is_intact(shard) && !all) continue;
    text += fmt::format("    shard {:>2}: {}\n", shard.index(), describe_shard(block, shard));
  }
  return text;
}

std::string describe_summary(const wire::FsckSummary& summary, bool verified) {
  const std::string in_trash =
      summary.files_in_trash() == 0 ? "" : fmt::format(" ({} of them in the trash)", summary.files_in_trash());
  std::string text = fmt::format(
      "{} files{} in {} directories, {} blocks: {} healthy, {} degraded, {} at risk, {} lost, {} unreachable\n",
      summary.files(), in_trash, summary.directories(), summary.blocks(), summary.healthy(), summary.degraded(),
      summary.at_risk(), summary.lost(), summary.unreachable());
  if (!verified) return text;
  return text + fmt::format("{} shards of {} read: {} damaged, {} missing, {} unreachable\n", summary.shards_read(),
                            human_bytes(summary.bytes_read()), summary.shards_damaged(), summary.shards_missing(),
                            summary.shards_unreachable());
}

}  // namespace dogfs::cli
