#include "runtime/text_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <string_view>

#include "runtime/file_descriptor.h"

namespace dogfs {
namespace {

Status write_all(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return system_error(path);
    text.remove_prefix(static_cast<size_t>(written));
  }
  return ok();
}

}  // namespace

Result<std::string> read_text_file(const std::string& path, size_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return system_error(path);
  std::string text(max_bytes + 1, '\0');
  size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = ::read(file.get(), text.data() + filled, text.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(path);
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  if (filled > max_bytes) return Error(ErrorCode::kLimitExceeded, path + " is too long");
  text.resize(filled);
  return text;
}

Status replace_text_file(const std::string& path, const std::string& text) {
  constexpr mode_t kMode = 0644;
  const std::string temporary = path + ".tmp";
  const FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
  if (!file.is_open()) return system_error(temporary);
  DOGFS_TRYV(write_all(file.get(), text, temporary));
  if (::fsync(file.get()) != 0) return system_error(temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) return system_error(path);
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return sync_directory(directory);
}

Status sync_directory(const std::string& path) {
  const FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.is_open() || ::fsync(directory.get()) != 0) return system_error(path);
  return ok();
}

}  // namespace dogfs
