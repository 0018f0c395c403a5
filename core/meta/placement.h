// Which chunk servers get the shards of a block: a pure function of what the leader knows and a seed.
//
// Spreading comes first: each shard goes to a rack that has the fewest shards of the block so far. Filling the
// emptiest rack first keeps the fullest rack as empty as any choice can, so that no rack gets more than m shards of a
// block whenever the racks suffice for that, and the loss of a whole rack then loses no data. Among the servers of
// those racks one is drawn at random, by free space and against load, as in "the power of random choices": always
// taking the emptiest would send every writer of a moment to the same new server.
//
// Integer arithmetic only: the same input gives the same servers on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/ids.h"

namespace dogfs {

struct PlacementCandidate {
  ServerId server;
  std::string_view rack;
  uint64_t free_bytes = 0;     // on all disks that take shards
  uint64_t room = free_bytes;  // the most on one of them
  // Transfers that are under way there, or were placed there and are not reported yet.
  uint64_t load = 0;
};

struct PlacementRequest {
  uint32_t wanted = 0;
  // What a server must have free on one disk.
  uint64_t shard_bytes = 0;
  // Servers that hold a shard of the block already: they get no other, and count for their racks.
  std::span<const ServerId> used;
  // Servers that must not be taken.
  std::span<const ServerId> excluded;
  uint64_t seed = 0;
};

// How many servers could get a shard, were there one for each.
size_t count_eligible(std::span<const PlacementCandidate> candidates, const PlacementRequest& request);

// `request.wanted` distinct servers in the order they were drawn, fewer only where no more are eligible. Precondition:
// candidates are distinct.
std::vector<ServerId> place_shards(std::span<const PlacementCandidate> candidates, const PlacementRequest& request);

}  // namespace dogfs
