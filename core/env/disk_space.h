// How much room a disk has.
#pragma once

#include <cstdint>

namespace dogfs {

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
  bool read_only = false;  // as a file system is that has found itself damaged
};

}  // namespace dogfs
