#include "runtime/cli/namespace.h"

#include <fmt/format.h>

#include "runtime/cli/paths.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

Task<Status> make_directory(Session& session, std::string text, const MkdirOptions& options) {
  DOGFS_CO_TRY(const std::string path, parse_path(text));
  MakeDirectoryOptions make;
  make.parents = options.parents;
  make.policy = options.policy ? &*options.policy : nullptr;
  co_return co_await session.client().make_directory(path, make);
}

Task<Status> move_one(Session& session, std::string text, std::string target, bool into, bool no_clobber) {
  DOGFS_CO_TRY(const std::string source, parse_path(text));
  const std::string to = into ? join_path(target, base_name(source)) : target;
  co_return co_await session.client().rename(source, to, !no_clobber);
}

Task<Status> remove_one(Session& session, std::string text, const RemoveOptions& options) {
  DOGFS_CO_TRY(const std::string path, parse_path(text));
  if (path == "/") co_return Error(ErrorCode::kInvalidArgument, "the root cannot be removed");
  if (!options.recursive) {
    DOGFS_CO_TRY(const wire::FileStatus status, co_await session.client().stat(path));
    if (status.directory()) co_return Error(ErrorCode::kIsADirectory, "use rm -r");
  }
  const DeleteOptions how{.recursive = options.recursive, .skip_trash = options.skip_trash};
  DOGFS_CO_TRY(const wire::DeleteResult result, co_await session.client().remove(path, how));
  if (result.trashed_inode() != 0) {
    print(fmt::format("{}: in the trash as {}, for {}\n", session.shown_name(path), result.trashed_inode(),
                      format_duration(milliseconds(result.kept_ms()))));
  }
  co_return ok();
}

}  // namespace

Task<void> make_directories(Session& session, MkdirOptions options) {
  for (const std::string& path : options.paths) {
    const Status made = co_await make_directory(session, path, options);
    if (!made) session.fail(path, made.error());
  }
}

Task<void> move(Session& session, MoveOptions options) {
  const Result<std::string> target = parse_path(options.target);
  if (!target) {
    session.fail(options.target, target.error());
    co_return;
  }
  const Result<wire::FileStatus> status = co_await session.client().stat(target.value());
  if (!status && status.error().code != ErrorCode::kNotFound) {
    session.fail(target.value(), status.error());
    co_return;
  }
  const bool into = status && status.value().directory();
  if (!into && options.sources.size() > 1) {
    session.fail(target.value(), Error(ErrorCode::kNotADirectory));
    co_return;
  }
  for (const std::string& source : options.sources) {
    const Status moved = co_await move_one(session, source, target.value(), into, options.no_clobber);
    if (!moved) session.fail(source + " -> " + options.target, moved.error());
  }
}

Task<void> remove(Session& session, RemoveOptions options) {
  for (const std::string& path : options.paths) {
    const Status removed = co_await remove_one(session, path, options);
    if (removed || (options.force && code_of(removed) == ErrorCode::kNotFound)) continue;
    session.fail(path, removed.error());
  }
}

}  // namespace dogfs::cli
