// Files of given size through the Client, from memory and to nowhere: the rate of the file system without that of a
// local disk or of a process's start.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/client/client.h"
#include "core/env/task.h"

namespace dogfs::bench {

struct IoResult {
  uint64_t bytes = 0;
  double seconds = 0;
  uint32_t crc32c = 0;  // of the whole file; 0 if it was not asked for
};

// Writes a file of `size` bytes, the same pseudo-random 64 MiB again and again. The time ends when every block is
// durable and the file is closed. kIoError when a block was committed with fewer shards than it should have.
Task<Result<IoResult>> put_file(Client& client, std::string path, uint64_t size);

// Reads a file from start to end and drops it. `sum` adds a pass over all of it, within the time: the client has held
// each piece against its checksum already.
Task<Result<IoResult>> get_file(Client& client, std::string path, bool sum);

}  // namespace dogfs::bench
