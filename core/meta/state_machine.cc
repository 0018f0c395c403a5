#include "core/meta/state_machine.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/base/mutant.h"
#include "core/base/printable.h"
#include "core/meta/block_commands.h"
#include "core/meta/file_commands.h"
#include "core/meta/inline_tail.h"
#include "core/meta/namespace_commands.h"
#include "core/meta/quota.h"
#include "core/meta/reclaim.h"
#include "core/meta/repair_commands.h"
#include "core/meta/replace_blocks.h"
#include "core/meta/report_commands.h"
#include "core/meta/server_commands.h"
#include "core/meta/server_states.h"
#include "core/meta/session_commands.h"
#include "core/meta/trash.h"
#include "core/meta/truncate.h"
#include "core/wire/meta.pb.h"

namespace dogfs {
namespace {

constexpr uint32_t kRootMode = 0755;
constexpr std::string_view kSuperuser = "dogfs";

// The state before the first entry: an empty root directory.
wire::CountersRow genesis(MutableTables& tables) {
  wire::InodeRow root;
  root.set_inode(kRootInode.value());
  root.set_type(wire::InodeRow::DIRECTORY);
  root.set_mode(kRootMode);
  root.set_owner(std::string(kSuperuser));
  root.set_group(std::string(kSuperuser));
  tables.put(root);
  wire::CountersRow counters;
  counters.set_next_inode(kRootInode.next().value());
  counters.set_next_block(1);
  counters.set_next_generation(1);
  counters.set_next_server(1);
  counters.set_next_session(1);
  counters.set_directories(1);
  counters.set_version(1);
  return counters;
}

std::string ok_reply(const google::protobuf::MessageLite& body) {
  wire::CommandReply reply;
  reply.set_body(body.SerializeAsString());
  return reply.SerializeAsString();
}

std::string refusal_reply(const Error& error) {
  wire::CommandReply reply;
  reply.set_error(static_cast<uint32_t>(error.code));
  reply.set_detail(printable(error.detail, kMaxErrorDetailBytes));
  return reply.SerializeAsString();
}

// Whether the batch fails with `error`. A node whose rows are not those of the others must not refuse what they apply.
bool is_no_reply(const Error& error) {
  return is_store_error(error) || is_missing_row(error);
}

// Puts the outcome of an operation that has a result into the reply.
template <class OperationResult>
Status store_result(Result<OperationResult> outcome, OperationResult* result) {
  DOGFS_TRY(*result, std::move(outcome));
  return ok();
}

Status run_mutation(ApplyContext& context, wire::MutationResult& result) {
  const wire::Mutation& mutation = context.command.mutation();
  switch (mutation.operation_case()) {
    case wire::Mutation::kMakeDirectory:
      return store_result(make_directory(context, mutation.make_directory()), result.mutable_make_directory());
    case wire::Mutation::kSetPolicy:
      return set_policy(context, mutation.set_policy());
    case wire::Mutation::kCreateFile:
      return store_result(create_file(context, mutation.create_file()), result.mutable_create_file());
    case wire::Mutation::kAllocateBlock:
      return store_result(allocate_block(context, mutation.allocate_block()), result.mutable_allocate_block());
    case wire::Mutation::kReplaceTarget:
      return store_result(replace_target(context, mutation.replace_target()), result.mutable_replace_target());
    case wire::Mutation::kCommitBlock:
      return store_result(commit_block(context, mutation.commit_block()), result.mutable_commit_block());
    case wire::Mutation::kAbandonBlock:
      return abandon_block(context, mutation.abandon_block());
    case wire::Mutation::kCloseFile:
      return close_file(context, mutation.close_file());
    case wire::Mutation::kRecoverLease:
      return recover_lease(context, mutation.recover_lease());
    case wire::Mutation::kRename:
      return rename(context, mutation.rename());
    case wire::Mutation::kDelete:
      return store_result(remove(context, mutation.delete_()), result.mutable_delete_());
    case wire::Mutation::kAppendFile:
      return store_result(append_file(context, mutation.append_file()), result.mutable_append_file());
    case wire::Mutation::kTruncateFile:
      return store_result(truncate_file(context, mutation.truncate_file()), result.mutable_truncate_file());
    case wire::Mutation::kCommitTail:
      return store_result(commit_tail(context, mutation.commit_tail()), result.mutable_commit_tail());
    case wire::Mutation::kReplaceBlocks:
      return replace_blocks(context, mutation.replace_blocks());
    case wire::Mutation::kRestoreTrash:
      return restore_trash(context, mutation.restore_trash());
    case wire::Mutation::kPurgeTrash:
      return store_result(purge_trash(context, mutation.purge_trash()), result.mutable_purge_trash());
    case wire::Mutation::kSetQuota:
      return set_quota(context, mutation.set_quota());
    case wire::Mutation::OPERATION_NOT_SET:
      break;
  }
  return Error(ErrorCode::kUnsupported, "the mutation is of no kind that this release knows");
}

// The reply's body: a MutateReply.
Result<std::string> run_client_command(ApplyContext& context) {
  wire::MutateReply reply;
  DOGFS_TRYV(run_mutation(context, *reply.mutable_result()));
  std::string bytes = ok_reply(reply);
  // A reply has room for all that a mutation says. One that had not would otherwise end each node that applies it.
  if (bytes.size() > kMaxKeptReplyBytes) return Error(ErrorCode::kLimitExceeded, "the reply is larger than one may be");
  return bytes;
}

Result<std::string> run_own_command(ApplyContext& context) {
  const wire::Command& command = context.command;
  Status done = ok();
  switch (command.body_case()) {
    case wire::Command::kOpenSession: {
      DOGFS_TRY(const wire::OpenSessionReply reply, open_session(context));
      return ok_reply(reply);
    }
    case wire::Command::kRegisterServer: {
      DOGFS_TRY(const wire::RegisterServerReply reply, register_server(context, command.register_server()));
      return ok_reply(reply);
    }
    case wire::Command::kExpireSessions:
      done = expire_sessions(context, command.expire_sessions());
      break;
    case wire::Command::kExpireLease:
      done = expire_lease(context, command.expire_lease());
      break;
    case wire::Command::kReclaimStep:
      done = reclaim_step(context, command.reclaim_step());
      break;
    case wire::Command::kConfirmDeleted:
      done = confirm_deleted(context, command.confirm_deleted());
      break;
    case wire::Command::kInitializeCluster:
      done = initialize_cluster(context, command.initialize_cluster());
      break;
    case wire::Command::kSetServerState:
      done = set_server_state(context, command.set_server_state());
      break;
    case wire::Command::kAdministerServer:
      done = administer_server(context, command.administer_server());
      break;
    case wire::Command::kSetBalancing:
      done = set_balancing(context, command.set_balancing());
      break;
    case wire::Command::kSetTrashPeriod:
      done = set_trash_period(context, command.set_trash_period());
      break;
    case wire::Command::kExpireTrash:
      done = expire_trash(context, command.expire_trash());
      break;
    case wire::Command::kSweepServer:
      done = sweep_server(context, command.sweep_server());
      break;
    case wire::Command::kStartRepairs: {
      DOGFS_TRY(const wire::StartRepairsReply reply, start_repairs(context, command.start_repairs()));
      return ok_reply(reply);
    }
    case wire::Command::kFinishRepair: {
      DOGFS_TRY(const wire::FinishRepairReply reply, finish_repair(context, command.finish_repair()));
      return ok_reply(reply);
    }
    case wire::Command::kCancelRepairs:
      done = cancel_repairs(context, command.cancel_repairs());
      break;
    case wire::Command::kMarkDamaged:
      done = mark_damaged(context, command.mark_damaged());
      break;
    case wire::Command::kAdoptShards:
      done = adopt_shards(context, command.adopt_shards());
      break;
    case wire::Command::kDiscardShards:
      done = discard_reported(context, command.discard_shards());
      break;
    case wire::Command::kMutation:
    case wire::Command::BODY_NOT_SET:
      done = Error(ErrorCode::kUnsupported, "the command is of no kind that this release knows");
      break;
  }
  DOGFS_TRYV(done);
  return wire::CommandReply().SerializeAsString();
}

// Applies one batch, entry by entry.
class BatchApplier {
 public:
  BatchApplier(const KvReader& base, GroupId group)
      : group_(group), base_(base), batch_(base_), tables_(batch_, group) {}

  Status load() {
    DOGFS_TRY(std::optional<wire::CountersRow> counters, tables_.counters());
    counters_ = counters ? *std::move(counters) : genesis(tables_);
    return ok();
  }

  // The entry's reply.
  Result<std::string> apply(const CommittedEntry& entry) {
    if (entry.command.empty()) return std::string();
    wire::Command command;
    if (!command.ParseFromString(entry.command)) {
      return refusal_reply(Error(ErrorCode::kProtocolError, "the log entry does not parse as a command"));
    }
    index_ = entry.index;
    const int64_t left_ms = kMaxLogTimeMs - counters_.log_time_ms();
    counters_.set_log_time_ms(counters_.log_time_ms() + std::clamp<int64_t>(command.elapsed_ms(), 0, left_ms));
    Result<std::string> reply = command.has_mutation() ? apply_request(command) : run(command, run_own_command);
    if (reply) return reply;
    if (is_no_reply(reply.error())) return std::move(reply).error();
    return refusal_reply(reply.error());
  }

  WriteBatch finish(LogIndex applied) {
    tables_.put(counters_);
    tables_.put_applied(applied);
    return batch_.take();
  }

 private:
  // Runs a command in an overlay of its own, which becomes part of the batch only when the command succeeds: what is
  // refused leaves nothing behind.
  template <class Run>
  Result<std::string> run(const wire::Command& command, Run run_command) {
    const KvReader& so_far = batch_;
    KvOverlay overlay(so_far);
    MutableTables tables(overlay, group_);
    wire::CountersRow counters = counters_;
    ApplyContext context{.tables = tables, .counters = counters, .command = command, .log_index = index_};
    DOGFS_TRY(std::string reply, run_command(context));
    counters_ = std::move(counters);
    const WriteBatch changes = overlay.take();
    for (const WriteBatch::Operation& operation : changes.operations()) {
      if (const auto* put = std::get_if<WriteBatch::Put>(&operation)) batch_.put(put->key, put->value);
      if (const auto* erase = std::get_if<WriteBatch::Erase>(&operation)) batch_.erase(erase->key);
    }
    return reply;
  }

  // A client's request: exactly once.
  Result<std::string> apply_request(const wire::Command& command) {
    ApplyContext context{.tables = tables_, .counters = counters_, .command = command, .log_index = index_};
    DOGFS_TRY(std::optional<std::string> kept, begin_request(context));
    if (kept) {
      DOGFS_COVERAGE_MARK("meta: a kept reply answered");
      return *std::move(kept);
    }
    Result<std::string> outcome = run(command, run_client_command);
    if (!outcome) {
      if (error_class(outcome.error().code) != ErrorClass::kFail) return outcome;
      outcome = refusal_reply(outcome.error());
    }
    tables_.put_reply(context.session(), SequenceNumber(command.sequence()), outcome.value());
    return outcome;
  }

  GroupId group_;
  KvReadCache base_;
  KvOverlay batch_;
  MutableTables tables_;
  wire::CountersRow counters_;
  LogIndex index_;  // of the entry that is being applied
};

}  // namespace

Result<AppliedBatch> apply_entries(const KvReader& base, GroupId group, const std::vector<CommittedEntry>& entries) {
  DOGFS_CHECK(!entries.empty());
  BatchApplier applier(base, group);
  DOGFS_TRYV(applier.load());
  AppliedBatch batch;
  batch.replies.reserve(entries.size());
  for (const CommittedEntry& entry : entries) {
    DOGFS_TRY(std::string reply, applier.apply(entry));
    batch.replies.push_back(std::move(reply));
  }
  batch.changes = applier.finish(entries.back().index);
  return batch;
}

Task<Result<Applied>> MetaStateMachine::apply(std::vector<CommittedEntry> entries) {
  Result<AppliedBatch> batch = Error(ErrorCode::kInternal);
  co_await compute_.run([&] { batch = apply_entries(store_, group_, entries); });
  if (!batch) co_return std::move(batch).error();
  co_return Applied{std::move(batch.value().replies),
                    store_.write(std::move(batch.value().changes), Durability::kBuffered)};
}

KeyRange MetaStateMachine::rows() const {
  const MetaKeys keys(group_);
  KeyRange rows = keys.all();
  if (mutant_active(Mutant::kSnapshotWithoutSessions)) rows.end = keys.sessions(SessionId()).begin;
  return rows;
}

Task<Result<LogIndex>> MetaStateMachine::load_applied() {
  Result<LogIndex> applied = Error(ErrorCode::kInternal);
  co_await compute_.run([&] { applied = MetaTables(store_, group_).applied(); });
  co_return applied;
}

}  // namespace dogfs
