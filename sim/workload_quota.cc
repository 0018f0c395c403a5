// What clients do with quotas: each limits its own directories, to about what is in them, and goes on working. And what
// they ask of all that is in a directory.
#include <utility>

#include "sim/workload.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kMostNames = 20;
constexpr uint64_t kMostBlocks = 30;

}  // namespace

Task<Status> Workload::operate_on_quotas(RandomStream& draws) {
  switch (draws.below(4)) {
    case 0:
      co_return co_await clear_quota(pick(state_.model.directories(), draws));
    case 1:
      co_return co_await show_quotas(draws);
    default:
      co_return co_await set_quota(draws);
  }
}

Task<Status> Workload::set_quota(RandomStream& draws) {
  const std::string path = pick(state_.model.directories(), draws);
  const proto::Policy& policy = context_.scenario.policy();
  const uint64_t names = 1 + draws.below(kMostNames);
  const uint64_t blocks = 1 + draws.below(kMostBlocks);
  const uint64_t kinds = draws.below(3);
  wire::SetQuota quota;
  quota.set_path(path);
  if (kinds != 0) quota.set_max_names(names);
  if (kinds != 1) {
    const uint64_t shard_bytes = policy.block_bytes() / policy.data_shards();
    quota.set_max_bytes(blocks * shard_bytes * (policy.data_shards() + policy.parity_shards()));
  }
  record_what("set the quota of", path);
  Status set = co_await client_.set_quota(std::move(quota));
  if (!set.has_value()) co_return judge("quota of " + path, std::move(set).error());
  co_return ok();
}

Task<Status> Workload::clear_quota(std::string path) {
  record_what("clear the quota of", path);
  wire::SetQuota quota;
  quota.set_path(path);
  quota.set_clear(true);
  Status cleared = co_await client_.set_quota(std::move(quota));
  if (!cleared.has_value()) co_return judge("quota of " + path, std::move(cleared).error());
  co_return ok();
}

Task<Status> Workload::show_quotas(RandomStream& draws) {
  const std::string path = pick(state_.model.directories(), draws);
  record_what("show the quotas of", path);
  const Result<wire::GetQuotasReply> shown = co_await client_.quotas(path);
  if (!shown.has_value()) co_return judge("quotas of " + path, shown.error());
  co_return ok();
}

// HistoryOracle knows what it must come to.
Task<Status> Workload::add_up(RandomStream& draws) {
  const std::string path = draws.below(2) == 0 ? "/" : pick(state_.model.directories(), draws);
  record_what("add up", path);
  const Result<wire::SummaryReply> sum = co_await client_.summary(path);
  if (!sum.has_value()) co_return judge("summary of " + path, sum.error());
  co_return ok();
}

}  // namespace dogfs::sim
