#include "runtime/cli/append.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "runtime/cli/copy_in.h"
#include "runtime/cli/local_files.h"
#include "runtime/cli/names.h"
#include "runtime/cli/paths.h"

namespace dogfs::cli {
namespace {

struct Target {
  std::unique_ptr<FileWriter> writer;
  bool made = false;  // there was none
};

Task<Result<Target>> open_to_append(Session& session, std::string path) {
  Result<std::unique_ptr<FileWriter>> opened = co_await session.client().append(path);
  const bool missing = code_of(opened) == ErrorCode::kNotFound;
  if (missing) opened = co_await session.client().create(path, {});
  if (!opened) co_return opened.error();
  co_return Target{std::move(opened).value(), missing};
}

// As a put does, but for a file that has got something.
Task<void> remove_if_empty(Session& session, std::string path, WriteLease lease, Error failure) {
  if (exit_code_of(failure.code) != ExitCode::kTryAgain) {
    const Result<wire::FileStatus> left = co_await session.client().stat(path);
    if (left && left.value().length() > 0) co_return;
    if (!left && exit_code_of(left.error().code) != ExitCode::kTryAgain) co_return;
    if (!left) failure = left.error();
  }
  co_await remove_incomplete(session, path, lease, failure);
}

Task<Status> append_source(Session& session, std::string name, FileWriter& writer) {
  Result<LocalSource> opened = LocalSource::standard_input();
  if (name != "-") opened = co_await run_blocking(session.env().compute, [&] { return LocalSource::open(name); });
  if (!opened) co_return opened.error();
  LocalSource source = std::move(opened).value();
  co_return co_await copy_to_writer(session, source, writer);
}

}  // namespace

Task<void> append(Session& session, AppendOptions options) {
  const Result<std::string> path = parse_path(options.target);
  if (!path) {
    session.fail(options.target, path.error());
    co_return;
  }
  const Result<Target> target = co_await open_to_append(session, path.value());
  if (!target) {
    session.fail(path.value(), target.error());
    co_return;
  }
  FileWriter& writer = *target.value().writer;
  // What came before a source that fails stays: it may be the only copy of a log.
  Status appended = ok();
  std::string source;
  for (size_t i = 0; i < options.sources.size() && appended; ++i) {
    source = options.sources[i];
    appended = co_await append_source(session, source, writer);
  }
  const Result<WriteOutcome> closed = co_await writer.close();
  // The writer's error is that of the target, and comes again with the close.
  if (!appended && code_of(appended) != code_of(closed)) session.fail(source, appended.error());
  if (!closed) {
    session.fail(path.value(), closed.error());
  } else if (closed.value().blocks_short > 0) {
    session.warn(
        fmt::format("{}: {} blocks have fewer shards than their policy asks for; the weakest survives the loss "
                    "of {} more",
                    printable(path.value()), closed.value().blocks_short, closed.value().least_spares));
  }
  if (target.value().made && (!appended || !closed)) {
    const Error failure = appended ? closed.error() : appended.error();
    co_await remove_if_empty(session, path.value(), writer.lease(), failure);
  }
}

Task<void> truncate(Session& session, TruncateOptions options) {
  for (const std::string& text : options.paths) {
    const Result<std::string> path = parse_path(text);
    const Status cut = path ? co_await session.client().truncate(path.value(), options.length) : Status(path.error());
    if (!cut) session.fail(text, cut.error());
  }
}

Task<void> recover_leases(Session& session, RecoverLeaseOptions options) {
  for (const std::string& text : options.paths) {
    const Result<std::string> path = parse_path(text);
    const Status recovered = path ? co_await session.client().recover_lease(path.value()) : Status(path.error());
    if (!recovered) session.fail(text, recovered.error());
  }
}

}  // namespace dogfs::cli
