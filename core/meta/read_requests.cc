#include "core/meta/read_requests.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/meta/queries.h"
#include "core/meta/server_states.h"
#include "core/raft/raft.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

// Rows that a summary visits in one job: a few milliseconds.
constexpr size_t kSummaryStepRows = 4096;
// How long a leader tries to prove that it leads before it reports what it knows.
constexpr Duration kStatusBarrierLimit = seconds(1);

// The server that is at the address of `info` now, if that is another one; or 0.
uint64_t supplanter_of(const wire::ChunkServerInfo& info, const std::vector<wire::ChunkServerRow>& rows) {
  if (info.alive() || info.state() == wire::REMOVED) return 0;
  const auto later = std::ranges::find_if(rows, [&](const wire::ChunkServerRow& row) {
    return row.server() > info.server() && row.state() != wire::REMOVED && row.address() == info.address();
  });
  return later == rows.end() ? 0 : later->server();
}

int64_t count_ms(Duration duration) {
  return std::chrono::floor<milliseconds>(duration).count();
}

struct StoredStatus {
  wire::CountersRow counters;
  std::vector<wire::ChunkServerRow> servers;
  // Those that have a shard on a server, or may get one yet (HDFS-17658).
  struct Blocks {
    int64_t all = 0;
    uint64_t open = 0;  // being written
  };
  std::map<uint64_t, Blocks> blocks;  // by the servers that are not LIVE
  int64_t open_files = -1;
};

Result<int64_t> count_rows(const MetaTables& tables, const KeyRange& range) {
  int64_t rows = 0;
  DOGFS_TRYV(tables.reader().scan(range.begin, range.end, [&rows](std::string_view, std::string_view) {
    ++rows;
    return true;
  }));
  return rows;
}

Result<StoredStatus> read_status(const MetaTables& tables, bool count_blocks) {
  StoredStatus status;
  DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
  if (counters) status.counters = *counters;
  DOGFS_TRY(status.servers, tables.servers());
  if (!count_blocks) return status;
  DOGFS_TRY(status.open_files, count_rows(tables, tables.keys().leases(InodeId())));
  DOGFS_TRY(const auto under_way, blocks_under_way(tables));
  for (const wire::ChunkServerRow& row : status.servers) {
    if (row.state() == wire::LIVE) continue;
    StoredStatus::Blocks& blocks = status.blocks[row.server()];
    DOGFS_TRY(blocks.all, count_rows(tables, tables.keys().listed_of(ServerId(row.server()), BlockId())));
    const auto coming = under_way.find(ServerId(row.server()));
    if (coming == under_way.end()) continue;
    blocks.all += static_cast<int64_t>(coming->second.blocks.size());
    blocks.open = coming->second.open;
  }
  return status;
}

}  // namespace

template <class RequestMessage, class ReplyMessage>
Task<Reply> ReadRequests::answer(Request request, MonoTime deadline,
                                 Result<ReplyMessage> (*query)(const MetaTables&, const RequestMessage&)) {
  const Result<RequestMessage> parsed = parse_message<RequestMessage>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const Result<LogIndex> current = co_await parts_.replica.read_barrier(deadline);
  if (!current) co_return parts_.refuse(current.error());
  Result<std::string> body =
      co_await parts_.reader.read<std::string>([&](const MetaTables& tables) -> Result<std::string> {
        DOGFS_TRY(const ReplyMessage message, query(tables, parsed.value()));
        return message.SerializeAsString();
      });
  if (!body) co_return error_reply(std::move(body).error());
  Reply reply;
  reply.body = std::move(body).value();
  co_return reply;
}

Task<Reply> ReadRequests::stat(Request request, MonoTime deadline) {
  return answer<wire::StatRequest, wire::StatReply>(std::move(request), deadline, query_stat);
}

Task<Reply> ReadRequests::list(Request request, MonoTime deadline) {
  return answer<wire::ListRequest, wire::ListReply>(std::move(request), deadline, query_list);
}

Task<Reply> ReadRequests::quotas(Request request, MonoTime deadline) {
  return answer<wire::GetQuotasRequest, wire::GetQuotasReply>(std::move(request), deadline, query_quotas);
}

Task<Reply> ReadRequests::get_blocks(Request request, MonoTime deadline) {
  return answer<wire::GetBlocksRequest, wire::GetBlocksReply>(std::move(request), deadline, query_blocks);
}

Task<Reply> ReadRequests::summary(Request request, MonoTime deadline) {
  const Result<wire::SummaryRequest> parsed = parse_message<wire::SummaryRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const Result<LogIndex> current = co_await parts_.replica.read_barrier(deadline);
  if (!current) co_return parts_.refuse(current.error());
  const std::shared_ptr<const KvReader> snapshot = parts_.reader.snapshot();
  SummaryWalk walk(*snapshot, parts_.reader.group());
  Result<bool> done =
      co_await parts_.reader.read_from<bool>(snapshot, [&walk, &parsed](const MetaTables&) -> Result<bool> {
        DOGFS_TRYV(walk.start(parsed.value()));
        return walk.step(kSummaryStepRows);
      });
  while (done && !done.value()) {
    if (parts_.env.clock.now() >= deadline) {
      co_return error_reply(Error(ErrorCode::kTimeout, "the tree is too large to be added up in that time"));
    }
    done = co_await parts_.reader.read_from<bool>(snapshot,
                                                  [&walk](const MetaTables&) { return walk.step(kSummaryStepRows); });
  }
  if (!done) co_return error_reply(done.error());
  co_return make_reply(walk.sum());
}

Task<Reply> ReadRequests::cluster_status(Request request, MonoTime deadline) {
  const Result<wire::ClusterStatusRequest> parsed = parse_message<wire::ClusterStatusRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  if (parsed.value().only_leader() && !parts_.is_leader()) co_return parts_.refuse(Error(ErrorCode::kNotLeader));
  wire::ClusterStatusReply reply;
  if (parts_.is_leader()) {
    const MonoTime limit = std::min(deadline, parts_.env.clock.now() + kStatusBarrierLimit);
    const Result<LogIndex> current = co_await parts_.replica.read_barrier(limit);
    reply.set_from_leader(current.has_value());
  }
  const Result<StoredStatus> stored = co_await parts_.reader.read<StoredStatus>(
      [&parsed](const MetaTables& tables) { return read_status(tables, parsed.value().count_blocks()); });
  if (!stored) co_return error_reply(stored.error());
  const ReplicaStatus status = parts_.replica.status();
  reply.set_answered_by(parts_.options.self.value());
  reply.set_term(status.term.value());
  reply.set_commit_index(status.commit.value());
  reply.set_applied_index(status.applied.value());
  const wire::CountersRow& counters = stored.value().counters;
  reply.set_files(counters.files());
  reply.set_directories(counters.directories());
  reply.set_blocks(counters.blocks());
  reply.set_bytes(counters.bytes());
  reply.set_garbage_shards(counters.garbage_shards());
  reply.set_sessions(counters.sessions());
  reply.set_trash_entries(counters.trash_entries());
  reply.set_trash_ms(counters.trash_ms());
  reply.set_quotas(counters.quotas());
  reply.set_open_files(stored.value().open_files);
  reply.set_cluster_uuid(counters.cluster_uuid());
  *reply.mutable_blocks_with_spares() = counters.blocks_with_spares();
  reply.set_blocks_leaving(counters.blocks_leaving());
  reply.set_blocks_lost(counters.blocks_lost());
  reply.set_repairs(counters.reservations());
  reply.set_safe_mode(parts_.is_leader() && repairs_.in_safe_mode());
  reply.set_metadata_free_bytes(room_.space() ? static_cast<int64_t>(room_.space()->free_bytes) : -1);
  reply.set_metadata_room_low(room_.is_low());
  add_survey(reply);
  if (parts_.is_leader()) *reply.mutable_rack_repair() = parts_.racks.describe();
  add_strange(stored.value().servers, reply);
  add_nodes(status, reply);
  add_servers(stored.value().servers, counters.log_time_ms() + parts_.proposer.unstamped_ms(), reply);
  for (wire::ChunkServerInfo& server : *reply.mutable_servers()) {
    const auto counted = stored.value().blocks.find(server.server());
    const bool is_counted = counted != stored.value().blocks.end();
    server.set_blocks(is_counted ? counted->second.all : -1);
    if (is_counted) server.set_open_blocks(counted->second.open);
  }
  co_return make_reply(reply);
}

void ReadRequests::add_survey(wire::ClusterStatusReply& reply) const {
  reply.set_surveyed_ms(-1);
  reply.set_estimate_ms(-1);
  const std::optional<MonoTime> surveyed = repairs_.survey().finished();
  if (!parts_.is_leader() || !surveyed) return;
  reply.set_surveyed_ms(count_ms(parts_.env.clock.now() - *surveyed));
  repairs_.survey().all().fill(reply);
  reply.set_shards_per_hour(repairs_.survey().per_hour());
  reply.set_estimate_ms(repairs_.survey().estimate_ms());
}

// What nobody asks for, but for what was on servers that are not among us any more.
void ReadRequests::add_strange(const std::vector<wire::ChunkServerRow>& rows, wire::ClusterStatusReply& reply) const {
  std::set<ServerId> removed;
  for (const wire::ChunkServerRow& row : rows) {
    const ServerId id(row.server());
    const ServerRegistry::Server* server = parts_.registry.find(id);
    if (row.state() == wire::REMOVED) {
      removed.insert(id);
    } else if (server != nullptr) {
      reply.set_foreign_files(reply.foreign_files() + server->foreign_files);
    }
  }
  const StrangeShards::Counts counts = repairs_.strange_shards().total(removed);
  reply.set_impossible_shards(counts.impossible);
  reply.set_unlisted_shards(counts.unlisted);
}

// Only a leader hears of the other nodes all the time; others know that they themselves and their leader are there.
void ReadRequests::add_nodes(const ReplicaStatus& status, wire::ClusterStatusReply& reply) const {
  const MonoTime now = parts_.env.clock.now();
  for (const auto& [id, address] : parts_.replica.raft()->configuration().addresses) {
    wire::ClusterStatusReply::MetaNode& node = *reply.add_nodes();
    node.set_node(id.value());
    node.set_address(address.value);
    node.set_leader(id == status.leader);
    const auto contact = status.last_contact.find(id);
    const bool heard =
        contact != status.last_contact.end() && now - contact->second < 2 * parts_.options.election_timeout;
    node.set_reachable(id == parts_.options.self || heard ||
                       (id == status.leader && status.role == RaftRole::kFollower));
    const auto match = status.match.find(id);
    if (match != status.match.end()) node.set_match_index(match->second.value());
  }
}

void ReadRequests::add_servers(const std::vector<wire::ChunkServerRow>& rows, int64_t log_now_ms,
                               wire::ClusterStatusReply& reply) const {
  const MonoTime now = parts_.env.clock.now();
  for (const wire::ChunkServerRow& row : rows) {
    wire::ChunkServerInfo& info = *reply.add_servers();
    info.set_server(row.server());
    info.set_address(row.address());
    info.set_rack(row.rack());
    info.set_state(row.state());
    info.set_wanted(row.wanted());
    if (row.wanted() == wire::MAINTENANCE) info.set_maintenance_left_ms(row.maintenance_until_ms() - log_now_ms);
    info.set_last_heartbeat_ms(-1);
    if (reply.surveyed_ms() >= 0) repairs_.survey().of(ServerId(row.server())).fill(info);
    info.set_estimate_ms(reply.surveyed_ms() >= 0 ? repairs_.survey().estimate_ms(ServerId(row.server())) : -1);
    const ServerRegistry::Server* server = parts_.registry.find(ServerId(row.server()));
    if (server == nullptr || !server->last_heartbeat) continue;
    const Duration silent = now - *server->last_heartbeat;
    info.set_total_bytes(server->total_bytes);
    info.set_free_bytes(server->free_bytes);
    info.set_shards(server->shards);
    info.set_damaged_shards(server->damaged_shards);
    info.set_last_scrub_ms(server->last_scrub_ms);
    for (const wire::DiskInfo& disk : server->disks) *info.add_disks() = disk;
    info.set_alive(silent <= parts_.options.server_silence_limit);
    info.set_last_heartbeat_ms(count_ms(silent));
  }
  for (wire::ChunkServerInfo& info : *reply.mutable_servers()) info.set_supplanted_by(supplanter_of(info, rows));
}

}  // namespace dogfs
