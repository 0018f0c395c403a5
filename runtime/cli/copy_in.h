// Local bytes into a file that is open for writing.
#pragma once

#include "core/client/client.h"
#include "core/env/task.h"
#include "runtime/cli/local_files.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

// Moves all of `source` to `writer`, which stays open. kCancelled on Ctrl-C.
Task<Status> copy_to_writer(Session& session, LocalSource& source, FileWriter& writer);

}  // namespace dogfs::cli
