#include "runtime/cli/put.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "runtime/cli/copy_in.h"
#include "runtime/cli/local_files.h"
#include "runtime/cli/names.h"
#include "runtime/cli/paths.h"
#include "runtime/cli/tree_transfer.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

// What a put did beside the plain success, for the summary.
struct PutTotals {
  uint64_t files = 0;
  uint64_t kept = 0;  // were there, and --no-clobber said to leave them
  uint64_t symbolic_links = 0;
  uint64_t special_files = 0;
  uint64_t short_files = 0;  // with blocks of fewer shards than the policy asks for
  uint64_t short_blocks = 0;
  uint32_t least_spares = UINT32_MAX;

  void add(const WriteOutcome& outcome) {
    ++files;
    short_blocks += outcome.blocks_short;
    if (outcome.blocks_short == 0) return;
    ++short_files;
    least_spares = std::min(least_spares, outcome.least_spares);
  }
};

// A name beside `path` that nobody has.
std::string temporary_beside(Session& session, std::string_view path) {
  return join_path(parent_path(path), fmt::format(".dogfs-put-{:016x}", session.env().random.draw("cli.temporary")));
}

// Writes `source` to the new file `path`. After a failure there is none.
Task<Result<WriteOutcome>> write_new_file(Session& session, LocalSource& source, std::string path) {
  CreateOptions options;
  options.mode = source.mode();
  options.expected_bytes = source.size();
  auto created = co_await session.client().create(path, options);
  if (!created) co_return created.error();
  const std::unique_ptr<FileWriter> writer = std::move(created).value();

  const Status copied = co_await copy_to_writer(session, source, *writer);
  std::optional<Error> failure;
  if (copied) {
    Result<WriteOutcome> outcome = co_await writer->close();
    if (outcome) co_return outcome;
    failure = outcome.error();
  } else {
    failure = copied.error();
    co_await writer->abort();
  }
  co_await remove_incomplete(session, path, writer->lease(), *failure);
  co_return *failure;
}

Task<Result<WriteOutcome>> write_file(Session& session, LocalSource& source, std::string path, bool no_clobber) {
  Result<WriteOutcome> written = co_await write_new_file(session, source, path);
  if (code_of(written) != ErrorCode::kAlreadyExists || no_clobber) co_return written;

  const std::string temporary = temporary_beside(session, path);
  written = co_await write_new_file(session, source, temporary);
  if (!written) co_return written;
  const Status renamed = co_await session.client().rename(temporary, path, true);
  if (renamed) co_return written;
  co_await remove_incomplete(session, temporary, std::nullopt, renamed.error());
  co_return renamed.error();
}

class Put final : public TreeTransfer {
 public:
  Put(Session& session, bool no_clobber) : TreeTransfer(session), no_clobber_(no_clobber) {}

  // Puts one file, or standard input.
  Task<void> transfer(TransferItem file) override;
  const PutTotals& totals() const { return totals_; }

 private:
  Task<void> enter(TransferItem directory) override;
  void skip(const std::string& path, LocalType type);

  bool no_clobber_;
  PutTotals totals_;
};

Task<void> Put::transfer(TransferItem file) {
  Result<LocalSource> opened = LocalSource::standard_input();
  if (file.source != "-") {
    opened = co_await run_blocking(session().env().compute, [&] { return LocalSource::open(file.source); });
  }
  if (!opened) {
    fail(file.source, opened.error());
    co_return;
  }
  LocalSource source = std::move(opened).value();
  const Result<WriteOutcome> written = co_await write_file(session(), source, file.target, no_clobber_);
  if (!written && written.error().code == ErrorCode::kAlreadyExists && no_clobber_) {
    ++totals_.kept;
    co_return;
  }
  if (!written) {
    fail(file.target, written.error());
    co_return;
  }
  totals_.add(written.value());
  session().progress().add_file();
}

Task<void> Put::enter(TransferItem directory) {
  MakeDirectoryOptions options;
  options.parents = true;
  options.mode = directory.mode;
  const Status made = co_await session().client().make_directory(directory.target, options);
  if (!made) {
    fail(directory.target, made.error());
    co_return;
  }
  const auto listed = co_await run_blocking(session().env().compute, [&] { return list_local(directory.source); });
  if (!listed) {
    fail(directory.source, listed.error());
    co_return;
  }
  for (const LocalEntry& entry : listed.value()) {
    if (stopped()) co_return;
    TransferItem item{.source = join_path(directory.source, entry.name),
                      .target = join_path(directory.target, entry.name),
                      .size = entry.size,
                      .mode = entry.mode};
    if (entry.type == LocalType::kDirectory) {
      add_directory(std::move(item));
    } else if (entry.type == LocalType::kFile) {
      co_await add_file(std::move(item));
    } else {
      skip(item.source, entry.type);
    }
  }
}

void Put::skip(const std::string& path, LocalType type) {
  const bool link = type == LocalType::kSymbolicLink;
  ++(link ? totals_.symbolic_links : totals_.special_files);
  session().warn(fmt::format("{}: skipped: {}", printable(path), link ? "symbolic link" : "not a plain file"));
}

// Where each source goes: into the target where that is a directory, and otherwise to the target itself.
struct Destination {
  std::string path;
  bool is_directory = false;
};

Task<Result<Destination>> find_destination(Session& session, std::string text) {
  DOGFS_CO_TRY(std::string path, parse_path(text));
  const Result<wire::FileStatus> status = co_await session.client().stat(path);
  if (!status && status.error().code != ErrorCode::kNotFound) co_return status.error();
  const bool is_directory = status && status.value().directory();
  const bool must_be_directory = text.ends_with('/');
  if (must_be_directory && !is_directory) {
    co_return Error(status ? ErrorCode::kNotADirectory : ErrorCode::kNotFound);
  }
  co_return Destination{std::move(path), is_directory};
}

Result<std::string> target_of(const std::string& source, const Destination& destination) {
  if (!destination.is_directory) return destination.path;
  if (source == "-") return Error(ErrorCode::kIsADirectory, "standard input needs the name of a file");
  const std::string_view name = base_name(source);
  // The contents of "." and ".." go into the directory itself, as cp does.
  if (name.empty() || name == "/" || name == "." || name == "..") return destination.path;
  return join_path(destination.path, name);
}

// The target of a tree must be there, or be made in a parent that is there, before anything is put under it.
Task<Status> make_root(Session& session, std::string target, uint32_t mode) {
  MakeDirectoryOptions options;
  options.mode = mode;
  const Status made = co_await session.client().make_directory(target, options);
  if (code_of(made) == ErrorCode::kAlreadyExists) co_return ok();
  co_return made;
}

Task<void> put_one(Session& session, Put& transfer, std::string source, Destination destination, bool recursive) {
  const Result<std::string> target = target_of(source, destination);
  if (!target) {
    session.fail(target.error().code == ErrorCode::kIsADirectory ? destination.path : source, target.error());
    co_return;
  }
  if (source == "-") {
    co_await transfer.transfer({.source = source, .target = target.value()});
    co_return;
  }
  const auto local = co_await run_blocking(session.env().compute, [&] { return stat_local(source); });
  if (!local) {
    session.fail(source, local.error());
    co_return;
  }
  TransferItem item{.source = source, .target = target.value(), .size = local.value().size, .mode = local.value().mode};
  if (local.value().type != LocalType::kDirectory) {
    session.progress().set_total({.bytes = item.size, .files = 1});
    co_await transfer.transfer(std::move(item));
    co_return;
  }
  if (!recursive) {
    session.fail(source, Error(ErrorCode::kIsADirectory, "use put -r"));
    co_return;
  }
  const Status made = co_await make_root(session, item.target, item.mode);
  if (!made) {
    session.fail(item.target, made.error());
    co_return;
  }
  if (session.errors_to_terminal()) {
    const LocalTotals totals = co_await run_blocking(session.env().compute, [&] { return count_local(source); });
    session.progress().set_total({.bytes = totals.bytes, .files = totals.files});
  }
  co_await transfer.run(std::move(item));
}

void summarize(Session& session, const PutTotals& totals, bool recursive) {
  if (totals.short_files > 0) {
    session.warn(fmt::format(
        "{} blocks of {} files have fewer shards than their policy asks for: too few chunk servers took them; "
        "the weakest survives the loss of {} more",
        totals.short_blocks, totals.short_files, totals.least_spares));
  }
  if (totals.symbolic_links + totals.special_files > 0) {
    session.warn(
        fmt::format("skipped {} symbolic links and {} special files", totals.symbolic_links, totals.special_files));
  }
  if (totals.kept > 0) session.warn(fmt::format("left {} files as they were", totals.kept));
  if (!session.verbose() && !(recursive && session.errors_to_terminal())) return;
  const TransferCounts done = session.progress().done();
  const double taken = std::chrono::duration<double>(session.progress().elapsed()).count();
  session.warn(fmt::format("put {} files, {} bytes in {:.1f} s ({}/s)", totals.files, human_bytes(done.bytes), taken,
                           human_bytes(static_cast<uint64_t>(static_cast<double>(done.bytes) / taken))));
}

}  // namespace

Task<void> put(Session& session, PutOptions options) {
  const Result<Destination> destination = co_await find_destination(session, options.target);
  if (!destination) {
    session.fail(options.target, destination.error());
    co_return;
  }
  if (options.sources.size() > 1 && !destination.value().is_directory) {
    session.fail(options.target, Error(ErrorCode::kNotADirectory));
    co_return;
  }
  Put transfer(session, options.no_clobber);
  for (const std::string& source : options.sources) {
    if (session.interrupted()) break;
    co_await put_one(session, transfer, source, destination.value(), options.recursive);
  }
  summarize(session, transfer.totals(), options.recursive);
}

}  // namespace dogfs::cli
