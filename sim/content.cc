#include "sim/content.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "core/base/hash.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kWordBytes = 8;

// Little endian on every machine.
std::array<std::byte, kWordBytes> word_at(uint64_t key, uint64_t index) {
  const uint64_t value = combine64(key, index);
  std::array<std::byte, kWordBytes> bytes{};
  for (size_t i = 0; i < kWordBytes; ++i) bytes[i] = static_cast<std::byte>(value >> (8 * i));
  return bytes;
}

// Calls `visit(position in [0, length), bytes)` for each stretch of the content within one word.
template <class Visit>
void for_each_stretch(uint64_t key, uint64_t offset, size_t length, Visit visit) {
  for (size_t at = 0; at < length;) {
    const auto word = word_at(key, (offset + at) / kWordBytes);
    const size_t skip = (offset + at) % kWordBytes;
    const size_t bytes = std::min<size_t>(kWordBytes - skip, length - at);
    if (!visit(at, std::span(word).subspan(skip, bytes))) return;
    at += bytes;
  }
}

}  // namespace

Bytes make_content(uint64_t key, uint64_t offset, size_t length) {
  MutableBuffer buffer(length);
  for_each_stretch(key, offset, length, [&buffer](size_t at, std::span<const std::byte> bytes) {
    std::memcpy(buffer.data() + at, bytes.data(), bytes.size());
    return true;
  });
  return buffer.freeze();
}

bool is_content(uint64_t key, uint64_t offset, const BytesChain& bytes) {
  bool equal = true;
  for (const Bytes& piece : bytes.pieces()) {
    for_each_stretch(key, offset, piece.size(), [&](size_t at, std::span<const std::byte> expected) {
      equal = std::memcmp(piece.data() + at, expected.data(), expected.size()) == 0;
      return equal;
    });
    if (!equal) return false;
    offset += piece.size();
  }
  return true;
}

}  // namespace dogfs::sim
