#include "runtime/cli/admin_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/cli/admin.h"
#include "runtime/cli/balance_report.h"
#include "runtime/cli/hindrance.h"
#include "runtime/cli/inspect.h"
#include "runtime/cli/names.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

uint64_t used_bytes(const wire::ChunkServerInfo& server) {
  return server.total_bytes() - std::min(server.free_bytes(), server.total_bytes());
}

std::string percent(uint64_t part, uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

void count_state(wire::ServerState state, wire::AdminReport& report) {
  switch (state) {
    case wire::LIVE:
      return report.set_live(report.live() + 1);
    case wire::DEAD:
      return report.set_dead(report.dead() + 1);
    case wire::DRAINING:
      return report.set_draining(report.draining() + 1);
    case wire::MAINTENANCE:
      return report.set_maintenance(report.maintenance() + 1);
    case wire::REMOVED:
      return report.set_removed(report.removed() + 1);
    default:
      return;
  }
}

// "0.3 s ago"; "-" where it was never heard of.
std::string ago(int64_t ms) {
  if (ms < 0) return "-";
  if (ms < 60'000) return fmt::format("{:.1f} s ago", static_cast<double>(ms) / 1000);
  return format_duration(milliseconds(ms)) + " ago";
}

std::string describe_space(const wire::AdminReport& report) {
  const auto alive = std::ranges::count_if(report.status().servers(), &wire::ChunkServerInfo::alive);
  return fmt::format("space        {} in all, {} used ({}), {} free, on the {} servers alive\n",
                     human_bytes(report.capacity_bytes()), human_bytes(report.used_bytes()),
                     percent(report.used_bytes(), report.capacity_bytes()), human_bytes(report.free_bytes()), alive);
}

std::string describe_files(const wire::ClusterStatusReply& status) {
  return fmt::format("files        {} files ({} being written) and {} directories, {} in {} blocks; {} clients\n",
                     status.files(), status.open_files(), status.directories(), human_bytes(status.bytes()),
                     status.blocks(), status.sessions());
}

std::string describe_blocks(const wire::AdminReport& report) {
  const wire::ClusterStatusReply& status = report.status();
  std::string text = fmt::format("blocks       {} as they should be", report.blocks_whole());
  for (int spares = status.blocks_with_spares_size() - 1; spares >= 0; --spares) {
    text += fmt::format(", {} short with {} spares", status.blocks_with_spares(spares), spares);
  }
  return text + fmt::format(", {} to move, {} not readable now\n", status.blocks_leaving(), status.blocks_lost());
}

std::string describe_work(const wire::AdminReport& report) {
  const wire::ClusterStatusReply& status = report.status();
  std::string text = fmt::format("repairs      {} shards under way{}\n", status.repairs(),
                                 status.safe_mode() ? "; in safe mode: waiting for the servers" : "");
  if (status.shards_to_go() > 0) {
    text += fmt::format("  to go      {} shards, {}", status.shards_to_go(), describe_estimate(status.estimate_ms()));
    text += status.shards_per_hour() > 0 ? fmt::format(", {} an hour\n", status.shards_per_hour()) : "\n";
  }
  for (const wire::RepairHindrance& hindrance : status.hindrances()) {
    text += fmt::format("  held up    {}\n", describe_hindrance(hindrance));
  }
  if (status.has_rack_repair()) {
    text += fmt::format("racks        {}\n", describe_rack_repair(status.rack_repair()));
  }
  for (const wire::RepairHindrance& hindrance : status.rack_repair().hindrances()) {
    text += fmt::format("  held up    {}\n", describe_hindrance(hindrance));
  }
  text += fmt::format("garbage      {} shards to be deleted, {} that nothing lists\n", status.garbage_shards(),
                      status.unlisted_shards());
  if (status.impossible_shards() > 0) {
    text += fmt::format("             ALARM: {} shards were never issued\n", status.impossible_shards());
  }
  if (status.foreign_files() > 0) {
    text += fmt::format("             {} files on the disks are not of this cluster\n", status.foreign_files());
  }
  text += fmt::format("trash        {} deleted paths are kept; ", status.trash_entries());
  text += status.trash_ms() == 0
              ? "off\n"
              : fmt::format("what is deleted stays for {}\n", format_duration(milliseconds(status.trash_ms())));
  text += fmt::format("quotas       {} directories have one\n", status.quotas());
  if (!report.has_balance()) return text;
  return text + "balancing    " + describe_balancing(report.balance()) + "\n";
}

std::string describe_group(const wire::AdminReport& report) {
  const wire::MembershipReply& group = report.membership();
  const std::string alarm = describe_metadata_room(report.status());
  const std::string view = describe_answerer(group);
  return fmt::format("metadata     {} members, {}{}{}; term {}, committed to {}{}\n", group.members_size(),
                     describe_leader(group), view.empty() ? "" : ", ", view, group.term(), group.commit_index(),
                     group.changing() ? "; a change of membership is under way" : "") +
         (alarm.empty() ? "" : std::string(13, ' ') + alarm) + describe_members(group);
}

constexpr const char* kServerRow = "  {:>3}  {:<24} {:<12} {:<22} {:>10} {:>9} {:>8} {:>7} {:>7} {:>7} {:>8}  {}\n";

std::string describe_server(const wire::ChunkServerInfo& server) {
  std::string state(server_state_name(server.state()));
  if (server.state() != wire::DEAD && !server.alive()) state += ", SILENT";
  // What a server that is gone had is known from the map.
  const bool counted = server.last_heartbeat_ms() < 0 && server.blocks() >= 0;
  return fmt::format(
      fmt::runtime(kServerRow), server.server(), server.address(), server.rack(), state,
      ago(server.last_heartbeat_ms()), counted ? static_cast<uint64_t>(server.blocks()) : server.shards(),
      server.damaged_shards(), human_bytes(server.total_bytes()), human_bytes(used_bytes(server)),
      human_bytes(server.free_bytes()), percent(used_bytes(server), server.total_bytes()), ago(server.last_scrub_ms()));
}

std::string describe_servers(const wire::AdminReport& report) {
  std::string text = fmt::format(
      "servers      {} live, {} dead, {} draining, {} in maintenance, {} removed; {} silent now\n", report.live(),
      report.dead(), report.draining(), report.maintenance(), report.removed(), report.silent());
  text += fmt::format(fmt::runtime(kServerRow), "ID", "ADDRESS", "RACK", "STATE", "HEARD", "SHARDS", "DAMAGED", "SPACE",
                      "USED", "FREE", "USED %", "SCRUBBED");
  for (const wire::ChunkServerInfo& server : report.status().servers()) {
    if (server.state() != wire::REMOVED) text += describe_server(server) + describe_supplanted(server);
  }
  return text;
}

constexpr const char* kDiskRow = "  {:>3}  {:<32} {:<12} {:>9} {:>8} {:>7} {:>7} {:>7} {:>11} {:>11}  {}\n";

std::string describe_disks(const wire::AdminReport& report) {
  std::string text;
  int disks = 0;
  for (const wire::ChunkServerInfo& server : report.status().servers()) {
    if (server.state() == wire::REMOVED) continue;
    for (const wire::DiskInfo& disk : server.disks()) {
      ++disks;
      text +=
          fmt::format(fmt::runtime(kDiskRow), server.server(), printable(disk.name()), disk_state_name(disk.state()),
                      disk.shards(), disk.errors(), human_bytes(disk.total_bytes()), human_bytes(disk.free_bytes()),
                      percent(disk.total_bytes() - std::min(disk.free_bytes(), disk.total_bytes()), disk.total_bytes()),
                      ago(disk.last_scrub_ms()), ago(disk.all_read_ms()),
                      disk.alarm().empty() ? "" : "ALARM: " + printable(disk.alarm()));
    }
  }
  return fmt::format("disks        {} of the servers that were heard of, {} with an alarm\n", disks,
                     report.disk_alarms()) +
         fmt::format(fmt::runtime(kDiskRow), "ID", "DISK", "STATE", "SHARDS", "ERRORS", "SPACE", "FREE", "USED %",
                     "SCRUBBED", "OLDEST", "") +
         text;
}

}  // namespace

wire::AdminReport sum_up(wire::ClusterStatusReply status, wire::MembershipReply membership) {
  wire::AdminReport report;
  for (const wire::ChunkServerInfo& server : status.servers()) {
    count_state(server.state(), report);
    if (server.state() == wire::REMOVED) continue;
    const auto alarms = std::ranges::count_if(server.disks(), [](const auto& disk) { return !disk.alarm().empty(); });
    const uint64_t supplanted = server.supplanted_by() == 0 ? 0 : 1;
    report.set_disk_alarms(report.disk_alarms() + static_cast<uint64_t>(alarms) + supplanted);
    if (!server.alive()) {
      report.set_silent(report.silent() + 1);
      continue;
    }
    report.set_capacity_bytes(report.capacity_bytes() + server.total_bytes());
    report.set_used_bytes(report.used_bytes() + used_bytes(server));
    report.set_free_bytes(report.free_bytes() + server.free_bytes());
  }
  uint64_t not_whole = status.blocks_lost() + status.blocks_leaving();
  for (const uint64_t blocks : status.blocks_with_spares()) not_whole += blocks;
  report.set_blocks_whole(status.blocks() - std::min(not_whole, status.blocks()));
  *report.mutable_status() = std::move(status);
  *report.mutable_membership() = std::move(membership);
  return report;
}

std::string describe_report(const wire::AdminReport& report) {
  return describe_space(report) + describe_files(report.status()) + describe_blocks(report) + describe_work(report) +
         describe_group(report) + describe_servers(report) + describe_disks(report);
}

Task<void> print_admin_report(Session& session, AdminReportOptions options) {
  // First, since it seeks the leader: the status then comes from there, who hears of all.
  Result<wire::MembershipReply> membership = co_await session.client().membership();
  if (!membership) {
    session.fail("admin report", membership.error());
    co_return;
  }
  Result<wire::ClusterStatusReply> status = co_await session.client().status(true);
  if (!status) {
    session.fail("admin report", status.error());
    co_return;
  }
  const bool led = membership.value().from_leader() && status.value().from_leader();
  wire::AdminReport report = sum_up(std::move(status).value(), std::move(membership).value());
  if (led) {
    Result<wire::BalanceReply> balance = co_await session.client().balance(wire::BalanceRequest());
    if (balance) {
      *report.mutable_balance() = std::move(balance).value();
    } else {
      session.fail("admin report", balance.error());
    }
  }
  if (options.json) {
    print_json(report);
  } else {
    print(describe_report(report));
  }
  if (!led) session.fail("admin report", Error(ErrorCode::kNoLeader));
}

}  // namespace dogfs::cli
