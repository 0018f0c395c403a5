// One shard while it is received.
//
// Bytes go to the disk as they come, in the buffers that they came in, several writes at once; an append is answered
// when few enough bytes are under way, which holds the client back to the speed of the disk. Every write begins and
// ends at a multiple of 4096 bytes of the file: the header goes with the first piece, and a last piece that is not
// whole waits for the footer. So a small shard is one write in all.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/chunk/byte_budget.h"
#include "core/chunk/piece_sums.h"
#include "core/chunk/shard_format.h"
#include "core/env/shard_store.h"
#include "core/env/sync.h"

namespace dogfs {

struct ShardAppend {
  uint64_t offset = 0;
  BytesChain payload;
  std::vector<uint32_t> piece_crcs;

  AppendShape shape() const { return AppendShape{offset, payload.size(), piece_crcs}; }
};

class ShardWriter : public std::enable_shared_from_this<ShardWriter> {
 public:
  // `tasks` runs the writes; `budget` is charged while they are under way. Both outlive this writer and its writes.
  ShardWriter(Clock& clock, TaskGroup& tasks, ByteBudget& budget, ShardHeader header, std::shared_ptr<ShardFile> file);

  const ShardHeader& header() const { return header_; }
  std::shared_ptr<ShardFile> file() const { return file_; }
  const PieceSums& sums() const { return sums_; }
  MonoTime last_used() const { return last_used_; }
  const std::optional<Error>& failure() const { return failure_; }

  // Takes an append: waits for those before it, checks its sums, and hands it to the disk. The new length. kConflict if
  // what is before it has not come by the deadline, kChecksumMismatch before anything is written; the disk's error, now
  // and ever after, if a write failed.
  Task<Result<uint64_t>> append(ShardAppend append, MonoTime deadline);

  // kConflict or kChecksumMismatch unless this is what was received.
  Status check_seal(uint64_t length, uint32_t crc) const;
  // Writes the rest and the footer, and makes the file's bytes durable; then it takes no more appends. Not its name.
  // A failure is final. Precondition: check_seal() is ok; called once.
  Task<Status> seal();

  // Takes nothing more and answers everything with `error`.
  void fail(Error error);
  // Ends when no write is under way.
  Task<void> quiesce();

 private:
  Task<Result<PieceSums::Fit>> wait_for_predecessors(const ShardAppend& append, MonoTime deadline);
  Status take(ShardAppend append);
  void hand_to_disk(const BytesChain& data);
  static Task<void> write_out(std::shared_ptr<ShardWriter> writer, uint64_t offset, BytesChain data);
  Bytes make_ending() const;

  Clock& clock_;
  TaskGroup& tasks_;
  ByteBudget& budget_;
  ShardHeader header_;
  std::shared_ptr<ShardFile> file_;
  PieceSums sums_;
  // What was received and not handed to the disk: less than a piece, at the end.
  Bytes tail_;
  uint64_t handed_bytes_ = 0;  // of the file
  uint64_t in_flight_bytes_ = 0;
  bool sealing_ = false;
  std::optional<Error> failure_;
  MonoTime last_used_;
  Notifier changed_;
};

}  // namespace dogfs
