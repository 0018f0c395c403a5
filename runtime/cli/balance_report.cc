#include "runtime/cli/balance_report.h"

#include <fmt/format.h>

#include "runtime/cli/hindrance.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

std::string describe_state(const wire::BalanceReply& reply) {
  if (reply.threshold_percent() == 0) {
    return fmt::format("off, {} shards moved{}", reply.moves(),
                       reply.balanced() ? ": balanced, nothing is left that can be moved" : "");
  }
  std::string text = fmt::format("on, to within {} % of the mean; {} shards moved; {} of {} blocks seen in this pass",
                                 reply.threshold_percent(), reply.moves(), reply.blocks_seen(), reply.blocks());
  if (reply.measuring()) text += ", which only measures";
  if (reply.waiting()) text += "; waiting for repairs, or for servers to be heard of";
  return text;
}

std::string describe_racks(const wire::BalanceReply& reply) {
  if (reply.crowded_blocks() == 0) return "";
  std::string text =
      fmt::format("; {} blocks have more shards in one rack than the code can spare: its loss would lose them",
                  reply.crowded_blocks());
  if (reply.stuck_blocks() == 0) return text;
  return text +
         fmt::format("; {} of them have no other rack to go to: add servers in other racks", reply.stuck_blocks());
}

std::string describe_fullness(const wire::BalanceReply& reply) {
  if (reply.servers_too_full() == 0) return "";
  std::string text =
      fmt::format("; {} servers are too full by {}", reply.servers_too_full(), human_bytes(reply.bytes_left()));
  if (reply.threshold_percent() > 0) return text + ", " + describe_estimate(reply.estimate_ms());
  return text + (reply.balanced() ? ", and none of their shards can go elsewhere" : "");
}

}  // namespace

std::string describe_balancing(const wire::BalanceReply& reply) {
  return describe_state(reply) + describe_fullness(reply) + describe_racks(reply);
}

}  // namespace dogfs::cli
