// The rules of the KvStore port (core/env/kv_store.h), for both twins.
//
// A World is default-constructible and gives:
//   Harness& harness();
//   KvStore& store();  // empty at first
//   void reopen();     // closes the store in good order and opens what it left; the old reference is dead
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/base/hash.h"
#include "core/env/kv_store.h"
#include "core/env/sync.h"
#include "tests/conformance/harness.h"

namespace dogfs {

using KvPairs = std::vector<std::pair<std::string, std::string>>;

inline KvPairs collect(const KvReader& reader, std::string_view begin, std::string_view end, bool backward = false) {
  KvPairs pairs;
  const auto visit = [&pairs](std::string_view key, std::string_view value) {
    pairs.emplace_back(key, value);
    return true;
  };
  const Status status = backward ? reader.scan_backward(begin, end, visit) : reader.scan(begin, end, visit);
  EXPECT_EQ(code_of(status), ErrorCode::kOk);
  return pairs;
}

inline std::optional<std::string> get_value(const KvReader& reader, std::string_view key) {
  const auto value = reader.get(key);
  EXPECT_TRUE(value.has_value());
  return value ? value.value() : std::nullopt;
}

template <class World>
class KvStoreConformance : public testing::Test {
 protected:
  World world;
  Harness& harness = world.harness();

  KvStore& store() { return world.store(); }

  Task<void> expect_written(WriteBatch batch, Durability durability) {
    const Status status = co_await store().write(std::move(batch), durability);
    EXPECT_EQ(code_of(status), ErrorCode::kOk);
  }

  Task<void> put(std::string key, std::string value) {
    WriteBatch batch;
    batch.put(std::move(key), std::move(value));
    co_await expect_written(std::move(batch), Durability::kSynced);
  }

  Task<void> written_value_is_read() {
    EXPECT_EQ(get_value(store(), "a"), std::nullopt);
    co_await put("a", "1");
    EXPECT_EQ(get_value(store(), "a"), "1");
    co_await put("a", "2");
    EXPECT_EQ(get_value(store(), "a"), "2");
  }

  Task<void> keys_and_values_are_any_bytes() {
    const std::string key("\0\xff\n", 3);
    const std::string value("\xff\0\0", 3);
    co_await put(key, value);
    co_await put("empty", "");
    EXPECT_EQ(get_value(store(), key), value);
    EXPECT_EQ(get_value(store(), "empty"), "");
    EXPECT_EQ(collect(store(), "", ""), (KvPairs{{key, value}, {"empty", ""}}));
  }

  Task<void> batch_takes_effect_in_its_order() {
    co_await put("x2", "old");
    WriteBatch batch;
    batch.put("x1", "gone");
    batch.erase_range("x", "y");
    batch.put("x3", "stays");
    batch.put("x4", "first");
    batch.put("x4", "second");
    batch.put("x5", "gone");
    batch.erase("x5");
    co_await expect_written(std::move(batch), Durability::kSynced);
    EXPECT_EQ(collect(store(), "", ""), (KvPairs{{"x3", "stays"}, {"x4", "second"}}));
  }

  Task<void> erase_range_spares_its_end() {
    WriteBatch batch;
    for (const char* key : {"a", "b", "c", "d"}) batch.put(key, "v");
    batch.erase_range("b", "d");
    batch.erase_range("d", "d");
    batch.erase_range("d", "a");
    co_await expect_written(std::move(batch), Durability::kSynced);
    EXPECT_EQ(collect(store(), "", ""), (KvPairs{{"a", "v"}, {"d", "v"}}));
  }

  Task<void> scans_keep_to_their_range_and_order() {
    for (const char* key : {"a", "b", "c", "d"}) co_await put(key, key);
    EXPECT_EQ(collect(store(), "b", "d"), (KvPairs{{"b", "b"}, {"c", "c"}}));
    EXPECT_EQ(collect(store(), "b", "d", true), (KvPairs{{"c", "c"}, {"b", "b"}}));
    EXPECT_EQ(collect(store(), "c", ""), (KvPairs{{"c", "c"}, {"d", "d"}}));
    EXPECT_EQ(collect(store(), "c", "", true), (KvPairs{{"d", "d"}, {"c", "c"}}));
    EXPECT_EQ(collect(store(), "bb", "bz"), KvPairs{});
    EXPECT_EQ(collect(store(), "d", "b"), KvPairs{});
    std::vector<std::string> visited;
    const Status status = store().scan("", "", [&](std::string_view key, std::string_view) {
      visited.emplace_back(key);
      return visited.size() < 2;
    });
    EXPECT_EQ(code_of(status), ErrorCode::kOk);
    EXPECT_EQ(visited, (std::vector<std::string>{"a", "b"}));
  }

  Task<void> snapshot_is_frozen() {
    co_await put("a", "1");
    const std::shared_ptr<const KvReader> snapshot = store().snapshot();
    co_await put("a", "2");
    co_await put("b", "2");
    EXPECT_EQ(get_value(*snapshot, "a"), "1");
    EXPECT_EQ(collect(*snapshot, "", ""), (KvPairs{{"a", "1"}}));
    EXPECT_EQ(collect(*snapshot, "", "", true), (KvPairs{{"a", "1"}}));
    EXPECT_EQ(collect(store(), "", ""), (KvPairs{{"a", "2"}, {"b", "2"}}));
  }

  // The order is that of the calls, whatever the order in which they are awaited.
  Task<void> writes_take_effect_in_the_order_of_calls() {
    WriteBatch first;
    first.put("k", "first");
    WriteBatch second;
    second.put("k", "second");
    Task<Status> first_written = store().write(std::move(first), Durability::kBuffered);
    Task<Status> second_written = store().write(std::move(second), Durability::kSynced);
    const Status second_status = co_await std::move(second_written);
    const Status first_status = co_await std::move(first_written);
    EXPECT_EQ(code_of(first_status), ErrorCode::kOk);
    EXPECT_EQ(code_of(second_status), ErrorCode::kOk);
    EXPECT_EQ(get_value(store(), "k"), "second");
  }

  Task<void> empty_batch_is_written() {
    co_await expect_written(WriteBatch(), Durability::kSynced);
    co_await expect_written(WriteBatch(), Durability::kBuffered);
  }

  // Random batches against a map. Every write is awaited later, so that they are grouped.
  Task<void> many_writes_match_a_model() {
    std::map<std::string, std::string> model;
    TaskGroup group(harness.executor(), harness.clock());
    for (uint64_t i = 0; i < 500; ++i) {
      const uint64_t draw = mix64(i);
      const std::string key = std::to_string(reduce64(draw, 40));
      WriteBatch batch;
      if (draw % 5 == 0) {
        const std::string end = key + "5";
        batch.erase_range(key, end);
        model.erase(model.lower_bound(key), model.lower_bound(end));
      } else if (draw % 5 == 1) {
        batch.erase(key);
        model.erase(key);
      } else {
        batch.put(key, std::to_string(draw));
        model[key] = std::to_string(draw);
      }
      group.spawn(wait(store().write(std::move(batch), draw % 3 == 0 ? Durability::kSynced : Durability::kBuffered)));
    }
    co_await group.join();
    EXPECT_EQ(collect(store(), "", ""), KvPairs(model.begin(), model.end()));
  }

  static Task<void> wait(Task<Status> written) {
    const Status status = co_await std::move(written);
    EXPECT_EQ(code_of(status), ErrorCode::kOk);
  }
};

TYPED_TEST_SUITE_P(KvStoreConformance);

#define DOGFS_KV_STORE_TEST(Name, body)    \
  TYPED_TEST_P(KvStoreConformance, Name) { \
    this->harness.run(this->body());       \
  }

DOGFS_KV_STORE_TEST(WrittenValueIsRead, written_value_is_read)
DOGFS_KV_STORE_TEST(KeysAndValuesAreAnyBytes, keys_and_values_are_any_bytes)
DOGFS_KV_STORE_TEST(BatchTakesEffectInItsOrder, batch_takes_effect_in_its_order)
DOGFS_KV_STORE_TEST(EraseRangeSparesItsEnd, erase_range_spares_its_end)
DOGFS_KV_STORE_TEST(ScansKeepToTheirRangeAndOrder, scans_keep_to_their_range_and_order)
DOGFS_KV_STORE_TEST(SnapshotIsFrozen, snapshot_is_frozen)
DOGFS_KV_STORE_TEST(WritesTakeEffectInTheOrderOfCalls, writes_take_effect_in_the_order_of_calls)
DOGFS_KV_STORE_TEST(EmptyBatchIsWritten, empty_batch_is_written)
DOGFS_KV_STORE_TEST(ManyWritesMatchAModel, many_writes_match_a_model)

#undef DOGFS_KV_STORE_TEST

TYPED_TEST_P(KvStoreConformance, EverythingIsThereAfterReopening) {
  this->harness.run(this->put("a", "1"));
  this->world.reopen();
  EXPECT_EQ(collect(this->store(), "", ""), (KvPairs{{"a", "1"}}));
  this->harness.run(this->put("b", "2"));
  this->world.reopen();
  EXPECT_EQ(collect(this->store(), "", ""), (KvPairs{{"a", "1"}, {"b", "2"}}));
}

REGISTER_TYPED_TEST_SUITE_P(KvStoreConformance, WrittenValueIsRead, KeysAndValuesAreAnyBytes,
                            BatchTakesEffectInItsOrder, EraseRangeSparesItsEnd, ScansKeepToTheirRangeAndOrder,
                            SnapshotIsFrozen, WritesTakeEffectInTheOrderOfCalls, EmptyBatchIsWritten,
                            ManyWritesMatchAModel, EverythingIsThereAfterReopening);

}  // namespace dogfs
