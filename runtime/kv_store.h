// The KvStore port on RocksDB.
//
// One thread of the store's own writes. It takes everything that has been queued, merges it into one RocksDB batch, in
// order, and writes it with one sync if anybody asked for one; meanwhile the next group gathers. An explicit batch by
// one writer is several times as fast as RocksDB's own group commit under many.
//
// Recovery: after a crash the write-ahead log may end in a record that was torn before its sync. That is normal, and it
// is dropped. Damage before the end is not: RocksDB's default (kPointInTimeRecovery) would silently forget all that
// was acknowledged after it, and a node that forgot its vote or its log breaks Raft. So the store uses
// kTolerateCorruptedTailRecords, which drops a torn end only, and fails to open with kCorrupt on any other damage; it
// also records the size of each closed log, so that one which was lost or cut is noticed. (kAbsoluteConsistency would
// refuse a torn end as well, that is, after most power cuts.)
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/limits.h"
#include "core/env/kv_store.h"

namespace rocksdb {
class DB;
class Env;
}  // namespace rocksdb

namespace dogfs {

struct RocksKvOptions {
  // Whether a store may be made where there is none. A node that has been here before says no: it must not go on
  // with an empty memory.
  bool create_if_missing = true;
  // Memory: memtables are `memtable_bytes` each, at most three; blocks of tables are cached up to `cache_bytes`.
  size_t memtable_bytes = 32 * kMiB;
  size_t cache_bytes = 64 * kMiB;
  int max_open_files = 512;
  // Group commit stops gathering here, so that one group does not hold up the next for long.
  size_t max_group_bytes = 8 * kMiB;
  // RocksDB's own view of the system; tests put faults into it. Null: the real one.
  rocksdb::Env* env = nullptr;
};

class RocksKvStore final : public KvStore {
 public:
  // Opens the store in `directory`, whose parent exists. kCorrupt when what is there is damaged, kUnavailable when
  // another process has it open, kNotFound when there is none and none may be made, kIoError for the rest.
  // `executor` is where write() is called and resumes.
  static Result<std::unique_ptr<RocksKvStore>> open(const std::string& directory, Executor executor,
                                                    RocksKvOptions options);
  // Finishes what was queued. The executor's event loop must still exist. No reader or snapshot may be left.
  ~RocksKvStore() override;

  Result<std::optional<std::string>> get(std::string_view key) const override;
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override;
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override;
  std::shared_ptr<const KvReader> snapshot() const override;
  Task<Status> write(WriteBatch batch, Durability durability) override;
  Result<DiskSpace> space() const override;
  void give_up() override;

 private:
  struct PendingWrite;
  using Group = std::vector<std::shared_ptr<PendingWrite>>;

  RocksKvStore(std::shared_ptr<rocksdb::DB> db, Executor executor, RocksKvOptions options);

  void write_groups();
  // Waits for work and takes the next group; empty when the store is closing and nothing is left.
  Group next_group();
  Status write_group(const Group& group);
  void finish(Group group, const Status& status);
  // Of those that have none yet.
  static void set_result(const Group& group, const Status& status);

  std::shared_ptr<rocksdb::DB> db_;
  Executor executor_;
  RocksKvOptions options_;

  std::mutex mutex_;
  std::condition_variable work_;
  Group queue_;           // under mutex_
  Group writing_;         // under mutex_: what was taken from there and is not written
  bool closing_ = false;  // under mutex_
  // Of the writer thread: why the store takes no more writes.
  std::optional<Error> failed_;
  std::thread writer_;
};

}  // namespace dogfs
