#include "runtime/shard_store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "runtime/offload.h"
#include "runtime/shard_file.h"

namespace dogfs {
namespace {

Status check_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (name.empty() || name.size() > kMaxShardNameBytes || name == "." || name == ".." ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    return Error(ErrorCode::kInvalidArgument, "not a name for a shard file");
  }
  return ok();
}

class PooledShardFile final : public ShardFile {
 public:
  PooledShardFile(boost::asio::thread_pool& pool, Offloads& offloads, std::shared_ptr<BlockingShardFile> file)
      : pool_(pool), offloads_(offloads), file_(std::move(file)) {}

  Task<Status> write(uint64_t offset, BytesChain data) override {
    return offloads_.run<Status>(pool_,
                                 [file = file_, offset, data = std::move(data)] { return file->write(offset, data); });
  }
  Task<Status> sync() override {
    return offloads_.run<Status>(pool_, [file = file_] { return file->sync(); });
  }
  // What the page cache has is copied at once: that costs less than handing it from one thread to another, and it is
  // still in this core's cache when it is sent.
  Task<Result<Bytes>> read(uint64_t offset, size_t length) override {
    if (std::optional<Bytes> cached = file_->read_cached(offset, length)) co_return *std::move(cached);
    co_return co_await offloads_.run<Result<Bytes>>(
        pool_, [file = file_, offset, length] { return file->read(offset, length); });
  }
  Task<Status> drop_cache() override {
    return offloads_.run<Status>(pool_, [file = file_] { return file->drop_cache(); });
  }
  Task<Result<uint64_t>> size() override {
    return offloads_.run<Result<uint64_t>>(pool_, [file = file_] { return file->size(); });
  }

 private:
  boost::asio::thread_pool& pool_;
  Offloads& offloads_;
  std::shared_ptr<BlockingShardFile> file_;
};

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

}  // namespace

struct FileShardStore::Disk {
  Disk(FileDescriptor fd, FileShardOptions o) : directory(std::move(fd)), options(o), pool(o.threads) {}
  ~Disk() { pool.join(); }

  Result<std::shared_ptr<ShardFile>> create_file(const std::string& name);
  Result<std::shared_ptr<ShardFile>> open_file(const std::string& name);
  Status remove(const std::string& name) const;
  Result<std::vector<std::string>> list() const;
  Status sync_directory() const;
  Result<DiskSpace> space() const;

  FileDescriptor directory;
  FileShardOptions options;
  Offloads offloads;
  boost::asio::thread_pool pool;
};

Result<std::shared_ptr<ShardFile>> FileShardStore::Disk::create_file(const std::string& name) {
  DOGFS_TRYV(check_name(name));
  constexpr int kFlags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
  constexpr mode_t kMode = 0644;
  FileDescriptor buffered(::openat(directory.get(), name.c_str(), kFlags, kMode));
  if (!buffered.is_open()) return open_error(name);
  FileDescriptor direct;
  // A file system without O_DIRECT refuses it here, and the page cache serves instead.
  if (options.direct_io) {
    direct = FileDescriptor(::openat(directory.get(), name.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC | O_NOFOLLOW));
  }
  auto file = std::make_shared<BlockingShardFile>(name, std::move(buffered), std::move(direct));
  return std::shared_ptr<ShardFile>(std::make_shared<PooledShardFile>(pool, offloads, std::move(file)));
}

// A file system that has become read-only refuses whoever might write, so that what is opened there can only be read.
Result<std::shared_ptr<ShardFile>> FileShardStore::Disk::open_file(const std::string& name) {
  DOGFS_TRYV(check_name(name));
  constexpr int kFlags = O_CLOEXEC | O_NOFOLLOW;
  FileDescriptor fd(::openat(directory.get(), name.c_str(), O_RDWR | kFlags));
  if (!fd.is_open() && errno == EROFS) fd = FileDescriptor(::openat(directory.get(), name.c_str(), O_RDONLY | kFlags));
  if (!fd.is_open()) return open_error(name);
  auto file = std::make_shared<BlockingShardFile>(name, std::move(fd), FileDescriptor());
  return std::shared_ptr<ShardFile>(std::make_shared<PooledShardFile>(pool, offloads, std::move(file)));
}

Status FileShardStore::Disk::remove(const std::string& name) const {
  DOGFS_TRYV(check_name(name));
  if (::unlinkat(directory.get(), name.c_str(), 0) != 0) return system_error(name);
  return ok();
}

Result<std::vector<std::string>> FileShardStore::Disk::list() const {
  // A description of its own, because reading moves its position.
  const int fd = ::openat(directory.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, CloseDirectory> entries(fd < 0 ? nullptr : ::fdopendir(fd));
  if (!entries) return open_error("shard directory");
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(entries.get())) {
    if (check_name(entry->d_name)) names.emplace_back(entry->d_name);
  }
  if (errno != 0) return system_error("shard directory");
  std::sort(names.begin(), names.end());
  return names;
}

Status FileShardStore::Disk::sync_directory() const {
  if (::fsync(directory.get()) != 0) return system_error("shard directory");
  return ok();
}

Result<DiskSpace> FileShardStore::Disk::space() const {
  struct statvfs status{};
  if (::fstatvfs(directory.get(), &status) != 0) return system_error("shard directory");
  return DiskSpace{uint64_t{status.f_blocks} * status.f_frsize, uint64_t{status.f_bavail} * status.f_frsize,
                   (status.f_flag & ST_RDONLY) != 0};
}

Result<std::unique_ptr<FileShardStore>> FileShardStore::open(const std::string& directory, FileShardOptions options) {
  constexpr mode_t kMode = 0755;
  if (::mkdir(directory.c_str(), kMode) != 0 && errno != EEXIST) return system_error(directory);
  FileDescriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) return system_error(directory);
  return std::unique_ptr<FileShardStore>(new FileShardStore(std::make_unique<Disk>(std::move(fd), options)));
}

FileShardStore::FileShardStore(std::unique_ptr<Disk> disk) : disk_(std::move(disk)) {}
FileShardStore::~FileShardStore() = default;

Task<Result<std::shared_ptr<ShardFile>>> FileShardStore::create(std::string name) {
  return disk_->offloads.run<Result<std::shared_ptr<ShardFile>>>(
      disk_->pool, [disk = disk_.get(), name = std::move(name)] { return disk->create_file(name); });
}

Task<Result<std::shared_ptr<ShardFile>>> FileShardStore::open(std::string name) {
  return disk_->offloads.run<Result<std::shared_ptr<ShardFile>>>(
      disk_->pool, [disk = disk_.get(), name = std::move(name)] { return disk->open_file(name); });
}

Task<Status> FileShardStore::remove(std::string name) {
  return disk_->offloads.run<Status>(disk_->pool,
                                     [disk = disk_.get(), name = std::move(name)] { return disk->remove(name); });
}

Task<Result<std::vector<std::string>>> FileShardStore::list() {
  return disk_->offloads.run<Result<std::vector<std::string>>>(disk_->pool,
                                                               [disk = disk_.get()] { return disk->list(); });
}

Task<Status> FileShardStore::sync_directory() {
  return disk_->offloads.run<Status>(disk_->pool, [disk = disk_.get()] { return disk->sync_directory(); });
}

Task<Result<DiskSpace>> FileShardStore::space() {
  return disk_->offloads.run<Result<DiskSpace>>(disk_->pool, [disk = disk_.get()] { return disk->space(); });
}

void FileShardStore::give_up() {
  disk_->offloads.give_up(Error(ErrorCode::kIoError, "the disk does not answer"));
}

}  // namespace dogfs
