// `dogfs ls`.
#pragma once

#include <string>
#include <vector>

#include "core/env/task.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct ListOptions {
  std::vector<std::string> paths;  // none: the root
  bool details = false;
  bool recursive = false;
  bool human = false;
};

// Prints page by page: a directory of any size is listed in little memory.
Task<void> list(Session& session, ListOptions options);

}  // namespace dogfs::cli
