// `dogfs put`: local files and trees into the cluster.
#pragma once

#include <string>
#include <vector>

#include "core/env/task.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct PutOptions {
  std::vector<std::string> sources;  // "-" is standard input
  std::string target;
  bool recursive = false;
  bool no_clobber = false;
};

// A file appears under its name complete or not at all where a file had that name before; where none had, a failed put
// removes what it wrote.
Task<void> put(Session& session, PutOptions options);

}  // namespace dogfs::cli
