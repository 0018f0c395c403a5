// One read of a stretch of a block: asks shards, waits, asks others, decodes.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/client/block_reader.h"
#include "core/client/stripe_choice.h"

namespace dogfs {

class StripeRead : public std::enable_shared_from_this<StripeRead> {
 public:
  StripeRead(std::shared_ptr<BlockReader> block, BlockRange range);

  // As BlockReader::read. Call once.
  Task<Result<BytesChain>> run();

 private:
  // A read of one shard, under way or done.
  struct Fetch {
    MonoTime started;
    std::optional<BytesChain> bytes;
  };
  // One stored shard of the block.
  struct Source {
    Shard shard;
    ShardRange narrow{};  // what the stretch itself needs of it; empty for others
    ShardRange wide{};    // what decoding any part of the stretch needs of it
    std::optional<Fetch> narrow_fetch{};
    std::optional<Fetch> wide_fetch{};
    std::optional<Error> failure{};
    bool late = false;
    // The budget did not allow for another request: asked again then.
    MonoTime not_late_before{};

    bool is_needed() const { return narrow.length > 0; }
    bool is_pending() const;
    // All bytes of `narrow`, if they have come.
    std::optional<BytesChain> own_bytes() const;
  };

  static Task<void> fetch(std::shared_ptr<StripeRead> self, size_t source, bool wide);

  void begin_round();
  // Starts what should be asked now.
  void ask();
  void take(Source& source, bool wide, const Shard& asked, Result<ShardBytes> read);
  void mark_late();
  bool is_overdue(const Source& source) const;
  MonoTime overdue_at(const Source& source) const;
  std::vector<ShardOutlook> outlooks() const;
  bool is_pending() const;
  MonoTime next_lateness() const;
  // Fetches the locations again. True if they are others, and worth asking.
  Task<Result<bool>> relocate();
  Task<Result<BytesChain>> deliver();
  Task<Status> decode();
  Error failure(ErrorCode code) const;
  Error fail(Error error);
  // Fewer shards than decode it are where they were located and whole. Before this is called a loss, the locations
  // must be as the metadata has them now: repair puts a shard in place of each damaged one.
  bool is_lost() const;
  void end();

  std::shared_ptr<BlockReader> block_;
  std::shared_ptr<const FileBlock> located_;
  const BlockRange range_;
  const uint32_t required_;  // d
  std::vector<Source> sources_;
  bool stale_ = false;    // a server did not have what it should, in this round
  bool doubted_ = false;  // too few shards were intact, and were looked at once more
  bool ended_ = false;    // what still arrives is dropped
  Notifier changed_;
};

}  // namespace dogfs
