// The metadata state machine under any log: whatever commands are committed, in whatever order, each is applied or
// refused as the simulator's model of the metadata says, the rows keep the invariants of core/meta/invariants.h, and how
// the log is cut into batches changes nothing.
#include <fmt/format.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/ec/policy_wire.h"
#include "core/meta/invariants.h"
#include "core/meta/state_machine.h"
#include "core/meta/tables.h"
#include "fuzz/meta_draw.h"
#include "sim/history_oracle.h"
#include "sim/metadata_model.h"
#include "tests/core/meta/memory_rows.h"

namespace dogfs::fuzz {
namespace {

constexpr size_t kMostCommands = 64;
constexpr size_t kServers = 4;
constexpr uint32_t kShardCrc = 7;
constexpr Geometry kGeometry{.data_shards = 2, .parity_shards = 1, .cell_bytes = 4096, .block_bytes = 4 * 4096};

// A cluster with a session and some servers.
std::vector<wire::Command> first_commands() {
  std::vector<wire::Command> commands(2 + kServers);
  commands[0].mutable_initialize_cluster()->set_uuid(std::string(16, 'C'));
  *commands[0].mutable_initialize_cluster()->mutable_default_policy() = geometry_to_wire(kGeometry);
  commands[1].mutable_open_session();
  for (size_t i = 0; i < kServers; ++i) {
    wire::RegisterServer& server = *commands[2 + i].mutable_register_server();
    server.set_uuid(std::string(16, static_cast<char>('A' + i)));
    server.set_address("server:1");
    server.set_rack("/rack");
  }
  return commands;
}

void apply(MemoryRows& rows, const std::vector<CommittedEntry>& entries, std::vector<std::string>& replies) {
  Result<AppliedBatch> batch = apply_entries(rows, GroupId(), entries);
  DOGFS_CHECK(batch.has_value(), "no command makes the store fail");
  DOGFS_CHECK(batch.value().replies.size() == entries.size());
  rows.write(batch.value().changes);
  for (std::string& reply : batch.value().replies) replies.push_back(std::move(reply));
}

void check_invariants(const MemoryRows& rows) {
  const Result<std::vector<std::string>> broken = check_meta_invariants(rows, GroupId());
  DOGFS_CHECK(broken.has_value(), "the rows can be read");
  DOGFS_CHECK(broken.value().empty(), fmt::format("{}", fmt::join(broken.value(), "; ")));
}

// Makes a drawn commit, of whose shards a fuzzer would hardly ever guess all, one that fits a block that is allocated.
void make_fitting(const MemoryRows& rows, wire::CommitBlock& commit) {
  const MetaTables tables(rows, GroupId());
  std::optional<wire::BlockRow> block;
  const Status scanned =
      scan_rows<wire::BlockRow>(rows, tables.keys().blocks(), [&](std::string_view, wire::BlockRow row) {
        if (row.state() == wire::BlockRow::ALLOCATED) block = std::move(row);
        return !block;
      });
  DOGFS_CHECK(scanned.has_value());
  if (!block) return;
  const wire::InodeRow file = tables.required_inode(InodeId(block->inode())).value();
  const Geometry geometry = geometry_from_wire(block->policy()).value();
  commit.set_inode(file.inode());
  commit.set_lease_epoch(file.lease_epoch());
  commit.set_block(block->block());
  commit.set_offset(file.length());
  commit.set_length(1 + commit.length() % geometry.block_bytes);
  const BlockLayout layout(geometry, commit.length());
  commit.clear_shards();
  for (const ShardIndex index : layout.stored_indices()) {
    wire::Shard& shard = *commit.add_shards();
    shard.set_index(index.value());
    for (const wire::Shard& attempt : block->shards()) {
      if (attempt.index() == index.value()) shard = attempt;
    }
    shard.set_length(layout.shard_length(index));
    shard.set_crc32c(kShardCrc);
  }
}

// The independent model of the simulator's oracle, beside the real thing.
class Model {
 public:
  void check(const std::string& entry, const std::string& reply_bytes) {
    wire::CommandReply reply;
    DOGFS_CHECK(reply.ParseFromString(reply_bytes));
    // What was drawn may nest deeper than a message may (as fields that nobody knows), and then is no command.
    wire::Command command;
    if (!command.ParseFromString(entry)) {
      DOGFS_CHECK(error_code_from_wire(reply.error()) == ErrorCode::kProtocolError);
      return;
    }
    // Whether a server may be removed depends on where shards are, which the model does not follow.
    modelled_ = modelled_ && command.administer_server().wanted() != wire::REMOVED;
    if (!modelled_) return;
    wire::MutateReply body;
    DOGFS_CHECK(!command.has_mutation() || body.ParseFromString(reply.body()));
    const sim::ModelAnswer expected = model_.apply(command, &body.result()).answer;
    if (!command.has_mutation()) return;
    const ErrorCode code = error_code_from_wire(reply.error());
    const bool gone = expected.or_gone && code == ErrorCode::kGone;
    DOGFS_CHECK(code == expected.code || gone, fmt::format("{} instead of {}: {}", error_name(code),
                                                           error_name(expected.code), command.ShortDebugString()));
    if (code == ErrorCode::kOk) {
      DOGFS_CHECK(body.result().SerializeAsString() == expected.result.SerializeAsString(), body.ShortDebugString());
    }
  }

  void check_rows(const MemoryRows& rows) const {
    if (modelled_) DOGFS_CHECK(sim::describe_rows(rows) == model_.describe_tree(), "rows and model have the same tree");
  }

 private:
  sim::MetadataModel model_;
  bool modelled_ = true;
};

void run(Input input) {
  std::vector<wire::Command> commands = first_commands();
  uint64_t sequence = 0;
  std::vector<CommittedEntry> log;
  MemoryRows one_by_one;
  Model model;
  std::vector<std::string> replies;
  for (size_t i = 0; i < kMostCommands && (i < commands.size() || !input.empty()); ++i) {
    if (i == commands.size()) {
      commands.push_back(draw_command(input, sequence));
      wire::Command& command = commands.back();
      if (command.mutation().has_commit_block() && input.flag()) {
        make_fitting(one_by_one, *command.mutable_mutation()->mutable_commit_block());
      }
    }
    log.push_back({LogIndex(log.size() + 1), Term(1), commands[i].SerializeAsString()});
    apply(one_by_one, {log.back()}, replies);
    check_invariants(one_by_one);
    model.check(log.back().command, replies.back());
  }
  model.check_rows(one_by_one);
  MemoryRows at_once;
  std::vector<std::string> batch_replies;
  apply(at_once, log, batch_replies);
  DOGFS_CHECK(batch_replies == replies && at_once.rows == one_by_one.rows, "how the log is cut changes nothing");
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dogfs::fuzz::run(dogfs::fuzz::Input(data, size));
  return 0;
}
