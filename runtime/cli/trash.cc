#include "runtime/cli/trash.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "runtime/cli/inspect.h"
#include "runtime/cli/paths.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

constexpr const char* kRow = "{:>10}  {:<16}  {:>11}  {:<12}  {}\n";

void print_entry(const Session& session, const wire::TrashEntry& entry, int64_t log_time_ms) {
  const milliseconds left(std::max<int64_t>(entry.expires_ms() - log_time_ms, 0));
  print(fmt::format(fmt::runtime(kRow), entry.inode(), format_time(entry.deleted_wall_ms()), format_duration(left),
                    entry.deleted_by(), session.shown_name(entry.path()) + (entry.directory() ? "/" : "")));
}

// Where the tree that was at `path` is to go. Empty: to there again.
Task<Result<std::string>> find_target(Session& session, std::string text, std::string path) {
  if (text.empty()) co_return std::string();
  DOGFS_CO_TRY(const std::string target, parse_path(text));
  const Result<wire::FileStatus> there = co_await session.client().stat(target);
  if (there && there.value().directory()) co_return join_path(target, base_name(path));
  if (!there && there.error().code != ErrorCode::kNotFound) co_return there.error();
  co_return target;
}

Task<Status> restore_one(Session& session, uint64_t id, TrashRestoreOptions options) {
  wire::ListTrashRequest request;
  request.set_inode(id);
  DOGFS_CO_TRY(const wire::ListTrashReply found, co_await session.client().list_trash(std::move(request)));
  if (found.entries_size() != 1) co_return Error(ErrorCode::kProtocolError, "the entry is not in the answer");
  const std::string path = found.entries(0).path();
  DOGFS_CO_TRY(const std::string target, co_await find_target(session, options.target, path));
  const RestoreOptions how{.target = target, .parents = options.parents};
  DOGFS_CO_TRYV(co_await session.client().restore_trash(id, how));
  print(fmt::format("{}: restored to {}\n", id, session.shown_name(target.empty() ? path : target)));
  co_return ok();
}

Task<void> administer(Session& session, TrashPeriodOptions options, wire::AdministerTrashRequest request) {
  const Result<wire::AdministerTrashReply> reply = co_await session.client().administer_trash(std::move(request));
  if (!reply) {
    session.fail("admin trash", reply.error());
  } else if (options.json) {
    print_json(reply.value());
  } else {
    const milliseconds period(reply.value().period_ms());
    print(fmt::format("trash: {}; {} deleted paths are kept\n",
                      period.count() == 0 ? "off" : "what is deleted stays for " + format_duration(period),
                      reply.value().entries()));
  }
}

}  // namespace

Task<void> list_trash(Session& session, TrashListOptions options) {
  if (!options.json) print(fmt::format(fmt::runtime(kRow), "ID", "DELETED", "LEFT", "BY", "PATH"));
  wire::ListTrashRequest request;
  for (bool more = true; more && !session.interrupted();) {
    const Result<wire::ListTrashReply> page = co_await session.client().list_trash(request);
    if (!page) {
      session.fail("trash list", page.error());
      co_return;
    }
    for (const wire::TrashEntry& entry : page.value().entries()) {
      if (options.json) {
        print_json(entry);
      } else {
        print_entry(session, entry, page.value().log_time_ms());
      }
      request.set_after_expires_ms(entry.expires_ms());
      request.set_after_inode(entry.inode());
    }
    more = page.value().more() && page.value().entries_size() > 0;
  }
}

Task<void> restore_trash(Session& session, TrashRestoreOptions options) {
  for (const uint64_t id : options.ids) {
    const Status restored = co_await restore_one(session, id, options);
    if (!restored) session.fail(std::to_string(id), restored.error());
  }
}

Task<void> empty_trash(Session& session, std::vector<uint64_t> ids) {
  if (ids.empty()) {
    const Status emptied = co_await session.client().empty_trash();
    if (!emptied) session.fail("trash empty", emptied.error());
  }
  for (const uint64_t id : ids) {
    const Status purged = co_await session.client().purge_trash(id);
    if (!purged) session.fail(std::to_string(id), purged.error());
  }
}

Task<void> keep_trash(Session& session, TrashPeriodOptions options) {
  wire::AdministerTrashRequest request;
  request.set_set(true);
  request.set_period_ms(milliseconds(seconds(options.period_seconds)).count());
  return administer(session, options, std::move(request));
}

Task<void> keep_no_trash(Session& session, TrashPeriodOptions options) {
  wire::AdministerTrashRequest request;
  request.set_set(true);
  return administer(session, options, std::move(request));
}

Task<void> show_trash_period(Session& session, TrashPeriodOptions options) {
  return administer(session, options, wire::AdministerTrashRequest());
}

}  // namespace dogfs::cli
