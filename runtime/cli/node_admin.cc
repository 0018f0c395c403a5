#include "runtime/cli/node_admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <utility>

#include "core/env/sync.h"
#include "runtime/cli/balance_report.h"
#include "runtime/cli/drain_watch.h"
#include "runtime/cli/hindrance.h"
#include "runtime/cli/inspect.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

constexpr Duration kPollInterval = seconds(1);
// How often the progress of a drain is shown.
constexpr Duration kReportInterval = seconds(10);

std::string describe_state(const wire::ChunkServerInfo& server) {
  std::string text(server_state_name(server.state()));
  if (server.state() == wire::DEAD && server.wanted() != wire::LIVE) {
    text += fmt::format(" ({} when it is back)", server_state_name(server.wanted()));
  }
  if (server.state() == wire::MAINTENANCE) {
    text +=
        fmt::format(" for {} more", format_duration(milliseconds(std::max<int64_t>(server.maintenance_left_ms(), 0))));
  }
  if (server.blocks() == 0) return text + ", empty";
  if (server.blocks() > 0) {
    text += fmt::format(", has shards of {} blocks{}", server.blocks(), describe_open_blocks(server));
  }
  if (server.shards_to_go() > 0) {
    text += fmt::format(", {} to go, {}", server.shards_to_go(), describe_estimate(server.estimate_ms()));
  }
  return text;
}

const wire::ChunkServerInfo* find_server(const wire::ClusterStatusReply& status, const std::string& named) {
  const auto found = std::ranges::find_if(status.servers(), [&named](const wire::ChunkServerInfo& server) {
    return server.address() == named || std::to_string(server.server()) == named;
  });
  return found == status.servers().end() ? nullptr : &*found;
}

// Asks for the same of each server that is named. Those for which it was committed.
Task<std::vector<wire::ChunkServerInfo>> administer(Session& session, NodeOptions options,
                                                    wire::AdministerServerRequest request) {
  std::vector<wire::ChunkServerInfo> changed;
  const Result<wire::ClusterStatusReply> status = co_await session.client().status();
  if (!status) {
    session.fail("admin node", status.error());
    co_return changed;
  }
  for (const std::string& named : options.servers) {
    const wire::ChunkServerInfo* server = find_server(status.value(), named);
    if (server == nullptr) {
      session.fail(named, Error(ErrorCode::kNotFound, "no chunk server has this id or address"));
      continue;
    }
    request.set_server(server->server());
    const Result<wire::AdministerServerReply> reply = co_await session.client().administer_server(request);
    if (reply) {
      changed.push_back(*server);
      changed.back().set_blocks(static_cast<int64_t>(reply.value().blocks()));
    } else {
      session.fail(named, reply.error());
    }
  }
  co_return changed;
}

struct DrainSight {
  wire::ChunkServerInfo server;
  bool surveyed = false;
};

// kNoLeader also where only others answer: who does not lead may know an older state, in which it was empty once before.
Task<Result<DrainSight>> look_at_drain(Session& session, ServerId server) {
  DOGFS_CO_TRY(const wire::ClusterStatusReply status, co_await session.client().status(true));
  if (!status.from_leader()) co_return Error(ErrorCode::kNoLeader);
  const wire::ChunkServerInfo* seen = find_server(status, std::to_string(server.value()));
  if (seen == nullptr) co_return Error(ErrorCode::kNotFound, "no chunk server has this id any more");
  co_return DrainSight{*seen, status.surveyed_ms() >= 0};
}

// How the drain has ended, if it has.
std::optional<Status> judge_drain(const DrainSight& sight, DrainWatch& watch, MonoTime now) {
  const wire::ChunkServerInfo& server = sight.server;
  if (server.wanted() != wire::DRAINING) return Error(ErrorCode::kConflict, "it is not to be drained any more");
  if (server.blocks() == 0) return ok();
  if (sight.surveyed) {
    watch.see(server, now);
  } else {
    watch.see_before_survey(server);
  }
  if (watch.stuck(now)) return Error(ErrorCode::kConflict, describe_stuck_drain(server));
  return std::nullopt;
}

// Shows what is left to move off `server`, and for how long, until it is empty or never will be, or nobody can tell.
Task<Status> wait_until_empty(Session& session, wire::ChunkServerInfo server) {
  MonoTime next_report = session.env().clock.now();
  DrainWatch watch(server.blocks());
  while (!session.interrupted()) {
    const Result<DrainSight> sight = co_await look_at_drain(session, ServerId(server.server()));
    const MonoTime now = session.env().clock.now();
    if (!sight) {
      const bool first = !watch.missing();
      if (std::optional<Error> final = watch.miss(sight.error(), now)) co_return *std::move(final);
      if (first) {
        session.warn(fmt::format("{}: {}; the drain itself goes on, and this waits for {}", server.address(),
                                 sight.error().to_string(), format_duration(DrainWatch::kSilenceLimit)));
      }
    } else if (const std::optional<Status> end = judge_drain(sight.value(), watch, now)) {
      co_return *end;
    } else if (now >= next_report) {
      next_report = now + kReportInterval;
      print(describe_drain(sight.value().server, watch.most_blocks()));
      // For whoever reads it through a pipe.
      std::fflush(stdout);
    }
    co_await sleep_for(session.env().clock, kPollInterval);
  }
  co_return Error(ErrorCode::kCancelled);
}

Task<void> wait_until_all_are_empty(Session& session, std::vector<wire::ChunkServerInfo> servers) {
  for (const wire::ChunkServerInfo& server : servers) {
    const Status emptied = co_await wait_until_empty(session, server);
    if (emptied) {
      print(fmt::format("{}: empty\n", server.address()));
      continue;
    }
    session.fail(server.address(), emptied.error());
    if (exit_code_of(emptied.error().code) == ExitCode::kTryAgain) co_return;
  }
}

Task<void> ask_balancer(Session& session, BalanceOptions options, wire::BalanceRequest request) {
  const Result<wire::BalanceReply> reply = co_await session.client().balance(std::move(request));
  if (!reply) {
    session.fail("admin balance", reply.error());
  } else if (options.json) {
    print_json(reply.value());
  } else {
    print(fmt::format("balancing: {}\n", describe_balancing(reply.value())));
  }
}

}  // namespace

Task<void> list_servers(Session& session, NodeOptions options) {
  const Result<wire::ClusterStatusReply> status = co_await session.client().status(true);
  if (!status) {
    session.fail("admin node list", status.error());
    co_return;
  }
  for (const wire::ChunkServerInfo& server : status.value().servers()) {
    if (options.json) {
      print_json(server);
    } else {
      print(fmt::format("{:>4}  {:<24} {:<16} {:>6} free of {:>6}  {}, {}\n", server.server(), server.address(),
                        server.rack(), human_bytes(server.free_bytes()), human_bytes(server.total_bytes()),
                        describe_state(server), describe_last_heartbeat(server)));
      for (const wire::RepairHindrance& hindrance : server.hindrances()) {
        print(fmt::format("      held up: {}\n", describe_hindrance(hindrance)));
      }
    }
  }
}

Task<void> drain_servers(Session& session, NodeOptions options) {
  wire::AdministerServerRequest request;
  request.set_wanted(wire::DRAINING);
  request.set_force(options.force);
  const std::vector<wire::ChunkServerInfo> draining = co_await administer(session, options, request);
  for (const wire::ChunkServerInfo& server : draining) {
    print(fmt::format("{}: shards of {} blocks are to be moved\n", server.address(), server.blocks()));
  }
  if (options.wait) co_await wait_until_all_are_empty(session, draining);
}

Task<void> maintain_servers(Session& session, NodeOptions options) {
  const seconds period(options.period_seconds);
  wire::AdministerServerRequest request;
  request.set_wanted(wire::MAINTENANCE);
  request.set_maintenance_ms(milliseconds(period).count());
  request.set_force(options.force);
  for (const wire::ChunkServerInfo& server : co_await administer(session, options, request)) {
    print(fmt::format("{}: may be away for {}\n", server.address(), format_duration(period)));
  }
}

Task<void> return_servers(Session& session, NodeOptions options) {
  wire::AdministerServerRequest request;
  request.set_wanted(wire::LIVE);
  for (const wire::ChunkServerInfo& server : co_await administer(session, options, request)) {
    print(fmt::format("{}: takes shards again\n", server.address()));
  }
}

Task<void> remove_servers(Session& session, NodeOptions options) {
  wire::AdministerServerRequest request;
  request.set_wanted(wire::REMOVED);
  for (const wire::ChunkServerInfo& server : co_await administer(session, options, request)) {
    print(fmt::format("{}: removed for good\n", server.address()));
  }
}

Task<void> start_balancing(Session& session, BalanceOptions options) {
  wire::BalanceRequest request;
  request.set_action(wire::BalanceRequest::START);
  request.set_threshold_percent(options.threshold_percent);
  return ask_balancer(session, options, std::move(request));
}

Task<void> stop_balancing(Session& session, BalanceOptions options) {
  wire::BalanceRequest request;
  request.set_action(wire::BalanceRequest::STOP);
  return ask_balancer(session, options, std::move(request));
}

Task<void> show_balancing(Session& session, BalanceOptions options) {
  return ask_balancer(session, options, wire::BalanceRequest());
}

}  // namespace dogfs::cli
