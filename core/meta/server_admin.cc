#include "core/meta/server_admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "core/base/coverage_mark.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

// Blocks that are judged in one job: a few milliseconds.
constexpr size_t kBlocksPerStep = 2000;

// Calls `add` with the next blocks of `server` behind `after`, and moves that. True when there are no more.
Result<bool> add_some(const MetaTables& tables, ServerId server, BlockId& after,
                      const std::function<void(const wire::BlockRow&)>& add) {
  std::vector<BlockId> blocks;
  const KeyRange range = tables.keys().listed_of(server, after);
  DOGFS_TRYV(tables.reader().scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
    blocks.emplace_back(last_id(key));
    return blocks.size() < kBlocksPerStep;
  }));
  for (const BlockId id : blocks) {
    DOGFS_TRY(const wire::BlockRow block, tables.required_block(id));
    add(block);
    after = id;
  }
  return blocks.size() < kBlocksPerStep;
}

}  // namespace

Task<Reply> ServerAdmin::administer(Request request, MonoTime deadline) {
  const Result<wire::AdministerServerRequest> parsed = parse_message<wire::AdministerServerRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const wire::AdministerServerRequest& message = parsed.value();
  const Result<LogIndex> current = co_await parts_.replica.read_barrier(deadline);
  if (!current) co_return parts_.refuse(current.error());
  wire::AdministerServerReply answer;
  if (message.wanted() == wire::DRAINING || message.wanted() == wire::MAINTENANCE) {
    const Result<uint64_t> blocks =
        co_await judge(ServerId(message.server()), message.wanted(), message.force(), deadline);
    if (!blocks) co_return error_reply(blocks.error());
    answer.set_blocks(blocks.value());
  }
  wire::Command command;
  command.mutable_administer_server()->set_server(message.server());
  command.mutable_administer_server()->set_wanted(message.wanted());
  command.mutable_administer_server()->set_maintenance_ms(message.maintenance_ms());
  Result<wire::CommandReply> outcome = co_await parts_.proposer.propose(std::move(command), deadline);
  if (!outcome || outcome.value().error() != 0) co_return parts_.answer(std::move(outcome));
  co_return make_reply(answer);
}

// How many blocks the server has, if they can bear what is wanted of it.
Task<Result<uint64_t>> ServerAdmin::judge(ServerId server, wire::ServerState wanted, bool force, MonoTime deadline) {
  using Servers = std::map<ServerId, DepartureServer>;
  DOGFS_CO_TRY(Servers known, co_await servers());
  if (!known.contains(server)) {
    co_return Error(ErrorCode::kNotFound, fmt::format("chunk server {} is not registered", server));
  }
  const Status heard = check_heard(known);
  Departure departure(server, wanted, std::move(known));
  const std::shared_ptr<const KvReader> snapshot = parts_.reader.snapshot();
  if (wanted == wire::DRAINING && !force) {
    for (const ServerId other : departure.leaving_before()) {
      const auto add = [&departure, other](const wire::BlockRow& block) { departure.add_before(other, block); };
      DOGFS_CO_TRYV(co_await add_blocks(snapshot, other, add, deadline));
    }
  }
  const auto add = [&departure](const wire::BlockRow& block) { departure.add(block); };
  DOGFS_CO_TRYV(co_await add_blocks(snapshot, server, add, deadline));
  const Status verdict = departure.verdict();
  if (verdict || force) co_return departure.blocks();
  if (heard) co_return verdict.error();
  DOGFS_COVERAGE_MARK("meta: a wish of an operator waits for servers that were not heard of");
  co_return heard.error();
}

Status ServerAdmin::check_heard(const std::map<ServerId, DepartureServer>& servers) const {
  const bool all_there = std::ranges::all_of(servers, [](const auto& entry) {
    const DepartureServer& server = entry.second;
    return server.is_there || (server.state != wire::LIVE && server.state != wire::DRAINING);
  });
  if (all_there) return ok();
  return parts_.registry.check_listened(parts_.env.clock.now(), parts_.options.server_silence_limit);
}

Task<Status> ServerAdmin::add_blocks(std::shared_ptr<const KvReader> snapshot, ServerId server, AddBlock add,
                                     MonoTime deadline) {
  BlockId after;
  Result<bool> done = false;
  while (done && !done.value()) {
    if (parts_.env.clock.now() >= deadline) {
      co_return Error(ErrorCode::kTimeout,
                      "the server, with those that are being emptied, has too many blocks to be judged in that time");
    }
    done = co_await parts_.reader.read_from<bool>(
        snapshot, [&](const MetaTables& tables) { return add_some(tables, server, after, add); });
  }
  co_return done ? ok() : Status(done.error());
}

Task<Result<std::map<ServerId, DepartureServer>>> ServerAdmin::servers() {
  using Rows = std::vector<wire::ChunkServerRow>;
  DOGFS_CO_TRY(const Rows rows,
               co_await parts_.reader.read<Rows>([](const MetaTables& tables) { return tables.servers(); }));
  std::map<ServerId, DepartureServer> servers;
  const MonoTime since = parts_.env.clock.now() - parts_.options.server_silence_limit;
  for (const wire::ChunkServerRow& row : rows) {
    const ServerRegistry::Server* heard = parts_.registry.find(ServerId(row.server()));
    DepartureServer& server = servers[ServerId(row.server())];
    server.rack = row.rack();
    server.state = row.state();
    server.is_there = heard != nullptr && heard->last_heartbeat && *heard->last_heartbeat >= since;
    if (heard != nullptr) {
      server.free_bytes = heard->open_bytes();
      server.room = heard->room();
    }
  }
  co_return servers;
}

}  // namespace dogfs
