// Reed-Solomon coding: m parity shards from k data shards, and any shard from any others that suffice.
//
// The generator is systematic: row i < k of the (k + m) x k matrix is the unit vector of data shard i, the rows behind
// are Jerasure's reed_sol_vandermonde_coding_matrix(k, m, 8), and any k rows are linearly independent. A shard is its
// row times the data. With d <= k data shards in existence the others are zeros, so only the first d columns count and
// any d stored shards decode: the d x d matrix of their rows is inverted, and the wanted rows times that inverse give
// each wanted shard directly from the sources, in one pass over the bytes.
//
// (J. S. Plank: A Tutorial on Reed-Solomon Coding for Fault-Tolerance in RAID-like Systems, 1997, with the correction
// by Plank and Ding, 2003. Jerasure's matrix and inversion; ISA-L's arithmetic, three times as fast, same bytes.)
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/ec/gf_product.h"

namespace dogfs {

// How to compute wanted shards from chosen others. Immutable: safe for use from Compute jobs.
class DecodePlan {
 public:
  DecodePlan(std::vector<ShardIndex> sources, std::vector<ShardIndex> wanted, GfProduct product)
      : sources_(std::move(sources)), wanted_(std::move(wanted)), product_(std::move(product)) {}

  // Which d shards go in, in ascending order, and which come out, in ascending order.
  const std::vector<ShardIndex>& sources() const { return sources_; }
  const std::vector<ShardIndex>& wanted() const { return wanted_; }

  // Computes the same stretch of each wanted shard from that stretch of each source: any stretch, at any offset. Spans
  // are in the order of sources() and wanted(). A source that ends within the stretch (its shard is shorter) is given
  // as far as it goes and continued by zeros; each output is as long as is wanted of it.
  void run(std::span<const std::span<const std::byte>> sources, std::span<const std::span<std::byte>> wanted) const {
    product_.multiply(sources, wanted);
  }

 private:
  std::vector<ShardIndex> sources_;
  std::vector<ShardIndex> wanted_;
  GfProduct product_;
};

class Codec {
 public:
  // Preconditions: 1 <= k <= kMaxDataShards, 1 <= m <= kMaxParityShards.
  Codec(uint32_t data_shards, uint32_t parity_shards);

  uint32_t data_shards() const { return data_shards_; }
  uint32_t parity_shards() const { return parity_shards_; }

  // Computes the same stretch of every parity shard from that of the data shards, 0 upwards: any stretch, so that a
  // writer encodes as bytes come. Fewer than k spans, and spans that end early, are continued by zeros. Preconditions:
  // at most k data spans, m parity spans. Const: safe for use from Compute jobs.
  void encode(std::span<const std::span<const std::byte>> data, std::span<const std::span<std::byte>> parity) const;

  struct DecodeRequest {
    // d: the data shards that exist (BlockLayout::stored_data_shards()).
    uint32_t stored_data_shards = 0;
    // Shards that can be had, most welcome first: the first d of them are used.
    std::vector<ShardIndex> available;
    std::vector<ShardIndex> wanted;
  };
  // kDataLoss when fewer than d different shards are available, kInvalidArgument for an index that no stored shard has.
  // Plans are kept for the next call (bounded, least recently used goes): belongs to one executor.
  Result<std::shared_ptr<const DecodePlan>> plan(const DecodeRequest& request);

 private:
  // Sets of shard indices as bits.
  struct PlanKey {
    uint32_t stored_data_shards = 0;
    uint64_t sources = 0;
    uint64_t wanted = 0;
    auto operator<=>(const PlanKey&) const = default;
  };
  struct CachedPlan {
    PlanKey key;
    std::shared_ptr<const DecodePlan> plan;
  };
  using PlanList = std::list<CachedPlan>;

  Result<PlanKey> key_of(const DecodeRequest& request) const;
  std::shared_ptr<const DecodePlan> make_plan(const PlanKey& key) const;
  uint8_t generator(ShardIndex row, uint32_t column) const;

  uint32_t data_shards_;
  uint32_t parity_shards_;
  GfMatrix parity_rows_;
  GfProduct encoder_;
  PlanList plans_;  // most recently used first
  std::map<PlanKey, PlanList::iterator> plan_by_key_;
};

}  // namespace dogfs
