// Whether a chunk server can go: what would become of the blocks that have a shard on it. Block by block, a judgement
// without waiting, so that a request that cannot be satisfied says so rather than wait for ever.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/wire/state.pb.h"

namespace dogfs {

// A server as the judgement sees it.
struct DepartureServer {
  std::string rack;
  wire::ServerState state = wire::LIVE;
  bool is_there = false;       // heard of lately
  uint64_t free_bytes = 0;     // on all disks that take shards
  uint64_t room = free_bytes;  // the most on one of them
};

// DRAINING asks whether each shard of `leaving` has somewhere to go, beside the others of its block that need another
// place too, and what other servers are being emptied of:
//   - another server that takes shards and has none of the block
//   - with room for it
//   - without crowding more than m shards of the block into one rack, whose loss would then be a loss of data; unless
//     its shards lie like that already.
// And that nothing of what others are being emptied of, or had when they died, has this server alone to go to.
// Each shard is put where most room is. Where room is short that may be refused which another distribution would bear, and
// that be accepted which the disks of a server, each of which must have room, do not.
// MAINTENANCE asks whether each block can be decoded from what the others have.
class Departure {
 public:
  // Precondition: `wanted` is DRAINING or MAINTENANCE.
  Departure(ServerId leaving, wire::ServerState wanted, std::map<ServerId, DepartureServer> servers);

  // The other servers that are being emptied, or dead.
  const std::vector<ServerId>& leaving_before() const { return leaving_before_; }
  // A committed block that has a shard on `server`, which is one of those. These come first: they take their room.
  void add_before(ServerId server, const wire::BlockRow& block);
  // A committed block that has a shard on the server.
  void add(const wire::BlockRow& block);

  uint64_t blocks() const { return blocks_; }
  // kConflict, or kNoSpace, with the number of blocks that stand in the way and one of them.
  Status verdict() const;

 private:
  // Why a shard has no place to go to.
  enum class Lack : uint8_t {
    kNothing,
    kServer,
    kRoom,
    kRack,
    kLeaving,  // it is not on `leaving`, and could go there alone
  };
  // Blocks with the same hindrance.
  struct Hindered {
    uint64_t blocks = 0;
    uint64_t first = 0;
    void add(const wire::BlockRow& block) {
      if (blocks++ == 0) first = block.block();
    }
  };
  // Where the shards of a block are, and will be.
  struct Spread {
    std::vector<ServerId> used;
    std::map<std::string, uint32_t> in_racks;
    uint32_t most_in_rack = 0;
  };

  void add_to_drain(const wire::BlockRow& block);
  void add_to_maintain(const wire::BlockRow& block);
  bool keeps(ServerId server) const;
  bool has_shard_on(const wire::BlockRow& block, ServerId server) const;
  Spread spread_of(const wire::BlockRow& block) const;
  // Finds places for all shards of a block that need one, that on `leaving` last; and tells what this one lacks, or where
  // there is none, whether another lacks `leaving`.
  Lack place(const wire::BlockRow& block);
  Lack place_shard(const wire::Shard& shard, Spread& spread);
  Status refuse(ErrorCode code, const Hindered& hindered, const char* why) const;

  const ServerId leaving_;
  const wire::ServerState wanted_;
  std::map<ServerId, DepartureServer> servers_;
  std::vector<ServerId> leaving_before_;
  uint64_t blocks_ = 0;
  Hindered homeless_;
  Hindered roomless_;
  Hindered crowded_;
  Hindered unreadable_;
  Hindered needed_;
};

}  // namespace dogfs
