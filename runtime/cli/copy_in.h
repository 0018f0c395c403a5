// Local bytes into a file that is open for writing, and what becomes of the file when that fails.
#pragma once

#include <optional>
#include <string>

#include "core/client/client.h"
#include "core/env/task.h"
#include "runtime/cli/local_files.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

// Moves all of `source` to `writer`, which stays open. kCancelled on Ctrl-C.
Task<Status> copy_to_writer(Session& session, LocalSource& source, FileWriter& writer);

// Takes away what a write that failed has left. `lease`: it was written under this, at a name that others use too, and what
// they have put in its place meanwhile stays.
Task<void> remove_incomplete(Session& session, std::string path, std::optional<WriteLease> lease, Error failure);

}  // namespace dogfs::cli
