#include "runtime/cli/tree_walk.h"

#include <utility>

#include "runtime/cli/paths.h"

namespace dogfs::cli {

Task<Status> TreeWalk::walk(std::string path) {
  DOGFS_CO_TRY(wire::FileStatus status, co_await session_.client().stat(path));
  if (!status.directory()) {
    Entry directory{.path = std::string(parent_path(path)), .status = {}};
    DOGFS_CO_TRY(directory.status, co_await session_.client().stat(directory.path));
    Entry file{.path = std::move(path), .status = std::move(status)};
    co_return co_await visit_file(std::move(file), directory);
  }
  pending_.push_back({.path = std::move(path), .status = std::move(status)});
  while (!pending_.empty() && !session_.interrupted()) {
    Entry directory = std::move(pending_.back());
    pending_.pop_back();
    const std::string name = directory.path;
    report(name, co_await walk_directory(std::move(directory)));
  }
  co_return ok();
}

Task<Status> TreeWalk::walk_directory(Entry directory) {
  visit_directory();
  std::string after;
  for (bool more = true; more && !session_.interrupted();) {
    DOGFS_CO_TRY(const wire::ListReply page, co_await session_.client().list(directory.path, after, 0));
    for (const wire::FileStatus& entry : page.entries()) {
      if (session_.interrupted()) break;
      Entry child{.path = join_path(directory.path, entry.name()), .status = entry};
      if (entry.directory()) {
        pending_.push_back(std::move(child));
        continue;
      }
      const std::string name = child.path;
      report(name, co_await visit_file(std::move(child), directory));
    }
    more = page.more() && page.entries_size() > 0;
    if (more) after = page.entries(page.entries_size() - 1).name();
  }
  co_return ok();
}

void TreeWalk::report(const std::string& path, const Status& status) {
  if (!status && status.error().code != ErrorCode::kNotFound) session_.fail(path, status.error());
}

}  // namespace dogfs::cli
