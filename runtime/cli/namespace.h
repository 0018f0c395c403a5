// `dogfs mkdir`, `mv` and `rm`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/env/task.h"
#include "core/wire/common.pb.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct MkdirOptions {
  std::vector<std::string> paths;
  bool parents = false;
  std::optional<wire::EcPolicy> policy;  // none: inherit
};
Task<void> make_directories(Session& session, MkdirOptions options);

struct MoveOptions {
  std::vector<std::string> sources;
  std::string target;
  bool no_clobber = false;
};
Task<void> move(Session& session, MoveOptions options);

struct RemoveOptions {
  std::vector<std::string> paths;
  bool recursive = false;
  bool force = false;       // what is not there is no failure
  bool skip_trash = false;  // gone for good
};
Task<void> remove(Session& session, RemoveOptions options);

}  // namespace dogfs::cli
