#include "sim/metadata_model.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/ec/policy_wire.h"
#include "core/meta/apply_context.h"
#include "core/meta/path.h"
#include "core/meta/server_states.h"
#include "core/meta/session_commands.h"
#include "core/meta/trash.h"

namespace dogfs::sim {
namespace {

constexpr uint32_t kRootMode = 0755;
constexpr uint32_t kParentMode = 0755;
constexpr uint32_t kModeBits = 07777;

bool is_valid(const wire::EcPolicy& policy) {
  return geometry_from_wire(policy).has_value();
}

}  // namespace

MetadataModel::MetadataModel() {
  Inode& root = inodes_[kRootId];
  root.id = kRootId;
  root.directory = true;
  root.mode = kRootMode;
  root.owner = "dogfs";
}

// --- Commands and sessions -------------------------------------------------------------------------------------------

MetadataModel::Applied MetadataModel::apply(const wire::Command& command, const wire::MutationResult* observed) {
  log_time_ms_ += std::clamp<int64_t>(command.elapsed_ms(), 0, kMaxLogTimeMs - log_time_ms_);
  if (command.has_mutation()) return apply_request(command, observed);
  Applied applied;
  apply_own(command, applied);
  return applied;
}

// Exactly once (Ongaro's thesis, 6.3): what was answered before is answered the same, and runs no more.
MetadataModel::Applied MetadataModel::apply_request(const wire::Command& command,
                                                    const wire::MutationResult* observed) {
  const auto session = sessions_.find(command.session());
  if (session == sessions_.end()) return {refused(ErrorCode::kSessionExpired)};
  ModelSession& state = session->second;
  const uint64_t sequence = command.sequence();
  const uint64_t low_water = std::max(state.low_water, command.low_water());
  if (sequence == 0 || sequence > kMaxRequestSequence || command.low_water() > sequence) {
    return {refused(ErrorCode::kInvalidArgument)};
  }
  if (sequence < low_water) return {refused(ErrorCode::kOutcomeUnknown)};
  if (sequence - low_water >= kMaxRequestsInFlightPerSession) return {refused(ErrorCode::kLimitExceeded)};
  state.low_water = low_water;
  state.answers.erase(state.answers.begin(), state.answers.lower_bound(low_water));
  state.last_active_ms = log_time_ms_;
  if (const auto before = state.answers.find(sequence); before != state.answers.end()) return {before->second};
  ModelAnswer answer = run(command, observed);
  const bool final = answer.code == ErrorCode::kOk || error_class(answer.code) == ErrorClass::kFail;
  if (final) state.answers[sequence] = answer;
  return {std::move(answer), final};
}

ModelAnswer MetadataModel::run(const wire::Command& command, const wire::MutationResult* observed) {
  const wire::Mutation& mutation = command.mutation();
  switch (mutation.operation_case()) {
    case wire::Mutation::kMakeDirectory:
      return make_directory(command, mutation.make_directory());
    case wire::Mutation::kSetPolicy:
      return set_policy(mutation.set_policy());
    case wire::Mutation::kCreateFile:
      return create_file(command, mutation.create_file());
    case wire::Mutation::kAllocateBlock:
      return allocate_block(command, mutation.allocate_block(), observed);
    case wire::Mutation::kReplaceTarget:
      return replace_target(command, mutation.replace_target(), observed);
    case wire::Mutation::kCommitBlock:
      return commit_block(command, mutation.commit_block());
    case wire::Mutation::kAbandonBlock:
      return abandon_block(mutation.abandon_block());
    case wire::Mutation::kCloseFile:
      return close_file(command, mutation.close_file());
    case wire::Mutation::kRecoverLease:
      return recover_lease(mutation.recover_lease());
    case wire::Mutation::kRename:
      return rename(command, mutation.rename());
    case wire::Mutation::kDelete:
      return remove(command, mutation.delete_());
    case wire::Mutation::kAppendFile:
      return append_file(command, mutation.append_file());
    case wire::Mutation::kCommitTail:
      return commit_tail(command, mutation.commit_tail());
    case wire::Mutation::kReplaceBlocks:
      return replace_blocks(mutation.replace_blocks());
    case wire::Mutation::kTruncateFile:
      return truncate_file(command, mutation.truncate_file());
    case wire::Mutation::kRestoreTrash:
      return restore_trash(command, mutation.restore_trash());
    case wire::Mutation::kPurgeTrash:
      return purge_trash(mutation.purge_trash());
    case wire::Mutation::kSetQuota:
      return set_quota(mutation.set_quota());
    case wire::Mutation::OPERATION_NOT_SET:
      break;
  }
  return refused(ErrorCode::kUnsupported);
}

// Reports and repairs change nothing that is asked of the model.
void MetadataModel::apply_own(const wire::Command& command, Applied& applied) {
  switch (command.body_case()) {
    case wire::Command::kInitializeCluster: {
      const wire::InitializeCluster& first = command.initialize_cluster();
      if (!cluster_uuid_.empty() || first.uuid().size() != kUuidBytes || !is_valid(first.default_policy())) return;
      cluster_uuid_ = first.uuid();
      inodes_.at(kRootId).policy = first.default_policy();
      inodes_.at(kRootId).mtime_ms = command.wall_ms();
      return;
    }
    case wire::Command::kOpenSession:
      if (cluster_uuid_.empty()) return;
      applied.took_effect = true;
      applied.opened_session = next_session_;
      sessions_[next_session_++].last_active_ms = log_time_ms_;
      return;
    case wire::Command::kRegisterServer:
      return register_server(command.register_server());
    case wire::Command::kSetServerState:
      return set_server_state(command.set_server_state());
    case wire::Command::kAdministerServer:
      return administer_server(command.administer_server());
    case wire::Command::kExpireSessions:
      return expire_sessions(command.expire_sessions());
    case wire::Command::kSetTrashPeriod: {
      const int64_t period_ms = command.set_trash_period().period_ms();
      if (period_ms >= 0 && period_ms <= kMaxTrashPeriodMs) trash_ms_ = period_ms;
      return;
    }
    case wire::Command::kReclaimStep:
      return reclaim(command.reclaim_step());
    case wire::Command::kExpireTrash:
      return expire_trash(command.expire_trash());
    case wire::Command::kExpireLease: {
      const auto file = inodes_.find(command.expire_lease().inode());
      if (file == inodes_.end() || file->second.writer == 0) return;
      if (file->second.lease_epoch == command.expire_lease().lease_epoch()) revoke(file->second);
      return;
    }
    default:
      return;
  }
}

void MetadataModel::register_server(const wire::RegisterServer& operation) {
  const bool good = !cluster_uuid_.empty() && operation.uuid().size() == kUuidBytes &&
                    (operation.cluster_uuid().empty() || operation.cluster_uuid() == cluster_uuid_) &&
                    !operation.address().empty() && operation.address().size() <= kMaxAddressBytes &&
                    operation.rack().starts_with('/') && operation.rack().size() <= kMaxRackBytes;
  if (!good) return;
  for (auto& [id, server] : servers_) {
    if (server.uuid != operation.uuid()) continue;
    ++server.incarnation;
    if (server.state == wire::DEAD) server.state = server.wanted;
    return;
  }
  servers_[next_server_++] = {operation.uuid(), 1, wire::LIVE, wire::LIVE};
}

void MetadataModel::set_server_state(const wire::SetServerState& operation) {
  const auto server = servers_.find(operation.server());
  if (server == servers_.end()) return;
  if (operation.incarnation() != 0 && operation.incarnation() != server->second.incarnation) return;
  wire::ServerState& state = server->second.state;
  if (operation.state() == wire::DEAD && (state == wire::LIVE || state == wire::DRAINING)) state = wire::DEAD;
  if (operation.state() == wire::LIVE && state == wire::DEAD) state = server->second.wanted;
  const bool over = state == wire::MAINTENANCE && server->second.maintenance_until_ms <= log_time_ms_;
  if (operation.state() == wire::LIVE && over) state = server->second.wanted = wire::LIVE;
}

// Removals are left out: whether one is granted depends on where shards are, and the simulator's operator removes only
// who is drained, and so takes none either way.
void MetadataModel::administer_server(const wire::AdministerServer& operation) {
  const auto server = servers_.find(operation.server());
  if (server == servers_.end()) return;
  const wire::ServerState wanted = operation.wanted();
  if (wanted != wire::LIVE && wanted != wire::DRAINING && wanted != wire::MAINTENANCE) return;
  const bool dead = server->second.state == wire::DEAD;
  const bool bad_time = operation.maintenance_ms() < 1 || operation.maintenance_ms() > kMaxMaintenanceMs;
  if (wanted == wire::MAINTENANCE && (dead || bad_time)) return;
  server->second.wanted = wanted;
  server->second.maintenance_until_ms = log_time_ms_ + operation.maintenance_ms();
  if (!dead) server->second.state = wanted;
}

void MetadataModel::expire_sessions(const wire::ExpireSessions& operation) {
  for (const uint64_t id : operation.sessions()) {
    const auto session = sessions_.find(id);
    if (session == sessions_.end() || session->second.last_active_ms > operation.idle_since_ms()) continue;
    sessions_.erase(session);
  }
}

// --- The tree --------------------------------------------------------------------------------------------------------

MetadataModel::Lookup MetadataModel::look_up(std::string_view text) const {
  Lookup lookup;
  const Result<Path> path = Path::parse(text);
  if (!path) {
    lookup.code = path.error().code;
    return lookup;
  }
  for (const std::string_view name : path.value().components()) lookup.names.emplace_back(name);
  uint64_t at = kRootId;
  for (const std::string& name : lookup.names) {
    const Inode& directory = inodes_.at(at);
    if (!directory.directory) {
      lookup.code = ErrorCode::kNotADirectory;
      return lookup;
    }
    lookup.directories.push_back(at);
    const auto child = directory.children.find(name);
    if (child == directory.children.end()) return lookup;
    at = child->second;
    ++lookup.found;
  }
  lookup.inode = at;
  return lookup;
}

const wire::EcPolicy& MetadataModel::policy_at(const Inode& inode) const {
  const Inode* at = &inode;
  while (!at->policy && at->id != kRootId) at = &inodes_.at(at->parent);
  static const wire::EcPolicy kNone;
  return at->policy ? *at->policy : kNone;
}

MetadataModel::Inode& MetadataModel::add_child(const wire::Command& command, uint64_t parent, const std::string& name,
                                               bool directory, uint32_t mode) {
  const uint64_t id = next_inode_++;
  Inode& made = inodes_[id];
  made.id = id;
  made.directory = directory;
  made.parent = parent;
  made.name = name;
  made.mode = mode & kModeBits;
  made.owner = command.principal();
  made.mtime_ms = command.wall_ms();
  inodes_.at(parent).children[name] = id;
  inodes_.at(parent).mtime_ms = command.wall_ms();
  return made;
}

// Makes the directories that are missing above what the path names; returns the last one.
uint64_t MetadataModel::make_parents(const wire::Command& command, const Lookup& lookup, uint32_t mode) {
  uint64_t directory = lookup.directories.back();
  for (size_t i = lookup.found; i + 1 < lookup.names.size(); ++i) {
    directory = add_child(command, directory, lookup.names[i], true, mode).id;
  }
  return directory;
}

void MetadataModel::cut_off(const wire::Command& command, uint64_t id) {
  Inode& inode = inodes_.at(id);
  inode.charges = charges_of(inodes_.at(inode.parent));
  Inode& parent = inodes_.at(inode.parent);
  parent.children.erase(inode.name);
  parent.mtime_ms = command.wall_ms();
  inode.parent = 0;
}

const MetadataModel::Inode& MetadataModel::top_of(const Inode& inode) const {
  const Inode* at = &inode;
  while (at->parent != 0) at = &inodes_.at(at->parent);
  return *at;
}

ModelAnswer MetadataModel::make_directory(const wire::Command& command, const wire::MakeDirectory& operation) {
  const Lookup lookup = look_up(operation.path());
  if (lookup.code != ErrorCode::kOk && lookup.names.empty()) return refused(lookup.code);
  if (operation.has_policy() && !is_valid(operation.policy())) return refused(ErrorCode::kInvalidArgument);
  if (lookup.code != ErrorCode::kOk) return refused(lookup.code);
  ModelAnswer answer;
  if (lookup.inode != 0 || lookup.names.empty()) {
    const uint64_t there = lookup.names.empty() ? kRootId : lookup.inode;
    if (!operation.parents()) return refused(ErrorCode::kAlreadyExists);
    if (!inodes_.at(there).directory) return refused(ErrorCode::kNotADirectory);
    answer.result.mutable_make_directory()->set_inode(there);
    return answer;
  }
  if (lookup.missing() > 1 && !operation.parents()) return refused(ErrorCode::kNotFound);
  if (!has_room(charges_of(inodes_.at(lookup.directories.back())), {.names = lookup.missing()})) {
    return refused(ErrorCode::kQuotaExceeded);
  }
  const uint64_t parent = make_parents(command, lookup, operation.mode());
  Inode& made = add_child(command, parent, lookup.names.back(), true, operation.mode());
  if (operation.has_policy()) made.policy = operation.policy();
  answer.result.mutable_make_directory()->set_inode(made.id);
  return answer;
}

ModelAnswer MetadataModel::set_policy(const wire::SetPolicy& operation) {
  const Lookup lookup = look_up(operation.path());
  if (lookup.code != ErrorCode::kOk && lookup.names.empty()) return refused(lookup.code);
  if (operation.has_policy() && !is_valid(operation.policy())) return refused(ErrorCode::kInvalidArgument);
  if (lookup.code != ErrorCode::kOk) return refused(lookup.code);
  if (lookup.missing() > 0) return refused(ErrorCode::kNotFound);
  Inode& directory = inodes_.at(lookup.names.empty() ? kRootId : lookup.inode);
  if (!directory.directory) return refused(ErrorCode::kNotADirectory);
  if (directory.id == kRootId && !operation.has_policy()) return refused(ErrorCode::kInvalidArgument);
  directory.policy.reset();
  if (operation.has_policy()) directory.policy = operation.policy();
  return {};
}

ModelAnswer MetadataModel::create_file(const wire::Command& command, const wire::CreateFile& operation) {
  const Lookup lookup = look_up(operation.path());
  if (lookup.code != ErrorCode::kOk) return refused(lookup.code);
  if (lookup.names.empty()) return refused(ErrorCode::kIsADirectory);
  if (lookup.inode != 0) {
    const Inode& there = inodes_.at(lookup.inode);
    if (there.directory) return refused(ErrorCode::kIsADirectory);
    if (!operation.overwrite()) return refused(there.writer ? ErrorCode::kLeaseHeld : ErrorCode::kAlreadyExists);
    detach(command, lookup.inode);
  } else if (lookup.missing() > 1 && !operation.parents()) {
    return refused(ErrorCode::kNotFound);
  } else if (!has_room(charges_of(inodes_.at(lookup.directories.back())), {.names = lookup.missing()})) {
    return refused(ErrorCode::kQuotaExceeded);
  }
  const wire::EcPolicy policy = policy_at(inodes_.at(lookup.directories.back()));
  const uint64_t parent = make_parents(command, lookup, kParentMode);
  Inode& file = add_child(command, parent, lookup.names.back(), false, operation.mode());
  file.policy = policy;
  file.lease_epoch = 1;
  file.writer = command.session();
  ModelAnswer answer;
  answer.result.mutable_create_file()->set_inode(file.id);
  answer.result.mutable_create_file()->set_lease_epoch(file.lease_epoch);
  *answer.result.mutable_create_file()->mutable_policy() = policy;
  return answer;
}

ModelAnswer MetadataModel::rename(const wire::Command& command, const wire::Rename& operation) {
  const Lookup source = look_up(operation.source());
  if (source.code != ErrorCode::kOk && source.names.empty()) return refused(source.code);
  const Lookup target = look_up(operation.target());
  if (target.code != ErrorCode::kOk && target.names.empty()) return refused(target.code);
  if (source.names.empty() || target.names.empty()) return refused(ErrorCode::kInvalidArgument);
  if (source.code != ErrorCode::kOk) return refused(source.code);
  if (source.inode == 0) return refused(ErrorCode::kNotFound);
  if (operation.source() == operation.target()) return {};
  if (target.code != ErrorCode::kOk) return refused(target.code);
  if (std::ranges::count(target.directories, source.inode) > 0) return refused(ErrorCode::kInvalidArgument);
  if (target.missing() > 1) return refused(ErrorCode::kNotFound);
  Inode& moved = inodes_.at(source.inode);
  if (target.inode != 0) {
    const Inode& there = inodes_.at(target.inode);
    if (!operation.replace()) return refused(ErrorCode::kAlreadyExists);
    if (there.directory && !moved.directory) return refused(ErrorCode::kIsADirectory);
    if (!there.directory && moved.directory) return refused(ErrorCode::kNotADirectory);
    if (!there.children.empty()) return refused(ErrorCode::kDirectoryNotEmpty);
  }
  const Charges from = charges_of(inodes_.at(moved.parent));
  if (!has_room_for(moved, from, charges_of(inodes_.at(target.directories.back())))) {
    return refused(ErrorCode::kQuotaExceeded);
  }
  if (target.inode != 0) detach(command, target.inode);
  cut_off(command, moved.id);
  moved.charges.clear();
  moved.parent = target.directories.back();
  moved.name = target.names.back();
  inodes_.at(moved.parent).children[moved.name] = moved.id;
  inodes_.at(moved.parent).mtime_ms = command.wall_ms();
  return {};
}

ModelAnswer MetadataModel::remove(const wire::Command& command, const wire::Delete& operation) {
  const Lookup lookup = look_up(operation.path());
  if (lookup.code != ErrorCode::kOk) return refused(lookup.code);
  if (lookup.names.empty()) return refused(ErrorCode::kInvalidArgument);
  if (lookup.inode == 0) return refused(ErrorCode::kNotFound);
  if (operation.inode() != 0) {
    if (lookup.inode != operation.inode()) return refused(ErrorCode::kGone);
    if (inodes_.at(lookup.inode).lease_epoch != operation.lease_epoch()) return refused(ErrorCode::kLeaseLost);
  }
  const bool full = !inodes_.at(lookup.inode).children.empty();
  if (full && !operation.recursive()) return refused(ErrorCode::kDirectoryNotEmpty);
  ModelAnswer answer;
  wire::DeleteResult& result = *answer.result.mutable_delete_();
  if (trash_ms_ == 0 || operation.skip_trash()) {
    detach(command, lookup.inode);
    return answer;
  }
  cut_off(command, lookup.inode);
  const int64_t expires_ms = log_time_ms_ + trash_ms_;
  inodes_.at(lookup.inode).kept = {.path = operation.path(),
                                   .deleted_by = command.principal(),
                                   .deleted_ms = log_time_ms_,
                                   .deleted_wall_ms = command.wall_ms(),
                                   .expires_ms = expires_ms};
  trash_.emplace(expires_ms, lookup.inode);
  result.set_trashed_inode(lookup.inode);
  result.set_kept_ms(trash_ms_);
  return answer;
}

}  // namespace dogfs::sim
