#include "core/chunk/shard_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "core/base/limits.h"
#include "core/base/mutant.h"

namespace dogfs {
namespace {

// Handles are what bounds this: a process may have some 1,000 by default, and `dogfsd dev` is nine servers in one.
constexpr size_t kMaxOpenFiles = 64;

// The whole pieces that `range` of a shard of `shard_length` touches.
ShardRange whole_pieces(ShardRange range, uint64_t shard_length) {
  const uint64_t begin = range.offset / kChecksumPieceBytes * kChecksumPieceBytes;
  const uint64_t end = std::min(piece_count(range.end()) * kChecksumPieceBytes, shard_length);
  return ShardRange{begin, end - begin};
}

Task<Result<ShardFooter>> read_footer(std::shared_ptr<ShardFile> file, ShardKey key, ShardEntry entry) {
  DOGFS_CO_TRY(const Bytes bytes,
               co_await file->read(shard_footer_offset(entry.length), shard_footer_bytes(entry.length)));
  DOGFS_CO_TRY(ShardFooter footer, decode_shard_footer(bytes.span()));
  if (footer.key != key || footer.length != entry.length || footer.crc != entry.crc) {
    co_return Error(ErrorCode::kCorrupt, "the footer is that of " + to_string(footer.key));
  }
  co_return footer;
}

}  // namespace

Task<Result<ShardRead>> ShardReader::read(ShardKey key, ShardRange range, bool from_disk) {
  if (mutant_active(Mutant::kDecodeStaleGeneration)) key = oldest_attempt(key);
  DOGFS_CO_TRYV(check(key, range));
  const ShardRange pieces = whole_pieces(range, table_.find(key)->length);
  const size_t disk = table_.find(key)->disk;
  ByteBudget& budget = budgets_.of(disk);
  if (!budget.try_take(pieces.length)) co_return Error(ErrorCode::kBusy, "too many bytes are being read");
  ++active_;
  Result<ShardRead> result = co_await read_pieces(key, pieces, from_disk);
  if (!result.has_value()) {
    note_read_failure(disks_, *disks_[disk], key, result.error());
    result = unread(key, result.error());
  }
  --active_;
  budget.give_back(pieces.length);
  co_return result;
}

// What is known to be unreadable is damaged for whoever needs what could not be read; anything else is to be looked at.
Error ShardReader::unread(const ShardKey& key, const Error& error) const {
  if (error.code != ErrorCode::kIoError && error.code != ErrorCode::kCorrupt) return error;
  const ShardEntry* entry = table_.find(key);
  if (entry != nullptr && entry->state == ShardState::kUnreadable) {
    return Error(ErrorCode::kCorrupt, to_string(key) + " cannot be read: " + error.to_string());
  }
  if (suspect_) suspect_(key);
  return error;
}

ShardKey ShardReader::oldest_attempt(ShardKey key) const {
  const auto oldest = table_.entries().lower_bound(ShardKey{key.block, key.index, ShardGeneration()});
  const bool found =
      oldest != table_.entries().end() && oldest->first.block == key.block && oldest->first.index == key.index;
  return found ? oldest->first : key;
}

Status ShardReader::check(const ShardKey& key, ShardRange range) const {
  const ShardEntry* entry = table_.find(key);
  if (entry == nullptr && incomplete_) {
    DOGFS_COVERAGE_MARK("chunk: a shard that may be on a disk that was left out");
    return Error(ErrorCode::kUnavailable, to_string(key) + " may be on a disk that cannot be read");
  }
  if (entry == nullptr || entry->state == ShardState::kDeleting) return table_.missing(key);
  if (entry->state == ShardState::kUnverified) return Error(ErrorCode::kUnavailable, "the shard is being verified");
  if (entry->state == ShardState::kDamaged && !mutant_active(Mutant::kDecodeStaleGeneration))
    return Error(ErrorCode::kCorrupt, to_string(key) + " is damaged");
  if (range.length == 0 || range.offset > entry->length || range.length > entry->length - range.offset) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("read of {} bytes at {} of a shard of {}", range.length, range.offset, entry->length));
  }
  const uint64_t pieces = whole_pieces(range, entry->length).length;
  if (pieces > kMaxTransferBytes) {
    return Error(ErrorCode::kInvalidArgument,
                 fmt::format("read of {} bytes, whose pieces are {}; at most {} are allowed", range.length, pieces,
                             kMaxTransferBytes));
  }
  return ok();
}

Task<Result<ShardRead>> ShardReader::read_pieces(ShardKey key, ShardRange pieces, bool from_disk) {
  const ShardEntry entry = *table_.find(key);
  DOGFS_CO_TRY(const std::shared_ptr<const OpenFile> open, co_await opened(key, entry));
  if (from_disk) {
    DOGFS_CO_TRYV(co_await open->file->drop_cache());
  }
  // The file is padded behind the data, so an aligned read never reaches beyond it.
  Result<Bytes> bytes = co_await open->file->read(kShardHeaderBytes + pieces.offset, shard_align_up(pieces.length));
  if (!bytes.has_value()) co_return bytes.error();
  const auto first = open->footer.piece_crcs.begin() + static_cast<ptrdiff_t>(pieces.offset / kChecksumPieceBytes);
  co_return ShardRead{.offset = pieces.offset,
                      .payload = BytesChain(bytes.value().slice(0, pieces.length)),
                      .piece_crcs = {first, first + static_cast<ptrdiff_t>(piece_count(pieces.length))},
                      .footer = {open, &open->footer}};
}

Task<Result<std::shared_ptr<const ShardReader::OpenFile>>> ShardReader::opened(ShardKey key, ShardEntry entry) {
  if (const auto found = open_by_key_.find(key); found != open_by_key_.end()) {
    open_files_.splice(open_files_.begin(), open_files_, found->second);
    co_return open_files_.front();
  }
  DOGFS_CO_TRY(std::shared_ptr<const OpenFile> file, co_await open(key, entry));
  const ShardEntry* now = table_.find(key);
  if (now != nullptr && now->state == ShardState::kSealed) keep(file);
  co_return file;
}

Task<Result<std::shared_ptr<const ShardReader::OpenFile>>> ShardReader::open(ShardKey key, ShardEntry entry) {
  Result<std::shared_ptr<ShardFile>> file = co_await disks_[entry.disk]->files().open(shard_file_name(key));
  if (!file.has_value()) {
    // The record says that there is one: it did not go by our hand.
    if (file.error().code == ErrorCode::kNotFound)
      co_return Error(ErrorCode::kCorrupt, "the file of the shard is gone");
    co_return file.error();
  }
  Result<ShardFooter> footer = co_await read_footer(file.value(), key, entry);
  if (!footer.has_value() && footer.error().code == ErrorCode::kCorrupt) {
    // A footer that was misread once is in the cache, and would be for all who ask.
    DOGFS_CO_TRYV(co_await file.value()->drop_cache());
    DOGFS_COVERAGE_MARK("chunk: a footer is read a second time");
    footer = co_await read_footer(file.value(), key, entry);
  }
  if (!footer.has_value()) co_return footer.error();
  co_return std::make_shared<const OpenFile>(OpenFile{std::move(file).value(), std::move(footer).value()});
}

void ShardReader::keep(std::shared_ptr<const OpenFile> file) {
  const ShardKey key = file->footer.key;
  forget(key);
  open_files_.push_front(std::move(file));
  open_by_key_[key] = open_files_.begin();
  if (open_files_.size() <= kMaxOpenFiles) return;
  open_by_key_.erase(open_files_.back()->footer.key);
  open_files_.pop_back();
}

void ShardReader::forget(const ShardKey& key) {
  const auto found = open_by_key_.find(key);
  if (found == open_by_key_.end()) return;
  open_files_.erase(found->second);
  open_by_key_.erase(found);
}

}  // namespace dogfs
