#include "sim/server_operator.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/env/sync.h"

namespace dogfs::sim {
namespace {

constexpr milliseconds kPollInterval(500);
// After so long without an end a drain is asked for again.
constexpr seconds kDrainPatience(20);

wire::AdministerServerRequest request_for(ServerId server, wire::ServerState wanted) {
  wire::AdministerServerRequest request;
  request.set_server(server.value());
  request.set_wanted(wanted);
  return request;
}

}  // namespace

Task<bool> ServerOperator::carry_out(Node& node, const proto::Fault& what) {
  if (what.has_balance_servers()) co_return co_await balance(what.balance_servers());
  const std::optional<wire::ChunkServerInfo> info = co_await look(node.address());
  if (!info || info->state() == wire::REMOVED) co_return false;
  const ServerId server(info->server());
  if (what.has_drain_server()) co_return co_await drain(node, server, what.drain_server());
  co_return co_await maintain(node, server, what.maintain_server());
}

Task<bool> ServerOperator::drain(Node& node, ServerId server, proto::DrainServer how) {
  if (!co_await ask(node, request_for(server, wire::DRAINING))) co_return false;
  const bool empty = co_await wait_until_empty(node, server);
  if (empty && how.remove()) {
    co_await remove(node, server);
    co_return !verdict_.failed();
  }
  if (empty) co_await sleep_for(node_.env().clock, milliseconds(how.stay_ms()));
  co_await bring_back(node, server);
  co_return empty && !verdict_.failed();
}

// False where the cluster does not grant any more what it has granted.
Task<bool> ServerOperator::wait_until_empty(Node& node, ServerId server) {
  MonoTime next_ask = node_.env().clock.now() + kDrainPatience;
  while (!verdict_.failed()) {
    // A leader's answer is of a state at least as new.
    const LogIndex asked_at = blocks_.applied();
    const std::optional<wire::ChunkServerInfo> info = co_await look(node.address());
    if (!info) break;
    if (info->wanted() != wire::DRAINING) {
      verdict_.fail("operator", node.name() + " is not to be drained any more");
    } else if (info->blocks() == 0) {
      trace(node.name() + " is empty");
      blocks_.said_empty(node, asked_at);
      co_return true;
    }
    if (node_.env().clock.now() >= next_ask) {
      if (!co_await ask(node, request_for(server, wire::DRAINING))) break;
      next_ask = node_.env().clock.now() + kDrainPatience;
    }
    co_await sleep_for(node_.env().clock, kPollInterval);
  }
  co_return false;
}

// A whole shard that was on its way to the garbage may have been listed again after the server was empty: then it is
// not for the moment. It must end by itself when it hears.
Task<void> ServerOperator::remove(Node& node, ServerId server) {
  cluster_.expect_removal(node);
  while (!co_await ask(node, request_for(server, wire::REMOVED))) {
    if (!co_await wait_until_empty(node, server)) co_return;
  }
  if (verdict_.failed()) co_return;
  removed_.push_back(&node);
  blocks_.said_empty(node, blocks_.applied());
  while (!cluster_.is_retired(node) && !verdict_.failed()) co_await sleep_for(node_.env().clock, kPollInterval);
  trace(node.name() + " is gone");
}

void ServerOperator::check_removed() {
  for (const Node* node : removed_) blocks_.said_empty(*node, LogIndex(std::numeric_limits<uint64_t>::max()));
}

Task<bool> ServerOperator::maintain(Node& node, ServerId server, proto::MaintainServer how) {
  wire::AdministerServerRequest request = request_for(server, wire::MAINTENANCE);
  request.set_maintenance_ms(how.announced_ms());
  if (!co_await ask(node, std::move(request))) co_return false;
  co_await be_away(node, milliseconds(how.away_ms()));
  if (how.runs_out()) {
    co_await wait_until_over(node);
  } else {
    co_await bring_back(node, server);
  }
  co_return !verdict_.failed();
}

// Whoever is down already is somebody else's to start again.
Task<void> ServerOperator::be_away(Node& node, Duration away) {
  const bool is_up = node.up();
  if (is_up) {
    trace(node.name() + " is switched off");
    atlas_.disturb(node);
    cluster_.crash(node, CrashKind::kPower);
  }
  co_await sleep_for(node_.env().clock, away);
  if (!is_up) co_return;
  if (!node.up() && !cluster_.is_retired(node)) cluster_.start(node);
  atlas_.calm(node);
}

Task<void> ServerOperator::wait_until_over(Node& node) {
  while (!verdict_.failed()) {
    const std::optional<wire::ChunkServerInfo> info = co_await look(node.address());
    if (info && info->wanted() != wire::MAINTENANCE) co_return trace("over: maintenance of " + node.name());
    co_await sleep_for(node_.env().clock, kPollInterval);
  }
}

Task<void> ServerOperator::bring_back(Node& node, ServerId server) {
  const bool granted = co_await ask(node, request_for(server, wire::LIVE));
  if (!granted && !verdict_.failed()) verdict_.fail("operator", node.name() + " may not return");
}

Task<bool> ServerOperator::balance(proto::BalanceServers how) {
  trace(fmt::format("servers are to be balanced to {} per cent", how.threshold_percent()));
  const MonoTime end = node_.env().clock.now() + milliseconds(how.most_ms());
  std::optional<wire::BalanceReply> reply = co_await ask_balancer(wire::BalanceRequest::START, how.threshold_percent());
  uint64_t most_moves = 0;  // a new leader counts anew
  while (reply && !reply->balanced() && node_.env().clock.now() < end) {
    co_await sleep_for(node_.env().clock, kPollInterval);
    reply = co_await ask_balancer(wire::BalanceRequest::STATUS, 0);
    if (reply) most_moves = std::max(most_moves, reply->moves());
  }
  if (!reply) co_return false;
  trace(fmt::format("{}: {} shards were moved", reply->balanced() ? "balanced" : "balancing is stopped", most_moves));
  if (!reply->balanced()) co_await ask_balancer(wire::BalanceRequest::STOP, 0);
  co_return most_moves > 0 && !verdict_.failed();
}

Task<std::optional<wire::BalanceReply>> ServerOperator::ask_balancer(wire::BalanceRequest::Action action,
                                                                     uint32_t threshold_percent) {
  wire::BalanceRequest request;
  request.set_action(action);
  request.set_threshold_percent(threshold_percent);
  while (!verdict_.failed()) {
    Result<wire::BalanceReply> reply = co_await client().balance(request);
    if (reply) co_return std::move(reply).value();
    if (!co_await is_worth_another_try("balance", reply.error())) break;
  }
  co_return std::nullopt;
}

Task<bool> ServerOperator::ask(Node& node, wire::AdministerServerRequest request) {
  const std::string what = fmt::format("{} is to be {}", node.name(), wire::ServerState_Name(request.wanted()));
  if (verdict_.failed()) co_return false;
  trace(what);
  for (;;) {
    const Result<wire::AdministerServerReply> reply = co_await client().administer_server(request);
    if (reply) {
      trace("granted: " + what);
      co_return true;
    }
    const Error& error = reply.error();
    if (error.code == ErrorCode::kConflict || error.code == ErrorCode::kNoSpace) {
      if (error.detail.empty()) verdict_.fail("operator", what + ": refused without a reason");
      trace(fmt::format("refused: {}: {}", what, error.to_string()));
      co_return false;
    }
    if (!co_await is_worth_another_try(what, error)) co_return false;
  }
}

Task<std::optional<wire::ChunkServerInfo>> ServerOperator::look(Address address) {
  for (;;) {
    const Result<wire::ClusterStatusReply> reply = co_await client().status(true);
    if (reply && reply.value().from_leader()) {
      const auto& servers = reply.value().servers();
      const auto found = std::ranges::find(servers, address.value, &wire::ChunkServerInfo::address);
      if (found == servers.end()) co_return std::nullopt;
      co_return *found;
    }
    const Error error = reply ? Error(ErrorCode::kNoLeader) : reply.error();
    if (!co_await is_worth_another_try("status", error)) co_return std::nullopt;
  }
}

// One that knows the present members of the metadata group.
Client& ServerOperator::client() {
  ClientOptions options = cluster_.client_options();
  if (client_ == nullptr || told_ != options.meta_nodes) {
    told_ = options.meta_nodes;
    client_ = &node_.make<Client>(node_.env(), std::move(options));
  }
  return *client_;
}

}  // namespace dogfs::sim
