// An ordered map from bytes to bytes that survives crashes: the home of the Raft log and of the metadata.
//
// Simulated twin: sim/kv_store.h. Real twin: runtime/kv_store.h (RocksDB, one write-ahead log).
//
// Durability: batches take effect whole, in the order of the calls to write(). A crash keeps a prefix of that order
// that includes every batch whose kSynced write was acknowledged. A failed sync is never retried (the pages may be
// gone although the next sync succeeds): the store then fails every later write, and its node must end.
//
// Threads: reads (get, scan, snapshot) may block on disk and are safe from any thread: run them in Compute jobs.
// write() belongs to the node's executor.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/result.h"
#include "core/env/disk_space.h"
#include "core/env/task.h"

namespace dogfs {

// The keys in [begin, end).
struct KeyRange {
  std::string begin;
  std::string end;

  bool contains(std::string_view key) const { return begin <= key && key < end; }
};

// Changes that take effect together, in this order.
class WriteBatch {
 public:
  struct Put {
    std::string key;
    std::string value;
  };
  struct Erase {
    std::string key;
  };
  // Keys in [begin, end).
  struct EraseRange {
    std::string begin;
    std::string end;
  };
  using Operation = std::variant<Put, Erase, EraseRange>;

  // Makes room for so many operations.
  void reserve(size_t operations) { operations_.reserve(operations); }
  void put(std::string key, std::string value);
  void erase(std::string key);
  void erase_range(std::string begin, std::string end);
  // Adds all of `other` behind what is here.
  void append(WriteBatch other);

  const std::vector<Operation>& operations() const { return operations_; }
  bool empty() const { return operations_.empty(); }
  size_t bytes() const { return bytes_; }

 private:
  std::vector<Operation> operations_;
  size_t bytes_ = 0;
};

class KvReader {
 public:
  virtual ~KvReader() = default;

  // The value at `key`, nullopt where there is none. Fails with kIoError or kCorrupt.
  virtual Result<std::optional<std::string>> get(std::string_view key) const = 0;

  // Calls `visit` for each key in [begin, end) in ascending order until it returns false. An empty `end` means
  // without end. Fails with kIoError or kCorrupt.
  using Visitor = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const = 0;

  // As scan, but in descending order.
  virtual Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const = 0;
};

enum class Durability : uint8_t {
  kBuffered,  // visible when write() resumes; lost if the machine or process dies before a later synced write
  kSynced,    // durable when write() resumes
};

class KvStore : public KvReader {
 public:
  // A frozen view of what is visible now.
  virtual std::shared_ptr<const KvReader> snapshot() const = 0;

  // Applies `batch` behind all batches of earlier calls (the order of the calls, not of the awaits), and resumes when
  // it is visible and as durable as asked. One sync serves every write that is waiting (group commit).
  virtual Task<Status> write(WriteBatch batch, Durability durability) = 0;

  // Of the disk that it stands on. May block, and is safe from any thread, as the reads are.
  virtual Result<DiskSpace> space() const = 0;

  // The disk does not answer: writes that are under way are answered with kIoError. They may happen all the same. Belongs
  // to the node's executor. Nothing is asked of the store afterwards.
  virtual void give_up() = 0;
};

// Asks `base` for each key once, for as long as nothing changes there: what a batch of commands reads again and again,
// as the rows of the directories above its files. It keeps all that it was asked for. Not thread-safe.
class KvReadCache final : public KvReader {
 public:
  // `base` must outlive this object.
  explicit KvReadCache(const KvReader& base) : base_(base) {}
  KvReadCache(const KvReadCache&) = delete;
  KvReadCache& operator=(const KvReadCache&) = delete;

  Result<std::optional<std::string>> get(std::string_view key) const override;
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override;
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override;

 private:
  const KvReader& base_;
  // nullopt: there is none.
  mutable std::map<std::string, std::optional<std::string>, std::less<>> known_;
};

// Reads through changes that are not in the store yet: what a command sees of the commands before it in its batch.
// The view is of `base` with every operation applied so far. Not thread-safe.
class KvOverlay final : public KvReader {
 public:
  // `base` must outlive this object.
  explicit KvOverlay(const KvReader& base) : base_(base) {}
  // An overlay over an overlay is made through the KvReader constructor; a copy, with all its changes, never is.
  KvOverlay(const KvOverlay&) = delete;
  KvOverlay& operator=(const KvOverlay&) = delete;

  void put(std::string key, std::string value);
  void erase(std::string key);

  Result<std::optional<std::string>> get(std::string_view key) const override;
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override;
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override;

  // All changes since construction or the last take, each key once. The view goes back to the base alone.
  WriteBatch take();

 private:
  const KvReader& base_;
  // nullopt: erased.
  std::map<std::string, std::optional<std::string>, std::less<>> changes_;
};

}  // namespace dogfs
