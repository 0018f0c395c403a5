#include "runtime/cli/hindrance.h"

#include <fmt/format.h>

#include <string_view>

#include "core/base/time.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

std::string_view explain(wire::RepairHindrance::Reason reason) {
  switch (reason) {
    case wire::RepairHindrance::GRACE:
      return "their server is given time to come back (dogfsd meta --repair-grace)";
    case wire::RepairHindrance::MANY_VANISHED:
      return "so many servers died at once that they are more likely cut off: look at the network";
    case wire::RepairHindrance::SOURCES_UNREACHABLE:
      return "too few servers that have the rest of the block can be reached: bring them back";
    case wire::RepairHindrance::BUSY:
      return "their turn comes when others are done";
    case wire::RepairHindrance::TARGETS_FAILED:
      return "the servers that could take them just failed to, and are asked again soon: see their logs";
    case wire::RepairHindrance::TOO_FEW_SERVERS:
      return "every server that takes shards has one of the block already: add servers";
    case wire::RepairHindrance::NO_ROOM:
      return "no server that could take them has room: add disks or servers, or delete files";
    case wire::RepairHindrance::UNDECODABLE:
      return "fewer shards are left than decode the block: bring back the servers or disks that have them";
    case wire::RepairHindrance::TOO_FEW_RACKS:
      return "no other rack has a server that could take them: add racks";
    default:
      return "for a reason that this program does not know";
  }
}

}  // namespace

std::string describe_hindrance(const wire::RepairHindrance& hindrance) {
  return fmt::format("{} shards, as of block {}: {}", hindrance.shards(), hindrance.block(),
                     explain(hindrance.reason()));
}

std::string describe_estimate(int64_t estimate_ms) {
  if (estimate_ms < 0) return "for how long is not known yet";
  return fmt::format("about {} at the rate of late", format_duration(milliseconds(estimate_ms)));
}

std::string describe_rack_repair(const wire::RackRepair& racks) {
  std::string text =
      fmt::format("{} shards are moving to other racks, {} blocks wait for their turn; {} shards moved so far",
                  racks.moving(), racks.waiting(), racks.moves());
  if (racks.moving() + racks.waiting() > 0) text += ", " + describe_estimate(racks.estimate_ms());
  if (racks.passing()) text += fmt::format("; {} blocks seen in a pass over all", racks.blocks_seen());
  return text;
}

bool needs_operator(wire::RepairHindrance::Reason reason) {
  switch (reason) {
    case wire::RepairHindrance::TOO_FEW_SERVERS:
    case wire::RepairHindrance::NO_ROOM:
    case wire::RepairHindrance::UNDECODABLE:
    case wire::RepairHindrance::TOO_FEW_RACKS:
      return true;
    default:
      return false;
  }
}

}  // namespace dogfs::cli
