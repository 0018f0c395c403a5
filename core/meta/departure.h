// Whether a chunk server can go: what would become of the blocks that have a shard on it. Block by block, a judgement
// without waiting, so that a request that cannot be satisfied says so rather than wait for ever.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/wire/state.pb.h"

namespace dogfs {

// A server as the judgement sees it.
struct DepartureServer {
  std::string rack;
  bool takes_shards = false;  // LIVE, and heard of lately
  bool can_be_read = false;   // heard of lately, and here to stay: not in maintenance
  uint64_t free_bytes = 0;
};

// DRAINING asks whether each shard of `leaving` has somewhere to go:
//   - another server that takes shards and has none of the block
//   - without crowding more than m shards of the block into one rack, whose loss would then be a loss of data; unless
//     its shards lie like that already
//   - with room enough in all.
// MAINTENANCE asks whether each block can be decoded from what the others have.
class Departure {
 public:
  // Precondition: `wanted` is DRAINING or MAINTENANCE.
  Departure(ServerId leaving, wire::ServerState wanted, std::map<ServerId, DepartureServer> servers);

  // A committed block that has a shard on the server.
  void add(const wire::BlockRow& block);

  uint64_t blocks() const { return blocks_; }
  // kConflict, or kNoSpace, with the number of blocks that stand in the way and one of them.
  Status verdict() const;

 private:
  // Blocks with the same hindrance.
  struct Hindered {
    uint64_t blocks = 0;
    uint64_t first = 0;
    void add(const wire::BlockRow& block) {
      if (blocks++ == 0) first = block.block();
    }
  };

  void add_to_drain(const wire::BlockRow& block);
  void add_to_maintain(const wire::BlockRow& block);
  std::map<std::string, uint32_t> shards_by_rack(const wire::BlockRow& block) const;
  Status refuse(const Hindered& hindered, const char* why) const;

  const ServerId leaving_;
  const wire::ServerState wanted_;
  const std::map<ServerId, DepartureServer> servers_;
  uint64_t blocks_ = 0;
  uint64_t bytes_ = 0;
  Hindered homeless_;
  Hindered crowded_;
  Hindered unreadable_;
};

}  // namespace dogfs
