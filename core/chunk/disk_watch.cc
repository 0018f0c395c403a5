#include "core/chunk/disk_watch.h"

#include <algorithm>
#include <utility>

namespace dogfs {
namespace {

constexpr Duration kLateAfter = seconds(5);
static_assert(kLateAfter < kDiskHangLimit);
// Who was not asked for so long cannot tell a disk that hangs from a process that was stopped.
constexpr Duration kLongestBetweenLooks = kDiskHangLimit / 2;

Error refusal() {
  return Error(ErrorCode::kIoError, "the disk does not answer");
}

}  // namespace

template <class T, class Begin>
Task<T> DiskWatch::run(Begin begin) {
  if (given_up_) co_return refusal();
  const auto since = under_way_.insert(clock_.now());
  T result = co_await begin();
  under_way_.erase(since);
  co_return result;
}

class DiskWatch::File final : public ShardFile {
 public:
  File(DiskWatch& watch, std::shared_ptr<ShardFile> file) : watch_(watch), file_(std::move(file)) {}

  Task<Status> write(uint64_t offset, BytesChain data) override {
    return watch_.run<Status>(
        [file = file_, offset, data = std::move(data)]() mutable { return file->write(offset, std::move(data)); });
  }
  Task<Status> sync() override {
    return watch_.run<Status>([file = file_] { return file->sync(); });
  }
  Task<Result<Bytes>> read(uint64_t offset, size_t length) override {
    return watch_.run<Result<Bytes>>([file = file_, offset, length] { return file->read(offset, length); });
  }
  Task<Status> drop_cache() override {
    return watch_.run<Status>([file = file_] { return file->drop_cache(); });
  }
  Task<Result<uint64_t>> size() override {
    return watch_.run<Result<uint64_t>>([file = file_] { return file->size(); });
  }

 private:
  DiskWatch& watch_;
  std::shared_ptr<ShardFile> file_;
};

class DiskWatch::Files final : public ShardStore {
 public:
  Files(DiskWatch& watch, ShardStore& files) : watch_(watch), files_(files) {}

  Task<Result<std::shared_ptr<ShardFile>>> create(std::string name) override {
    co_return watched(co_await watch_.run<Opened>([this, name = std::move(name)] { return files_.create(name); }));
  }
  Task<Result<std::shared_ptr<ShardFile>>> open(std::string name) override {
    co_return watched(co_await watch_.run<Opened>([this, name = std::move(name)] { return files_.open(name); }));
  }
  Task<Status> remove(std::string name) override {
    return watch_.run<Status>([this, name = std::move(name)] { return files_.remove(name); });
  }
  Task<Result<std::vector<std::string>>> list() override {
    return watch_.run<Result<std::vector<std::string>>>([this] { return files_.list(); });
  }
  Task<Status> sync_directory() override {
    return watch_.run<Status>([this] { return files_.sync_directory(); });
  }
  Task<Result<DiskSpace>> space() override {
    return watch_.run<Result<DiskSpace>>([this] { return files_.space(); });
  }
  void give_up() override { watch_.give_up(); }

 private:
  using Opened = Result<std::shared_ptr<ShardFile>>;

  Opened watched(Opened opened) {
    DOGFS_TRY(std::shared_ptr<ShardFile> file, std::move(opened));
    return std::shared_ptr<ShardFile>(std::make_shared<File>(watch_, std::move(file)));
  }

  DiskWatch& watch_;
  ShardStore& files_;
};

class DiskWatch::Records final : public KvStore {
 public:
  Records(DiskWatch& watch, KvStore& records) : watch_(watch), records_(records) {}

  Result<std::optional<std::string>> get(std::string_view key) const override { return records_.get(key); }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return records_.scan(begin, end, visit);
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return records_.scan_backward(begin, end, visit);
  }
  std::shared_ptr<const KvReader> snapshot() const override { return records_.snapshot(); }
  // Called at once: batches are applied in the order of the calls.
  Task<Status> write(WriteBatch batch, Durability durability) override {
    if (watch_.given_up()) return refuse();
    return watch_.run<Status>(
        [written = records_.write(std::move(batch), durability)]() mutable { return std::move(written); });
  }
  Result<DiskSpace> space() const override { return records_.space(); }
  void give_up() override { watch_.give_up(); }

 private:
  static Task<Status> refuse() { co_return refusal(); }

  DiskWatch& watch_;
  KvStore& records_;
};

DiskWatch::DiskWatch(Clock& clock, ShardStore& files, KvStore& records)
    : clock_(clock),
      unwatched_files_(files),
      unwatched_records_(records),
      files_(std::make_unique<Files>(*this, files)),
      records_(std::make_unique<Records>(*this, records)),
      last_look_(clock.now()),
      looked_since_(last_look_) {}

DiskWatch::~DiskWatch() = default;

ShardStore& DiskWatch::files() {
  return *files_;
}

KvStore& DiskWatch::records() {
  return *records_;
}

bool DiskWatch::hangs() {
  const MonoTime now = clock_.now();
  if (now - last_look_ > kLongestBetweenLooks) looked_since_ = now;
  last_look_ = now;
  const Duration silent = std::min<Duration>(oldest(), now - looked_since_);
  was_late_ = silent >= kLateAfter;
  return !given_up_ && silent >= kDiskHangLimit;
}

bool DiskWatch::is_late() const {
  return was_late_ && oldest() >= kLateAfter;
}

// How long the operation that began first has been under way.
Duration DiskWatch::oldest() const {
  return under_way_.empty() ? Duration::zero() : clock_.now() - *under_way_.begin();
}

void DiskWatch::give_up() {
  given_up_ = true;
  unwatched_files_.give_up();
  unwatched_records_.give_up();
}

}  // namespace dogfs
