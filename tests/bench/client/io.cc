#include "tests/bench/client/io.h"

#include <algorithm>
#include <memory>

#include "core/base/checksum.h"
#include "core/base/limits.h"
#include "tests/bench/rate.h"

namespace dogfs::bench {
namespace {

constexpr size_t kSourceBytes = 64 * kMiB;
// What one call of the client writes or reads: about what a program that copies a file would ask for.
constexpr size_t kCallBytes = 4 * kMiB;

// Pseudo-random bytes (splitmix64).
Bytes make_source() {
  MutableBuffer buffer(kSourceBytes);
  auto* words = reinterpret_cast<uint64_t*>(buffer.data());
  for (size_t i = 0; i < kSourceBytes / sizeof(uint64_t); ++i) {
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    words[i] = z ^ (z >> 31);
  }
  return buffer.freeze();
}

// The stretch of the endless repetition of `source` that begins at `offset`: at most `length` bytes.
Bytes stretch(const Bytes& source, uint64_t offset, uint64_t length) {
  const size_t from = offset % source.size();
  return source.slice(from, std::min<uint64_t>({length, kCallBytes, source.size() - from}));
}

uint32_t crc_of_repetition(const Bytes& source, uint64_t size) {
  uint32_t crc = 0;
  for (uint64_t at = 0; at < size;) {
    const Bytes piece = stretch(source, at, size - at);
    crc = crc32c(piece.span(), crc);
    at += piece.size();
  }
  return crc;
}

}  // namespace

Task<Result<IoResult>> put_file(Client& client, std::string path, uint64_t size) {
  const Bytes source = make_source();
  IoResult result;
  const auto start = SteadyClock::now();
  CreateOptions options;
  options.overwrite = true;
  options.parents = true;
  options.expected_bytes = size;
  DOGFS_CO_TRY(std::unique_ptr<FileWriter> writer, co_await client.create(path, options));
  while (result.bytes < size) {
    Bytes piece = stretch(source, result.bytes, size - result.bytes);
    result.bytes += piece.size();
    DOGFS_CO_TRYV(co_await writer->write(std::move(piece)));
  }
  DOGFS_CO_TRY(const WriteOutcome outcome, co_await writer->close());
  result.seconds = seconds_since(start);
  if (outcome.blocks_short > 0) co_return Error(ErrorCode::kIoError, "a block has fewer shards than it should");
  result.crc32c = crc_of_repetition(source, size);
  co_return result;
}

Task<Result<IoResult>> get_file(Client& client, std::string path, bool sum) {
  IoResult result;
  const auto start = SteadyClock::now();
  DOGFS_CO_TRY(const std::unique_ptr<FileReader> reader, co_await client.open(path));
  while (result.bytes < reader->size()) {
    DOGFS_CO_TRY(const BytesChain data, co_await reader->read(result.bytes, kCallBytes));
    if (data.empty()) co_return Error(ErrorCode::kIoError, "the file ended early");
    if (sum) result.crc32c = crc32c(data, result.crc32c);
    result.bytes += data.size();
  }
  result.seconds = seconds_since(start);
  co_return result;
}

}  // namespace dogfs::bench
