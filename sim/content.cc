#include "sim/content.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/base/hash.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kWordBytes = 8;

// The word with the bytes of the content from index * kWordBytes on, the first one lowest.
uint64_t word_at(uint64_t key, uint64_t index) {
  return combine64(key, index);
}

uint64_t load(const std::byte* bytes, size_t count) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, count);
  return word;
}

// A mask of the lowest `count` bytes. Precondition: 0 < count <= kWordBytes.
uint64_t lowest(size_t count) {
  return ~uint64_t{0} >> (8 * (kWordBytes - count));
}

// Calls `visit(position, word, bytes)` for each stretch of the content within one word, shifted to its lowest bytes,
// until it returns false.
template <class Visit>
bool for_each_stretch(uint64_t key, uint64_t offset, size_t length, Visit visit) {
  for (size_t at = 0; at < length;) {
    const size_t skip = (offset + at) % kWordBytes;
    const size_t bytes = std::min<size_t>(kWordBytes - skip, length - at);
    if (!visit(at, word_at(key, (offset + at) / kWordBytes) >> (8 * skip), bytes)) return false;
    at += bytes;
  }
  return true;
}

static_assert(std::endian::native == std::endian::little);

}  // namespace

Bytes make_content(uint64_t key, uint64_t offset, size_t length) {
  MutableBuffer buffer(length);
  std::byte* out = buffer.data();
  for_each_stretch(key, offset, length, [out](size_t at, uint64_t word, size_t bytes) {
    if (bytes == kWordBytes) {
      std::memcpy(out + at, &word, kWordBytes);
    } else {
      std::memcpy(out + at, &word, bytes);
    }
    return true;
  });
  return buffer.freeze();
}

bool is_content(uint64_t key, uint64_t offset, const BytesChain& bytes) {
  for (const Bytes& piece : bytes.pieces()) {
    const std::byte* data = piece.data();
    const bool equal = for_each_stretch(key, offset, piece.size(), [data](size_t at, uint64_t word, size_t count) {
      if (count == kWordBytes) return load(data + at, kWordBytes) == word;
      return load(data + at, count) == (word & lowest(count));
    });
    if (!equal) return false;
    offset += piece.size();
  }
  return true;
}

}  // namespace dogfs::sim
