#include "runtime/cli/quota.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/cli/inspect.h"
#include "runtime/cli/paths.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

constexpr const char* kRow = "{:>12} {:>12}  {:>8} {:>8}  {}\n";

Task<Status> change_quota(Session& session, QuotaOptions options, wire::SetQuota quota) {
  DOGFS_CO_TRY(*quota.mutable_path(), parse_path(options.path));
  co_return co_await session.client().set_quota(std::move(quota));
}

Task<Result<wire::GetQuotasReply>> get_quotas(Session& session, std::string text) {
  DOGFS_CO_TRY(const std::string path, parse_path(text));
  co_return co_await session.client().quotas(path);
}

void print_quota(const Session& session, const wire::GetQuotasReply::Quota& quota) {
  const std::string names = quota.max_names() == 0 ? "-" : std::to_string(quota.max_names());
  const std::string bytes = quota.max_bytes() == 0 ? "-" : human_bytes(quota.max_bytes());
  print(fmt::format(fmt::runtime(kRow), quota.names(), names, human_bytes(quota.bytes()), bytes,
                    session.shown_name(quota.path())));
}

}  // namespace

Task<void> set_quota(Session& session, QuotaOptions options) {
  if (options.max_names == 0 && options.max_bytes == 0) {
    session.fail(options.path, Error(ErrorCode::kInvalidArgument, "give --names, --bytes or both"));
    co_return;
  }
  wire::SetQuota quota;
  quota.set_max_names(options.max_names);
  quota.set_max_bytes(options.max_bytes);
  const Status set = co_await change_quota(session, options, std::move(quota));
  if (!set) session.fail(options.path, set.error());
}

Task<void> clear_quota(Session& session, QuotaOptions options) {
  wire::SetQuota quota;
  quota.set_clear(true);
  const Status cleared = co_await change_quota(session, options, std::move(quota));
  if (!cleared) session.fail(options.path, cleared.error());
}

Task<void> show_quotas(Session& session, QuotaOptions options) {
  const Result<wire::GetQuotasReply> reply = co_await get_quotas(session, options.path);
  if (!reply) {
    session.fail(options.path, reply.error());
    co_return;
  }
  if (options.json) {
    print_json(reply.value());
    co_return;
  }
  print(fmt::format(fmt::runtime(kRow), "NAMES", "OF", "STORED", "OF", "PATH"));
  for (const wire::GetQuotasReply::Quota& quota : reply.value().quotas()) print_quota(session, quota);
}

}  // namespace dogfs::cli
