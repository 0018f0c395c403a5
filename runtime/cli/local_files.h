// The local side of a transfer. Everything here blocks: call it in Compute jobs (run_blocking in session.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace dogfs::cli {

// An open file descriptor that closes itself.
class LocalDescriptor {
 public:
  LocalDescriptor() = default;
  explicit LocalDescriptor(int fd) : fd_(fd) {}
  LocalDescriptor(LocalDescriptor&& other) noexcept : fd_(other.release()) {}
  LocalDescriptor& operator=(LocalDescriptor&& other) noexcept;
  ~LocalDescriptor();

  int get() const { return fd_; }
  int release();

 private:
  int fd_ = -1;
};

// What is read: a file, or standard input.
class LocalSource {
 public:
  // Fails for a directory (kIsADirectory) and for what is no plain file, pipe or terminal (kUnsupported).
  static Result<LocalSource> open(const std::string& path);
  static LocalSource standard_input();

  uint64_t size() const { return size_; }  // 0 where unknown
  uint32_t mode() const { return mode_; }

  // Fills `out` as far as the source goes; fewer bytes only at its end. kCancelled once `stop` is set, even while a
  // terminal or a pipe gives nothing.
  Result<size_t> read(std::span<std::byte> out, const std::atomic<bool>& stop);

 private:
  LocalDescriptor descriptor_;
  bool may_block_ = false;
  uint64_t size_ = 0;
  uint32_t mode_ = 0644;
};

// What is written: a file that gets its name only when it is complete, or standard output.
class LocalSink {
 public:
  // A nameless beginning in the directory where `path` will be.
  static Result<LocalSink> create(const std::string& path);
  static LocalSink standard_output();
  LocalSink(LocalSink&& other) noexcept;
  // Removes what was not committed.
  ~LocalSink();

  Status write(const BytesChain& bytes);
  // Gives the file its mode, less the umask, and its name, replacing what had it.
  Status commit(uint32_t mode);

 private:
  LocalSink() = default;

  LocalDescriptor descriptor_;
  std::string path_;
  std::string temporary_;  // empty: nothing to remove
};

enum class LocalType : uint8_t { kFile, kDirectory, kSymbolicLink, kSpecial };

struct LocalEntry {
  std::string name;
  LocalType type = LocalType::kSpecial;
  uint64_t size = 0;
  uint32_t mode = 0;
};

// What `path` is; symbolic links are followed.
Result<LocalEntry> stat_local(const std::string& path);
// The entries of a directory in the order of their bytes, symbolic links as such.
Result<std::vector<LocalEntry>> list_local(const std::string& path);
// Makes a directory; succeeds when it is there.
Status make_local_directory(const std::string& path, uint32_t mode);

struct LocalTotals {
  uint64_t files = 0;
  uint64_t bytes = 0;
};
// The plain files under `path`; what cannot be read is left out.
LocalTotals count_local(const std::string& path);

}  // namespace dogfs::cli
