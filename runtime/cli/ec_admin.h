// `dogfs admin policy` and `dogfs admin convert`: how files are coded from now on, and those that are there already.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/env/task.h"
#include "core/wire/common.pb.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct PolicyOptions {
  std::vector<std::string> paths;  // directories
  std::optional<wire::EcPolicy> policy;
  bool inherit = false;  // instead of a policy: as their parents have it
};
Task<void> set_policies(Session& session, PolicyOptions options);

struct ConvertOptions {
  std::vector<std::string> paths;        // files, or directories with all that is in them
  std::optional<wire::EcPolicy> policy;  // none: that of the directory of each file
};
Task<void> convert(Session& session, ConvertOptions options);

}  // namespace dogfs::cli
