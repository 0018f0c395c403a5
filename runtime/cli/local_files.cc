#include "runtime/cli/local_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "runtime/cli/paths.h"
#include "runtime/cli/report.h"

namespace dogfs::cli {
namespace {

LocalType type_of(mode_t mode) {
  if (S_ISREG(mode)) return LocalType::kFile;
  if (S_ISDIR(mode)) return LocalType::kDirectory;
  if (S_ISLNK(mode)) return LocalType::kSymbolicLink;
  return LocalType::kSpecial;
}

LocalEntry to_entry(std::string name, const struct stat& status) {
  return {.name = std::move(name),
          .type = type_of(status.st_mode),
          .size = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0,
          .mode = static_cast<uint32_t>(status.st_mode & 0777)};
}

// The umask can only be read by setting it: before there are threads that make files meanwhile.
const mode_t kUmask = [] {
  const mode_t current = ::umask(0);
  ::umask(current);
  return current;
}();

// The directory part of a local path, as a path.
std::string local_parent(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

LocalDescriptor& LocalDescriptor::operator=(LocalDescriptor&& other) noexcept {
  if (this != &other) {
    if (fd_ > STDERR_FILENO) ::close(fd_);
    fd_ = other.release();
  }
  return *this;
}

LocalDescriptor::~LocalDescriptor() {
  if (fd_ > STDERR_FILENO) ::close(fd_);
}

int LocalDescriptor::release() {
  const int fd = fd_;
  fd_ = -1;
  return fd;
}

Result<LocalSource> LocalSource::open(const std::string& path) {
  LocalSource source;
  source.descriptor_ = LocalDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (source.descriptor_.get() < 0) return local_error(errno);
  struct stat status{};
  if (::fstat(source.descriptor_.get(), &status) != 0) return local_error(errno);
  if (S_ISDIR(status.st_mode)) return Error(ErrorCode::kIsADirectory);
  source.may_block_ = S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode);
  if (!S_ISREG(status.st_mode) && !source.may_block_) return Error(ErrorCode::kUnsupported, "not a plain file");
  source.size_ = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_size) : 0;
  source.mode_ = status.st_mode & 0777;
  if (S_ISREG(status.st_mode)) ::posix_fadvise(source.descriptor_.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return source;
}

LocalSource LocalSource::standard_input() {
  LocalSource source;
  source.descriptor_ = LocalDescriptor(STDIN_FILENO);
  source.may_block_ = true;
  return source;
}

Result<size_t> LocalSource::read(std::span<std::byte> out, const std::atomic<bool>& stop) {
  constexpr int kPollMs = 100;
  size_t filled = 0;
  while (filled < out.size()) {
    if (stop) return Error(ErrorCode::kCancelled);
    if (may_block_) {
      pollfd ready{.fd = descriptor_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, kPollMs) == 0) continue;
    }
    const ssize_t got = ::read(descriptor_.get(), out.data() + filled, out.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return local_error(errno);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  return filled;
}

Result<LocalSink> LocalSink::create(const std::string& path) {
  static std::atomic<uint64_t> count = 0;
  LocalSink sink;
  sink.path_ = path;
  sink.temporary_ = join_path(local_parent(path), fmt::format(".dogfs-get-{}-{}", ::getpid(), ++count));
  sink.descriptor_ = LocalDescriptor(::open(sink.temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (sink.descriptor_.get() < 0) {
    sink.temporary_.clear();
    return local_error(errno);
  }
  return sink;
}

LocalSink LocalSink::standard_output() {
  LocalSink sink;
  sink.descriptor_ = LocalDescriptor(STDOUT_FILENO);
  return sink;
}

LocalSink::LocalSink(LocalSink&& other) noexcept
    : descriptor_(std::move(other.descriptor_)),
      path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})) {}

LocalSink::~LocalSink() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status LocalSink::write(const BytesChain& bytes) {
  for (const Bytes& piece : bytes.pieces()) {
    for (size_t written = 0; written < piece.size();) {
      const ssize_t put = ::write(descriptor_.get(), piece.data() + written, piece.size() - written);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return local_error(errno);
      written += static_cast<size_t>(put);
    }
  }
  return ok();
}

Status LocalSink::commit(uint32_t mode) {
  if (temporary_.empty()) return ok();
  if (::fchmod(descriptor_.get(), mode & 0777 & ~kUmask) != 0) return local_error(errno);
  // close() is where a full network disk tells.
  if (::close(descriptor_.release()) != 0) return local_error(errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return local_error(errno);
  temporary_.clear();
  return ok();
}

Result<LocalEntry> stat_local(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return local_error(errno);
  return to_entry(std::string(base_name(path)), status);
}

Result<std::vector<LocalEntry>> list_local(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
  if (!directory) return local_error(errno);
  std::vector<LocalEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* found = ::readdir(directory.get());
    if (found == nullptr) break;
    std::string name = found->d_name;
    if (name == "." || name == "..") continue;
    struct stat status{};
    // What vanished since it was listed is not there to be copied.
    if (::fstatat(::dirfd(directory.get()), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    entries.push_back(to_entry(std::move(name), status));
  }
  if (errno != 0) return local_error(errno);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return entries;
}

Status make_local_directory(const std::string& path, uint32_t mode) {
  // The owner must be able to fill it whatever its mode says in DogFS.
  if (::mkdir(path.c_str(), (mode & 0777) | 0700) == 0) return ok();
  if (errno != EEXIST) return local_error(errno);
  DOGFS_TRY(const LocalEntry existing, stat_local(path));
  if (existing.type != LocalType::kDirectory) return Error(ErrorCode::kAlreadyExists);
  return ok();
}

LocalTotals count_local(const std::string& path) {
  LocalTotals totals;
  std::vector<std::string> pending{path};
  while (!pending.empty()) {
    const std::string directory = std::move(pending.back());
    pending.pop_back();
    const auto entries = list_local(directory);
    if (!entries) continue;
    for (const LocalEntry& entry : entries.value()) {
      if (entry.type == LocalType::kDirectory) pending.push_back(join_path(directory, entry.name));
      if (entry.type != LocalType::kFile) continue;
      ++totals.files;
      totals.bytes += entry.size;
    }
  }
  return totals;
}

}  // namespace dogfs::cli
