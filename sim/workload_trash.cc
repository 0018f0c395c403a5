// What clients do with the trash: they delete into it, restore to where it was or elsewhere, purge and look. Whether
// something was still there when they asked is for HistoryOracle to say, whose model knows the log's time.
#include <algorithm>
#include <utility>

#include "sim/workload.h"

namespace dogfs::sim {
namespace {

constexpr uint32_t kTrashPage = 3;

}  // namespace

// Every client says the same, so that none depends on another one.
Task<Status> Workload::set_up_trash() {
  wire::AdministerTrashRequest request;
  request.set_set(true);
  request.set_period_ms(context_.scenario.work().trash_period_ms());
  if (request.period_ms() == 0) co_return ok();
  DOGFS_CO_TRYV(co_await client_.administer_trash(std::move(request)));
  co_return ok();
}

Task<Status> Workload::operate_on_trash(RandomStream& draws) {
  switch (draws.below(8)) {
    case 0:
      co_return co_await list_trash();
    case 1:
      co_return co_await purge_trash(draws);
    case 2:
    case 3:
      co_return co_await remove_path(draws);
    default:
      co_return co_await restore_from_trash(draws);
  }
}

// To where it was, if that is there and free; or to a fresh name.
std::string Workload::restore_target(const TrashedTree& trashed, RandomStream& draws) {
  const std::string fresh = pick(state_.model.directories(), draws) + "/" + state_.model.fresh_name();
  const auto& certain = state_.model.certain();
  const auto parent = certain.find(std::string(parent_of(trashed.path)));
  const bool fits = parent != certain.end() && parent->second.is_directory() && !certain.contains(trashed.path) &&
                    !state_.model.uncertain().contains(trashed.path);
  return draws.below(2) == 0 && fits ? trashed.path : fresh;
}

TrashedTree Workload::take_trashed(RandomStream& draws) {
  const auto chosen = state_.trash.begin() + static_cast<std::ptrdiff_t>(draws.below(state_.trash.size()));
  TrashedTree trashed = std::move(*chosen);
  state_.trash.erase(chosen);
  return trashed;
}

Task<Status> Workload::restore_from_trash(RandomStream& draws) {
  if (state_.trash.empty()) co_return ok();
  const TrashedTree trashed = take_trashed(draws);
  const std::string target = restore_target(trashed, draws);
  RestoreOptions options{.target = target == trashed.path ? std::string() : target, .parents = draws.below(2) == 0};
  state_.model.begin_restore(trashed.tree, target);
  record_what("restore", target);
  Status restored = co_await client_.restore_trash(trashed.inode, std::move(options));
  if (code_of(restored) == ErrorCode::kNotFound) {
    state_.model.not_restored(target);
    co_return ok();
  }
  if (!restored.has_value()) co_return judge("restore to " + target, std::move(restored).error());
  state_.model.restored(trashed.tree, target);
  co_return ok();
}

Task<Status> Workload::purge_trash(RandomStream& draws) {
  const bool all = draws.below(4) == 0;
  Status purged = ok();
  if (all) {
    record_what("empty", "the trash");
    purged = co_await client_.empty_trash();
  } else if (!state_.trash.empty()) {
    const TrashedTree trashed = take_trashed(draws);
    record_what("purge", trashed.path);
    purged = co_await client_.purge_trash(trashed.inode);
    if (code_of(purged) == ErrorCode::kNotFound) purged = ok();
  }
  if (!purged.has_value()) co_return judge("purge of the trash", std::move(purged).error());
  co_return ok();
}

Task<Status> Workload::list_trash() {
  record_what("list", "the trash");
  wire::ListTrashRequest request;
  request.set_limit(kTrashPage);
  for (bool more = true; more;) {
    const Result<wire::ListTrashReply> page = co_await client_.list_trash(request);
    if (!page.has_value()) co_return judge("list of the trash", page.error());
    for (const wire::TrashEntry& entry : page.value().entries()) {
      request.set_after_expires_ms(entry.expires_ms());
      request.set_after_inode(entry.inode());
    }
    more = page.value().more() && page.value().entries_size() > 0;
  }
  co_return ok();
}

}  // namespace dogfs::sim
