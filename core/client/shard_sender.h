// Sends one shard of a block that is being written to one chunk server: open, appends under a window, seal.
//
// The sender runs beside the encoder: it appends what is there, waits for more, and seals when the block is complete.
// Every request is safe to repeat (opening anew empties the shard, an append over what is there succeeds, so does a
// second seal), so a connection that broke is tried again before the server counts as failed.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "core/client/block_content.h"
#include "core/client/context.h"
#include "core/client/shard.h"
#include "core/wire/chunk.pb.h"

namespace dogfs {

// A block as its senders see it. Those that are begun one after the other for the same bytes share content and notifier.
struct BlockSource {
  BlockSource(std::shared_ptr<BlockContent> block_content, std::shared_ptr<Notifier> notifier)
      : content(std::move(block_content)), changed(std::move(notifier)) {}

  const std::shared_ptr<BlockContent> content;
  BlockId block;
  // Senders give up: the block was committed or abandoned. What is left of the content may be gone.
  bool stopped = false;
  // With every change of what is above, and of each shard's state.
  const std::shared_ptr<Notifier> changed;
};

// The sending of one shard, to one server after the other.
struct ShardSending {
  explicit ShardSending(std::shared_ptr<BlockSource> block) : source(std::move(block)) {}
  bool ended() const { return given_up || source->stopped; }

  const std::shared_ptr<BlockSource> source;
  bool given_up = false;  // another one has taken over
};

// Opens the shard at its target, empty. `length`: that it will have, where that is known; else 0.
Task<Status> open_shard(ClientContext& context, BlockId block, wire::EcPolicy policy, Shard target, uint64_t length);

// Called, until the sending has ended, with how many bytes of a shard its server has.
using TakenBytes = std::function<void(uint64_t)>;

// Sends an opened shard. Resumes when it is sealed (ok), when the server failed (its error), or once the sending has
// ended (kCancelled). A server that takes nothing for stall_timeout has failed; a slow one has not. `context` must
// outlive the call; requests without an answer, and with them `on_taken`, may outlive it in context.tasks.
Task<Status> send_shard(ClientContext& context, std::shared_ptr<ShardSending> sending, Shard target,
                        TakenBytes on_taken);

// Seals a shard that the server has whole: one whose earlier seal was not answered.
Task<Status> seal_sent_shard(ClientContext& context, std::shared_ptr<ShardSending> sending, Shard target);

// Tells the server, without waiting, that nobody will go on with a shard.
void abort_shard(ClientContext& context, BlockId block, const Shard& target);

}  // namespace dogfs
