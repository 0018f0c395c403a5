#include "core/base/hash.h"

#include "core/base/check.h"

namespace dogfs {

uint64_t hash64(std::string_view bytes) {
  uint64_t hash = 14695981039346656037ULL;
  for (const char byte : bytes) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 1099511628211ULL;
  }
  return mix64(hash);
}

uint64_t reduce64(uint64_t hash, uint64_t bound) {
  DOGFS_CHECK(bound > 0);
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((static_cast<Wide>(hash) * bound) >> 64);
}

}  // namespace dogfs
