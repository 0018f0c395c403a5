// An open file of the operating system, closed by its owner's end; and the errors of system calls.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "core/base/result.h"

namespace dogfs {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// The Error for the present errno: "<what>: No such file or directory".
inline Error system_error(const std::string& what) {
  const int number = errno;
  const std::string detail = what + ": " + std::strerror(number);
  switch (number) {
    case ENOENT:
      return Error(ErrorCode::kNotFound, detail);
    case EEXIST:
      return Error(ErrorCode::kAlreadyExists, detail);
    case ENOSPC:
    case EDQUOT:
      return Error(ErrorCode::kNoSpace, detail);
    default:
      return Error(ErrorCode::kIoError, detail);
  }
}

// The same of a call that opens a file: what this process or machine lacks is not the disk's fault, and over in a moment.
inline Error open_error(const std::string& what) {
  const int number = errno;
  Error error = system_error(what);
  if (number == EMFILE || number == ENFILE || number == ENOMEM) error.code = ErrorCode::kBusy;
  return error;
}

}  // namespace dogfs
