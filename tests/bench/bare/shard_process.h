// The bare program's server: a process of one thread that writes what it receives to one file a block, and reads it
// back. Nothing else: no records, no header, no locks.
#pragma once

#include <cstddef>
#include <string>

namespace dogfs::bare {

struct ShardProcessOptions {
  std::string directory;  // exists; the files are removed again at the end
  size_t cell_bytes = 0;
  bool direct_io = false;  // write with O_DIRECT; reads always go through the page cache
};

// Serves one connection, accepted from `listener`, until its peer closes it.
void run_shard_process(int listener, const ShardProcessOptions& options);

}  // namespace dogfs::bare
