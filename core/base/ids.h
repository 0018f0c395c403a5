// Strong types for ids and indices, so that a term is never passed for a log index, nor a server for a node.
//
// Construction is explicit and there is no implicit way back: `id.value()` where the bare number is meant. Zero is
// "none" for every id type; ids count from one and are never reused.
#pragma once

#include <fmt/format.h>

#include <compare>
#include <cstdint>
#include <functional>

namespace dogfs {

template <class Tag, class Rep = uint64_t>
class StrongInt {
 public:
  using rep = Rep;
  constexpr StrongInt() = default;
  constexpr explicit StrongInt(Rep value) : value_(value) {}

  constexpr Rep value() const { return value_; }
  constexpr bool is_none() const { return value_ == 0; }
  constexpr auto operator<=>(const StrongInt&) const = default;

  constexpr StrongInt next() const { return StrongInt(static_cast<Rep>(value_ + 1)); }
  // The one before. Precondition: not zero.
  constexpr StrongInt previous() const { return StrongInt(static_cast<Rep>(value_ - 1)); }
  constexpr StrongInt& operator++() {
    ++value_;
    return *this;
  }

 private:
  Rep value_ = 0;
};

// A metadata node: a member of Raft groups.
using NodeId = StrongInt<struct NodeIdTag>;
// A Raft group. Group 0 owns the chunk server registry, so here alone zero is a real id.
using GroupId = StrongInt<struct GroupIdTag>;
using Term = StrongInt<struct TermTag>;
using LogIndex = StrongInt<struct LogIndexTag>;
// A file or directory. The root directory is inode 1.
using InodeId = StrongInt<struct InodeIdTag>;
using BlockId = StrongInt<struct BlockIdTag>;
// A chunk server, as registered through Raft; it keeps its id over restarts.
using ServerId = StrongInt<struct ServerIdTag>;
// One physical attempt at a (block, shard index); unique in the cluster, issued by Raft.
using ShardGeneration = StrongInt<struct ShardGenerationTag>;
// The position of a shard in its block: 0..k-1 data, k..k+m-1 parity.
using ShardIndex = StrongInt<struct ShardIndexTag, uint32_t>;
using SessionId = StrongInt<struct SessionIdTag>;
// The number of a request within its client session, from 1.
using SequenceNumber = StrongInt<struct SequenceNumberTag>;
// How often the write lease of a file has changed hands.
using LeaseEpoch = StrongInt<struct LeaseEpochTag>;

}  // namespace dogfs

template <class Tag, class Rep>
// architecture: allow hash: for look-ups in unordered containers; its value decides nothing
struct std::hash<dogfs::StrongInt<Tag, Rep>> {
  // architecture: allow hash: as above
  size_t operator()(dogfs::StrongInt<Tag, Rep> id) const { return std::hash<Rep>()(id.value()); }
};

template <class Tag, class Rep>
struct fmt::formatter<dogfs::StrongInt<Tag, Rep>> : fmt::formatter<Rep> {
  template <class Context>
  auto format(dogfs::StrongInt<Tag, Rep> id, Context& context) const {
    return fmt::formatter<Rep>::format(id.value(), context);
  }
};
