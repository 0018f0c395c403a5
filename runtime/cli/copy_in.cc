#include "runtime/cli/copy_in.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/limits.h"
#include "runtime/cli/names.h"

namespace dogfs::cli {
namespace {

// Local bytes are read in buffers of this size.
constexpr size_t kReadBytes = 4 * kMiB;
// A source of unknown length (a pipe) starts with less.
constexpr size_t kFirstPipeBytes = 1 * kMiB;

size_t buffer_bytes(const LocalSource& source) {
  if (source.size() == 0) return kFirstPipeBytes;
  // One byte more than the file, so that a single read also meets its end.
  const uint64_t wanted = std::min<uint64_t>(source.size() + 1, kReadBytes);
  return (wanted + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

}  // namespace

Task<Status> copy_to_writer(Session& session, LocalSource& source, FileWriter& writer) {
  const size_t capacity = buffer_bytes(source);
  for (;;) {
    MutableBuffer buffer(capacity);
    const Result<size_t> got =
        co_await run_blocking(session.env().compute, [&] { return source.read(buffer.span(), session.interrupted()); });
    if (!got) co_return got.error();
    if (got.value() > 0) {
      DOGFS_CO_TRYV(co_await writer.write(buffer.freeze(got.value())));
    }
    session.progress().add_bytes(got.value());
    if (got.value() < capacity) co_return ok();
  }
}

Task<void> remove_incomplete(Session& session, std::string path, std::optional<WriteLease> lease, Error failure) {
  // Where nobody answers there is nobody to remove it either.
  const bool reachable = exit_code_of(failure.code) != ExitCode::kTryAgain;
  const DeleteOptions options{.skip_trash = true, .written_under = lease};
  const Result<wire::DeleteResult> removed =
      reachable ? co_await session.client().remove(path, options) : Result<wire::DeleteResult>(failure);
  if (code_of(removed) == ErrorCode::kLeaseLost) {
    session.warn(
        fmt::format("{}: is incomplete, and stays: others may write it since the lease was lost", printable(path)));
  } else if (!removed && removed.error().code != ErrorCode::kNotFound && removed.error().code != ErrorCode::kGone) {
    session.warn(fmt::format("{}: is incomplete, and could not be removed", printable(path)));
  }
}

}  // namespace dogfs::cli
