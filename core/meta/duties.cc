#include "core/meta/duties.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/ec/policy_wire.h"
#include "core/meta/keys.h"
#include "core/meta/server_commands.h"
#include "core/meta/session_commands.h"
#include "core/meta/trash.h"
#include "core/raft/raft.h"
#include "core/wire/chunk.pb.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

constexpr Duration kInitializeInterval = milliseconds(200);
// Deletions wake the reclaiming; the interval is for what an earlier leader left.
constexpr Duration kReclaimInterval = seconds(1);
constexpr Duration kConfirmInterval = milliseconds(500);
constexpr uint32_t kReclaimRowsPerStep = 1000;
constexpr Duration kTrashInterval = seconds(1);
constexpr uint32_t kTrashRowsPerStep = 100;
static_assert(kTrashRowsPerStep <= kMaxTrashRows);
constexpr size_t kScanPageRows = 1000;
// How many times within its limit a lease or session is looked at.
constexpr int kLooksPerLimit = 8;
// Silent servers that are told at a time, and how long each may take to answer.
constexpr size_t kServersToldAtOnce = 16;
constexpr Duration kTellLimit = seconds(1);

template <class Id, class Row>
struct ScannedRow {
  Id id;
  Row row;
};

template <class Id, class Row>
using Page = std::vector<ScannedRow<Id, Row>>;

template <class Id, class Row>
Result<Page<Id, Row>> read_page(const MetaTables& tables, const KeyRange& range) {
  Page<Id, Row> page;
  DOGFS_TRYV(scan_rows<Row>(tables.reader(), range, [&](std::string_view key, Row row) {
    page.push_back({Id(last_id(key)), std::move(row)});
    return page.size() < kScanPageRows;
  }));
  return page;
}

Result<bool> has_detached(const MetaTables& tables) {
  bool found = false;
  const KeyRange range = tables.keys().detached_after(InodeId());
  DOGFS_TRYV(tables.reader().scan(range.begin, range.end, [&](std::string_view, std::string_view) {
    found = true;
    return false;
  }));
  return found;
}

// Whether something in the trash is due once the log time has moved on by `elapsed_ms`.
Result<bool> has_due_trash(const MetaTables& tables, int64_t elapsed_ms) {
  DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
  if (!counters || counters->trash_entries() == 0) return false;
  DOGFS_TRY(const std::optional<int64_t> next, next_trash_expiry(tables));
  return next && *next <= counters->log_time_ms() + elapsed_ms;
}

std::string make_uuid(Random& random) {
  std::string uuid;
  append_big_endian(uuid, random.draw("meta.cluster_uuid"));
  append_big_endian(uuid, random.draw("meta.cluster_uuid"));
  return uuid;
}

}  // namespace

Duties::Duties(MetaParts& parts) : parts_(parts), tasks_(parts.env.executor, parts.env.clock), wake_(parts.env.clock) {}

void Duties::start() {
  tasks_.spawn(repeat(&Duties::initialize, kInitializeInterval, wake_));
  tasks_.spawn(repeat(&Duties::reclaim, kReclaimInterval, parts_.reclaim_wanted));
  tasks_.spawn(repeat(&Duties::expire_trash, kTrashInterval, wake_));
  tasks_.spawn(repeat(&Duties::expire_leases, parts_.options.lease_limit / kLooksPerLimit, wake_));
  tasks_.spawn(repeat(&Duties::expire_sessions, parts_.options.session_limit / kLooksPerLimit, wake_));
  tasks_.spawn(repeat(&Duties::confirm_deletions, kConfirmInterval, wake_));
  tasks_.spawn(repeat(&Duties::tell_members, parts_.options.server_silence_limit, wake_));
}

void Duties::request_stop() {
  stopping_ = true;
  wake_.notify_all();
  parts_.reclaim_wanted.notify_all();
}

void Duties::lead() {
  leader_since_ = parts_.env.clock.now();
  wake_.notify_all();
  parts_.reclaim_wanted.notify_all();
}

Task<void> Duties::repeat(Duty duty, Duration interval, Notifier& wake) {
  while (!stopping_) {
    if (parts_.is_leader()) co_await (this->*duty)();
    if (stopping_) break;
    co_await wake.wait_until(parts_.env.clock.now() + interval);
  }
}

Task<void> Duties::initialize() {
  if (!parts_.cluster_uuid.empty()) co_return;
  const Result<LogIndex> current = co_await parts_.replica.read_barrier(parts_.env.clock.now() + kProposalLimit);
  if (!current) co_return;
  const Result<std::string> uuid =
      co_await parts_.reader.read<std::string>([](const MetaTables& tables) -> Result<std::string> {
        DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
        return counters ? counters->cluster_uuid() : std::string();
      });
  if (!uuid) co_return;
  parts_.cluster_uuid = uuid.value();
  if (!parts_.cluster_uuid.empty()) co_return;
  wire::Command command;
  command.mutable_initialize_cluster()->set_uuid(make_uuid(parts_.env.random));
  *command.mutable_initialize_cluster()->mutable_default_policy() = geometry_to_wire(parts_.options.default_policy);
  co_await parts_.proposer.propose_own(std::move(command));
}

Task<void> Duties::reclaim() {
  while (!stopping_ && parts_.is_leader()) {
    const Result<bool> work = co_await parts_.reader.read<bool>(has_detached);
    if (!work || !work.value()) co_return;
    wire::Command command;
    command.mutable_reclaim_step()->set_max_rows(kReclaimRowsPerStep);
    if (!co_await parts_.proposer.propose_own(std::move(command))) co_return;
  }
}

Task<void> Duties::expire_trash() {
  while (!stopping_ && parts_.is_leader()) {
    const int64_t elapsed_ms = parts_.proposer.unstamped_ms();
    const Result<bool> due = co_await parts_.reader.read<bool>(
        [elapsed_ms](const MetaTables& tables) { return has_due_trash(tables, elapsed_ms); });
    if (!due || !due.value()) co_return;
    wire::Command command;
    command.mutable_expire_trash()->set_max_rows(kTrashRowsPerStep);
    if (!co_await parts_.proposer.propose_own(std::move(command))) co_return;
    parts_.reclaim_wanted.notify_all();
  }
}

Task<void> Duties::expire_leases() {
  using Leases = Page<InodeId, wire::LeaseRow>;
  parts_.leases.begin_scan();
  InodeId after;
  while (true) {
    const Result<Leases> page = co_await parts_.reader.read<Leases>([after](const MetaTables& tables) {
      return read_page<InodeId, wire::LeaseRow>(tables, tables.keys().leases(after));
    });
    if (!page || stopping_ || !parts_.is_leader()) co_return;
    for (const auto& [inode, row] : page.value()) {
      after = inode;
      const LeaseEpoch epoch(row.lease_epoch());
      if (!parts_.leases.is_overdue(inode, epoch, parts_.env.clock.now(), parts_.options.lease_limit)) continue;
      wire::Command command;
      command.mutable_expire_lease()->set_inode(inode.value());
      command.mutable_expire_lease()->set_lease_epoch(epoch.value());
      if (!co_await parts_.proposer.propose_own(std::move(command))) co_return;
    }
    if (page.value().size() < kScanPageRows) break;
  }
  parts_.leases.end_scan();
}

// Sessions are idle by log time, which this leader's commands carry on. Those that only renew leases are known to the
// leader alone, so it waits for the renewals of all writers before it judges.
Task<void> Duties::expire_sessions() {
  const MonoTime since = parts_.env.clock.now() - parts_.options.session_limit;
  if (parts_.env.clock.now() - leader_since_ < parts_.options.lease_limit) co_return;
  parts_.leases.forget_sessions_before(since);
  using Sessions = Page<SessionId, wire::SessionRow>;
  SessionId after;
  while (true) {
    int64_t log_time_ms = 0;
    const Result<Sessions> page =
        co_await parts_.reader.read<Sessions>([after, &log_time_ms](const MetaTables& tables) -> Result<Sessions> {
          DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
          if (counters) log_time_ms = counters->log_time_ms();
          return read_page<SessionId, wire::SessionRow>(tables, tables.keys().sessions(after));
        });
    if (!page || stopping_ || !parts_.is_leader()) co_return;
    const int64_t now_ms = log_time_ms + parts_.proposer.unstamped_ms();
    const int64_t limit_ms = std::chrono::floor<milliseconds>(parts_.options.session_limit).count();
    wire::Command command;
    wire::ExpireSessions& expired = *command.mutable_expire_sessions();
    expired.set_idle_since_ms(now_ms - limit_ms);
    for (const auto& [session, row] : page.value()) {
      if (expired.sessions_size() == kMaxExpiredSessionsPerCommand) break;
      after = session;
      const bool idle = row.last_active_ms() <= expired.idle_since_ms();
      if (idle && !parts_.leases.was_heard_since(session, since)) expired.add_sessions(session.value());
    }
    const bool full = expired.sessions_size() == kMaxExpiredSessionsPerCommand;
    if (expired.sessions_size() > 0 && !co_await parts_.proposer.propose_own(std::move(command))) co_return;
    if (page.value().size() < kScanPageRows && !full) co_return;
  }
}

Task<void> Duties::confirm_deletions() {
  while (!stopping_ && parts_.is_leader() && parts_.registry.has_confirmed()) {
    const std::vector<GarbageShard> shards = parts_.registry.confirmed(kMaxConfirmedPerCommand);
    wire::Command command;
    for (const GarbageShard& shard : shards) {
      set_placed_shard(shard, *command.mutable_confirm_deleted()->add_shards());
    }
    if (!co_await parts_.proposer.propose_own(std::move(command))) co_return;
    parts_.registry.forget_confirmed(shards);
  }
}

// A server hears who the metadata nodes are when it tells those that it knows that it lives. If all of those were
// replaced while it was away, it never hears of the others; but they know where it is.
Task<void> Duties::tell_members() {
  const MonoTime since = parts_.env.clock.now() - 2 * parts_.options.server_silence_limit;
  if (leader_since_ > since) co_return;
  std::vector<std::pair<ServerId, Address>> silent;
  for (const auto& [id, server] : parts_.registry.servers()) {
    const bool heard = server.last_heartbeat && *server.last_heartbeat > since;
    if (!heard && server.state != wire::REMOVED) silent.emplace_back(id, Address{server.address});
  }
  // The next few, and after the last the first again.
  std::ranges::rotate(silent,
                      std::ranges::upper_bound(silent, last_told_, {}, [](const auto& each) { return each.first; }));
  silent.resize(std::min(silent.size(), kServersToldAtOnce));
  for (auto& [id, address] : silent) {
    last_told_ = id;
    tasks_.spawn(tell(id, std::move(address)));
  }
}

Task<void> Duties::tell(ServerId server, Address address) {
  wire::TellMembersRequest message;
  message.set_cluster_uuid(parts_.cluster_uuid);
  message.set_server(server.value());
  for (const auto& [node, where] : parts_.replica.raft()->configuration().addresses) {
    message.add_meta_nodes(where.value);
  }
  Request request = make_request(MessageType::kTellMembers, GroupId(0), message);
  const MonoTime deadline = parts_.env.clock.now() + kTellLimit;
  const Result<Reply> reply = co_await parts_.env.transport.call(std::move(address), std::move(request), deadline);
  const Error error = reply ? reply.value().error : reply.error();
  if (error.code == ErrorCode::kOk) co_return;
  parts_.env.log.debug("meta", "silent chunk server {} was not told who leads: {}", server, error.to_string());
}

}  // namespace dogfs
