// What clients do with names that are everybody's: in one directory all of them make, write, rename (onto each other's,
// too), remove and look, as if each were alone. Which of them comes first is not known here, so any answer will do that such
// a race can give; whether it fits the others is the business of HistoryOracle.
#include <utility>

#include "sim/content.h"
#include "sim/workload.h"

namespace dogfs::sim {
namespace {

constexpr std::string_view kRoot = "/shared";
// So few that clients meet, and so deep that a rename can move what another is in.
constexpr std::string_view kNames[] = {"a", "b", "c"};
constexpr uint64_t kMostLevels = 3;
// Such a file is kept in its inode.
constexpr uint64_t kMostBytes = 100;
constexpr uint32_t kMostEntries = 10;

std::string draw_path(RandomStream& draws) {
  std::string path(kRoot);
  for (uint64_t levels = draws.between(uint64_t{1}, kMostLevels); levels > 0; --levels) {
    path.append("/").append(kNames[draws.below(std::size(kNames))]);
  }
  return path;
}

// What others can have made of the names that an operation is about.
bool is_of_a_race(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNotFound:
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kNotADirectory:
    case ErrorCode::kIsADirectory:
    case ErrorCode::kDirectoryNotEmpty:
    case ErrorCode::kInvalidArgument:  // a directory into itself
    case ErrorCode::kGone:
    case ErrorCode::kLeaseHeld:
      return true;
    default:
      return false;
  }
}

}  // namespace

Task<Status> Workload::make_shared_directory(const wire::EcPolicy& policy) {
  if (context_.scenario.work().shared_names_per_hundred() == 0) co_return ok();
  MakeDirectoryOptions options;
  options.policy = &policy;
  Status made = co_await client_.make_directory(std::string(kRoot), options);
  if (code_of(made) == ErrorCode::kAlreadyExists) made = ok();
  co_return made;
}

Task<Status> Workload::operate_on_shared_names(RandomStream& draws) {
  using Operation = Task<Status> (Workload::*)(RandomStream&);
  static constexpr Operation kOperations[] = {
      &Workload::write_shared,  &Workload::write_shared,  &Workload::make_shared,    &Workload::rename_shared,
      &Workload::rename_shared, &Workload::remove_shared, &Workload::look_at_shared, &Workload::look_at_shared};
  Status status = co_await (this->*kOperations[draws.below(std::size(kOperations))])(draws);
  if (!status.has_value() && !is_of_a_race(status.error().code)) co_return judge("shared names", status.error());
  co_return status;
}

Task<Status> Workload::write_shared(RandomStream& draws) {
  const std::string path = draw_path(draws);
  CreateOptions options;
  options.overwrite = draws.below(2) == 0;
  options.parents = draws.below(4) == 0;
  record_what("write", path);
  DOGFS_CO_TRY(const std::unique_ptr<FileWriter> writer, co_await client_.create(path, options));
  Status written = co_await writer->write(make_content(draws.next(), 0, draws.below(kMostBytes)));
  if (!written.has_value()) {
    co_await writer->abort();
    co_return written;
  }
  DOGFS_CO_TRYV(co_await writer->close());
  co_return ok();
}

Task<Status> Workload::make_shared(RandomStream& draws) {
  const std::string path = draw_path(draws);
  MakeDirectoryOptions options;
  options.parents = draws.below(4) == 0;
  record_what("mkdir", path);
  co_return co_await client_.make_directory(path, options);
}

Task<Status> Workload::rename_shared(RandomStream& draws) {
  const std::string source = draw_path(draws);
  const std::string target = draw_path(draws);
  const bool replace = draws.below(3) > 0;
  record_what("rename", source + " to " + target);
  co_return co_await client_.rename(source, target, replace);
}

Task<Status> Workload::remove_shared(RandomStream& draws) {
  const std::string path = draw_path(draws);
  // It does not go to the trash: what is there is somebody's.
  const DeleteOptions options{.recursive = draws.below(2) == 0, .skip_trash = true};
  record_what("remove", path);
  DOGFS_CO_TRYV(co_await client_.remove(path, options));
  co_return ok();
}

Task<Status> Workload::look_at_shared(RandomStream& draws) {
  const std::string path = draw_path(draws);
  if (draws.below(2) == 0) {
    record_what("stat", path);
    DOGFS_CO_TRYV(co_await client_.stat(path));
  } else {
    record_what("list", path);
    DOGFS_CO_TRYV(co_await client_.list(path, "", kMostEntries));
  }
  co_return ok();
}

}  // namespace dogfs::sim
