// The bare program's client: one thread that encodes, checksums, and moves cells to and from the shard processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/bytes.h"

namespace dogfs::bare {

inline constexpr size_t kDataShards = 6;
inline constexpr size_t kParityShards = 3;
inline constexpr size_t kShards = kDataShards + kParityShards;

struct Layout {
  size_t cell_bytes = 0;
  uint64_t stripes_per_block = 0;
  uint64_t stripes = 0;  // of the whole file

  size_t stripe_bytes() const { return cell_bytes * kDataShards; }
  uint64_t bytes() const { return stripes * stripe_bytes(); }
  uint64_t blocks() const { return (stripes + stripes_per_block - 1) / stripes_per_block; }
  uint64_t block_of(uint64_t stripe) const { return stripe / stripes_per_block; }
  // Blocks start at different servers, so that each server holds data and parity alike.
  static size_t server_of(uint64_t block, size_t shard) { return (block + shard) % kShards; }
};

struct Transfer {
  double seconds = 0;
  uint64_t cpu_us = 0;  // of the client and all servers
};

class BareClient {
 public:
  // `sockets` are connected, one a server, in the order of the servers; `source` is the user data of one block, sent
  // again for each. Both outlive the client.
  BareClient(std::vector<int> sockets, Layout layout, Bytes source);

  // Returns once every block is durable on every server.
  Transfer put();
  // Reads the data shards, in the order of the file.
  Transfer get();

 private:
  class Putter;

  std::vector<int> sockets_;
  Layout layout_;
  Bytes source_;
  std::vector<uint64_t> server_cpu_us_;
};

}  // namespace dogfs::bare
