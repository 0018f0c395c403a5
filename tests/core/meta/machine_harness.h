// A metadata state machine on rows in memory, driven by commands as a leader would write them to the log.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/ec/policy_wire.h"
#include "core/meta/state_machine.h"
#include "core/meta/tables.h"
#include "core/wire/command.pb.h"
#include "core/wire/meta.pb.h"
#include "tests/core/meta/memory_rows.h"

namespace dogfs {

inline const std::string kTestClusterUuid(16, 'C');
inline constexpr Geometry kTestGeometry{
    .data_shards = 3, .parity_shards = 2, .cell_bytes = 4096, .block_bytes = 3 * 4096ULL * 4};

// What a mutation gave: an error, or its result.
struct Outcome {
  ErrorCode code = ErrorCode::kOk;
  std::string detail;
  wire::MutationResult result;
};

class MachineHarness {
 public:
  explicit MachineHarness(Geometry default_policy = kTestGeometry) {
    wire::Command command;
    command.mutable_initialize_cluster()->set_uuid(kTestClusterUuid);
    *command.mutable_initialize_cluster()->mutable_default_policy() = geometry_to_wire(default_policy);
    EXPECT_EQ(apply(command).error(), 0u);
    session = open_session();
  }

  // Applies one command in a batch of its own and remembers it in the log.
  wire::CommandReply apply(const wire::Command& command) {
    log.push_back({.index = LogIndex(log.size() + 1), .term = Term(1), .command = command.SerializeAsString()});
    AppliedBatch batch = apply_entries(rows, GroupId(), {log.back()}).value();
    rows.write(batch.changes);
    wire::CommandReply reply;
    EXPECT_TRUE(reply.ParseFromString(batch.replies.at(0)));
    return reply;
  }

  SessionId open_session() {
    wire::Command command;
    command.mutable_open_session();
    wire::OpenSessionReply reply;
    EXPECT_TRUE(reply.ParseFromString(apply(command).body()));
    return SessionId(reply.session());
  }

  ServerId add_server(const std::string& name) {
    wire::Command command;
    wire::RegisterServer& server = *command.mutable_register_server();
    server.set_uuid(std::string(16 - name.size(), 'S') + name);
    server.set_address(name + ":1");
    server.set_rack("/r/" + name);
    wire::RegisterServerReply reply;
    EXPECT_TRUE(reply.ParseFromString(apply(command).body()));
    return ServerId(reply.server());
  }

  void add_servers(int count) {
    for (int i = 0; i < count; ++i) add_server(std::to_string(i));
  }

  // The command of the session's next request, as the leader makes it.
  wire::Command next_request(wire::Mutation mutation) {
    wire::Command command;
    command.set_session(session.value());
    command.set_sequence(++sequence);
    command.set_low_water(sequence);
    command.set_elapsed_ms(1);
    command.set_wall_ms(1'000'000 + static_cast<int64_t>(sequence));
    command.set_principal("alice");
    *command.mutable_mutation() = std::move(mutation);
    return command;
  }

  Outcome request(const wire::Command& command) { return outcome_of(apply(command)); }

  static Outcome outcome_of(const wire::CommandReply& reply) {
    Outcome outcome{.code = error_code_from_wire(reply.error()), .detail = reply.detail(), .result = {}};
    if (outcome.code == ErrorCode::kOk) {
      wire::MutateReply body;
      EXPECT_TRUE(body.ParseFromString(reply.body()));
      outcome.result = body.result();
    }
    return outcome;
  }

  Outcome mutate(wire::Mutation mutation, std::vector<uint64_t> placed = {}) {
    wire::Command command = next_request(std::move(mutation));
    command.mutable_placed_servers()->Add(placed.begin(), placed.end());
    return request(command);
  }

  Outcome mkdir(const std::string& path, bool parents = false) {
    wire::Mutation mutation;
    mutation.mutable_make_directory()->set_path(path);
    mutation.mutable_make_directory()->set_parents(parents);
    mutation.mutable_make_directory()->set_mode(0755);
    return mutate(mutation);
  }

  Outcome set_policy(const std::string& path, const wire::EcPolicy* policy) {
    wire::Mutation mutation;
    mutation.mutable_set_policy()->set_path(path);
    if (policy != nullptr) *mutation.mutable_set_policy()->mutable_policy() = *policy;
    return mutate(mutation);
  }

  struct CreateFlags {
    bool overwrite = false;
    bool parents = false;
  };
  Outcome create(const std::string& path, CreateFlags flags) {
    wire::Mutation mutation;
    mutation.mutable_create_file()->set_path(path);
    mutation.mutable_create_file()->set_overwrite(flags.overwrite);
    mutation.mutable_create_file()->set_parents(flags.parents);
    mutation.mutable_create_file()->set_mode(0644);
    return mutate(mutation);
  }
  Outcome create(const std::string& path) { return create(path, {}); }

  Outcome close(const wire::CreateFileResult& file, uint64_t length) {
    wire::Mutation mutation;
    mutation.mutable_close_file()->set_inode(file.inode());
    mutation.mutable_close_file()->set_lease_epoch(file.lease_epoch());
    mutation.mutable_close_file()->set_length(length);
    return mutate(mutation);
  }

  // Closes the file with `tail` as its last bytes.
  Outcome close(const wire::CreateFileResult& file, uint64_t length, const std::string& tail) {
    wire::Mutation mutation;
    mutation.mutable_close_file()->set_inode(file.inode());
    mutation.mutable_close_file()->set_lease_epoch(file.lease_epoch());
    mutation.mutable_close_file()->set_length(length);
    mutation.mutable_close_file()->set_tail(tail);
    return mutate(mutation);
  }

  Outcome commit_tail(const wire::CreateFileResult& file, uint64_t offset, const std::string& data) {
    wire::Mutation mutation;
    mutation.mutable_commit_tail()->set_inode(file.inode());
    mutation.mutable_commit_tail()->set_lease_epoch(file.lease_epoch());
    mutation.mutable_commit_tail()->set_offset(offset);
    mutation.mutable_commit_tail()->set_data(data);
    return mutate(mutation);
  }

  Outcome replace_blocks(const wire::CreateFileResult& file, const std::vector<uint64_t>& replaced,
                         const std::vector<wire::CommitBlock>& blocks) {
    wire::Mutation mutation;
    wire::ReplaceBlocks& replace = *mutation.mutable_replace_blocks();
    replace.set_inode(file.inode());
    replace.set_lease_epoch(file.lease_epoch());
    replace.mutable_replaced()->Add(replaced.begin(), replaced.end());
    replace.mutable_blocks()->Add(blocks.begin(), blocks.end());
    return mutate(mutation);
  }

  Outcome append(const std::string& path) {
    wire::Mutation mutation;
    mutation.mutable_append_file()->set_path(path);
    return mutate(mutation);
  }

  // The writer of an appended file, as one of a new file.
  static wire::CreateFileResult writer_of(const wire::AppendFileResult& appended) {
    wire::CreateFileResult file;
    file.set_inode(appended.inode());
    file.set_lease_epoch(appended.lease_epoch());
    *file.mutable_policy() = appended.policy();
    return file;
  }

  Outcome truncate(const wire::CreateFileResult& file, uint64_t length) {
    wire::Mutation mutation;
    mutation.mutable_truncate_file()->set_inode(file.inode());
    mutation.mutable_truncate_file()->set_lease_epoch(file.lease_epoch());
    mutation.mutable_truncate_file()->set_length(length);
    return mutate(mutation);
  }

  Outcome recover_lease(const std::string& path) {
    wire::Mutation mutation;
    mutation.mutable_recover_lease()->set_path(path);
    return mutate(mutation);
  }

  Outcome rename(const std::string& source, const std::string& target, bool replace) {
    wire::Mutation mutation;
    mutation.mutable_rename()->set_source(source);
    mutation.mutable_rename()->set_target(target);
    mutation.mutable_rename()->set_replace(replace);
    return mutate(mutation);
  }

  Outcome remove(const std::string& path, bool recursive) {
    wire::Mutation mutation;
    mutation.mutable_delete_()->set_path(path);
    mutation.mutable_delete_()->set_recursive(recursive);
    return mutate(mutation);
  }

  Outcome remove_for_good(const std::string& path) {
    wire::Mutation mutation;
    mutation.mutable_delete_()->set_path(path);
    mutation.mutable_delete_()->set_recursive(true);
    mutation.mutable_delete_()->set_skip_trash(true);
    return mutate(mutation);
  }

  ErrorCode set_trash_period(int64_t period_ms) {
    wire::Command command;
    command.mutable_set_trash_period()->set_period_ms(period_ms);
    return error_code_from_wire(apply(command).error());
  }

  // After so much more of log time.
  ErrorCode expire_trash(int64_t elapsed_ms, uint32_t max_rows) {
    wire::Command command;
    command.set_elapsed_ms(elapsed_ms);
    command.mutable_expire_trash()->set_max_rows(max_rows);
    return error_code_from_wire(apply(command).error());
  }

  Outcome restore(uint64_t inode, const std::string& target = {}, bool parents = false) {
    wire::Mutation mutation;
    mutation.mutable_restore_trash()->set_inode(inode);
    mutation.mutable_restore_trash()->set_target(target);
    mutation.mutable_restore_trash()->set_parents(parents);
    return mutate(mutation);
  }

  Outcome purge(uint64_t inode) {
    wire::Mutation mutation;
    mutation.mutable_purge_trash()->set_inode(inode);
    return mutate(mutation);
  }
  Outcome purge_all() {
    wire::Mutation mutation;
    mutation.mutable_purge_trash()->set_all(true);
    return mutate(mutation);
  }

  Outcome set_quota(const std::string& path, uint64_t max_names, uint64_t max_bytes) {
    wire::Mutation mutation;
    mutation.mutable_set_quota()->set_path(path);
    mutation.mutable_set_quota()->set_max_names(max_names);
    mutation.mutable_set_quota()->set_max_bytes(max_bytes);
    return mutate(mutation);
  }
  Outcome clear_quota(const std::string& path) {
    wire::Mutation mutation;
    mutation.mutable_set_quota()->set_path(path);
    mutation.mutable_set_quota()->set_clear(true);
    return mutate(mutation);
  }

  Outcome allocate(const wire::CreateFileResult& file, uint64_t length, std::vector<uint64_t> placed) {
    wire::Mutation mutation;
    mutation.mutable_allocate_block()->set_inode(file.inode());
    mutation.mutable_allocate_block()->set_lease_epoch(file.lease_epoch());
    mutation.mutable_allocate_block()->set_length(length);
    return mutate(mutation, std::move(placed));
  }

  Outcome replace(const wire::CreateFileResult& file, uint64_t block, uint32_t index, uint64_t server) {
    wire::Mutation mutation;
    mutation.mutable_replace_target()->set_inode(file.inode());
    mutation.mutable_replace_target()->set_lease_epoch(file.lease_epoch());
    mutation.mutable_replace_target()->set_block(block);
    mutation.mutable_replace_target()->set_index(index);
    return mutate(mutation, {server});
  }

  // The commit that a writer would send whose every target sealed.
  static wire::CommitBlock full_commit(const wire::CreateFileResult& file, const wire::AllocateBlockResult& block,
                                       uint64_t offset, uint64_t length) {
    wire::CommitBlock commit;
    commit.set_inode(file.inode());
    commit.set_lease_epoch(file.lease_epoch());
    commit.set_block(block.block());
    commit.set_offset(offset);
    commit.set_length(length);
    const BlockLayout layout(geometry_from_wire(file.policy()).value(), length);
    for (const ShardIndex index : layout.stored_indices()) {
      wire::Shard& shard = *commit.add_shards();
      shard.set_index(index.value());
      shard.set_length(layout.shard_length(index));
      shard.set_crc32c(index.value() + 7);
      for (const wire::Shard& target : block.targets()) {
        if (target.index() != index.value()) continue;
        shard.set_server(target.server());
        shard.set_generation(target.generation());
      }
    }
    return commit;
  }

  Outcome commit(const wire::CommitBlock& operation) {
    wire::Mutation mutation;
    *mutation.mutable_commit_block() = operation;
    return mutate(mutation);
  }

  Outcome abandon(const wire::CreateFileResult& file, uint64_t block) {
    wire::Mutation mutation;
    mutation.mutable_abandon_block()->set_inode(file.inode());
    mutation.mutable_abandon_block()->set_lease_epoch(file.lease_epoch());
    mutation.mutable_abandon_block()->set_block(block);
    return mutate(mutation);
  }

  ErrorCode expire_lease(uint64_t inode, uint64_t epoch) {
    wire::Command command;
    command.mutable_expire_lease()->set_inode(inode);
    command.mutable_expire_lease()->set_lease_epoch(epoch);
    return error_code_from_wire(apply(command).error());
  }

  void reclaim_step(uint32_t max_rows) {
    wire::Command command;
    command.mutable_reclaim_step()->set_max_rows(max_rows);
    EXPECT_EQ(apply(command).error(), 0u);
  }

  // A closed file of full blocks, and the directories above it.
  void write_file(const std::string& path, int blocks) {
    const wire::CreateFileResult file = create(path, {.parents = true}).result.create_file();
    const uint64_t block_bytes = file.policy().block_bytes();
    for (int i = 0; i < blocks; ++i) {
      const Outcome block = allocate(file, 0, {1, 2, 3, 4, 5});
      ASSERT_EQ(block.code, ErrorCode::kOk) << block.detail;
      const uint64_t offset = static_cast<uint64_t>(i) * block_bytes;
      ASSERT_EQ(commit(full_commit(file, block.result.allocate_block(), offset, block_bytes)).code, ErrorCode::kOk);
    }
    ASSERT_EQ(close(file, static_cast<uint64_t>(blocks) * block_bytes).code, ErrorCode::kOk);
  }

  // Steps until nothing is left; returns how many it took.
  int reclaim_all(uint32_t max_rows) {
    int steps = 0;
    while (count(tables().keys().detached_after(InodeId())) > 0) {
      reclaim_step(max_rows);
      ++steps;
    }
    return steps;
  }

  std::vector<GarbageShard> garbage() const {
    std::vector<GarbageShard> shards;
    const KeyRange range = tables().keys().all_garbage();
    EXPECT_TRUE(rows.scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
      shards.push_back(garbage_shard(key));
      return true;
    }));
    return shards;
  }

  size_t count(const KeyRange& range) const {
    return static_cast<size_t>(std::distance(rows.rows.lower_bound(range.begin), rows.rows.lower_bound(range.end)));
  }

  MetaTables tables() const { return MetaTables(rows, GroupId()); }
  wire::CountersRow counters() const { return tables().counters().value().value(); }

  MemoryRows rows;
  std::vector<CommittedEntry> log;
  SessionId session;
  uint64_t sequence = 0;
};

}  // namespace dogfs
