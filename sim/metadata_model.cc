#include "sim/metadata_model.h"

#include <algorithm>
#include <set>
#include <utility>

#include "core/base/limits.h"
#include "core/ec/policy_wire.h"
#include "core/meta/apply_context.h"
#include "core/meta/block_commands.h"
#include "core/meta/path.h"
#include "core/meta/replace_blocks.h"
#include "core/meta/server_states.h"
#include "core/meta/session_commands.h"
#include "core/meta/trash.h"
#include "core/meta/truncate.h"

namespace dogfs::sim {
namespace {

constexpr uint32_t kRootMode = 0755;
constexpr uint32_t kParentMode = 0755;
constexpr uint32_t kModeBits = 07777;

bool is_valid(const wire::EcPolicy& policy) {
  return geometry_from_wire(policy).has_value();
}

Geometry geometry_of(const wire::EcPolicy& policy) {
  return geometry_from_wire(policy).value();
}

uint64_t bytes_of(const BlockLayout& layout) {
  uint64_t bytes = 0;
  for (const ShardIndex index : layout.stored_indices()) bytes += layout.shard_length(index);
  return bytes;
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

// --- Leases and blocks -----------------------------------------------------------------------------------------------

void MetadataModel::revoke(Inode& file) {
  file.pending.clear();
  ++file.lease_epoch;
  file.writer = 0;
}

ModelAnswer MetadataModel::recover_lease(const wire::RecoverLease& operation) {
  const Lookup lookup = look_up(operation.path());
  if (lookup.code != ErrorCode::kOk) return refused(lookup.code);
  if (lookup.names.empty()) return refused(ErrorCode::kIsADirectory);
  if (lookup.inode == 0) return refused(ErrorCode::kNotFound);
  Inode& file = inodes_.at(lookup.inode);
  if (file.directory) return refused(ErrorCode::kIsADirectory);
  if (file.writer != 0) revoke(file);
  return {};
}

std::optional<ModelAnswer> MetadataModel::check_lease(uint64_t id, uint64_t epoch) const {
  const auto inode = inodes_.find(id);
  if (inode == inodes_.end()) return refused(ErrorCode::kGone);
  const Inode& file = inode->second;
  ModelAnswer answer;
  answer.or_gone = is_going(file);
  if (!file.directory && file.writer != 0 && file.lease_epoch == epoch) {
    if (is_attached(file)) return std::nullopt;
    answer.code = ErrorCode::kGone;
  } else {
    answer.code = file.directory ? ErrorCode::kInvalidArgument : ErrorCode::kLeaseLost;
  }
  return answer;
}

ModelAnswer MetadataModel::append_file(const wire::Command& command, const wire::AppendFile& operation) {
  const Lookup lookup = look_up(operation.path());
  if (lookup.code != ErrorCode::kOk) return refused(lookup.code);
  if (lookup.names.empty()) return refused(ErrorCode::kIsADirectory);
  if (lookup.inode == 0) return refused(ErrorCode::kNotFound);
  Inode& file = inodes_.at(lookup.inode);
  if (file.directory) return refused(ErrorCode::kIsADirectory);
  if (file.writer != 0) return refused(ErrorCode::kLeaseHeld);
  if (operation.has_policy()) {
    if (!is_valid(operation.policy())) return refused(ErrorCode::kInvalidArgument);
    file.policy = operation.policy();
  }
  file.writer = command.session();
  ModelAnswer answer;
  wire::AppendFileResult& result = *answer.result.mutable_append_file();
  result.set_inode(file.id);
  result.set_lease_epoch(++file.lease_epoch);
  *result.mutable_policy() = *file.policy;
  result.set_length(file.length);
  result.set_tail_bytes(static_cast<uint32_t>(file.tail.size()));
  return answer;
}

ModelAnswer MetadataModel::truncate_file(const wire::Command& command, const wire::TruncateFile& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  if (!file.pending.empty()) return refused(ErrorCode::kConflict);
  if (operation.length() > file.length) return refused(ErrorCode::kInvalidArgument);
  const uint64_t in_blocks = file.length - file.tail.size();
  file.tail.resize(std::max(operation.length(), in_blocks) - in_blocks);
  file.length = in_blocks + file.tail.size();
  for (size_t i = 0; i < kMaxTruncatedBlocks && file.length > operation.length(); ++i) {
    CommittedBlock& last = file.blocks.back();
    file.length = std::max(last.offset, operation.length());
    last.visible = file.length - last.offset;
    if (last.visible == 0) file.blocks.pop_back();
  }
  file.mtime_ms = command.wall_ms();
  ModelAnswer answer;
  answer.result.mutable_truncate_file()->set_file_length(file.length);
  return answer;
}

ModelAnswer MetadataModel::close_file(const wire::Command& command, const wire::CloseFile& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  if (!file.pending.empty()) return refused(ErrorCode::kConflict);
  Inode closed = file;
  if (operation.has_tail()) {
    const uint64_t offset = operation.length() - std::min<uint64_t>(operation.tail().size(), operation.length());
    const ErrorCode put = put_tail(closed, offset, operation.tail());
    if (put != ErrorCode::kOk) return refused(put);
  }
  if (operation.length() != closed.length) return refused(ErrorCode::kConflict);
  file = std::move(closed);
  file.writer = 0;
  file.mtime_ms = command.wall_ms();
  return {};
}

ErrorCode MetadataModel::check_takes_shards(uint64_t id) const {
  const auto server = servers_.find(id);
  if (server == servers_.end()) return ErrorCode::kConflict;
  return server->second.state == wire::LIVE ? ErrorCode::kOk : ErrorCode::kUnavailable;
}

ModelAnswer MetadataModel::allocate_block(const wire::Command& command, const wire::AllocateBlock& operation,
                                          const wire::MutationResult* observed) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  if (file.pending.size() >= kMaxPendingBlocks) return refused(ErrorCode::kLimitExceeded);
  if (file.blocks.size() + file.pending.size() >= kMaxBlocksPerFile) return refused(ErrorCode::kLimitExceeded);
  const Geometry geometry = geometry_of(*file.policy);
  if (operation.length() > geometry.block_bytes) return refused(ErrorCode::kInvalidArgument);
  const BlockLayout layout(geometry, operation.length() == 0 ? geometry.block_bytes : operation.length());
  const std::set<uint64_t> servers(command.placed_servers().begin(), command.placed_servers().end());
  const auto placed = static_cast<uint32_t>(command.placed_servers_size());
  if (placed < layout.stored_data_shards() + 1 || placed > layout.stored_shards() || servers.size() != placed) {
    return refused(ErrorCode::kConflict);
  }
  for (const uint64_t server : command.placed_servers()) {
    const ErrorCode takes = check_takes_shards(server);
    if (takes != ErrorCode::kOk) return refused(takes);
  }
  const uint64_t stored_bytes = bytes_of(layout);
  if (!has_room(charges_of(file), {.bytes = stored_bytes})) return refused(ErrorCode::kQuotaExceeded);
  ModelAnswer answer;
  answer.generations_open = true;
  const uint64_t block = next_block_++;
  PendingBlock& pending = file.pending[block];
  pending.policy = *file.policy;
  pending.stored_bytes = stored_bytes;
  wire::AllocateBlockResult& result = *answer.result.mutable_allocate_block();
  result.set_block(block);
  const std::vector<ShardIndex> indices = layout.stored_indices();
  for (uint32_t i = 0; i < placed; ++i) {
    wire::Shard& target = *result.add_targets();
    target.set_index(indices[i].value());
    target.set_server(command.placed_servers(static_cast<int>(i)));
    if (observed != nullptr && static_cast<int>(i) < observed->allocate_block().targets_size()) {
      target.set_generation(observed->allocate_block().targets(static_cast<int>(i)).generation());
    }
    file.pending[block].attempts.push_back({target.index(), target.server(), target.generation()});
  }
  return answer;
}

ModelAnswer MetadataModel::replace_target(const wire::Command& command, const wire::ReplaceTarget& operation,
                                          const wire::MutationResult* observed) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  const auto block = file.pending.find(operation.block());
  if (block == file.pending.end()) return refused(ErrorCode::kConflict);
  std::vector<Attempt>& attempts = block->second.attempts;
  if (operation.index() >= geometry_of(block->second.policy).total_shards()) {
    return refused(ErrorCode::kInvalidArgument);
  }
  if (attempts.size() >= kMaxShardAttempts) return refused(ErrorCode::kLimitExceeded);
  if (command.placed_servers_size() != 1) return refused(ErrorCode::kConflict);
  const uint64_t server = command.placed_servers(0);
  std::map<uint32_t, uint64_t> targets;  // the last attempt of each index
  for (const Attempt& attempt : attempts) targets[attempt.index] = attempt.server;
  const bool taken = std::ranges::any_of(targets, [server](const auto& target) { return target.second == server; });
  const ErrorCode takes = check_takes_shards(server);
  if (takes != ErrorCode::kOk) return refused(takes);
  if (taken) return refused(ErrorCode::kConflict);
  ModelAnswer answer;
  answer.generations_open = true;
  wire::Shard& target = *answer.result.mutable_replace_target()->mutable_target();
  target.set_index(operation.index());
  target.set_server(server);
  if (observed != nullptr) target.set_generation(observed->replace_target().target().generation());
  attempts.push_back({target.index(), target.server(), target.generation()});
  return answer;
}

// Whether the shards of a commit are those of the block, each an attempt of which somebody was told.
ErrorCode MetadataModel::check_shards(const std::vector<Attempt>& attempts, const wire::EcPolicy& policy,
                                      const wire::CommitBlock& operation) const {
  const BlockLayout layout(geometry_of(policy), operation.length());
  const std::vector<ShardIndex> indices = layout.stored_indices();
  if (operation.shards_size() != static_cast<int>(indices.size())) return ErrorCode::kInvalidArgument;
  std::set<uint64_t> servers;
  for (size_t i = 0; i < indices.size(); ++i) {
    const wire::Shard& shard = operation.shards(static_cast<int>(i));
    const bool fits = shard.index() == indices[i].value() && shard.length() == layout.shard_length(indices[i]);
    if (!fits) return ErrorCode::kInvalidArgument;
  }
  for (const wire::Shard& shard : operation.shards()) {
    if (shard.server() == 0 && shard.generation() == 0) continue;
    const bool issued = std::ranges::any_of(attempts, [&shard](const Attempt& attempt) {
      return attempt.index == shard.index() && attempt.server == shard.server() &&
             attempt.generation == shard.generation();
    });
    if (!issued || !servers.insert(shard.server()).second) return ErrorCode::kInvalidArgument;
  }
  return servers.size() < layout.stored_data_shards() + 1 ? ErrorCode::kInsufficientServers : ErrorCode::kOk;
}

ErrorCode MetadataModel::take_pending(Inode& file, const wire::CommitBlock& operation, CommittedBlock& block) const {
  const auto pending = file.pending.find(operation.block());
  if (pending == file.pending.end()) return ErrorCode::kConflict;
  const auto& [policy, attempts, reserved_bytes] = pending->second;
  if (operation.length() == 0 || operation.length() > geometry_of(policy).block_bytes) {
    return ErrorCode::kInvalidArgument;
  }
  const ErrorCode shards = check_shards(attempts, policy, operation);
  if (shards != ErrorCode::kOk) return shards;
  block = {.block = operation.block(),
           .stored_bytes = bytes_of(BlockLayout(geometry_of(policy), operation.length())),
           .offset = operation.offset(),
           .length = operation.length(),
           .visible = operation.length()};
  const uint64_t more = block.stored_bytes - std::min(reserved_bytes, block.stored_bytes);
  if (!has_room(charges_of(file), {.bytes = more})) return ErrorCode::kQuotaExceeded;
  file.pending.erase(pending);
  return ErrorCode::kOk;
}

ModelAnswer MetadataModel::commit_block(const wire::Command& command, const wire::CommitBlock& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  const uint64_t end = file.length - file.tail.size();
  if (operation.offset() != end || operation.length() < file.tail.size()) return refused(ErrorCode::kConflict);
  if (operation.length() > kMaxFileBytes - end) return refused(ErrorCode::kLimitExceeded);
  CommittedBlock block;
  const ErrorCode taken = take_pending(file, operation, block);
  if (taken != ErrorCode::kOk) return refused(taken);
  file.blocks.push_back(block);
  file.tail.clear();
  file.length = end + operation.length();
  file.mtime_ms = command.wall_ms();
  ModelAnswer answer;
  answer.result.mutable_commit_block()->set_file_length(file.length);
  return answer;
}

ErrorCode MetadataModel::put_tail(Inode& file, uint64_t offset, const std::string& data) const {
  if (data.empty() || data.size() > kMaxInlineTailBytes) return ErrorCode::kInvalidArgument;
  if (offset != file.length - file.tail.size() || data.size() < file.tail.size()) return ErrorCode::kConflict;
  if (data.size() > kMaxFileBytes - offset) return ErrorCode::kLimitExceeded;
  if (!has_room(charges_of(file), {.bytes = data.size() - file.tail.size()})) return ErrorCode::kQuotaExceeded;
  file.tail = data;
  file.length = offset + data.size();
  return ErrorCode::kOk;
}

ModelAnswer MetadataModel::commit_tail(const wire::Command& command, const wire::CommitTail& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  Inode& file = inodes_.at(operation.inode());
  const ErrorCode put = put_tail(file, operation.offset(), operation.data());
  if (put != ErrorCode::kOk) return refused(put);
  file.mtime_ms = command.wall_ms();
  ModelAnswer answer;
  answer.result.mutable_commit_tail()->set_file_length(file.length);
  return answer;
}

ModelAnswer MetadataModel::replace_blocks(const wire::ReplaceBlocks& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  const int count = operation.replaced_size();
  if (count < 1 || count > kMaxReplacedBlocks || operation.blocks_size() < 1 ||
      operation.blocks_size() > kMaxPendingBlocks) {
    return refused(ErrorCode::kInvalidArgument);
  }
  Inode& file = inodes_.at(operation.inode());
  const auto first = std::ranges::find(file.blocks, operation.replaced(0), &CommittedBlock::block);
  if (file.blocks.end() - first < count ||
      !std::equal(
          operation.replaced().begin(), operation.replaced().end(), first,
          [](uint64_t block, const CommittedBlock& there) { return block == there.block; })) {
    return refused(ErrorCode::kConflict);
  }
  const uint64_t stop = (first + count - 1)->offset + (first + count - 1)->visible;
  uint64_t end = first->offset;
  for (const wire::CommitBlock& block : operation.blocks()) {
    if (block.offset() != end || block.length() > stop - end) return refused(ErrorCode::kConflict);
    end += block.length();
  }
  if (end != stop) return refused(ErrorCode::kConflict);
  const Inode before = file;
  auto at = file.blocks.erase(first, first + count);
  for (const wire::CommitBlock& each : operation.blocks()) {
    CommittedBlock block;
    const ErrorCode taken = take_pending(file, each, block);
    if (taken != ErrorCode::kOk) {
      file = before;
      return refused(taken);
    }
    at = std::next(file.blocks.insert(at, block));
  }
  return {};
}

ModelAnswer MetadataModel::abandon_block(const wire::AbandonBlock& operation) {
  if (const auto wrong = check_lease(operation.inode(), operation.lease_epoch())) return *wrong;
  if (inodes_.at(operation.inode()).pending.erase(operation.block()) == 0) return refused(ErrorCode::kConflict);
  return {};
}

}  // namespace dogfs::sim
