// `dogfs append` and `dogfs truncate`: files that are there already become longer, or shorter. `dogfs recover-lease`: what
// somebody has open for that, and does not close, is closed where it is.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/env/task.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct AppendOptions {
  std::vector<std::string> sources;  // "-" is standard input
  std::string target;
};

// The bytes of the sources, one after the other, behind the end of the target, which is made where it is missing. After
// a failure the target has what was committed until then: a beginning of those bytes.
Task<void> append(Session& session, AppendOptions options);

struct TruncateOptions {
  uint64_t length = 0;
  std::vector<std::string> paths;
};

Task<void> truncate(Session& session, TruncateOptions options);

struct RecoverLeaseOptions {
  std::vector<std::string> paths;
};

// Ends the writing of files, whoever writes them: what was acknowledged stays, what was not is given up, and the writers
// are refused from then on. Nothing happens to a file that nobody writes.
Task<void> recover_leases(Session& session, RecoverLeaseOptions options);

}  // namespace dogfs::cli
