// A shard of a server by its whole name, and its names in messages.
#pragma once

#include <compare>
#include <set>

#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

struct PlacedShard {
  ServerId server;
  BlockId block;
  ShardIndex index;
  ShardGeneration generation;
  auto operator<=>(const PlacedShard&) const = default;
};
// One that is to go.
using GarbageShard = PlacedShard;

// From a message that names the server too: wire::ServerShard, wire::ConfirmDeleted::Entry.
template <class Message>
PlacedShard placed_shard(const Message& message) {
  return {.server = ServerId(message.server()),
          .block = BlockId(message.block()),
          .index = ShardIndex(message.index()),
          .generation = ShardGeneration(message.generation())};
}

// The inverse; leaves the message's other fields as they are.
template <class Message>
void set_placed_shard(const PlacedShard& shard, Message& message) {
  message.set_server(shard.server.value());
  message.set_block(shard.block.value());
  message.set_index(shard.index.value());
  message.set_generation(shard.generation.value());
}

// A block's shard where its row has it.
inline PlacedShard placed_shard(BlockId block, const wire::Shard& shard) {
  return {.server = ServerId(shard.server()),
          .block = block,
          .index = ShardIndex(shard.index()),
          .generation = ShardGeneration(shard.generation())};
}

inline PlacedShard placed_shard(ServerId server, const wire::ShardName& name) {
  return {.server = server,
          .block = BlockId(name.block()),
          .index = ShardIndex(name.index()),
          .generation = ShardGeneration(name.generation())};
}

inline wire::ShardName shard_name(const PlacedShard& shard) {
  wire::ShardName name;
  name.set_block(shard.block.value());
  name.set_index(shard.index.value());
  name.set_generation(shard.generation.value());
  return name;
}

// Moves shards of `server` to `names`, until those are as many as a heartbeat may name: each is told once.
inline void tell_once(ServerId server, std::set<PlacedShard>& shards,
                      google::protobuf::RepeatedPtrField<wire::ShardName>& names) {
  auto shard = shards.lower_bound(PlacedShard{.server = server, .block = {}, .index = {}, .generation = {}});
  while (shard != shards.end() && shard->server == server && names.size() < kMaxShardsPerHeartbeat) {
    *names.Add() = shard_name(*shard);
    shard = shards.erase(shard);
  }
}

}  // namespace dogfs
