#include "runtime/kv_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "core/base/check.h"
#include "net/completion.h"

namespace dogfs {
namespace {

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(const rocksdb::Slice& text) {
  return {text.data(), text.size()};
}

Error to_error(const rocksdb::Status& status) {
  if (status.IsCorruption()) return Error(ErrorCode::kCorrupt, status.ToString());
  if (status.IsNoSpace()) return Error(ErrorCode::kNoSpace, status.ToString());
  return Error(ErrorCode::kIoError, status.ToString());
}

Error to_open_error(const rocksdb::Status& status, const std::string& directory) {
  const std::string text = status.ToString();
  // RocksDB's words where it finds its lock taken, by this process or another. (A path may have any word in it.)
  const bool in_use = text.find("lock hold by current process") != std::string::npos ||
                      text.find("While lock file") != std::string::npos;
  if (in_use && status.IsIOError()) {
    return Error(ErrorCode::kUnavailable, directory + " is in use by another process (" + text + ")");
  }
  if (status.IsInvalidArgument() && text.find("does not exist") != std::string::npos) {
    return Error(ErrorCode::kNotFound, directory + ": the store that should be here is missing (" + text + ")");
  }
  Error error = to_error(status);
  error.detail = directory + ": " + error.detail;
  return error;
}

rocksdb::Options rocksdb_options(const RocksKvOptions& options) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(options.cache_bytes);
  table.cache_index_and_filter_blocks = true;
  constexpr double kBloomBitsPerKey = 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kBloomBitsPerKey));

  rocksdb::Options out;
  if (options.env != nullptr) out.env = options.env;
  out.create_if_missing = options.create_if_missing;
  out.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  out.write_buffer_size = options.memtable_bytes;
  // Half of what is looked for is not there (a new file's name, a kept reply): a filter answers that for a memtable.
  constexpr double kMemtableFilterShare = 0.05;
  out.memtable_whole_key_filtering = true;
  out.memtable_prefix_bloom_size_ratio = kMemtableFilterShare;
  out.max_write_buffer_number = 3;
  out.max_total_wal_size = 4 * options.memtable_bytes;
  out.max_open_files = options.max_open_files;
  out.max_background_jobs = 2;
  out.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  out.track_and_verify_wals_in_manifest = true;
  out.paranoid_checks = true;
  // There is one writer: the machinery for several only costs.
  out.allow_concurrent_memtable_write = false;
  out.enable_write_thread_adaptive_yield = false;
  out.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  out.keep_log_file_num = 2;
  return out;
}

// Reads of a database, as of a snapshot or (without one) as of now.
class RocksReader {
 public:
  RocksReader(rocksdb::DB& db, const rocksdb::Snapshot* snapshot) : db_(db) { options_.snapshot = snapshot; }

  Result<std::optional<std::string>> get(std::string_view key) const {
    std::string value;
    const rocksdb::Status status = db_.Get(options_, slice(key), &value);
    if (status.IsNotFound()) return std::optional<std::string>();
    if (!status.ok()) return to_error(status);
    return std::optional<std::string>(std::move(value));
  }

  Status scan(std::string_view begin, std::string_view end, const KvReader::Visitor& visit) const {
    const rocksdb::Slice upper = slice(end);
    rocksdb::ReadOptions options = options_;
    if (!end.empty()) options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(options));
    for (at->Seek(slice(begin)); at->Valid(); at->Next()) {
      if (!visit(view(at->key()), view(at->value()))) return ok();
    }
    return ended(*at);
  }

  Status scan_backward(std::string_view begin, std::string_view end, const KvReader::Visitor& visit) const {
    const rocksdb::Slice lower = slice(begin);
    const rocksdb::Slice upper = slice(end);
    rocksdb::ReadOptions options = options_;
    options.iterate_lower_bound = &lower;
    if (!end.empty()) options.iterate_upper_bound = &upper;
    const std::unique_ptr<rocksdb::Iterator> at(db_.NewIterator(options));
    for (at->SeekToLast(); at->Valid(); at->Prev()) {
      if (!visit(view(at->key()), view(at->value()))) return ok();
    }
    return ended(*at);
  }

 private:
  static Status ended(const rocksdb::Iterator& at) {
    if (!at.status().ok()) return to_error(at.status());
    return ok();
  }

  rocksdb::DB& db_;
  rocksdb::ReadOptions options_;
};

class RocksSnapshot final : public KvReader {
 public:
  explicit RocksSnapshot(std::shared_ptr<rocksdb::DB> db)
      : db_(std::move(db)), snapshot_(db_->GetSnapshot()), reader_(*db_, snapshot_) {}
  ~RocksSnapshot() override { db_->ReleaseSnapshot(snapshot_); }

  Result<std::optional<std::string>> get(std::string_view key) const override { return reader_.get(key); }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return reader_.scan(begin, end, visit);
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return reader_.scan_backward(begin, end, visit);
  }

 private:
  std::shared_ptr<rocksdb::DB> db_;
  const rocksdb::Snapshot* snapshot_;
  RocksReader reader_;
};

rocksdb::Status add_to(rocksdb::WriteBatch& batch, const WriteBatch::Operation& operation) {
  if (const auto* put = std::get_if<WriteBatch::Put>(&operation)) return batch.Put(slice(put->key), slice(put->value));
  if (const auto* erase = std::get_if<WriteBatch::Erase>(&operation)) return batch.Delete(slice(erase->key));
  const auto& range = std::get<WriteBatch::EraseRange>(operation);
  if (range.begin >= range.end) return rocksdb::Status::OK();
  return batch.DeleteRange(slice(range.begin), slice(range.end));
}

}  // namespace

// Shared by the writer thread, which only reads the first two, and the executor.
struct RocksKvStore::PendingWrite {
  WriteBatch batch;
  Durability durability;
  // Of the executor:
  std::optional<Status> result;
  Completion<Status> done;
};

Result<std::unique_ptr<RocksKvStore>> RocksKvStore::open(const std::string& directory, Executor executor,
                                                         RocksKvOptions options) {
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(rocksdb_options(options), directory, &db);
  if (!status.ok()) return to_open_error(status, directory);
  return std::unique_ptr<RocksKvStore>(
      new RocksKvStore(std::shared_ptr<rocksdb::DB>(db), std::move(executor), options));
}

RocksKvStore::RocksKvStore(std::shared_ptr<rocksdb::DB> db, Executor executor, RocksKvOptions options)
    : db_(std::move(db)), executor_(std::move(executor)), options_(options), writer_([this] { write_groups(); }) {}

RocksKvStore::~RocksKvStore() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  work_.notify_one();
  writer_.join();
  // What was written without a sync should survive an orderly end even of the machine.
  if (!failed_) db_->SyncWAL().PermitUncheckedError();
}

Result<std::optional<std::string>> RocksKvStore::get(std::string_view key) const {
  return RocksReader(*db_, nullptr).get(key);
}

Status RocksKvStore::scan(std::string_view begin, std::string_view end, const Visitor& visit) const {
  return RocksReader(*db_, nullptr).scan(begin, end, visit);
}

Status RocksKvStore::scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const {
  return RocksReader(*db_, nullptr).scan_backward(begin, end, visit);
}

std::shared_ptr<const KvReader> RocksKvStore::snapshot() const {
  return std::make_shared<RocksSnapshot>(db_);
}

Result<DiskSpace> RocksKvStore::space() const {
  std::error_code failure;
  const std::filesystem::space_info info = std::filesystem::space(db_->GetName(), failure);
  if (failure) return Error(ErrorCode::kIoError, db_->GetName() + ": " + failure.message());
  return DiskSpace{.total_bytes = info.capacity, .free_bytes = info.available};
}

namespace {

// The coroutine half of write(): runs only when it is awaited, while the order of writes is that of the calls.
template <class Write>
Task<Status> wait_for(std::shared_ptr<Write> write) {
  if (write->result) co_return *write->result;
  co_return co_await await_completion<Status>([write](Completion<Status> done) { write->done = std::move(done); });
}

}  // namespace

Task<Status> RocksKvStore::write(WriteBatch batch, Durability durability) {
  auto write = std::make_shared<PendingWrite>(PendingWrite{std::move(batch), durability, std::nullopt, {}});
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(write);
  }
  work_.notify_one();
  return wait_for(std::move(write));
}

void RocksKvStore::write_groups() {
  while (true) {
    Group group = next_group();
    if (group.empty()) return;
    Status status = failed_ ? Status(*failed_) : write_group(group);
    if (!status && !failed_)
      failed_ = Error(ErrorCode::kIoError, "the store has failed: " + status.error().to_string());
    {
      const std::lock_guard lock(mutex_);
      writing_.clear();
    }
    finish(std::move(group), status);
  }
}

RocksKvStore::Group RocksKvStore::next_group() {
  std::unique_lock lock(mutex_);
  work_.wait(lock, [this] { return closing_ || !queue_.empty(); });
  size_t count = 0;
  for (size_t bytes = 0; count < queue_.size() && bytes < options_.max_group_bytes; ++count) {
    bytes += queue_[count]->batch.bytes();
  }
  if (count == queue_.size()) return writing_ = std::exchange(queue_, {});
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  Group group(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  return writing_ = std::move(group);
}

Status RocksKvStore::write_group(const Group& group) {
  rocksdb::WriteBatch merged;
  rocksdb::WriteOptions options;
  for (const auto& write : group) {
    if (write->durability == Durability::kSynced) options.sync = true;
    for (const WriteBatch::Operation& operation : write->batch.operations()) {
      const rocksdb::Status added = add_to(merged, operation);
      if (!added.ok()) return to_error(added);
    }
  }
  const rocksdb::Status written = db_->Write(options, &merged);
  if (!written.ok()) return to_error(written);
  return ok();
}

void RocksKvStore::finish(Group group, const Status& status) {
  boost::asio::post(executor_, [group = std::move(group), status] { set_result(group, status); });
}

void RocksKvStore::set_result(const Group& group, const Status& status) {
  for (const auto& write : group) {
    if (write->result) continue;
    write->result = status;
    if (write->done) write->done.resume_now(status);
  }
}

void RocksKvStore::give_up() {
  Group group;
  {
    const std::lock_guard lock(mutex_);
    group = std::exchange(queue_, {});
    group.insert(group.end(), writing_.begin(), writing_.end());
  }
  finish(std::move(group), Error(ErrorCode::kIoError, "the disk does not answer"));
}

}  // namespace dogfs
