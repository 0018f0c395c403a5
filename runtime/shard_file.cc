#include "runtime/shard_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <span>

namespace dogfs {
namespace {

// Consecutive pieces that are written by one system call.
class PendingRun {
 public:
  explicit PendingRun(uint64_t offset) : offset_(offset) {}

  static constexpr size_t kMaxPieces = 64;

  bool empty() const { return count_ == 0; }
  bool full() const { return count_ == kMaxPieces; }
  bool direct() const { return direct_; }
  uint64_t end() const { return offset_ + bytes_; }

  void add(std::span<const std::byte> piece, bool direct) {
    direct_ = direct;
    // pwritev does not write to its buffers; its interface is shared with preadv.
    pieces_[count_++] = iovec{const_cast<std::byte*>(piece.data()), piece.size()};
    bytes_ += piece.size();
  }

  // Writes everything to `fd` and starts anew behind it. False with errno set.
  bool flush(int fd) {
    std::span<iovec> left(pieces_.data(), count_);
    while (!left.empty()) {
      const ssize_t written = ::pwritev(fd, left.data(), static_cast<int>(left.size()), static_cast<off_t>(offset_));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      if (written == 0) {
        errno = ENOSPC;
        return false;
      }
      advance(left, static_cast<size_t>(written));
    }
    count_ = 0;
    return true;
  }

 private:
  void advance(std::span<iovec>& left, size_t written) {
    offset_ += written;
    bytes_ -= written;
    while (!left.empty() && written >= left.front().iov_len) {
      written -= left.front().iov_len;
      left = left.subspan(1);
    }
    if (written == 0) return;
    left.front().iov_base = static_cast<std::byte*>(left.front().iov_base) + written;
    left.front().iov_len -= written;
  }

  uint64_t offset_;
  size_t bytes_ = 0;
  bool direct_ = false;
  size_t count_ = 0;
  std::array<iovec, kMaxPieces> pieces_;
};

// How many of the first bytes of a piece that goes to `offset` may be written with O_DIRECT.
size_t direct_bytes(uint64_t offset, std::span<const std::byte> piece) {
  const bool aligned =
      offset % kBufferAlignment == 0 && reinterpret_cast<uintptr_t>(piece.data()) % kBufferAlignment == 0;
  return aligned ? piece.size() / kBufferAlignment * kBufferAlignment : 0;
}

}  // namespace

Status BlockingShardFile::write(uint64_t offset, const BytesChain& data) {
  PendingRun run(offset);
  const auto add = [&](std::span<const std::byte> piece, bool direct) -> Status {
    if (piece.empty()) return ok();
    if (!run.empty() && (run.full() || run.direct() != direct)) {
      if (!run.flush(run.direct() ? direct_.get() : buffered_.get())) return system_error(name_);
    }
    run.add(piece, direct);
    return ok();
  };
  for (const Bytes& piece : data.pieces()) {
    const size_t direct = direct_.is_open() ? direct_bytes(run.end(), piece.span()) : 0;
    DOGFS_TRYV(add(piece.span().first(direct), true));
    DOGFS_TRYV(add(piece.span().subspan(direct), false));
  }
  if (!run.empty() && !run.flush(run.direct() ? direct_.get() : buffered_.get())) return system_error(name_);
  return ok();
}

Status BlockingShardFile::sync() {
  if (sync_failed_) return Error(ErrorCode::kIoError, name_ + ": an earlier sync failed");
  if (::fdatasync(buffered_.get()) != 0) {
    sync_failed_ = true;
    return system_error(name_);
  }
  return ok();
}

Result<Bytes> BlockingShardFile::read(uint64_t offset, size_t length) const {
  MutableBuffer buffer(length);
  size_t filled = 0;
  while (filled < length) {
    const ssize_t got =
        ::pread(buffered_.get(), buffer.data() + filled, length - filled, static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(name_);
    if (got == 0) return Error(ErrorCode::kCorrupt, name_ + " ends at " + std::to_string(offset + filled));
    filled += static_cast<size_t>(got);
  }
  return buffer.freeze();
}

std::optional<Bytes> BlockingShardFile::read_cached(uint64_t offset, size_t length) const {
  MutableBuffer buffer(length);
  size_t filled = 0;
  while (filled < length) {
    const iovec rest{.iov_base = buffer.data() + filled, .iov_len = length - filled};
    const ssize_t got = ::preadv2(buffered_.get(), &rest, 1, static_cast<off_t>(offset + filled), RWF_NOWAIT);
    // Not cached, not known to this filesystem, at the end, or broken: for read() to find out.
    if (got <= 0) return std::nullopt;
    filled += static_cast<size_t>(got);
  }
  return buffer.freeze();
}

Status BlockingShardFile::drop_cache() const {
  errno = ::posix_fadvise(buffered_.get(), 0, 0, POSIX_FADV_DONTNEED);
  if (errno != 0) return system_error(name_);
  return ok();
}

Result<uint64_t> BlockingShardFile::size() const {
  struct stat status{};
  if (::fstat(buffered_.get(), &status) != 0) return system_error(name_);
  return static_cast<uint64_t>(status.st_size);
}

}  // namespace dogfs
