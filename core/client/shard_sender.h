// Sends one shard of a block that is being written to one chunk server: open, appends under a window, seal.
//
// The sender runs beside the encoder: it appends what is there, waits for more, and seals when the block is complete.
// Every request is safe to repeat (opening anew empties the shard, an append over what is there succeeds, so does a
// second seal), so a connection that broke is tried again before the server counts as failed.
#pragma once

#include <memory>
#include <optional>

#include "core/client/block_content.h"
#include "core/client/context.h"
#include "core/client/shard.h"
#include "core/wire/chunk.pb.h"

namespace dogfs {

// The block as its senders see it.
struct BlockSource {
  explicit BlockSource(Clock& clock, BlockContent block_content) : content(std::move(block_content)), changed(clock) {}

  BlockContent content;
  BlockId block;
  // Senders give up: the block was committed or abandoned. What is left of the content may be gone.
  bool stopped = false;
  // With every change of what is above, and of each shard's state.
  Notifier changed;
};

// Opens the shard at its target, empty.
Task<Status> open_shard(ClientContext& context, BlockId block, wire::EcPolicy policy, Shard target);

// Sends an opened shard. Resumes when it is sealed (ok), when the server failed (its error), or when the source has
// stopped (kCancelled). `context` must outlive the call; requests without an answer may outlive it in context.tasks.
Task<Status> send_shard(ClientContext& context, std::shared_ptr<BlockSource> source, Shard target);

// Seals a shard that the server has whole: one whose earlier seal was not answered.
Task<Status> seal_sent_shard(ClientContext& context, std::shared_ptr<BlockSource> source, Shard target);

// Tells the server, without waiting, that nobody will go on with a shard.
void abort_shard(ClientContext& context, BlockId block, const Shard& target);

}  // namespace dogfs
