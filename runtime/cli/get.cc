#include "runtime/cli/get.h"

#include <fmt/format.h>

#include "runtime/cli/local_files.h"
#include "runtime/cli/names.h"
#include "runtime/cli/paths.h"
#include "runtime/cli/tree_transfer.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

constexpr size_t kReadBytes = 4 * kMiB;

// Moves all of `reader` to `sink`, and counts that nothing is missing.
Task<Status> copy_to_sink(Session& session, FileReader& reader, LocalSink& sink) {
  uint64_t offset = 0;
  while (offset < reader.size()) {
    if (session.interrupted()) co_return Error(ErrorCode::kCancelled);
    Result<BytesChain> read = co_await reader.read(offset, kReadBytes);
    if (!read) co_return read.error();
    const BytesChain bytes = std::move(read).value();
    if (bytes.empty()) {
      co_return Error(ErrorCode::kInternal, fmt::format("ends after {} of {} bytes", offset, reader.size()));
    }
    DOGFS_CO_TRYV(co_await run_blocking(session.env().compute, [&] { return sink.write(bytes); }));
    offset += bytes.size();
    session.progress().add_bytes(bytes.size());
  }
  co_return ok();
}

// A failure belongs to one of the two sides; the message names that one.
struct SidedStatus {
  Status status;
  bool local = false;
};

Task<SidedStatus> get_file(Session& session, TransferItem file) {
  auto opened = co_await session.client().open(file.source);
  if (!opened) co_return SidedStatus{opened.error()};
  const std::unique_ptr<FileReader> reader = std::move(opened).value();
  auto created = co_await run_blocking(session.env().compute, [&] { return LocalSink::create(file.target); });
  if (!created) co_return SidedStatus{created.error(), true};
  LocalSink sink = std::move(created).value();
  const Status copied = co_await copy_to_sink(session, *reader, sink);
  if (!copied) co_return SidedStatus{copied.error()};
  const Status committed = co_await run_blocking(session.env().compute, [&] { return sink.commit(file.mode); });
  co_return SidedStatus{committed, true};
}

class Get final : public TreeTransfer {
 public:
  using TreeTransfer::TreeTransfer;

  // Gets one file.
  Task<void> transfer(TransferItem file) override;

 private:
  Task<void> enter(TransferItem directory) override;
  // Starts what one page of a listing names.
  Task<void> take_page(const TransferItem& directory, const wire::ListReply& page);
};

Task<void> Get::transfer(TransferItem file) {
  const SidedStatus done = co_await get_file(session(), file);
  if (!done.status) {
    fail(done.local ? file.target : file.source, done.status.error());
    co_return;
  }
  session().progress().add_file();
}

Task<void> Get::enter(TransferItem directory) {
  const Status made = co_await run_blocking(session().env().compute,
                                            [&] { return make_local_directory(directory.target, directory.mode); });
  if (!made) {
    fail(directory.target, made.error());
    co_return;
  }
  std::string after;
  for (bool more = true; more && !stopped();) {
    const Result<wire::ListReply> listed = co_await session().client().list(directory.source, after, 0);
    if (!listed) {
      fail(directory.source, listed.error());
      co_return;
    }
    const wire::ListReply& page = listed.value();
    co_await take_page(directory, page);
    more = page.more() && page.entries_size() > 0;
    if (more) after = page.entries(page.entries_size() - 1).name();
  }
}

Task<void> Get::take_page(const TransferItem& directory, const wire::ListReply& page) {
  for (const wire::FileStatus& entry : page.entries()) {
    if (stopped()) co_return;
    if (!is_safe_local_name(entry.name())) {
      fail(join_path(directory.source, entry.name()), Error(ErrorCode::kInvalidArgument, "not a file name"));
      continue;
    }
    TransferItem item{.source = join_path(directory.source, entry.name()),
                      .target = join_path(directory.target, entry.name()),
                      .size = entry.length(),
                      .mode = entry.mode()};
    if (entry.directory()) {
      add_directory(std::move(item));
    } else {
      co_await add_file(std::move(item));
    }
  }
}

Task<void> print_file(Session& session, std::string path) {
  auto opened = co_await session.client().open(path);
  if (!opened) {
    session.fail(path, opened.error());
    co_return;
  }
  const std::unique_ptr<FileReader> reader = std::move(opened).value();
  LocalSink sink = LocalSink::standard_output();
  const Status copied = co_await copy_to_sink(session, *reader, sink);
  if (!copied) session.fail(path, copied.error());
}

struct LocalDestination {
  std::string path;
  bool is_directory = false;
};

Task<Result<LocalDestination>> find_destination(Session& session, std::string path) {
  const auto local = co_await run_blocking(session.env().compute, [&] { return stat_local(path); });
  if (!local && local.error().code != ErrorCode::kNotFound) co_return local.error();
  const bool is_directory = local && local.value().type == LocalType::kDirectory;
  if (path.ends_with('/') && !is_directory) {
    co_return Error(local ? ErrorCode::kNotADirectory : ErrorCode::kNotFound);
  }
  co_return LocalDestination{std::move(path), is_directory};
}

Task<void> get_one(Session& session, Get& transfer, std::string text, LocalDestination destination, bool recursive) {
  const Result<std::string> source = parse_path(text);
  if (!source) {
    session.fail(text, source.error());
    co_return;
  }
  const Result<wire::FileStatus> status = co_await session.client().stat(source.value());
  if (!status) {
    session.fail(source.value(), status.error());
    co_return;
  }
  const std::string_view name = base_name(source.value());
  const bool into = destination.is_directory && !name.empty();
  TransferItem item{.source = source.value(),
                    .target = into ? join_path(destination.path, name) : destination.path,
                    .size = status.value().length(),
                    .mode = status.value().mode()};
  if (!status.value().directory()) {
    session.progress().set_total({.bytes = item.size, .files = 1});
    co_await transfer.transfer(std::move(item));
    co_return;
  }
  if (!recursive) {
    session.fail(source.value(), Error(ErrorCode::kIsADirectory, "use get -r"));
    co_return;
  }
  if (session.errors_to_terminal()) {
    const Result<wire::SummaryReply> summary = co_await session.client().summary(source.value());
    if (summary) session.progress().set_total({.bytes = summary.value().bytes(), .files = summary.value().files()});
  }
  co_await transfer.run(std::move(item));
}

}  // namespace

Task<void> get(Session& session, GetOptions options) {
  if (options.target == "-") {
    co_await cat(session, std::move(options.sources));
    co_return;
  }
  const Result<LocalDestination> destination = co_await find_destination(session, options.target);
  if (!destination) {
    session.fail(options.target, destination.error());
    co_return;
  }
  if (options.sources.size() > 1 && !destination.value().is_directory) {
    session.fail(options.target, Error(ErrorCode::kNotADirectory));
    co_return;
  }
  Get transfer(session);
  for (const std::string& source : options.sources) {
    if (session.interrupted()) break;
    co_await get_one(session, transfer, source, destination.value(), options.recursive);
  }
  if (!session.verbose() && !(options.recursive && session.errors_to_terminal())) co_return;
  const TransferCounts done = session.progress().done();
  session.warn(fmt::format("got {} files, {} bytes in {:.1f} s", done.files, human_bytes(done.bytes),
                           std::chrono::duration<double>(session.progress().elapsed()).count()));
}

Task<void> cat(Session& session, std::vector<std::string> paths) {
  for (const std::string& text : paths) {
    if (session.interrupted()) break;
    Result<std::string> path = parse_path(text);
    if (!path) {
      session.fail(text, path.error());
      continue;
    }
    co_await print_file(session, std::move(path).value());
  }
}

}  // namespace dogfs::cli
