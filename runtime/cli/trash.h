// `dogfs trash …` and `dogfs admin trash …`: what was deleted and can be restored, and for how long.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/env/task.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct TrashListOptions {
  bool json = false;
};
// Each with its id, when it was deleted and by whom, how long it stays, and the path that it had.
Task<void> list_trash(Session& session, TrashListOptions options);

struct TrashRestoreOptions {
  std::vector<uint64_t> ids;
  std::string target;  // empty: the path that each had; a directory that exists: into it
  bool parents = false;
};
Task<void> restore_trash(Session& session, TrashRestoreOptions options);

// Without ids: everything.
Task<void> empty_trash(Session& session, std::vector<uint64_t> ids);

struct TrashPeriodOptions {
  uint64_t period_seconds = 86'400;
  bool json = false;
};
Task<void> keep_trash(Session& session, TrashPeriodOptions options);
Task<void> keep_no_trash(Session& session, TrashPeriodOptions options);
Task<void> show_trash_period(Session& session, TrashPeriodOptions options);

}  // namespace dogfs::cli
