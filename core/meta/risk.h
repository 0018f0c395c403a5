// How much a committed block can still lose, and the order in which blocks are repaired.
//
// A block has spares: the shards that can be counted on, less the d that decode it. Fewest first is the order of
// repair: the chance that a block with s spares is lost before it is mended falls steeply with s, so an hour spent on a
// block with two spares is an hour stolen from one with none.
#pragma once

#include <cstdint>

#include "core/wire/state.pb.h"

namespace dogfs {

// Where a block stands in the index of blocks that need work; the order of the numbers is the order of the work.
enum class Risk : uint8_t {
  // 0 ... kMaxParityShards - 1: that many spares, and fewer than the block should have.
  kNoSpare = 0,
  // All shards are there, but some on servers that are to be emptied.
  kLeaving = 0x80,
  // Fewer shards than decode it: nothing can be done until one comes back.
  kLost = 0xFE,
  // As it should be: not in the index.
  kWhole = 0xFF,
};

constexpr Risk risk_of_spares(uint32_t spares) {
  return static_cast<Risk>(spares);
}
constexpr bool is_short(Risk risk) {
  return risk < Risk::kLeaving;
}

// What the state of a server says of the whole shards on it.
wire::Shard::Condition condition_of(wire::ServerState state);

// Whether the shard counts as redundancy.
bool is_intact(const wire::Shard& shard);

// d: how many shards decode the block.
uint32_t needed_shards(const wire::BlockRow& block);
uint32_t intact_shards(const wire::BlockRow& block);

// Precondition: the block is committed.
Risk risk_of(const wire::BlockRow& block);

}  // namespace dogfs
