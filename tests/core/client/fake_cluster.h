// Metadata nodes and chunk servers as simple as they can be, for the client's tests: they keep everything in maps, and
// check what the client sends them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "core/client/client.h"
#include "core/ec/geometry.h"
#include "core/wire/chunk.pb.h"
#include "core/wire/meta.pb.h"
#include "tests/core/client/test_world.h"

namespace dogfs::test {

struct FakeShard {
  std::string bytes;
  std::vector<uint32_t> piece_crc32c;
  bool sealed = false;
  uint32_t crc32c = 0;
};

using FakeShardKey = std::tuple<uint64_t, uint32_t, uint64_t>;  // block, index, generation

// One chunk server.
class FakeServer {
 public:
  FakeServer(World& world, uint64_t id) : world_(world), id_(id) {}

  Task<Reply> handle(Request request);

  uint64_t id() const { return id_; }
  std::map<FakeShardKey, FakeShard> shards;
  // Forgets what was not sealed, as a restart does.
  void restart();

 private:
  Task<Reply> append(Request request);
  Reply open(const wire::OpenShardRequest& message);
  Reply seal(const wire::SealShardRequest& message);
  Reply read(const wire::ReadShardRequest& message);

  World& world_;
  uint64_t id_;
};

struct FakeBlock {
  uint64_t block = 0;
  Geometry geometry;
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t visible = 0;               // what truncation left of it
  std::vector<wire::Shard> attempts;  // allocated: in the order of issue
  std::vector<wire::Shard> shards;    // committed
};

struct FakeFile {
  uint64_t inode = 0;
  Geometry geometry;
  uint64_t lease_epoch = 1;
  bool closed = false;
  uint64_t length = 0;
  std::string tail;  // the last bytes, where they are in no block
  std::vector<FakeBlock> blocks;
  std::map<uint64_t, FakeBlock> pending;
};

class FakeCluster {
 public:
  FakeCluster(World& world, Geometry geometry, size_t servers);

  ClientOptions client_options() const;
  Address meta_address(size_t node) const { return Address{"meta-" + std::to_string(node)}; }
  Address server_address(uint64_t id) const { return Address{"chunk-" + std::to_string(id)}; }
  // Answers every request of `type` to the server with `code` from now on.
  void fail(uint64_t id, MessageType type, ErrorCode code);
  FakeServer& server(uint64_t id) { return *servers_.at(id - 1); }

  // The server refuses connections from now on; the metadata does not know that yet.
  void kill(uint64_t id);
  void restart(uint64_t id);
  // Of the files that are made from now on.
  void set_geometry(const Geometry& geometry) { geometry_ = geometry; }
  // The metadata places nothing on it any more.
  void know_dead(uint64_t id) { known_dead_.insert(id); }
  void know_alive(uint64_t id) { known_dead_.erase(id); }

  FakeFile& file(const std::string& path) { return files_.at(path); }
  // A committed shard as stored.
  FakeShard& stored(const wire::Shard& shard, uint64_t block);
  // One of a committed block goes to the next server's disk under a new generation.
  void move_shard(FakeBlock& block, size_t position);

  size_t leader = 0;
  // At the shards of one block.
  size_t most_attempts = 256;
  // So many replacements are refused, since another shard has got their server meanwhile.
  int placed_too_late = 0;
  // These have no room for another shard, and the metadata knows.
  std::set<uint64_t> full;
  // How many blocks one truncation takes away.
  size_t blocks_per_truncation = 2;
  // Mutations that took effect, by kind.
  std::map<wire::Mutation::OperationCase, int> effects;
  std::vector<wire::AllocateBlock> allocations;
  uint64_t renewals = 0;
  std::vector<wire::ReportDamageRequest> damage_reports;

 private:
  Task<Reply> handle_meta(size_t node, Request request);
  Reply open_session();
  Reply mutate(const wire::MutateRequest& message);
  Result<wire::MutationResult> apply(const wire::Mutation& mutation);
  Result<wire::MutationResult> create(const wire::CreateFile& message);
  Result<wire::MutationResult> allocate(const wire::AllocateBlock& message);
  Result<wire::MutationResult> replace(const wire::ReplaceTarget& message);
  Result<wire::MutationResult> commit(const wire::CommitBlock& message);
  Result<wire::MutationResult> append(const wire::AppendFile& message);
  Result<wire::MutationResult> commit_tail(const wire::CommitTail& message);
  Result<wire::MutationResult> replace_blocks(const wire::ReplaceBlocks& message);
  // What a commit makes of a pending block.
  Result<FakeBlock> committed(FakeFile& file, const wire::CommitBlock& message);
  Result<wire::MutationResult> truncate(const wire::TruncateFile& message);
  Result<wire::MutationResult> close(const wire::CloseFile& message);
  Reply blocks(const wire::GetBlocksRequest& message);

  Result<FakeFile*> leased(uint64_t inode, uint64_t epoch);
  std::vector<uint64_t> eligible(const std::set<uint64_t>& used,
                                 const google::protobuf::RepeatedField<uint64_t>& excluded) const;
  wire::Shard attempt(uint32_t index, uint64_t server);

  World& world_;
  Geometry geometry_;
  std::vector<std::unique_ptr<FakeServer>> servers_;
  std::set<uint64_t> known_dead_;
  std::map<std::string, FakeFile> files_;
  std::map<std::pair<uint64_t, uint64_t>, Reply> replies_;
  uint64_t sessions_ = 0;
  uint64_t inodes_ = 1;
  uint64_t blocks_ = 0;
  uint64_t generations_ = 0;
};

// Bytes that say where they belong.
std::string pattern(size_t length, uint64_t seed = 1);

}  // namespace dogfs::test
