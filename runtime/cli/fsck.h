// `dogfs fsck`: how safe each file is.
//
// Files in the trash that were under the path count too: they can be restored. What it shows is what the metadata knows:
// servers that are dead, and damage that was found by readers and scrubbers. Nothing is read. With `verify` every stored shard is read and held against what was committed; what is damaged is
// reported to the cluster, as a reader of files would, so that it is repaired.
#pragma once

#include <string>

#include "core/env/task.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct FsckOptions {
  std::string path = "/";
  bool verify = false;
  bool all = false;  // lists healthy blocks too
  bool json = false;
};

// Prints every block that is not healthy, with its shards, and a summary. Fails with kDataLoss where a block is lost,
// with kCorrupt where a shard was found damaged or missing, with kUnavailable where one could not be read.
Task<void> check_files(Session& session, FsckOptions options);

}  // namespace dogfs::cli
