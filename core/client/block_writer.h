// Writes one block: cells go in, d + m sealed shards come out, to be committed by the owner in the order of the file.
//
// The shards stream to their servers in parallel while cells still come. A server that fails, takes nothing for a while,
// or is left far behind the others, is replaced by one that the leader names, and its shard is sent again from the kept
// content; when no other server is eligible the block goes on without it, and its old server is tried again meanwhile
// (it may only be restarting). block_verdict.h says when the block is done. Where it cannot be, it is begun anew under
// another block id on other servers, if there are enough. Nothing of a block is visible before its commit, so giving it
// up needs no undoing. Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "core/base/mutant.h"
#include "core/client/backoff.h"
#include "core/client/block_verdict.h"
#include "core/client/context.h"
#include "core/client/shard.h"
#include "core/client/shard_sender.h"
#include "core/wire/command.pb.h"

namespace dogfs {

// How often what has nowhere to go is tried again.
inline constexpr BackoffOptions kStalledBackoff{.first = milliseconds(100), .most = seconds(1)};

// Counts a block that was committed.
void add_block(const wire::CommitBlock& block, const Geometry& geometry, WriteOutcome& outcome);

struct BlockPlan {
  WriteLease lease;
  Geometry geometry;
  uint64_t offset = 0;  // in the file
  // User bytes that the block will have; 0 where that is not known yet.
  uint64_t expected_length = 0;
};

class BlockWriter : public std::enable_shared_from_this<BlockWriter> {
 public:
  BlockWriter(ClientContext& context, const BlockPlan& plan);
  // Begins to stream, in the background. Call once.
  void start();

  // As BlockContent's.
  void add(Bytes cell);
  void finish();
  uint64_t length() const { return content_->length(); }
  uint64_t offset() const { return plan_.offset; }

  // Waits until the block can be committed. Fails with kInsufficientServers when too few servers take its shards,
  // kNoSpace where room is all that is lacking, or with the metadata's error: at most stall_timeout, write_patience and two
  // changes of the metadata after enough shards were got ahead with for the last time. What is well ends within
  // write_patience after that. kCancelled after stop().
  Task<Status> settle();

  // What the commit says. Precondition: settle() went well, and the content was not released.
  wire::CommitBlock commit_message() const;
  // Ends the streaming and lets the content go: the block was committed, or will be given up. Idempotent.
  void stop();
  // Gives back to the metadata what was allocated. Precondition: stop().
  Task<Status> abandon();

 private:
  enum class ShardState : uint8_t {
    kStreaming,
    kTrying,   // failed, and on its way to a server again: it counts as streaming where it is further than ever
    kStalled,  // nowhere to go for now
    kSealed
  };
  // One stored shard of the block and where it stands.
  struct Slot {
    Shard shard;
    ShardState state = ShardState::kStreaming;
    std::optional<Error> failure;  // the last one
    bool was_open = false;         // some server took it once
    uint64_t most_taken = 0;       // bytes that some server took of it
    std::shared_ptr<ShardSending> sending = nullptr;
    std::optional<MonoTime> sent_since = std::nullopt;  // to its present server; none while it is to go to another
  };

  static Task<void> encode(std::shared_ptr<BlockWriter> self);
  static Task<void> run(std::shared_ptr<BlockWriter> self);
  static Task<void> drive(std::shared_ptr<BlockWriter> self, std::shared_ptr<ShardSending> sending, size_t slot);
  static Task<void> drive_elsewhere(std::shared_ptr<BlockWriter> self, std::shared_ptr<ShardSending> sending,
                                    size_t slot);

  Task<Result<wire::AllocateBlockResult>> allocate();
  Task<Result<wire::AllocateBlockResult>> request_any_block();
  Task<Result<wire::AllocateBlockResult>> request_block(std::vector<ServerId> excluded);
  // Shards that have a target begin as `begun`.
  Status take_targets(const wire::AllocateBlockResult& allocated, ShardState begun);
  void start_shards();
  void end_attempt();
  // Gives the block up for another one that other servers take.
  Task<Status> begin_anew();
  Task<Status> abandon(BlockId block);
  Task<Status> abandon_former();
  Task<Status> send(std::shared_ptr<ShardSending> sending, size_t slot);
  // Whether the shard may be sent on: to another server, or to the old one again where there is none.
  Task<bool> go_elsewhere(std::shared_ptr<ShardSending> sending, size_t slot, Backoff& backoff);
  bool is_under_way(const Slot& slot) const;
  void replace_stragglers();
  MonoTime next_straggler() const;
  // A server has so many bytes of a shard.
  void took(Slot& slot, uint64_t bytes);
  void note_failure(const Slot& slot, const Error& error);
  std::vector<ServerId> failed_lately() const;
  Task<Status> replace(std::shared_ptr<ShardSending> sending, size_t slot);
  Task<Status> replace_target(std::shared_ptr<ShardSending> sending, size_t slot, std::vector<ServerId> excluded);
  Task<Status> request_target(std::shared_ptr<ShardSending> sending, size_t slot, std::vector<ServerId> excluded);

  bool may_allocate() const;
  // The length of the block, and of a shard of it, that is expected; 0: that of a full block.
  uint64_t length_hint() const;
  uint64_t shard_length_hint(ShardIndex index) const;
  BlockLayout layout() const;
  uint32_t count(ShardState state) const;
  uint32_t stored() const { return static_cast<uint32_t>(slots_.size()); }
  uint32_t required() const {
    return layout().stored_data_shards() + (mutant_active(Mutant::kCommitAtExactlyK) ? 0 : 1);
  }
  bool is_refused() const;
  BlockPatience patience() const;
  BlockProgress progress() const;
  MonoTime next_check() const;
  void set_state(Slot& slot, ShardState state);
  // Since when the block has been as it is.
  void keep_time();
  void fail(Error error);
  // Whether all that is not sealed was refused for want of room.
  bool is_full() const;
  Error insufficient_servers() const;

  ClientContext& context_;
  const BlockPlan plan_;
  const std::shared_ptr<BlockContent> content_;
  std::shared_ptr<BlockSource> source_;  // of the present block id
  std::vector<Slot> slots_;              // by index, ascending; empty before the allocation
  std::vector<BlockId> former_;          // begun anew since, and not given back yet
  std::map<ServerId, MonoTime> failed_;  // when each failed this block last, under any of its ids
  bool allocating_ = false;
  bool stopped_ = false;
  std::optional<MonoTime> required_since_;
  std::optional<MonoTime> stuck_since_;
  std::optional<MonoTime> behind_since_;
  std::optional<Error> error_;
};

}  // namespace dogfs
