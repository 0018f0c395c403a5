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
  co_return co_await walk_tree({.path = std::move(path), .status = std::move(status)});
}

Task<Result<uint64_t>> TreeWalk::walk_trash(std::string path) {
  uint64_t trees = 0;
  wire::ListTrashRequest request;
  for (bool more = true; more && !session_.interrupted();) {
    DOGFS_CO_TRY(const wire::ListTrashReply page, co_await session_.client().list_trash(request));
    for (const wire::TrashEntry& tree : page.entries()) {
      if (session_.interrupted()) break;
      request.set_after_expires_ms(tree.expires_ms());
      request.set_after_inode(tree.inode());
      if (!is_within(tree.path(), path)) continue;
      ++trees;
      Entry top{.path = tree.path(), .status = {}, .trash = tree.inode()};
      top.status.set_inode(tree.inode());
      top.status.set_directory(tree.directory());
      top.status.set_length(tree.length());
      if (tree.directory()) {
        report(tree.path(), co_await walk_tree(std::move(top)));
      } else {
        report(tree.path(), co_await visit_file(std::move(top), Entry()));
      }
    }
    more = page.more() && page.entries_size() > 0;
  }
  co_return trees;
}

Task<Status> TreeWalk::walk_tree(Entry top) {
  pending_.push_back(std::move(top));
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
  wire::ListRequest request;
  if (directory.trash != 0) {
    request.set_inode(directory.status.inode());
  } else {
    request.set_path(directory.path);
  }
  for (bool more = true; more && !session_.interrupted();) {
    DOGFS_CO_TRY(const wire::ListReply page, co_await session_.client().list(request));
    for (const wire::FileStatus& entry : page.entries()) {
      if (session_.interrupted()) break;
      Entry child{.path = join_path(directory.path, entry.name()), .status = entry, .trash = directory.trash};
      if (entry.directory()) {
        pending_.push_back(std::move(child));
        continue;
      }
      const std::string name = child.path;
      report(name, co_await visit_file(std::move(child), directory));
    }
    more = page.more() && page.entries_size() > 0;
    if (more) request.set_after(page.entries(page.entries_size() - 1).name());
  }
  co_return ok();
}

void TreeWalk::report(const std::string& path, const Status& status) {
  if (!status && status.error().code != ErrorCode::kNotFound) session_.fail(path, status.error());
}

}  // namespace dogfs::cli
