#include "tests/bench/load/content.h"

#include <cstring>
#include <span>

#include "core/base/check.h"
#include "core/base/hash.h"

namespace dogfs::bench {
namespace {

void fill(std::string_view name, uint64_t offset, std::span<std::byte> out) {
  DOGFS_CHECK(offset % kContentUnit == 0 && out.size() % kContentUnit == 0);
  const uint64_t seed = hash64(name);
  for (size_t at = 0; at < out.size(); at += kContentUnit) {
    const uint64_t word = mix64(seed + (offset + at) / kContentUnit);
    std::memcpy(out.data() + at, &word, sizeof(word));
  }
}

}  // namespace

Bytes content_of(std::string_view name, uint64_t offset, uint64_t length) {
  MutableBuffer buffer(length);
  fill(name, offset, buffer.span());
  return buffer.freeze();
}

bool is_content_of(std::string_view name, uint64_t offset, const BytesChain& bytes) {
  const Bytes wanted = content_of(name, offset, bytes.size());
  size_t at = 0;
  for (const Bytes& piece : bytes.pieces()) {
    if (std::memcmp(piece.data(), wanted.data() + at, piece.size()) != 0) return false;
    at += piece.size();
  }
  return true;
}

}  // namespace dogfs::bench
