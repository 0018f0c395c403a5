#include "core/raft/state_rows.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

#include "core/raft/raft_store.h"
#include "core/wire/raft.pb.h"
#include "tests/core/meta/memory_rows.h"

namespace dogfs::raft {
namespace {

constexpr GroupId kGroup{7};
const KeyRange kState{"m", "n"};

const SnapshotId kSnapshot{NodeId(2), Term(3), 4, {LogIndex(9), Term(3)}};

SnapshotStage stage_of(SnapshotChunk chunk) {
  return SnapshotStage{1, kSnapshot, std::make_shared<const SnapshotChunk>(std::move(chunk))};
}

SnapshotChunk chunk_of(uint64_t number, const std::map<std::string, std::string>& rows) {
  wire::RaftSnapshotRows message;
  for (const auto& [key, value] : rows) {
    wire::RaftSnapshotRows::Row& row = *message.add_rows();
    row.set_key(key);
    row.set_value(value);
  }
  SnapshotChunk chunk;
  chunk.number = number;
  chunk.rows = message.SerializeAsString();
  return chunk;
}

// All parts of `from`'s state, staged in `to`. Returns how many.
uint64_t stage_all(const MemoryRows& from, MemoryRows& to, size_t bytes) {
  RowsPart part;
  uint64_t number = 0;
  for (; !part.last; ++number) {
    part = read_rows(from, kState, part.last_key, bytes).value();
    SnapshotChunk chunk;
    chunk.number = number;
    chunk.last = part.last;
    chunk.rows = part.rows;
    to.write(encode_stage(kGroup, kState, stage_of(std::move(chunk))).value());
  }
  return number;
}

// Takes `steps` steps of an installation. True when it is complete.
bool install(MemoryRows& store, size_t bytes, size_t steps) {
  InstallStep step;
  for (size_t i = 0; i < steps && !step.last; ++i) {
    step = install_step(store, kGroup, kState, step.last_key, bytes).value();
    store.write(step.batch);
  }
  return step.last;
}

RC_GTEST_PROP(StateRows, AStateComesOutAsItWentInWhateverIsInterrupted,
              (const std::map<std::string, std::string>& from, const std::map<std::string, std::string>& old)) {
  MemoryRows source;
  MemoryRows target;
  for (const auto& [key, value] : from) source.rows["m" + key] = value;
  for (const auto& [key, value] : old) target.rows["m" + key] = value;
  source.rows["l"] = source.rows["n"] = "of somebody else";
  target.rows["l"] = target.rows["n"] = "of this node";
  const size_t bytes = *rc::gen::inRange<size_t>(1, 60);
  stage_all(source, target, bytes);
  const MemoryRows staged = target;

  // A crash loses the last steps of an installation, which begins anew.
  const bool complete = install(target, bytes, *rc::gen::inRange<size_t>(0, 6));
  if (!complete) RC_ASSERT(install(target, bytes, SIZE_MAX));
  MemoryRows expected;
  for (const auto& [key, value] : source.rows) {
    if (kState.contains(key)) expected.rows[key] = value;
  }
  expected.rows["l"] = expected.rows["n"] = "of this node";
  RC_ASSERT(target.rows == expected.rows);
}

TEST(StateRows, APartIsAsLargeAsAskedButHasARow) {
  MemoryRows source;
  for (const char* key : {"ma", "mb", "mc", "md"}) source.rows[key] = std::string(98, 'x');
  MemoryRows target;
  EXPECT_EQ(stage_all(source, target, 200), 2U);
  EXPECT_EQ(stage_all(source, target, 1), 4U);
  EXPECT_EQ(stage_all(MemoryRows(), target, 1), 1U) << "an empty state has one part";
}

TEST(StateRows, TheFirstPartReplacesWhatWasStaged) {
  MemoryRows store;
  store.write(encode_stage(kGroup, kState, stage_of(chunk_of(0, {{"ma", "1"}, {"mb", "2"}}))).value());
  store.write(encode_stage(kGroup, kState, stage_of(chunk_of(0, {{"mc", "3"}}))).value());
  store.write(encode_stage(kGroup, kState, stage_of(chunk_of(1, {{"md", "4"}}))).value());
  EXPECT_TRUE(install(store, 1000, SIZE_MAX));
  EXPECT_EQ(store.rows, (std::map<std::string, std::string, std::less<>>{{"mc", "3"}, {"md", "4"}}));
}

TEST(StateRows, PartsThatNoLeaderSendsAreRefused) {
  SnapshotChunk unparsable = chunk_of(0, {});
  unparsable.rows = "\xff";
  wire::RaftSnapshotRows falling;
  for (const char* key : {"mb", "ma"}) falling.add_rows()->set_key(key);
  SnapshotChunk descending = chunk_of(0, {});
  descending.rows = falling.SerializeAsString();
  for (const SnapshotChunk& chunk : {unparsable, descending, chunk_of(0, {{"l", "before the state"}}),
                                     chunk_of(0, {{"n", "behind the state"}}), chunk_of(0, {{"", "no key"}})}) {
    EXPECT_EQ(code_of(encode_stage(kGroup, kState, stage_of(chunk))), ErrorCode::kProtocolError);
  }
}

TEST(StateRows, WhatIsStagedIsRememberedWithEveryPartButTheLast) {
  MemoryRows store;
  store.write(encode_new_store({kGroup, NodeId(1), {}}));
  const auto stage = [&](SnapshotChunk chunk) {
    store.write(encode_stage(kGroup, kState, stage_of(std::move(chunk))).value());
  };
  EXPECT_EQ(load_staged(store, kGroup).value(), std::nullopt);
  stage(chunk_of(0, {{"ma", "1"}}));
  EXPECT_EQ(load_staged(store, kGroup).value(), (StagedParts{kSnapshot, 1}));
  stage(chunk_of(1, {{"mb", "2"}}));
  EXPECT_EQ(load_staged(store, kGroup).value(), (StagedParts{kSnapshot, 2}));
  SnapshotChunk last = chunk_of(2, {{"mc", "3"}});
  last.last = true;
  stage(last);
  EXPECT_EQ(load_staged(store, kGroup).value(), (StagedParts{kSnapshot, 2})) << "its sender says which one is the last";
  stage(last);
  EXPECT_TRUE(install(store, 1000, SIZE_MAX));
  EXPECT_EQ(load_staged(store, kGroup).value(), std::nullopt);

  stage(chunk_of(0, {{"ma", "1"}}));
  last.number = 0;
  stage(last);
  EXPECT_EQ(load_staged(store, kGroup).value(), std::nullopt) << "the rows of the part before are gone";
}

TEST(StateRows, WhatIsStagedIsForgottenInALaterTermOrWhenItIsNoNews) {
  MemoryRows store;
  EXPECT_EQ(load_staged(store, kGroup).value(), std::nullopt);
  store.write(encode_stage(kGroup, kState, stage_of(chunk_of(0, {{"ma", "1"}}))).value());
  EXPECT_EQ(code_of(load_staged(store, kGroup)), ErrorCode::kCorrupt) << "of a member that does not exist";
  const auto persist = [&](HardState state) {
    PersistBatch batch;
    batch.hard_state = state;
    store.write(encode_batch(kGroup, batch));
  };
  const std::optional<StagedParts> staged = StagedParts{kSnapshot, 1};
  persist({Term(2), NodeId(), LogIndex(8)});
  EXPECT_EQ(load_staged(store, kGroup).value(), staged) << "the term was about to be written";
  persist({Term(3), NodeId(), LogIndex(8)});
  EXPECT_EQ(load_staged(store, kGroup).value(), staged);
  persist({Term(3), NodeId(), LogIndex(9)});
  EXPECT_EQ(load_staged(store, kGroup).value(), std::nullopt);
  persist({Term(4), NodeId(), LogIndex(8)});
  EXPECT_EQ(load_staged(store, kGroup).value(), std::nullopt);
  for (auto& [key, value] : store.rows) value.front() ^= 1;
  EXPECT_EQ(code_of(load_staged(store, kGroup)), ErrorCode::kCorrupt);
}

TEST(StateRows, WhatIsToBeInstalledIsRememberedWithItsChecksum) {
  MemoryRows store;
  EXPECT_EQ(load_install(store, kGroup).value(), std::nullopt);
  PersistBatch batch;
  batch.install = LogPosition{LogIndex(9), Term(3)};
  store.write(encode_batch(kGroup, batch));
  EXPECT_EQ(load_install(store, kGroup).value(), (LogPosition{LogIndex(9), Term(3)}));
  for (auto& [key, value] : store.rows) value.front() ^= 1;
  EXPECT_EQ(code_of(load_install(store, kGroup)), ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace dogfs::raft
