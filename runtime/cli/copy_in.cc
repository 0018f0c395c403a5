#include "runtime/cli/copy_in.h"

#include <algorithm>

#include "core/base/limits.h"

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

}  // namespace dogfs::cli
