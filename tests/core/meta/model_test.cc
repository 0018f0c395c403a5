// The state machine against a model of a file system, over random histories with retries, deletions in the background,
// lease recoveries and commits that go wrong.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/meta/block_commands.h"
#include "core/meta/invariants.h"
#include "core/meta/queries.h"
#include "core/meta/quota.h"
#include "tests/core/meta/file_system_model.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

constexpr int kServers = 8;
constexpr int kSteps = 100;

int below(int bound) {
  return *rc::gen::inRange(0, bound);
}
bool coin() {
  return below(2) == 1;
}

std::string random_path() {
  const int depth = below(12) == 0 ? 0 : 1 + below(3);
  std::string path;
  for (int i = 0; i < depth; ++i) path += "/" + std::string(1, static_cast<char>('a' + below(3)));
  return path.empty() ? "/" : path;
}

// All paths of the store, by walking its entries.
void collect(const MachineHarness& machine, InodeId directory, const std::string& path,
             std::map<std::string, FileSystemModel::Node>& nodes) {
  const MetaTables tables = machine.tables();
  const Status scanned =
      scan_rows<wire::DirectoryEntryRow>(machine.rows, tables.keys().entries(directory, {}),
                                         [&](std::string_view key, const wire::DirectoryEntryRow& row) {
                                           const std::string child = path + "/" + std::string(entry_name(key));
                                           const bool is_directory = row.type() == wire::InodeRow::DIRECTORY;
                                           nodes[child] = {.directory = is_directory, .inode = row.inode()};
                                           if (is_directory) collect(machine, InodeId(row.inode()), child, nodes);
                                           return true;
                                         });
  RC_ASSERT(scanned.has_value());
}

// A writer's view of a file, perhaps outdated by now.
struct Writer {
  wire::CreateFileResult file;
  std::vector<wire::AllocateBlockResult> blocks;
};

class History {
 public:
  History() { machine_.add_servers(kServers); }

  void step() {
    switch (below(21)) {
      case 0:
      case 1:
        return make_directory();
      case 2:
      case 3:
        return create();
      case 4:
        return rename();
      case 5:
        return remove();
      case 6:
        return recover();
      case 7:
        return retry();
      case 8:
        return machine_.reclaim_step(static_cast<uint32_t>(1 + below(4)));
      case 9:
        return allocate();
      case 10:
        return commit();
      case 11:
        return abandon();
      case 12:
        return append();
      case 13:
        return truncate();
      case 14:
        return set_trash_period();
      case 18:
      case 19:
        return set_quota();
      case 15:
      case 16:
        return restore();
      case 17:
        return below(4) == 0 ? purge() : expire();
      default:
        return close();
    }
  }

  void check() const {
    std::map<std::string, FileSystemModel::Node> nodes;
    collect(machine_, kRootInode, "", nodes);
    RC_ASSERT(nodes == model_.nodes);
    for (const auto& [path, node] : nodes) {
      if (node.directory) continue;
      const wire::InodeRow row = machine_.tables().required_inode(InodeId(node.inode)).value();
      const FileSystemModel::File& file = model_.files.at(node.inode);
      RC_ASSERT(row.length() == file.length);
      RC_ASSERT((row.writer_session() != 0) == file.open);
      RC_ASSERT(row.pending_blocks_size() == static_cast<int>(file.pending.size()));
    }
    std::map<uint64_t, std::string> kept;
    const wire::ListTrashReply reply = query_trash(machine_.tables(), {}).value();
    for (const wire::TrashEntry& entry : reply.entries()) kept[entry.inode()] = entry.path();
    RC_ASSERT(kept.size() == trash_.size());
    for (const auto& [inode, tree] : trash_) RC_ASSERT(kept[inode] == tree.path);
    const auto violations = check_meta_invariants(machine_.rows, GroupId()).value();
    RC_ASSERT(violations == std::vector<std::string>());
  }

  // Deletes everything: nothing may be left but the root, the counters, the servers and the session.
  void check_nothing_is_left() {
    RC_ASSERT(machine_.clear_quota("/").code == ErrorCode::kOk);
    trash_ms_ = 0;
    RC_ASSERT(machine_.set_trash_period(0) == ErrorCode::kOk);
    RC_ASSERT(machine_.purge_all().result.purge_trash().purged() == trash_.size());
    trash_.clear();
    while (!model_.nodes.empty()) {
      const std::string path = model_.nodes.begin()->first;
      RC_ASSERT(machine_.remove(path, true).code == ErrorCode::kOk);
      model_.remove(path, true);
    }
    machine_.reclaim_all(7);
    check();
    wire::Command command;
    for (const GarbageShard& shard : machine_.garbage()) {
      auto& entry = *command.mutable_confirm_deleted()->add_shards();
      entry.set_server(shard.server.value());
      entry.set_block(shard.block.value());
      entry.set_index(shard.index.value());
      entry.set_generation(shard.generation.value());
    }
    if (command.has_confirm_deleted()) machine_.apply(command);
    check();
    const MetaKeys keys{GroupId()};
    RC_ASSERT(machine_.count(keys.all_replies()) <= kMaxLag + 1);
    // Applied index, counters, the root, the session; each server with its uuid.
    RC_ASSERT(machine_.rows.rows.size() == 4 + 2 * kServers + machine_.count(keys.all_replies()));
  }

  // The same log cut into other batches gives the same bytes.
  void check_batching() const {
    MemoryRows rows;
    for (size_t begin = 0; begin < machine_.log.size();) {
      const size_t end = std::min(machine_.log.size(), begin + static_cast<size_t>(1 + below(40)));
      const std::vector<CommittedEntry> entries(machine_.log.begin() + static_cast<std::ptrdiff_t>(begin),
                                                machine_.log.begin() + static_cast<std::ptrdiff_t>(end));
      rows.write(apply_entries(rows, GroupId(), entries).value().changes);
      begin = end;
    }
    RC_ASSERT(rows.rows == machine_.rows.rows);
  }

 private:
  static constexpr uint64_t kMaxLag = 6;

  // Sends a mutation and remembers it with its reply.
  Outcome send(wire::Mutation mutation, const std::vector<uint64_t>& placed = {}) {
    wire::Command command = machine_.next_request(std::move(mutation));
    const auto lag = static_cast<uint64_t>(below(kMaxLag));
    command.set_low_water(std::max<uint64_t>(1, command.sequence() - std::min(lag, command.sequence())));
    command.mutable_placed_servers()->Add(placed.begin(), placed.end());
    low_water_ = std::max(low_water_, command.low_water());
    const wire::CommandReply reply = machine_.apply(command);
    sent_.push_back({command, reply.SerializeAsString()});
    return MachineHarness::outcome_of(reply);
  }

  void retry() {
    if (sent_.empty()) return;
    const auto& [command, reply] =
        sent_[sent_.size() - 1 - static_cast<size_t>(below(std::min<int>(10, static_cast<int>(sent_.size()))))];
    const wire::CommandReply again = machine_.apply(command);
    if (command.sequence() < low_water_) {
      RC_ASSERT(error_code_from_wire(again.error()) == ErrorCode::kOutcomeUnknown);
    } else {
      RC_ASSERT(again.SerializeAsString() == reply);
    }
  }

  // Directories that an operation with `parents` made on its way.
  void note_parents(const std::string& path) {
    for (const std::string& parent : FileSystemModel::parents_of(path)) {
      if (model_.nodes.contains(parent)) continue;
      std::map<std::string, FileSystemModel::Node> nodes;
      collect(machine_, kRootInode, "", nodes);
      model_.nodes[parent] = {.directory = true, .inode = nodes.at(parent).inode};
    }
  }

  void make_directory() {
    const std::string path = random_path();
    const bool parents = coin();
    wire::Mutation mutation;
    mutation.mutable_make_directory()->set_path(path);
    mutation.mutable_make_directory()->set_parents(parents);
    const ErrorCode expected = model_.mkdir(path, parents);
    const Outcome outcome = send(mutation);
    RC_ASSERT(outcome.code == expected);
    if (expected != ErrorCode::kOk || path == "/") return;
    note_parents(path);
    model_.nodes[path] = {.directory = true, .inode = outcome.result.make_directory().inode()};
  }

  void create() {
    const std::string path = random_path();
    const bool overwrite = coin();
    const bool parents = coin();
    wire::Mutation mutation;
    mutation.mutable_create_file()->set_path(path);
    mutation.mutable_create_file()->set_overwrite(overwrite);
    mutation.mutable_create_file()->set_parents(parents);
    const ErrorCode expected = model_.create(path, overwrite, parents);
    const Outcome outcome = send(mutation);
    RC_ASSERT(outcome.code == expected);
    if (expected != ErrorCode::kOk) return;
    note_parents(path);
    const wire::CreateFileResult& file = outcome.result.create_file();
    model_.nodes[path] = {.directory = false, .inode = file.inode()};
    model_.files[file.inode()] = {.epoch = file.lease_epoch(), .open = true, .pending = {}};
    writers_.push_back({file, {}});
  }

  void rename() {
    const std::string source = random_path();
    const std::string target = random_path();
    const bool replace = coin();
    wire::Mutation mutation;
    mutation.mutable_rename()->set_source(source);
    mutation.mutable_rename()->set_target(target);
    mutation.mutable_rename()->set_replace(replace);
    RC_ASSERT(send(mutation).code == model_.rename(source, target, replace));
  }

  void remove() {
    const std::string path = random_path();
    const bool recursive = coin();
    wire::Mutation mutation;
    mutation.mutable_delete_()->set_path(path);
    mutation.mutable_delete_()->set_recursive(recursive);
    mutation.mutable_delete_()->set_skip_trash(below(4) == 0);
    const bool keeps = trash_ms_ > 0 && !mutation.delete_().skip_trash();
    const std::map<std::string, FileSystemModel::Node> tree = model_.subtree(path);
    const Outcome outcome = send(mutation);
    RC_ASSERT(outcome.code == model_.remove(path, recursive));
    if (outcome.code != ErrorCode::kOk) return;
    const uint64_t inode = outcome.result.delete_().trashed_inode();
    RC_ASSERT(inode == (keeps ? tree.at("").inode : 0));
    if (keeps) trash_[inode] = {path, tree, machine_.counters().log_time_ms() + trash_ms_};
  }

  void set_trash_period() {
    trash_ms_ = below(40);
    RC_ASSERT(machine_.set_trash_period(trash_ms_) == ErrorCode::kOk);
  }

  // So high that nothing is refused for it: what is charged is held against what is there by the invariants.
  void set_quota() {
    const std::string path = random_path();
    wire::Mutation mutation;
    mutation.mutable_set_quota()->set_path(path);
    if (below(4) == 0) {
      mutation.mutable_set_quota()->set_clear(true);
    } else {
      mutation.mutable_set_quota()->set_max_bytes(kMaxQuota);
    }
    const ErrorCode resolved = model_.resolve(path);
    const bool file = resolved == ErrorCode::kOk && !model_.is_directory(path);
    RC_ASSERT(send(mutation).code == (file ? ErrorCode::kNotADirectory : resolved));
  }

  // One that is in the trash, or hardly ever.
  uint64_t pick_trashed() const {
    if (trash_.empty() || below(8) == 0) return static_cast<uint64_t>(below(30));
    return std::next(trash_.begin(), below(static_cast<int>(trash_.size())))->first;
  }

  void restore() {
    const uint64_t inode = pick_trashed();
    const bool elsewhere = coin();
    const bool parents = coin();
    const std::string target = elsewhere ? random_path() : std::string();
    wire::Mutation mutation;
    mutation.mutable_restore_trash()->set_inode(inode);
    mutation.mutable_restore_trash()->set_target(target);
    mutation.mutable_restore_trash()->set_parents(parents);
    const Outcome outcome = send(mutation);
    const auto kept = trash_.find(inode);
    if (kept == trash_.end()) {
      RC_ASSERT(outcome.code == ErrorCode::kNotFound);
      return;
    }
    const std::string path = elsewhere ? target : kept->second.path;
    RC_ASSERT(outcome.code == model_.restore(path, parents));
    if (outcome.code != ErrorCode::kOk) return;
    note_parents(path);
    for (const auto& [behind, node] : kept->second.tree) model_.nodes[path + behind] = node;
    trash_.erase(kept);
  }

  void purge() {
    const uint64_t inode = pick_trashed();
    wire::Mutation mutation;
    mutation.mutable_purge_trash()->set_inode(inode);
    const ErrorCode expected = inode == 0               ? ErrorCode::kInvalidArgument
                               : trash_.contains(inode) ? ErrorCode::kOk
                                                        : ErrorCode::kNotFound;
    RC_ASSERT(send(mutation).code == expected);
    trash_.erase(inode);
  }

  void expire() {
    RC_ASSERT(machine_.expire_trash(below(10), 1000) == ErrorCode::kOk);
    const int64_t now = machine_.counters().log_time_ms();
    std::erase_if(trash_, [now](const auto& kept) { return kept.second.expires_ms <= now; });
  }

  void recover() {
    if (coin() && !writers_.empty()) {
      const wire::CreateFileResult file = pick_writer().file;
      RC_ASSERT(machine_.expire_lease(file.inode(), file.lease_epoch()) == ErrorCode::kOk);
      if (model_.files.at(file.inode()).epoch == file.lease_epoch()) model_.revoke(file.inode());
      return;
    }
    const std::string path = random_path();
    wire::Mutation mutation;
    mutation.mutable_recover_lease()->set_path(path);
    RC_ASSERT(send(mutation).code == model_.recover(path));
  }

  Writer& pick_writer() { return writers_[static_cast<size_t>(below(static_cast<int>(writers_.size())))]; }

  // Whether the writer's lease should be refused, and was.
  bool refused(const wire::CreateFileResult& file, const Outcome& outcome) const {
    const FileSystemModel::File& state = model_.files.at(file.inode());
    const bool lost = !state.open || state.epoch != file.lease_epoch();
    const bool gone = !model_.is_attached(file.inode());
    if (!lost && !gone) return false;
    RC_ASSERT((lost && outcome.code == ErrorCode::kLeaseLost) || (gone && outcome.code == ErrorCode::kGone));
    return true;
  }

  void allocate() {
    if (writers_.empty()) return;
    Writer& writer = pick_writer();
    wire::Mutation mutation;
    mutation.mutable_allocate_block()->set_inode(writer.file.inode());
    mutation.mutable_allocate_block()->set_lease_epoch(writer.file.lease_epoch());
    const int count = 4 + below(2);
    const int first = below(kServers);
    std::vector<uint64_t> placed;
    for (int i = 0; i < count; ++i) placed.push_back(static_cast<uint64_t>((first + i) % kServers + 1));
    const Outcome outcome = send(mutation, placed);
    if (refused(writer.file, outcome)) return;
    FileSystemModel::File& file = model_.files.at(writer.file.inode());
    if (file.pending.size() == kMaxPendingBlocks) {
      RC_ASSERT(outcome.code == ErrorCode::kLimitExceeded);
      return;
    }
    RC_ASSERT(outcome.code == ErrorCode::kOk);
    writer.blocks.push_back(outcome.result.allocate_block());
    file.pending.insert(writer.blocks.back().block());
  }

  void commit() {
    if (writers_.empty()) return;
    Writer& writer = pick_writer();
    if (writer.blocks.empty()) return;
    const wire::AllocateBlockResult block =
        writer.blocks[static_cast<size_t>(below(static_cast<int>(writer.blocks.size())))];
    FileSystemModel::File& file = model_.files.at(writer.file.inode());
    const bool right_offset = below(8) != 0;
    const auto length = static_cast<uint64_t>(below(static_cast<int>(kTestGeometry.block_bytes))) + 1;
    wire::CommitBlock operation =
        MachineHarness::full_commit(writer.file, block, file.length + (right_offset ? 0 : 1), length);
    uint32_t durable = 0;
    for (wire::Shard& shard : *operation.mutable_shards()) {
      if (below(6) == 0) {
        shard.clear_server();
        shard.clear_generation();
      }
      durable += shard.server() != 0 ? 1 : 0;
    }
    wire::Mutation mutation;
    *mutation.mutable_commit_block() = operation;
    const Outcome outcome = send(mutation);
    if (refused(writer.file, outcome)) return;
    const BlockLayout layout(kTestGeometry, length);
    if (!file.pending.contains(block.block()) || !right_offset) {
      RC_ASSERT(outcome.code == ErrorCode::kConflict);
    } else if (durable < layout.stored_data_shards() + 1) {
      RC_ASSERT(outcome.code == ErrorCode::kInsufficientServers);
    } else {
      RC_ASSERT(outcome.code == ErrorCode::kOk);
      file.length += length;
      file.pending.erase(block.block());
      RC_ASSERT(outcome.result.commit_block().file_length() == file.length);
    }
  }

  void abandon() {
    if (writers_.empty()) return;
    Writer& writer = pick_writer();
    if (writer.blocks.empty()) return;
    const uint64_t block = writer.blocks[static_cast<size_t>(below(static_cast<int>(writer.blocks.size())))].block();
    wire::Mutation mutation;
    mutation.mutable_abandon_block()->set_inode(writer.file.inode());
    mutation.mutable_abandon_block()->set_lease_epoch(writer.file.lease_epoch());
    mutation.mutable_abandon_block()->set_block(block);
    const Outcome outcome = send(mutation);
    if (refused(writer.file, outcome)) return;
    const bool was_pending = model_.files.at(writer.file.inode()).pending.erase(block) > 0;
    RC_ASSERT(outcome.code == (was_pending ? ErrorCode::kOk : ErrorCode::kConflict));
  }

  void append() {
    const std::string path = random_path();
    wire::Mutation mutation;
    mutation.mutable_append_file()->set_path(path);
    const ErrorCode expected = model_.append(path);
    const Outcome outcome = send(mutation);
    RC_ASSERT(outcome.code == expected);
    if (expected != ErrorCode::kOk) return;
    const wire::AppendFileResult& file = outcome.result.append_file();
    RC_ASSERT(file.length() == model_.files.at(file.inode()).length);
    RC_ASSERT(file.lease_epoch() == model_.files.at(file.inode()).epoch);
    writers_.push_back({MachineHarness::writer_of(file), {}});
  }

  void truncate() {
    if (writers_.empty()) return;
    const Writer& writer = pick_writer();
    FileSystemModel::File& file = model_.files.at(writer.file.inode());
    const auto length = static_cast<uint64_t>(below(static_cast<int>(file.length + file.length / 8) + 1));
    wire::Mutation mutation;
    mutation.mutable_truncate_file()->set_inode(writer.file.inode());
    mutation.mutable_truncate_file()->set_lease_epoch(writer.file.lease_epoch());
    mutation.mutable_truncate_file()->set_length(length);
    const Outcome outcome = send(mutation);
    if (refused(writer.file, outcome)) return;
    if (!file.pending.empty()) {
      RC_ASSERT(outcome.code == ErrorCode::kConflict);
    } else if (length > file.length) {
      RC_ASSERT(outcome.code == ErrorCode::kInvalidArgument);
    } else {
      RC_ASSERT(outcome.code == ErrorCode::kOk);
      RC_ASSERT(outcome.result.truncate_file().file_length() == length);
      file.length = length;
    }
  }

  void close() {
    if (writers_.empty()) return;
    const Writer& writer = pick_writer();
    FileSystemModel::File& file = model_.files.at(writer.file.inode());
    const bool right_length = below(8) != 0;
    wire::Mutation mutation;
    mutation.mutable_close_file()->set_inode(writer.file.inode());
    mutation.mutable_close_file()->set_lease_epoch(writer.file.lease_epoch());
    mutation.mutable_close_file()->set_length(file.length + (right_length ? 0 : 1));
    const Outcome outcome = send(mutation);
    if (refused(writer.file, outcome)) return;
    if (!file.pending.empty() || !right_length) {
      RC_ASSERT(outcome.code == ErrorCode::kConflict);
      return;
    }
    RC_ASSERT(outcome.code == ErrorCode::kOk);
    file.open = false;
  }

  struct Kept {
    std::string path;
    std::map<std::string, FileSystemModel::Node> tree;
    int64_t expires_ms = 0;
  };

  struct Sent {
    wire::Command command;
    std::string reply;
  };

  MachineHarness machine_;
  FileSystemModel model_;
  std::map<uint64_t, Kept> trash_;  // by inode
  int64_t trash_ms_ = 0;
  std::vector<Writer> writers_;
  std::vector<Sent> sent_;
  uint64_t low_water_ = 1;
};

RC_GTEST_PROP(MetaStateMachine, BehavesAsTheModelOfAFileSystem, ()) {
  History history;
  for (int i = 0; i < kSteps; ++i) {
    history.step();
    history.check();
  }
  history.check_batching();
  history.check_nothing_is_left();
  history.check_batching();
}

}  // namespace
}  // namespace dogfs
