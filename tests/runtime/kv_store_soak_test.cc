// RocksKvStore under rows of the metadata's kind, for so long that its memtables are switched, flushed and merged many
// times, against a std::map.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/base/hash.h"
#include "runtime/kv_store.h"
#include "tests/conformance/kv_store_conformance.h"
#include "tests/runtime/real_harness.h"
#include "tests/runtime/temporary_directory.h"

namespace dogfs {
namespace {

using Rows = std::map<std::string, std::string, std::less<>>;

void apply_to(const WriteBatch& batch, Rows& rows) {
  for (const WriteBatch::Operation& operation : batch.operations()) {
    if (const auto* put = std::get_if<WriteBatch::Put>(&operation)) rows[put->key] = put->value;
    if (const auto* erase = std::get_if<WriteBatch::Erase>(&operation)) rows.erase(erase->key);
    if (const auto* range = std::get_if<WriteBatch::EraseRange>(&operation)) {
      rows.erase(rows.lower_bound(range->begin), rows.lower_bound(range->end));
    }
  }
}

void append_big_endian(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

// As core/raft/raft_store.h and core/meta/keys.h make them: whose, which group, of which kind, then what.
std::string key_of(char owner, char kind) {
  std::string key(1, owner);
  append_big_endian(key, 0);
  key.push_back(kind);
  return key;
}
std::string key_of(char owner, char kind, uint64_t id) {
  std::string key = key_of(owner, kind);
  append_big_endian(key, id);
  return key;
}
std::string entry_of(uint64_t directory, uint64_t name) {
  return key_of('M', 'e', directory) + "file-" + std::to_string(name);
}

// What a metadata node writes: the log grows at its end and is dropped at its beginning, now and then at its end; files
// are made, changed, renamed and deleted, whole directories too; replies come and go.
class Writes {
 public:
  explicit Writes(uint64_t seed) : seed_(seed) {}

  uint64_t below(uint64_t bound) { return reduce64(combine64(seed_, ++draws_), bound); }

  WriteBatch log_batch() {
    WriteBatch batch;
    if (below(50) == 0 && log_end_ - log_begin_ > 20) {
      log_end_ -= 1 + below(10);
      batch.erase_range(key_of('R', 'L', log_end_), key_of('R', 'L' + 1));
    }
    for (uint64_t entries = 1 + below(20); entries > 0; --entries) put(batch, key_of('R', 'L', log_end_++), 200);
    put(batch, key_of('R', 'H'), 20);
    if (log_end_ - log_begin_ > kKeptEntries && below(10) == 0) {
      const uint64_t begin = log_end_ - kKeptEntries / 2;
      batch.erase_range(key_of('R', 'L', log_begin_), key_of('R', 'L', begin));
      put(batch, key_of('R', 'B'), 40);
      log_begin_ = begin;
    }
    return batch;
  }

  WriteBatch state_batch() {
    WriteBatch batch;
    for (uint64_t commands = 1 + below(20); commands > 0; --commands) add_command(batch);
    put(batch, key_of('M', 'A'), 60);
    return batch;
  }

  std::string any_key() {
    switch (below(4)) {
      case 0:
        return key_of('R', 'L', log_begin_ + below(log_end_ - log_begin_ + 1));
      case 1:
        return key_of('M', 'i', below(next_inode_ + 1));
      case 2:
        return key_of('M', 'r', below(kSessions)) + std::to_string(below(100));
      default:
        return entry_of(below(kDirectories), below(next_inode_));
    }
  }
  uint64_t written() const { return written_; }

 private:
  static constexpr uint64_t kKeptEntries = 5000;
  static constexpr uint64_t kDirectories = 500;
  static constexpr uint64_t kSessions = 50;

  void put(WriteBatch& batch, std::string key, size_t most_bytes) {
    std::string value = std::to_string(++written_);
    value.resize(value.size() + below(most_bytes), '.');
    batch.put(std::move(key), std::move(value));
  }

  void add_command(WriteBatch& batch) {
    const uint64_t directory = below(kDirectories);
    const uint64_t inode = below(next_inode_);
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        put(batch, key_of('M', 'i', next_inode_), 120);
        put(batch, entry_of(directory, next_inode_), 10);
        ++next_inode_;
        break;
      case 3:
      case 4:
        put(batch, key_of('M', 'i', inode), 120);
        break;
      case 5:
        batch.erase(key_of('M', 'i', inode));
        batch.erase(entry_of(directory, inode));
        break;
      case 6:
        put(batch, key_of('M', 'r', below(kSessions)) + std::to_string(below(100)), 80);
        break;
      default:
        if (below(50) == 0) batch.erase_range(key_of('M', 'e', directory), key_of('M', 'e', directory + 1));
        batch.erase(key_of('M', 'r', below(kSessions)) + std::to_string(below(100)));
        break;
    }
  }

  uint64_t seed_;
  uint64_t draws_ = 0;
  uint64_t written_ = 0;
  uint64_t log_begin_ = 1;
  uint64_t log_end_ = 1;
  uint64_t next_inode_ = 1;
};

class RocksKvSoak : public testing::Test {
 protected:
  struct View {
    std::shared_ptr<const KvReader> reader;
    Rows rows;
  };

  RocksKvSoak() { open(); }

  void open() {
    store_.reset();
    RocksKvOptions options;
    options.memtable_bytes = 1 * kMiB;
    options.cache_bytes = 2 * kMiB;
    store_ = RocksKvStore::open(directory_ / "kv", harness_.executor(), options).value();
  }

  // Writes about as many rows, and looks at some and at the views in between.
  Task<void> write_rows(uint64_t count) {
    const uint64_t end = writes_.written() + count;
    while (writes_.written() < end) {
      WriteBatch batch = writes_.below(2) == 0 ? writes_.log_batch() : writes_.state_batch();
      apply_to(batch, rows_);
      const Durability durability = writes_.below(1000) == 0 ? Durability::kSynced : Durability::kBuffered;
      const Status written = co_await store_->write(std::move(batch), durability);
      DOGFS_CO_ASSERT(written.has_value());
      for (int look = 0; look < 3; ++look) look_at_a_row(*store_, rows_);
      if (writes_.below(100) == 0) look_at_some_rows(*store_, rows_);
      if (writes_.below(100) == 0 && !views_.empty()) look_at_some_rows(*views_.front().reader, views_.front().rows);
    }
  }

  void look_at_a_row(const KvReader& reader, const Rows& rows) {
    const std::string key = writes_.any_key();
    const auto expected = rows.find(key);
    const std::optional<std::string> value = get_value(reader, key);
    ASSERT_EQ(value.has_value(), expected != rows.end());
    if (value) ASSERT_EQ(*value, expected->second);
  }

  // Between two keys, some way forwards or backwards.
  void look_at_some_rows(const KvReader& reader, const Rows& rows) {
    constexpr size_t kMost = 200;
    std::string begin = writes_.any_key();
    std::string end = writes_.any_key();
    if (end < begin) std::swap(begin, end);
    const bool backward = writes_.below(2) == 0;
    KvPairs found;
    const auto visit = [&found](std::string_view key, std::string_view value) {
      found.emplace_back(key, value);
      return found.size() < kMost;
    };
    const Status scanned = backward ? reader.scan_backward(begin, end, visit) : reader.scan(begin, end, visit);
    ASSERT_TRUE(scanned.has_value());
    KvPairs expected;
    auto row = rows.lower_bound(begin);
    const auto behind = rows.lower_bound(end);
    if (backward) {
      for (auto at = behind; at != row && expected.size() < kMost;) expected.emplace_back(*--at);
    } else {
      for (; row != behind && expected.size() < kMost; ++row) expected.emplace_back(*row);
    }
    ASSERT_TRUE(found == expected) << found.size() << " rows, not " << expected.size();
  }

  static void look_at_all(const KvReader& reader, const Rows& rows) {
    const KvPairs found = collect(reader, "", "");
    ASSERT_EQ(found.size(), rows.size());
    ASSERT_TRUE(found == KvPairs(rows.begin(), rows.end()));
  }

  // The number of the latest file: each memtable that was switched has brought a log and a table.
  uint64_t latest_file() const {
    uint64_t latest = 0;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "kv")) {
      const std::string name = entry.path().stem();
      if (name.find_first_not_of("0123456789") == std::string::npos)
        latest = std::max<uint64_t>(latest, std::stoull(name));
    }
    return latest;
  }

  TemporaryDirectory directory_;
  RealHarness harness_;
  std::unique_ptr<RocksKvStore> store_;
  Writes writes_{1};
  Rows rows_;
  std::deque<View> views_;
};

TEST_F(RocksKvSoak, RowsAreWhatTheyShouldBeOverManyMemtables) {
  constexpr int kRounds = 8;
  constexpr uint64_t kRowsInARound = 40'000;
  constexpr size_t kViews = 3;
  for (int round = 0; round < kRounds; ++round) {
    harness_.run(write_rows(kRowsInARound));
    if (HasFatalFailure()) FAIL() << "in round " << round;
    look_at_all(*store_, rows_);
    views_.push_back({store_->snapshot(), rows_});
    if (views_.size() < kViews) continue;
    look_at_all(*views_.front().reader, views_.front().rows);
    views_.pop_front();
    if (round % 4 != 3) continue;
    views_.clear();
    open();
    look_at_all(*store_, rows_);
  }
  EXPECT_GT(latest_file(), 100U) << "a test of memtables has to fill some";
}

}  // namespace
}  // namespace dogfs
