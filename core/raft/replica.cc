// The driver is made of three loops and one function.
//
// turn() does all that can be done at one moment, without suspending: it feeds what has gathered (messages,
// proposals, reads, time) to the step machine and carries out the effects. Whoever brings a proposal or a read wakes
// the main loop, so that all which come at one moment share a turn: hundreds of proposals become one append. Messages
// have their turn when those of a whole frame are in the inbox (GroupHost::receive). The persist loop writes what has
// gathered while the write before it was under way, in one synced write (group commit); the apply loop hands
// committed entries to the state machine. Nothing polls.
#include "core/raft/replica.h"

#include <deque>
#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/env/sync.h"
#include "core/raft/address_book.h"
#include "core/raft/codec.h"
#include "core/raft/describe.h"
#include "core/raft/outbox.h"
#include "core/raft/pending_calls.h"
#include "core/raft/raft.h"
#include "core/raft/raft_store.h"
#include "core/raft/snapshot_carrier.h"

namespace dogfs {

namespace {

raft::Configuration initial_configuration(const ReplicaOptions& options) {
  const bool joins = options.empty_store == EmptyStore::kJoins;
  return joins ? raft::Configuration() : raft::initial_configuration(options.voters);
}

Error refused_as_empty(const ReplicaOptions& options) {
  return Error(ErrorCode::kConflict,
               fmt::format("node {} has nothing of group {}: if its disk was lost, it is to be replaced by a node of a "
                           "new id; if it is new, it must be told so",
                           options.self, options.group));
}

// What of an entry is for the state machine.
std::string command_of(const raft::Entry& entry) {
  return entry.type == raft::EntryType::kCommand ? std::string(entry.text()) : std::string();
}

}  // namespace

class Replica::Impl {
 public:
  Impl(Env& env, KvStore& store, StateMachine& machine, raft::Outbox& outbox, ReplicaOptions options, Hooks hooks)
      : env_(env),
        store_(store),
        machine_(machine),
        outbox_(outbox),
        options_(std::move(options)),
        hooks_(std::move(hooks)),
        addresses_(options_.voters),
        main_wake_(env.clock.make_waiter()),
        persist_wake_(env.clock.make_waiter()),
        apply_wake_(env.clock.make_waiter()),
        snapshots_(
            env, store, machine, {options_.group, options_.snapshot_part_bytes}, [this] { go_on(); },
            [this](Error error) { fail_store(std::move(error)); }),
        calls_(env.clock, options_.max_uncommitted_bytes),
        tasks_(env.executor, env.clock) {}

  Task<Status> start();
  Task<void> stop();
  void receive(wire::RaftMessage message, const Address& from);
  void take_turn();
  void tick();
  Task<Result<std::string>> propose(std::string command, MonoTime deadline);
  Task<Result<LogIndex>> read_barrier(MonoTime deadline);
  Task<void> answers_visible();
  Task<Status> change_membership(raft::MembershipChange change, MonoTime deadline);
  Task<Status> transfer_leadership(NodeId target, MonoTime deadline);
  Address address_of(NodeId node) const;
  void fail_store(Error error);
  ReplicaStatus status() const;
  void on_change(std::function<void(const ReplicaStatus&)> observer) { observer_ = std::move(observer); }
  const raft::Raft* raft() const { return raft_.get(); }

 private:
  // What of the state is worth telling when it changes.
  struct Standing {
    RaftRole role = RaftRole::kFollower;
    Term term;
    NodeId leader;
    bool operator==(const Standing&) const = default;
  };

  bool running() const { return raft_ && !ended_; }
  Task<Result<raft::Restored>> restore();
  raft::StoreId draw_store_id();
  raft::Options raft_options();

  Task<void> main_loop();
  Task<void> persist_loop();
  Task<void> apply_loop();
  Task<void> let_commands_gather(MonoTime due);
  void go_on();
  Task<void> fetch(raft::LogFetch fetch);

  void turn();
  void step_inbox(MonoTime now);
  void carry_out(raft::Effects effects);
  void send_all(const std::vector<raft::Message>& messages);
  void learn_addresses();
  void announce_change();
  void fail_all(const Error& error);

  Env& env_;
  KvStore& store_;
  StateMachine& machine_;
  raft::Outbox& outbox_;
  ReplicaOptions options_;
  Hooks hooks_;
  std::function<void(const ReplicaStatus&)> observer_;
  std::unique_ptr<raft::Raft> raft_;
  bool ended_ = false;  // by stop() or by a failed store

  // Inputs that wait for the next turn.
  std::deque<raft::Message> inbox_;
  size_t inbox_bytes_ = 0;

  // Outputs that wait for their loop.
  WriteBatch to_persist_;
  uint64_t to_persist_number_ = 0;
  std::vector<raft::Entry> to_apply_;

  raft::AddressBook addresses_;

  Standing announced_;
  MonoTime armed_deadline_ = kNever;
  std::unique_ptr<Waiter> main_wake_;
  std::unique_ptr<Waiter> persist_wake_;
  std::unique_ptr<Waiter> apply_wake_;
  raft::SnapshotCarrier snapshots_;
  raft::PendingCalls calls_;
  TaskGroup tasks_;
};

// --- Life -----------------------------------------------------------------------------------------------------------

raft::Options Replica::Impl::raft_options() {
  raft::Options options;
  options.group = options_.group;
  options.self = options_.self;
  options.heartbeat_interval = options_.heartbeat_interval;
  options.election_timeout = options_.election_timeout;
  options.lease_drift_bound = options_.lease_drift_bound;
  options.election_seed = env_.random.draw("raft.election");
  options.append.max_bytes = options_.max_append_bytes;
  options.max_cached_bytes = options_.max_cached_bytes;
  options.max_uncommitted_bytes = options_.max_uncommitted_bytes;
  options.compaction = options_.log;
  return options;
}

Task<Result<raft::Restored>> Replica::Impl::restore() {
  raft::StoreIdentity identity{options_.group, options_.self, initial_configuration(options_)};
  const std::shared_ptr<const KvReader> snapshot = store_.snapshot();
  std::optional<Result<raft::LoadedLog>> outcome;
  std::function<void()> load = [&] { outcome = raft::load_log(*snapshot, identity, options_.max_cached_bytes); };
  co_await env_.compute.run(std::move(load));
  DOGFS_CO_TRY(raft::LoadedLog loaded, *std::move(outcome));
  DOGFS_CO_TRY(const LogIndex applied, co_await machine_.load_applied());
  if (applied > loaded.terms.last_index()) {
    co_return Error(ErrorCode::kCorrupt,
                    fmt::format("the state of group {} includes log entry {}, but its log ends at {}", options_.group,
                                applied, loaded.terms.last_index()));
  }
  if (applied < loaded.terms.base().index) {
    co_return Error(ErrorCode::kCorrupt,
                    fmt::format("the state of group {} includes log entry {}, but its log begins behind {}",
                                options_.group, applied, loaded.terms.base().index));
  }
  if (loaded.is_new) {
    if (options_.empty_store == EmptyStore::kRefused) co_return refused_as_empty(options_);
    identity.store = loaded.store = draw_store_id();
    WriteBatch batch = raft::encode_new_store(identity);
    DOGFS_CO_TRYV(co_await store_.write(std::move(batch), Durability::kSynced));
  }
  co_return raft::Restored{loaded.hard_state,
                           std::move(loaded.configurations),
                           std::move(loaded.terms),
                           std::move(loaded.sizes),
                           std::move(loaded.tail),
                           applied,
                           std::nullopt,
                           loaded.store};
}

raft::StoreId Replica::Impl::draw_store_id() {
  const raft::StoreId id(env_.random.draw("raft.store"));
  return id.is_none() ? id.next() : id;
}

Task<Status> Replica::Impl::start() {
  DOGFS_CHECK(!raft_ && options_.voters.size() <= kMaxRaftVoters);
  DOGFS_CHECK(options_.empty_store == EmptyStore::kJoins || options_.voters.contains(options_.self),
              "a node forms a group with itself in it");
  DOGFS_CO_TRY(const std::optional<raft::StagedParts> staged, co_await snapshots_.recover());
  DOGFS_CO_TRY(raft::Restored restored, co_await restore());
  restored.staged = staged;
  if (ended_) co_return Error(ErrorCode::kShuttingDown);
  env_.log.info("raft", "group {} node {}: term {}, log to {}, applied to {}", options_.group, options_.self,
                restored.hard_state.term, restored.terms.last_index(), restored.applied);
  raft_ = std::make_unique<raft::Raft>(raft_options(), std::move(restored), env_.clock.now());
  announced_ = Standing{raft_->role(), raft_->term(), raft_->leader()};
  if (raft_->forms()) {
    env_.log.info("raft", "group {} node {}: forms the group, with all of {}", options_.group, options_.self,
                  describe(raft_->configuration()));
  }
  learn_addresses();
  tasks_.spawn(main_loop());
  tasks_.spawn(persist_loop());
  tasks_.spawn(apply_loop());
  snapshots_.start(*raft_, tasks_);
  co_return ok();
}

Task<void> Replica::Impl::stop() {
  ended_ = true;
  snapshots_.stop();
  fail_all(Error(ErrorCode::kShuttingDown));
  co_await tasks_.join();
  co_await calls_.drained();
}

void Replica::Impl::fail_store(Error error) {
  if (ended_) return;
  DOGFS_COVERAGE_MARK("raft: a store that failed ends its replica");
  ended_ = true;
  snapshots_.stop();
  env_.log.error("raft", "group {} node {}: {}", options_.group, options_.self, error.to_string());
  fail_all(Error(ErrorCode::kShuttingDown));
  hooks_.on_fatal(std::move(error));
}

// --- Loops ----------------------------------------------------------------------------------------------------------

Task<void> Replica::Impl::main_loop() {
  while (!ended_) {
    if (env_.clock.now() >= raft_->next_deadline()) {
      hooks_.on_due();
    } else {
      turn();
    }
    armed_deadline_ = raft_->next_deadline();
    co_await main_wake_->wait_until(armed_deadline_);
  }
}

Task<void> Replica::Impl::persist_loop() {
  while (!ended_) {
    if (to_persist_.empty()) {
      co_await persist_wake_->wait_until(kNever);
      continue;
    }
    const uint64_t number = to_persist_number_;
    WriteBatch batch = std::exchange(to_persist_, WriteBatch());
    const Status written = co_await store_.write(std::move(batch), Durability::kSynced);
    if (!written) co_return fail_store(written.error());
    if (ended_) co_return;
    raft_->persisted(number);
    turn();
  }
}

Task<void> Replica::Impl::apply_loop() {
  MonoTime next_on_follower = env_.clock.now();
  while (!ended_) {
    if (to_apply_.empty()) {
      co_await apply_wake_->wait_until(kNever);
      continue;
    }
    co_await let_commands_gather(next_on_follower);
    if (ended_) co_return;
    next_on_follower = env_.clock.now() + options_.follower_apply_interval;
    const std::vector<raft::Entry> entries = std::exchange(to_apply_, {});
    std::vector<CommittedEntry> batch;
    batch.reserve(entries.size());
    for (const raft::Entry& entry : entries) {
      batch.push_back(CommittedEntry{entry.index, entry.term, command_of(entry)});
    }
    Result<Applied> applied = co_await machine_.apply(std::move(batch));
    if (!applied) co_return fail_store(applied.error());
    if (!ended_) calls_.answer(entries, std::move(applied.value().replies));
    const Status visible = co_await std::move(applied.value().visible);
    if (!visible) co_return fail_store(visible.error());
    if (ended_) co_return;
    raft_->applied(entries.back().index);
    snapshots_.on_applied();
    go_on();
  }
}

// On a follower. What was handed out to be applied waits too: the step machine hands out the rest when it is applied.
Task<void> Replica::Impl::let_commands_gather(MonoTime due) {
  while (!ended_ && raft_->role() != RaftRole::kLeader && env_.clock.now() < due) {
    co_await apply_wake_->wait_until(due);
  }
}

// After entries were applied, or a snapshot had its turn, which may have been installed.
void Replica::Impl::go_on() {
  calls_.complete_applied_reads(raft_->applied());
  turn();
}

Task<void> Replica::Impl::fetch(raft::LogFetch fetch) {
  const std::shared_ptr<const KvReader> snapshot = store_.snapshot();
  std::optional<Result<std::vector<raft::Entry>>> outcome;
  std::function<void()> read = [&] { outcome = raft::read_entries(*snapshot, options_.group, fetch); };
  co_await env_.compute.run(std::move(read));
  if (ended_) co_return;
  // What a follower lacks may have been dropped before it was looked for.
  const bool dropped = !*outcome && fetch.first <= raft_->log().base().index;
  if (!*outcome && !dropped) co_return fail_store(outcome->error());
  raft_->fetched(fetch, dropped ? std::vector<raft::Entry>() : std::move(*outcome).value());
  turn();
}

// --- Turns ----------------------------------------------------------------------------------------------------------

void Replica::Impl::turn() {
  if (ended_) return;
  const MonoTime now = env_.clock.now();
  step_inbox(now);
  raft_->tick(now);
  learn_addresses();
  calls_.submit(*raft_);
  carry_out(raft_->take_effects());
  announce_change();
  calls_.judge_watches(*raft_);
  if (raft_->next_deadline() < armed_deadline_) main_wake_->notify();
}

void Replica::Impl::step_inbox(MonoTime now) {
  for (const raft::Message& message : inbox_) raft_->step(now, message);
  inbox_.clear();
  inbox_bytes_ = 0;
}

void Replica::Impl::carry_out(raft::Effects effects) {
  if (effects.persist) {
    to_persist_.append(raft::encode_batch(options_.group, *effects.persist));
    to_persist_number_ = effects.persist->number;
    persist_wake_->notify();
  }
  send_all(effects.messages);
  snapshots_.carry_out(effects);
  if (!effects.committed.empty()) {
    to_apply_ = std::move(effects.committed);
    apply_wake_->notify();
  }
  for (raft::LogFetch& wanted : effects.fetches) tasks_.spawn(fetch(wanted));
  calls_.take_reads(effects, raft_->applied());
  for (const std::string& violation : effects.violations) {
    env_.log.error("raft", "group {} node {} ignored {}", options_.group, options_.self, violation);
  }
}

void Replica::Impl::send_all(const std::vector<raft::Message>& messages) {
  for (const raft::Message& message : messages) {
    if (const Address* address = addresses_.find(message.to)) outbox_.add(*address, message);
  }
}

void Replica::Impl::learn_addresses() {
  const raft::ConfigurationHistory& history = raft_->log().configurations();
  if (!addresses_.learn(history)) return;
  // The members that the group began with know each other: its first entry names them and their stores.
  if (history.latest_index() > LogIndex(1)) outbox_.say_address(address_of(options_.self));
}

void Replica::Impl::announce_change() {
  const Standing standing{raft_->role(), raft_->term(), raft_->leader()};
  if (standing == announced_) return;
  const bool was_leader = announced_.role == RaftRole::kLeader;
  if (was_leader && (standing.role != RaftRole::kLeader || standing.term != announced_.term)) {
    calls_.fail_uncertain_proposals(*raft_, announced_.term);
  }
  announced_ = standing;
  apply_wake_->notify();
  env_.log.info("raft", "group {} node {}: {} of term {}, leader {}", options_.group, options_.self,
                role_name(standing.role), standing.term, standing.leader);
  if (raft_->forms() && !standing.leader.is_none()) {
    env_.log.warning("raft",
                     "group {} node {}: the group exists, and has not counted this store so far. If this node lost its "
                     "disk, it never will: replace it by a node of a new id",
                     options_.group, options_.self);
  }
  if (observer_) observer_(status());
}

// --- Calls ----------------------------------------------------------------------------------------------------------

void Replica::Impl::receive(wire::RaftMessage message, const Address& from) {
  if (!running()) return;
  Result<raft::Message> decoded = raft::decode_message(std::move(message));
  if (!decoded) {
    env_.log.warning("raft", "group {} node {}: {}", options_.group, options_.self, decoded.error().to_string());
    return;
  }
  const size_t bytes = raft::message_bytes(decoded.value());
  if (inbox_.size() >= kMaxRaftInboxMessages || inbox_bytes_ + bytes > kMaxRaftInboxBytes) return;
  inbox_bytes_ += bytes;
  inbox_.push_back(std::move(decoded).value());
  addresses_.meet(inbox_.back().from, from);
}

void Replica::Impl::take_turn() {
  if (running()) turn();
}

void Replica::Impl::tick() {
  if (running() && env_.clock.now() >= raft_->next_deadline()) turn();
}

Task<Result<std::string>> Replica::Impl::propose(std::string command, MonoTime deadline) {
  if (!running()) co_return Error(ErrorCode::kShuttingDown);
  if (raft_->role() != RaftRole::kLeader) co_return Error(ErrorCode::kNotLeader);
  if (command.size() > kMaxCommandBytes) co_return Error(ErrorCode::kLimitExceeded, "the command is too large");
  if (!calls_.has_room_for(command.size())) {
    DOGFS_COVERAGE_MARK("raft: a command refused, since too many wait");
    co_return Error(ErrorCode::kOverloaded);
  }
  main_wake_->notify();
  co_return co_await calls_.propose(std::move(command), deadline);
}

Task<Result<LogIndex>> Replica::Impl::read_barrier(MonoTime deadline) {
  if (!running()) co_return Error(ErrorCode::kShuttingDown);
  if (raft_->role() != RaftRole::kLeader) co_return Error(ErrorCode::kNotLeader);
  main_wake_->notify();
  co_return co_await calls_.read(deadline);
}

Task<void> Replica::Impl::answers_visible() {
  if (running()) co_await calls_.answers_visible(raft_->applied());
}

namespace {

// Of a change of membership whose entry is `begun`.
std::optional<Status> judge_change(const raft::Raft& raft, raft::LogPosition begun) {
  const raft::Log& log = raft.log();
  if (begun.index > log.base().index && !log.contains(begun)) {
    return Error(ErrorCode::kConflict, "leadership was lost before the change was committed: it was taken back");
  }
  // Entries of a term come from one leader, so a log that goes on in this term behind the entry has it. But where a later
  // leader's snapshot has replaced the log, another entry may be in its place.
  if (begun.index <= log.base().index && !begun.term.is_none() && begun.term != log.base().term) {
    return Error(ErrorCode::kOutcomeUnknown, "leadership was lost while the change was under way");
  }
  if (raft.commit() < begun.index || log.configurations().at(raft.commit()).configuration.is_joint()) {
    return std::nullopt;
  }
  return Status(ok());
}

}  // namespace

Task<Status> Replica::Impl::change_membership(raft::MembershipChange change, MonoTime deadline) {
  if (!running()) co_return Error(ErrorCode::kShuttingDown);
  turn();
  const Result<raft::LogPosition> begun = raft_->change_membership(change);
  if (!begun) co_return begun.error();
  env_.log.info("raft", "group {} node {}: {}", options_.group, options_.self, describe(raft_->configuration()));
  const raft::LogPosition entry = begun.value();
  main_wake_->notify();
  co_return co_await calls_.watch([entry](const raft::Raft& raft) { return judge_change(raft, entry); }, deadline);
}

Task<Status> Replica::Impl::transfer_leadership(NodeId target, MonoTime deadline) {
  if (!running()) co_return Error(ErrorCode::kShuttingDown);
  turn();
  if (raft_->role() != RaftRole::kLeader) co_return Error(ErrorCode::kNotLeader);
  if (target == options_.self) co_return ok();
  if (target.is_none()) target = raft_->best_successor();
  if (target.is_none()) co_return Error(ErrorCode::kConflict, "no other voter is alive");
  DOGFS_CO_TRYV(raft_->transfer_leadership(target));
  const Term term = raft_->term();
  const auto judge = [term, target](const raft::Raft& raft) -> std::optional<Status> {
    if (raft.role() != RaftRole::kLeader || raft.term() != term) return Status(ok());
    if (raft.transfer_target() == target) return std::nullopt;
    return Error(ErrorCode::kConflict, fmt::format("node {} did not take over within an election timeout", target));
  };
  main_wake_->notify();
  co_return co_await calls_.watch(judge, deadline);
}

Address Replica::Impl::address_of(NodeId node) const {
  const Address* address = addresses_.find(node);
  return address == nullptr ? Address() : *address;
}

void Replica::Impl::fail_all(const Error& error) {
  calls_.fail_all(error);
  main_wake_->notify();
  persist_wake_->notify();
  apply_wake_->notify();
}

ReplicaStatus Replica::Impl::status() const {
  ReplicaStatus status;
  if (!raft_) return status;
  status.role = raft_->role();
  status.term = raft_->term();
  status.leader = raft_->leader();
  status.commit = raft_->commit();
  status.applied = raft_->applied();
  status.last = raft_->log().last_index();
  if (status.role != RaftRole::kLeader) return status;
  status.match[options_.self] = raft_->log().durable();
  for (const auto& [peer, progress] : raft_->progress()) {
    status.match[peer] = progress.match();
    status.last_contact[peer] = progress.last_contact();
    if (progress.has_lost_store()) status.lost_stores.insert(peer);
  }
  return status;
}

// --- The public face ------------------------------------------------------------------------------------------------

Replica::Replica(Env& env, KvStore& store, StateMachine& machine, raft::Outbox& outbox, ReplicaOptions options,
                 Hooks hooks)
    : impl_(std::make_unique<Impl>(env, store, machine, outbox, std::move(options), std::move(hooks))) {}
Replica::~Replica() = default;

Task<Status> Replica::start() {
  return impl_->start();
}
Task<void> Replica::stop() {
  return impl_->stop();
}
void Replica::receive(wire::RaftMessage message, const Address& from) {
  impl_->receive(std::move(message), from);
}
void Replica::take_turn() {
  impl_->take_turn();
}
void Replica::tick() {
  impl_->tick();
}
Task<Result<std::string>> Replica::propose(std::string command, MonoTime deadline) {
  return impl_->propose(std::move(command), deadline);
}
Task<Result<LogIndex>> Replica::read_barrier(MonoTime deadline) {
  return impl_->read_barrier(deadline);
}
Task<Status> Replica::change_membership(raft::MembershipChange change, MonoTime deadline) {
  return impl_->change_membership(std::move(change), deadline);
}
Task<Status> Replica::transfer_leadership(NodeId target, MonoTime deadline) {
  return impl_->transfer_leadership(target, deadline);
}
Address Replica::address_of(NodeId node) const {
  return impl_->address_of(node);
}
Task<void> Replica::answers_visible() {
  return impl_->answers_visible();
}
void Replica::store_failed(Error error) {
  impl_->fail_store(std::move(error));
}
ReplicaStatus Replica::status() const {
  return impl_->status();
}
bool Replica::is_leader() const {
  return raft() != nullptr && raft()->role() == RaftRole::kLeader;
}
NodeId Replica::leader() const {
  return raft() == nullptr ? NodeId() : raft()->leader();
}
LogIndex Replica::applied() const {
  return raft() == nullptr ? LogIndex() : raft()->applied();
}
void Replica::on_change(std::function<void(const ReplicaStatus&)> observer) {
  impl_->on_change(std::move(observer));
}
const raft::Raft* Replica::raft() const {
  return impl_->raft();
}

}  // namespace dogfs
