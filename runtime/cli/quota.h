// `dogfs quota …`: how much there may be in a directory and below it, and how much there is.
#pragma once

#include <cstdint>
#include <string>

#include "core/env/task.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

// The cluster has the last word (core/meta/quota.h).
inline constexpr uint64_t kMaxQuotaLimit = uint64_t{1} << 60;

struct QuotaOptions {
  std::string path;
  uint64_t max_names = 0;  // 0: as it is
  uint64_t max_bytes = 0;  // likewise
  bool json = false;
};

Task<void> set_quota(Session& session, QuotaOptions options);
Task<void> clear_quota(Session& session, QuotaOptions options);
// Of the path, and of the directories above it.
Task<void> show_quotas(Session& session, QuotaOptions options);

}  // namespace dogfs::cli
