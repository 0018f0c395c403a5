#include "runtime/cli/inspect.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "core/client/file_block.h"
#include "runtime/cli/block_health.h"
#include "runtime/cli/hindrance.h"
#include "runtime/cli/names.h"
#include "runtime/cli/paths.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

std::string describe_policy(const wire::EcPolicy& policy) {
  return fmt::format("RS({},{}), cells of {}, blocks of {}", policy.data_shards(), policy.parity_shards(),
                     human_bytes(policy.cell_bytes()), human_bytes(policy.block_bytes()));
}

void print_block(const wire::BlockLocation& block) {
  const uint32_t stored = intact_shards(block);
  const uint32_t needed = needed_shards(block);
  const uint64_t visible = visible_length(block);
  const std::string cut = visible < block.length() ? fmt::format(" (of {}: truncated)", block.length()) : std::string();
  print(fmt::format("  block {} at {}: {} bytes{}, {} of {} shards stored, {} spare\n", block.block(), block.offset(),
                    visible, cut, stored, block.shards_size(), stored > needed ? stored - needed : 0));
  for (const wire::Shard& shard : block.shards()) {
    const bool parity = shard.index() >= block.policy().data_shards();
    print(fmt::format("    {:>2} {:<6} {:>9} bytes  crc {:08x}  {}\n", shard.index(), parity ? "parity" : "data",
                      shard.length(), shard.crc32c(), describe_place(shard)));
  }
}

Task<Status> print_blocks(Session& session, std::string path, uint64_t length, bool json) {
  for (uint64_t offset = 0; offset < length;) {
    DOGFS_CO_TRY(const wire::GetBlocksReply page, co_await session.client().blocks(path, offset, length - offset));
    if (json) print_json(page);
    for (const wire::BlockLocation& block : page.blocks()) {
      if (!json) print_block(block);
      offset = std::max<uint64_t>(offset, block.offset() + visible_length(block));
    }
    if (!page.more() || page.blocks_size() == 0) break;
  }
  co_return ok();
}

void print_attributes(const Session& session, const std::string& path, const wire::FileStatus& status) {
  print(fmt::format("{}\n", session.shown_name(path)));
  print(fmt::format("  {}, inode {}, {} {}:{}, modified {}\n", status.directory() ? "directory" : "file",
                    status.inode(), format_mode(status.mode(), status.directory()), status.owner(), status.group(),
                    format_time(status.mtime_ms())));
  if (status.directory()) {
    print(fmt::format("  {} entries; new files get {}\n", status.entries(), describe_policy(status.policy())));
  } else {
    const std::string tail =
        status.tail_bytes() > 0 ? fmt::format(" and {} in the metadata", status.tail_bytes()) : std::string();
    print(fmt::format("  {} bytes in {} blocks{}, {}{}\n", status.length() - status.tail_bytes(), status.blocks(), tail,
                      describe_policy(status.policy()), status.being_written() ? "; being written" : ""));
  }
}

Task<Status> print_path(Session& session, std::string text, bool json) {
  DOGFS_CO_TRY(const std::string path, parse_path(text));
  DOGFS_CO_TRY(const wire::FileStatus status, co_await session.client().stat(path));
  if (json) {
    print_json(status);
  } else {
    print_attributes(session, path, status);
  }
  if (status.directory()) co_return ok();
  co_return co_await print_blocks(session, path, status.length(), json);
}

Task<Status> print_summary(Session& session, std::string text, const InspectOptions& options) {
  DOGFS_CO_TRY(const std::string path, parse_path(text));
  DOGFS_CO_TRY(const wire::SummaryReply summary, co_await session.client().summary(path));
  if (options.json) {
    print_json(summary);
    co_return ok();
  }
  const std::string spares = summary.blocks() == 0 ? "-" : std::to_string(summary.least_spares());
  print(fmt::format("{:>12}  {:>12}  {:>9}  {:>9}  {:>6}  {}\n", format_bytes(summary.bytes(), options.human),
                    format_bytes(summary.stored_bytes(), options.human), summary.files(), summary.directories(), spares,
                    session.shown_name(path)));
  co_return ok();
}

std::string state_of(const wire::ClusterStatusReply& status, const wire::ClusterStatusReply::MetaNode& node) {
  if (!status.from_leader()) {
    if (node.node() == status.answered_by()) return "answers";
    return node.leader() ? "led when last heard of" : "not known";
  }
  if (node.leader()) return "leader";
  if (!node.reachable()) return "not reached";
  if (!node.has_match_index() || node.match_index() >= status.commit_index()) return "follower";
  return fmt::format("follower, {} entries behind", status.commit_index() - node.match_index());
}

// The queue of repairs, most urgent first.
void print_repairs(const wire::ClusterStatusReply& status) {
  std::string text;
  if (status.blocks_lost() > 0) text += fmt::format("{} blocks not readable now, ", status.blocks_lost());
  for (int spares = 0; spares < status.blocks_with_spares_size(); ++spares) {
    if (status.blocks_with_spares(spares) == 0) continue;
    text += fmt::format("{} blocks with {} spares, ", status.blocks_with_spares(spares), spares);
  }
  if (status.blocks_leaving() > 0) text += fmt::format("{} blocks to move, ", status.blocks_leaving());
  if (text.empty()) text = "nothing, ";
  print(fmt::format("to repair: {}{} shards under way{}\n", text, status.repairs(),
                    status.safe_mode() ? "; in safe mode: waiting for the servers" : ""));
  if (status.shards_to_go() > 0) {
    print(fmt::format("  {} shards to go, {}\n", status.shards_to_go(), describe_estimate(status.estimate_ms())));
  }
  for (const wire::RepairHindrance& hindrance : status.hindrances()) {
    print(fmt::format("  held up: {}\n", describe_hindrance(hindrance)));
  }
  if (!status.has_rack_repair()) return;
  print(fmt::format("racks: {}\n", describe_rack_repair(status.rack_repair())));
  for (const wire::RepairHindrance& hindrance : status.rack_repair().hindrances()) {
    print(fmt::format("  held up: {}\n", describe_hindrance(hindrance)));
  }
}

void print_servers(const wire::ClusterStatusReply& status) {
  const auto alive = std::count_if(status.servers().begin(), status.servers().end(),
                                   [](const wire::ChunkServerInfo& server) { return server.alive(); });
  print(fmt::format("chunk servers: {} known, {} alive\n", status.servers_size(), alive));
  uint64_t total = 0;
  uint64_t free = 0;
  for (const wire::ChunkServerInfo& server : status.servers()) {
    if (server.state() == wire::REMOVED) continue;
    const std::string state = server.state() == wire::LIVE ? "" : std::string(server_state_name(server.state())) + ", ";
    print(fmt::format("  {:>3}  {:<24} {:<12} {:>8} shards  {:>6} free of {:>6}  {}\n", server.server(),
                      server.address(), server.rack(), server.shards(), human_bytes(server.free_bytes()),
                      human_bytes(server.total_bytes()), state + describe_last_heartbeat(server)));
    print(describe_supplanted(server));
    for (const wire::DiskInfo& disk : server.disks()) {
      if (!disk.alarm().empty()) {
        print(fmt::format("       ALARM: {}: {}\n", printable(disk.name()), printable(disk.alarm())));
      }
    }
    total += server.alive() ? server.total_bytes() : 0;
    free += server.alive() ? server.free_bytes() : 0;
  }
  print(fmt::format("space: {} free of {} on the servers alive\n", human_bytes(free), human_bytes(total)));
}

}  // namespace

void print_json(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  if (google::protobuf::util::MessageToJsonString(message, &text, options).ok()) print(text + "\n");
}

std::string describe_meta_nodes(const wire::ClusterStatusReply& status) {
  std::string text = "metadata: ";
  if (!status.from_leader()) text += fmt::format("as node {} sees it, which does not lead: ", status.answered_by());
  text += fmt::format("term {}, {} entries committed, {} applied\n", status.term(), status.commit_index(),
                      status.applied_index());
  for (const auto& node : status.nodes()) {
    text += fmt::format("  {:>3}  {:<24} {}\n", node.node(), node.address(), state_of(status, node));
  }
  return text + describe_metadata_room(status);
}

std::string describe_metadata_room(const wire::ClusterStatusReply& status) {
  if (!status.metadata_room_low()) return "";
  return fmt::format("ALARM: node {} has {} left on its disk: as leader it refuses what takes more room\n",
                     status.answered_by(), human_bytes(static_cast<uint64_t>(status.metadata_free_bytes())));
}

std::string describe_last_heartbeat(const wire::ChunkServerInfo& server) {
  if (server.last_heartbeat_ms() < 0) return "not heard of yet";
  std::string text = fmt::format("{}, heard {:.1f} s ago", server.alive() ? "alive" : "SILENT",
                                 static_cast<double>(server.last_heartbeat_ms()) / 1000);
  if (server.damaged_shards() > 0) text += fmt::format(", {} shards damaged", server.damaged_shards());
  return text;
}

std::string describe_supplanted(const wire::ChunkServerInfo& server) {
  if (server.supplanted_by() == 0) return "";
  return fmt::format("       ALARM: server {} began at its address with empty disks: are those of this one mounted?\n",
                     server.supplanted_by());
}

std::string_view server_state_name(wire::ServerState state) {
  switch (state) {
    case wire::LIVE:
      return "live";
    case wire::DEAD:
      return "DEAD";
    case wire::DRAINING:
      return "draining";
    case wire::MAINTENANCE:
      return "in maintenance";
    case wire::REMOVED:
      return "removed";
    default:
      return "unknown";
  }
}

std::string_view disk_state_name(wire::DiskInfo::State state) {
  switch (state) {
    case wire::DiskInfo::WORKING:
      return "working";
    case wire::DiskInfo::FULL:
      return "FULL";
    case wire::DiskInfo::FAILING:
      return "FAILING";
    case wire::DiskInfo::READ_ONLY:
      return "READ-ONLY";
    case wire::DiskInfo::UNREADABLE:
      return "UNREADABLE";
    case wire::DiskInfo::EMPTY:
      return "EMPTY";
    case wire::DiskInfo::MISSING:
      return "MISSING";
    default:
      return "unknown";
  }
}

Task<void> print_status_of_paths(Session& session, InspectOptions options) {
  for (const std::string& path : options.paths) {
    const Status printed = co_await print_path(session, path, options.json);
    if (!printed) session.fail(path, printed.error());
  }
}

Task<void> print_usage(Session& session, InspectOptions options) {
  if (options.paths.empty()) options.paths.emplace_back("/");
  if (!options.json) {
    print(
        fmt::format("{:>12}  {:>12}  {:>9}  {:>9}  {:>6}  {}\n", "BYTES", "STORED", "FILES", "DIRS", "SPARES", "PATH"));
  }
  for (const std::string& path : options.paths) {
    const Status printed = co_await print_summary(session, path, options);
    if (!printed) session.fail(path, printed.error());
  }
}

Task<void> print_cluster_status(Session& session, InspectOptions options) {
  const Result<wire::ClusterStatusReply> reply = co_await session.client().status();
  if (!reply) {
    session.fail("status", reply.error());
    co_return;
  }
  const wire::ClusterStatusReply& status = reply.value();
  if (options.json) {
    print_json(status);
  } else {
    print(describe_meta_nodes(status));
    print_servers(status);
    print_repairs(status);
    print(fmt::format("files: {} files and {} directories, {} bytes in {} blocks; {} shards to be deleted\n",
                      status.files(), status.directories(), human_bytes(status.bytes()), status.blocks(),
                      status.garbage_shards()));
    if (status.trash_entries() > 0) print(fmt::format("trash: {} deleted paths are kept\n", status.trash_entries()));
  }
  if (!status.from_leader()) session.fail("status", Error(ErrorCode::kNoLeader));
}

}  // namespace dogfs::cli
