// `dogfs get` and `dogfs cat`: files and trees out of the cluster.
#pragma once

#include <string>
#include <vector>

#include "core/env/task.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct GetOptions {
  std::vector<std::string> sources;
  std::string target = ".";  // "-" is standard output
  bool recursive = false;
};

// A local file gets its name only when all its bytes have been checked and written.
Task<void> get(Session& session, GetOptions options);

// Writes the files to standard output, one after the other.
Task<void> cat(Session& session, std::vector<std::string> paths);

}  // namespace dogfs::cli
