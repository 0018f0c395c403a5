// One shard of a block, all that is said of it in one place: which, where, which attempt, how long, and its checksum.
// Never lists of indices beside lists of servers: a peer lost data for years to those (HDFS-16333, HDFS-14768).
#pragma once

#include <cstdint>

#include "core/base/ids.h"
#include "core/env/transport.h"
#include "core/wire/common.pb.h"

namespace dogfs {

struct Shard {
  ShardIndex index;
  ServerId server{};  // none: it is stored nowhere
  ShardGeneration generation{};
  Address address{};
  uint64_t length = 0;
  uint32_t crc32c = 0;

  bool is_stored() const { return !server.is_none(); }
  bool operator==(const Shard&) const = default;
};

inline Shard shard_from_wire(const wire::Shard& shard) {
  return Shard{.index = ShardIndex(shard.index()),
               .server = ServerId(shard.server()),
               .generation = ShardGeneration(shard.generation()),
               .address = Address{shard.server_address()},
               .length = shard.length(),
               .crc32c = shard.crc32c()};
}

// Without the address, which only replies carry.
inline wire::Shard shard_to_wire(const Shard& shard) {
  wire::Shard out;
  out.set_index(shard.index.value());
  out.set_server(shard.server.value());
  out.set_generation(shard.generation.value());
  out.set_length(shard.length);
  out.set_crc32c(shard.crc32c);
  return out;
}

}  // namespace dogfs
