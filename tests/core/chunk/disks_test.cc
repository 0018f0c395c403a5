// A chunk server of several disks: which of them take shards, and what becomes of one that fails, is empty, missing or of
// another size. Those that hang: hanging_disks_test.cc.
#include <gmock/gmock.h>

#include "core/base/limits.h"
#include "core/base/printable.h"
#include "tests/core/chunk/disks.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST_F(Disks, ShardsThatFollowEachOtherDoNotAllGoToOneBeforeTheDisksAreAskedAgain) {
  const std::vector<size_t> before{w_.files(0).size(), w_.files(1).size()};
  for (uint64_t block = 100; block < 110; ++block) {
    ASSERT_EQ(w_.write(ChunkWorld::key(block), ChunkWorld::data(block, kBytes)), ErrorCode::kOk);
  }
  EXPECT_GE(w_.files(0).size(), before[0] + 4);
  EXPECT_GE(w_.files(1).size(), before[1] + 4);
}

TEST_F(Disks, AReadOnlyDiskTakesNoShardsAndServesThoseItHasUntilTheyAreElsewhere) {
  const std::set<ShardKey> stuck = on(0);
  w_.faults[0].space = DiskSpace{.total_bytes = 1ULL << 40, .free_bytes = 1ULL << 39, .read_only = true};
  fail(0, {"create", "write", "sync", "record", "remove", "sync_directory"});
  ASSERT_TRUE(w_.wait_for_state(0, wire::DiskInfo::READ_ONLY));
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.leaving == stuck; }, kPatience));
  EXPECT_THAT(w_.disk_info(0).alarm(), HasSubstr("read-only"));
  EXPECT_EQ(w_.disk_info(0).free_bytes(), 0u);
  EXPECT_EQ(w_.disk_info(0).shards(), stuck.size());
  write(100, 10);
  EXPECT_EQ(on(0), stuck);
  expect_readable(stuck);

  // They were published elsewhere, and the metadata asks for their deletion, which this disk cannot do.
  w_.meta.deletions = stuck;
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.heartbeats.back().disks(0).shards() == 0; }, kPatience));
  EXPECT_EQ(code_of(w_.read(*stuck.begin(), 0, kBytes)), ErrorCode::kNotFound);
  w_.meta.leaving.clear();
  w_.world.run_for(seconds(5));
  EXPECT_THAT(w_.meta.leaving, IsEmpty());
  EXPECT_THAT(w_.meta.deleted, IsEmpty());
  EXPECT_EQ(on(0), stuck);
  EXPECT_TRUE(w_.node.up());
}

TEST_F(Disks, ADiskWhoseWritesFailIsEmptiedAndTheOtherGoesOn) {
  const std::set<ShardKey> stuck = on(1);
  fail(1, {"create", "write", "sync", "record"});
  for (uint64_t block = 100; block < 110; ++block) {
    w_.write(ChunkWorld::key(block), ChunkWorld::data(block, kBytes));
    w_.world.run_for(milliseconds(1'100));
  }
  ASSERT_TRUE(w_.wait_for_state(1, wire::DiskInfo::FAILING));
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.leaving == stuck; }, kPatience));
  EXPECT_GT(w_.disk_info(1).errors(), 0u);
  write(200, 5);
  expect_readable(stuck);
}

TEST_F(Disks, ADiskThatFailsReadAfterReadIsTakenOut) {
  write(100, 24);
  fail(0, {"read"});
  const std::set<ShardKey> stuck = on(0);
  ASSERT_GE(stuck.size(), kMaxReadErrors);
  auto key = stuck.begin();
  for (size_t i = 0; i + 1 < kMaxReadErrors; ++i) fail_to_read(*key++);
  EXPECT_EQ(w_.disk_info(0).state(), wire::DiskInfo::WORKING);
  fail_to_read(*key);
  ASSERT_TRUE(w_.wait_for_state(0, wire::DiskInfo::FAILING));
  EXPECT_GE(w_.disk_info(0).errors(), kMaxReadErrors);
  EXPECT_THAT(w_.disk_info(0).alarm(), HasSubstr("reads failed"));
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.leaving == stuck; }, kPatience));
}

TEST_F(Disks, ADiskThatReadsNothingIsTakenOutHoweverFewShardsItHas) {
  const std::set<ShardKey> stuck = on(0);
  w_.faults[0].decide = [](const std::string& operation) {
    return operation == "read" ? DiskFaults::Fate::kFail : DiskFaults::Fate::kProceed;
  };
  fail_to_read(*stuck.begin());
  w_.world.run_for(std::chrono::minutes(1));
  ASSERT_TRUE(w_.wait_for_state(0, wire::DiskInfo::FAILING));
  EXPECT_THAT(w_.disk_info(0).alarm(), HasSubstr("all reads failed of late"));
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::WORKING);
}

TEST_F(Disks, OneShardThatCannotBeReadTakesNoDiskOut) {
  const ShardKey key = *on(0).begin();
  w_.node.shard_disk("disk0")->open(shard_file_name(key)).value()->unreadable = {{.begin = 0, .end = 1 << 20}};
  for (size_t i = 0; i < 2 * kMaxReadErrors; ++i) fail_to_read(key);
  EXPECT_EQ(w_.disk_info(0).state(), wire::DiskInfo::WORKING);
  EXPECT_THAT(w_.disk_info(0).alarm(), IsEmpty());
  EXPECT_GE(w_.disk_info(0).errors(), 2 * kMaxReadErrors);
}

TEST_F(OneDisk, TheLastDiskThatTakesShardsIsNotTakenOutForItsReads) {
  write(kShards + 1, kShards);
  fail(0, {"read"});
  for (size_t i = 1; i <= 2 * kMaxReadErrors; ++i) fail_to_read(ChunkWorld::key(i));
  EXPECT_EQ(w_.disk_info(0).state(), wire::DiskInfo::WORKING);
  EXPECT_THAT(w_.disk_info(0).alarm(), HasSubstr("reads failed"));
  w_.faults[0].decide = DiskFaults().decide;
  write(100, 3);
}

TEST_F(Disks, AFullDiskTakesNoShardsUntilThereIsRoom) {
  const size_t before = w_.files(0).size();
  set_free(0, full_below(kDiskBytes) - 1);
  ASSERT_TRUE(w_.wait_for_state(0, wire::DiskInfo::FULL));
  write(100, 10);
  EXPECT_EQ(w_.files(0).size(), before);
  EXPECT_EQ(w_.disk_info(0).alarm(), "full");
  w_.faults[0].space.reset();
  ASSERT_TRUE(w_.wait_for_state(0, wire::DiskInfo::WORKING));
  write(200, 20);
  EXPECT_GT(w_.files(0).size(), before);
}

TEST_F(Disks, AShardNeedsRoomForWhatItWillHave) {
  // Neither is full, and neither has room for a shard of a full block.
  const uint64_t length = kDefaultGeometry.shard_bytes() / 2;
  for (size_t disk = 0; disk < 2; ++disk) set_free(disk, shard_file_bytes(length), 4 * kMiB);
  w_.world.run_for(seconds(3));
  ASSERT_EQ(w_.disk_info(0).state(), wire::DiskInfo::WORKING);
  const auto open = [this](uint64_t block, uint64_t bytes) {
    wire::OpenShardRequest request = w_.open_request(ChunkWorld::key(block));
    request.set_length(bytes);
    return w_.code(MessageType::kOpenShard, request);
  };
  EXPECT_EQ(open(300, 0), ErrorCode::kNoSpace);
  EXPECT_EQ(open(300, UINT64_MAX), ErrorCode::kNoSpace);
  EXPECT_EQ(open(300, length + 1), ErrorCode::kNoSpace);
  EXPECT_EQ(open(300, length), ErrorCode::kOk);
  EXPECT_EQ(open(301, length), ErrorCode::kOk);
  EXPECT_EQ(open(302, length), ErrorCode::kNoSpace) << "it is promised";
}

TEST_F(Disks, AFullDiskGivesAwayNoMoreThanMakesRoom) {
  const uint64_t each = shard_file_bytes(kBytes);
  const std::set<ShardKey> all = on(0);
  ASSERT_GT(all.size(), 5u);
  const std::set<ShardKey> first_three(all.begin(), std::next(all.begin(), 3));
  // Once it is full it makes room for more than one shard at a time.
  set_free(0, 30 * each, 2000 * each);
  w_.world.run_for(seconds(5));
  EXPECT_THAT(w_.meta.leaving, IsEmpty()) << "neither full, nor was it full";
  set_free(0, 19 * each, 2000 * each);
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.leaving == all; }, kPatience)) << "21 are to go";
  w_.meta.leaving.clear();
  set_free(0, 37 * each + 1, 2000 * each);
  w_.world.run_for(seconds(3));
  w_.meta.leaving.clear();
  ASSERT_TRUE(w_.world.run_until([&] { return !w_.meta.leaving.empty(); }, kPatience));
  w_.world.run_for(seconds(5));
  EXPECT_EQ(w_.meta.leaving, first_three);
  EXPECT_EQ(w_.disk_info(0).state(), wire::DiskInfo::WORKING);
  set_free(0, 40 * each, 2000 * each);
  w_.world.run_for(seconds(3));
  w_.meta.leaving.clear();
  set_free(0, 21 * each, 2000 * each);
  w_.world.run_for(seconds(5));
  EXPECT_THAT(w_.meta.leaving, IsEmpty()) << "it has had enough room since";
}

TEST_F(Disks, AnEmptyDiskInThePlaceOfAnotherIsAnAlarmAndIsNotWrittenTo) {
  const std::set<ShardKey> whole = on(0);
  w_.crash(sim::CrashKind::kPower);
  wipe(1);
  start_again();
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::EMPTY);
  EXPECT_THAT(w_.disk_info(1).alarm(), HasSubstr("came up empty"));
  EXPECT_EQ(w_.disk_info(0).alarm(), "");
  write(100, 20);
  EXPECT_THAT(w_.files(1), IsEmpty());
  EXPECT_FALSE(w_.node.kv_disk("disk1")->get("identity").value().has_value());
  expect_readable(whole);
  EXPECT_THAT(w_.meta.leaving, IsEmpty());
  // The server is the one that it was.
  EXPECT_EQ(w_.meta.servers.size(), 1u);

  // Its operator knows better.
  w_.options().accept_disks = true;
  w_.crash(sim::CrashKind::kPower);
  start_again();
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::WORKING);
  write(200, 20);
  EXPECT_FALSE(w_.files(1).empty());
  w_.options().accept_disks = false;
  w_.crash(sim::CrashKind::kPower);
  start_again();
  EXPECT_EQ(w_.disk_info(1).alarm(), "");
}

TEST_F(Disks, WhatAnEmptyDiskHadIsReportedAsAbsentAndNothingElseIs) {
  const std::set<ShardKey> whole = on(0);
  w_.crash(sim::CrashKind::kPower);
  wipe(1);
  w_.options().report_interval = seconds(4);
  w_.meta.differing = {0};
  start_again();
  ASSERT_TRUE(w_.world.run_until([&] { return !w_.meta.shard_reports.empty(); }, kPatience));
  std::set<ShardKey> reported;
  for (const wire::ReportedShard& shard : w_.meta.shard_reports.back().shards()) {
    reported.insert(shard_key_from_wire(shard.shard()).value());
  }
  EXPECT_EQ(reported, whole);
  EXPECT_FALSE(w_.meta.shard_reports.back().incomplete());
}

TEST_F(Disks, ADiskThatLostOnlyItsRecordsIsTheDiskThatItWas) {
  const std::set<ShardKey> whole = on(1);
  const std::string id = w_.disk_info(1).id();
  w_.crash(sim::CrashKind::kProcess);
  wipe(1, false);
  start_again();
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::WORKING);
  EXPECT_EQ(w_.disk_info(1).id(), id);
  EXPECT_THAT(w_.disk_info(1).alarm(), HasSubstr("lost its records"));
  ASSERT_TRUE(w_.world.run_until([&] { return w_.disk_info(1).shards() == whole.size(); }, kPatience));
  expect_readable(whole);
}

TEST_F(Disks, WhatIsSealedOnOneDiskIsServedFromThereAndAnEarlierAttemptOnAnotherIsRemoved) {
  const std::set<ShardKey> first = on(0);
  const std::set<ShardKey> second = on(1);
  w_.crash(sim::CrashKind::kProcess);
  // As a disk has it whose removal of the file was lost.
  ASSERT_TRUE(w_.node.shard_disk("disk0")->create(shard_file_name(*second.begin())).has_value());
  ASSERT_TRUE(w_.node.shard_disk("disk1")->create(shard_file_name(*first.begin())).has_value());
  start_again();
  for (const auto& whole : {first, second}) expect_readable(whole);
  ASSERT_TRUE(w_.world.run_until([&] { return on(0) == first && on(1) == second; }, std::chrono::hours(1)));
  for (const auto& whole : {first, second}) expect_readable(whole);
}

// As they are after a seal of which the record reached the disk and its sync failed all the same: the writer is sent to
// the other disk, and both have it.
TEST_F(Disks, WhatIsRecordedOnTwoDisksIsServedAndTheSecondIsRemoved) {
  const std::set<ShardKey> first = on(0);
  const std::set<ShardKey> second = on(1);
  w_.crash(sim::CrashKind::kProcess);
  copy(1, 0, *second.begin());
  copy(0, 1, *first.begin());
  start_again();
  wait_until_none_is_on_both(first.size() + second.size());
  for (const auto& whole : {first, second}) expect_readable(whole);
  w_.crash(sim::CrashKind::kPower);
  start_again();
  for (const auto& whole : {first, second}) expect_readable(whole);
  EXPECT_EQ(w_.disk_info(0).shards() + w_.disk_info(1).shards(), kShards);
}

TEST_F(Disks, OfWhatIsRecordedOnTwoDisksTheOneThatIsWholeIsKept) {
  const ShardKey key = *on(1).begin();
  for (const size_t damaged : {0, 1}) {
    w_.crash(sim::CrashKind::kProcess);
    const size_t has_it = on(0).contains(key) ? 0 : 1;
    copy(has_it, 1 - has_it, key);
    w_.node.shard_disk("disk" + std::to_string(damaged))
        ->open(shard_file_name(key))
        .value()
        ->seen.flip(kShardHeaderBytes, 1);
    start_again();
    wait_until_none_is_on_both(kShards);
    EXPECT_TRUE(on(1 - damaged).contains(key));
    expect_readable({key});
  }
}

// Neither is known to be of no use, and one deletion is for both.
// That only one of them has a record says nothing of which is the better.
TEST_F(Disks, WhatIsWholeOnADiskThatHasNoRecordOfItIsKeptWhereTheOtherIsDamaged) {
  const ShardKey key = *on(0).begin();
  w_.crash(sim::CrashKind::kProcess);
  copy(0, 1, key);
  WriteBatch forget;
  forget.erase(shard_record_key(key));
  sim::KvDisk& rows = *w_.node.kv_disk("disk1");
  rows.apply(forget);
  rows.mark_durable(rows.sequence());
  w_.node.shard_disk("disk0")->open(shard_file_name(key)).value()->seen.flip(kShardHeaderBytes, 1);
  start_again();
  wait_until_none_is_on_both(kShards);
  EXPECT_TRUE(on(1).contains(key));
  expect_readable({key});
}

TEST_F(Disks, WhatIsDamagedOnTwoDisksStaysAndNothingIsLeftOfItWhenItIsDeleted) {
  const ShardKey key = *on(1).begin();
  w_.crash(sim::CrashKind::kProcess);
  copy(1, 0, key);
  for (const char* disk : {"disk0", "disk1"}) {
    w_.node.shard_disk(disk)->open(shard_file_name(key)).value()->seen.flip(kShardHeaderBytes, 1);
  }
  start_again();
  w_.world.run_for(2 * w_.options().writer_idle_limit);
  EXPECT_TRUE(on(0).contains(key) && on(1).contains(key));
  w_.meta.deletions.insert(key);
  ASSERT_TRUE(w_.world.run_until([&] { return w_.meta.deleted.contains(key); }, kPatience));
  EXPECT_FALSE(on(0).contains(key) || on(1).contains(key));
  EXPECT_FALSE(has_record(0, key) || has_record(1, key));
}

TEST_F(Disks, WhatIsUnsealedBesideADamagedOneGoes) {
  const ShardKey key = *on(1).begin();
  w_.crash(sim::CrashKind::kProcess);
  ASSERT_TRUE(w_.node.shard_disk("disk1")->remove(shard_file_name(key)).has_value());
  ASSERT_TRUE(w_.node.shard_disk("disk0")->create(shard_file_name(key)).has_value());
  start_again();
  ASSERT_TRUE(w_.world.run_until([&] { return !on(0).contains(key); }, std::chrono::hours(1)));
  EXPECT_TRUE(has_record(1, key)) << "it is lost, and said so";
}

// The seal failed at the record, when all bytes were there: the writer begins anew, and is sent to the other disk.
TEST_F(Disks, WhatAWriterGaveUpOnOneDiskIsRemovedWhereTheOtherHasTheShard) {
  const ShardKey key = ChunkWorld::key(1000);
  set_free(1, kDiskBytes / 4);
  set_free(0, kDiskBytes / 2);
  w_.world.run_for(seconds(2));
  fail(0, {"record"});
  ASSERT_NE(w_.write(key, ChunkWorld::data(1000, kBytes)), ErrorCode::kOk);
  ASSERT_TRUE(on(0).contains(key));
  ASSERT_EQ(w_.write(key, ChunkWorld::data(1000, kBytes)), ErrorCode::kOk);
  ASSERT_TRUE(on(0).contains(key) && on(1).contains(key));
  w_.crash(sim::CrashKind::kProcess);
  fail(0, {});
  start_again();
  EXPECT_TRUE(w_.world.run_until([&] { return !on(0).contains(key); }, std::chrono::hours(1)));
  expect_readable({key});
  EXPECT_FALSE(has_record(0, key));
}

TEST_F(Disks, ARecordWithoutAFileGoesWhereAnotherDiskHasTheShard) {
  const ShardKey key = *on(1).begin();
  w_.crash(sim::CrashKind::kProcess);
  copy(1, 0, key);
  ASSERT_TRUE(w_.node.shard_disk("disk0")->remove(shard_file_name(key)).has_value());
  start_again();
  expect_readable({key});
  w_.world.run_for(2 * w_.options().writer_idle_limit);
  expect_readable({key});
  EXPECT_FALSE(has_record(0, key));
  EXPECT_TRUE(has_record(1, key));
}

// What is going on one disk was deleted by the metadata, wherever it is.
TEST_F(Disks, WhatIsGoingOnOneDiskGoesOnTheOtherToo) {
  const std::set<ShardKey> going{*on(0).begin(), *on(1).begin()};
  w_.crash(sim::CrashKind::kProcess);
  for (const ShardKey& key : going) {
    const size_t has_it = on(0).contains(key) ? 0 : 1;
    copy(has_it, 1 - has_it, key);
    wire::ShardRecord record;
    record.set_deleting(true);
    put_record(key == *going.begin() ? 0 : 1, key, record);
  }
  start_again();
  const auto gone = [&] {
    return std::ranges::none_of(going,
                                [this](const ShardKey& key) { return on(0).contains(key) || on(1).contains(key); });
  };
  EXPECT_TRUE(w_.world.run_until(gone, std::chrono::hours(1)));
  w_.world.run_for(seconds(1));
  for (const ShardKey& key : going) EXPECT_FALSE(has_record(0, key) || has_record(1, key));
}

TEST_F(Disks, WhatIsUnsealedOnTwoDisksIsRemovedFromBoth) {
  const ShardKey key = ChunkWorld::key(1000);
  w_.crash(sim::CrashKind::kProcess);
  for (const char* disk : {"disk0", "disk1"}) {
    ASSERT_TRUE(w_.node.shard_disk(disk)->create(shard_file_name(key)).has_value());
  }
  start_again();
  const auto gone = [&] { return !on(0).contains(key) && !on(1).contains(key); };
  EXPECT_TRUE(w_.world.run_until(gone, std::chrono::hours(1)));
}

TEST_F(Disks, AMissingDiskIsAnAlarmUntilItIsBackOrAccepted) {
  const std::set<ShardKey> away = on(1);
  w_.crash(sim::CrashKind::kPower);
  w_.faults.pop_back();
  start_again();
  EXPECT_EQ(w_.disk_info(0).state(), wire::DiskInfo::MISSING);
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::WORKING);
  w_.crash(sim::CrashKind::kPower);
  w_.faults.emplace_back();
  start_again();
  EXPECT_EQ(w_.disk_info(0).state(), wire::DiskInfo::WORKING);
  EXPECT_EQ(w_.meta.heartbeats.back().disks_size(), 2);
  expect_readable(away);

  w_.crash(sim::CrashKind::kPower);
  w_.faults.pop_back();
  w_.options().accept_disks = true;
  start_again();
  w_.options().accept_disks = false;
  w_.crash(sim::CrashKind::kPower);
  start_again();
  EXPECT_EQ(w_.disk_info(0).alarm(), "");
  EXPECT_EQ(w_.meta.heartbeats.back().disks_size(), 1);
}

TEST_F(Disks, ANameOfAnyBytesIsToldAsTextAndIsTheSameAtTheNextStart) {
  w_.disk_names = {{0, "/mnt/\xff\xfe"}, {1, "/" + std::string(kMaxDiskNameBytes - 2, 'x') + "\xC3\xA9"}};
  for (int start = 0; start < 2; ++start) {
    w_.crash(sim::CrashKind::kPower);
    start_again();
    EXPECT_EQ(w_.disk_info(0).name(), "/mnt/\\xff\\xfe");
    EXPECT_EQ(w_.disk_info(1).name(), "/" + std::string(kMaxDiskNameBytes - 4, 'x') + "...");
    EXPECT_EQ(w_.meta.heartbeats.back().disks_size(), 2);
    for (int disk = 0; disk < 2; ++disk) EXPECT_EQ(w_.disk_info(disk).alarm(), "");
  }
}

// What a store says of a failure has its path in it.
TEST_F(Disks, AnAlarmOfAnyBytesIsToldAsText) {
  FaultyShardStore files(w_.node.env().clock, w_.faults[0], w_.node.shards("disk0"));
  FaultyKvStore records(w_.node.env().clock, w_.faults[0], w_.node.kv("disk0"));
  ShardDisk disk(w_.node.env(), ChunkDisk{files, records, "disk"}, 0, [](const Error&) {});
  disk.mark_bad(Error(ErrorCode::kIoError, "/mnt/\xff: " + std::string(kMaxDiskAlarmBytes, 'x')));
  const std::string alarm = disk.describe().alarm();
  EXPECT_THAT(alarm, HasSubstr("/mnt/\\xff: x"));
  EXPECT_EQ(alarm, printable(alarm, kMaxDiskAlarmBytes));
}

// Earlier releases cut names anywhere.
TEST_F(Disks, AMissingDiskIsNamedInTextWhateverWasKeptOfItsName) {
  w_.crash(sim::CrashKind::kPower);
  sim::KvDisk& rows = *w_.node.kv_disk("disk0");
  wire::ChunkIdentity identity;
  ASSERT_TRUE(identity.ParseFromString(rows.get("identity").value().value()));
  for (wire::KnownDisk& disk : *identity.mutable_disks()) disk.set_name("/mnt/\xC3");
  WriteBatch batch;
  batch.put("identity", identity.SerializeAsString());
  rows.apply(batch);
  rows.mark_durable(rows.sequence());
  w_.faults.pop_back();
  start_again();
  EXPECT_EQ(w_.disk_info(0).state(), wire::DiskInfo::MISSING);
  EXPECT_EQ(w_.disk_info(0).name(), "/mnt/\\xc3");
}

TEST_F(Disks, AnotherSizeIsAnAlarmUntilItIsAccepted) {
  w_.crash(sim::CrashKind::kPower);
  w_.faults[1].space = DiskSpace{.total_bytes = 1ULL << 39, .free_bytes = 1ULL << 38};
  for (int start = 0; start < 2; ++start) {
    start_again();
    EXPECT_THAT(w_.disk_info(1).alarm(), HasSubstr("has another size"));
    EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::WORKING);
    expect_readable(on(1));
    w_.crash(sim::CrashKind::kPower);
  }
  w_.options().accept_disks = true;
  start_again();
  w_.options().accept_disks = false;
  w_.crash(sim::CrashKind::kPower);
  start_again();
  EXPECT_EQ(w_.disk_info(1).alarm(), "");
}

TEST_F(Disks, OneThatCannotBeReadAtTheStartKeepsTheOtherFromNothing) {
  const std::set<ShardKey> whole = on(0);
  const std::set<ShardKey> away = on(1);
  w_.crash(sim::CrashKind::kPower);
  fail(1, {"list"});
  w_.options().report_interval = seconds(40);
  w_.meta.differing = {0};
  start_again();
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::UNREADABLE);
  expect_readable(whole);
  write(100, 5);
  ASSERT_TRUE(w_.world.run_until([&] { return !w_.meta.shard_reports.empty(); }, kPatience));
  EXPECT_TRUE(w_.meta.shard_reports.back().incomplete());
  w_.faults[1].decide = DiskFaults().decide;
  w_.crash(sim::CrashKind::kPower);
  start_again();
  expect_readable(away);
}

TEST_F(Disks, WhatOneHadThatCannotBeReadAtTheStartCountsAsGoneAfterAWhile) {
  w_.crash(sim::CrashKind::kPower);
  fail(1, {"list"});
  w_.options().report_interval = seconds(60);
  w_.meta.differing = {0};
  start_again();
  w_.world.run_for(seconds(50));
  ASSERT_FALSE(w_.meta.shard_reports.empty());
  EXPECT_TRUE(w_.meta.shard_reports.back().incomplete());
  w_.world.run_for(seconds(60));
  EXPECT_FALSE(w_.meta.shard_reports.back().incomplete());
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::UNREADABLE);
}

// Whether its identity or its shards' records: the server goes on with the other, and reports what it has as incomplete.
TEST_F(Disks, OneWhoseRecordsCannotBeReadAtTheStartIsLeftOut) {
  const std::set<ShardKey> whole = on(0);
  const std::set<ShardKey> away = on(1);
  const sim::DiskTrouble unreadable{.row_read_errors_per_million = 1'000'000};
  w_.crash(sim::CrashKind::kPower);
  w_.node.kv_disk("disk1")->begin_trouble(unreadable);
  w_.options().report_interval = seconds(4);
  w_.meta.differing = {0};
  start_again();
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::UNREADABLE);
  EXPECT_THAT(w_.disk_info(1).alarm(), HasSubstr("cannot be read"));
  expect_readable(whole);
  for (const ShardKey& key : away) {
    EXPECT_EQ(w_.read(key, 0, kBytes).error().code, ErrorCode::kUnavailable) << "kNotFound would be a loss";
  }
  ASSERT_TRUE(w_.world.run_until([&] { return !w_.meta.shard_reports.empty(); }, kPatience));
  EXPECT_TRUE(w_.meta.shard_reports.back().incomplete());
  w_.node.kv_disk("disk1")->end_trouble(unreadable);
  w_.crash(sim::CrashKind::kPower);
  start_again();
  EXPECT_EQ(w_.disk_info(1).state(), wire::DiskInfo::WORKING);
  expect_readable(away);
}

TEST_F(Disks, OneThatDoesNotTellWhereItsScrubWasTakesNoShards) {
  w_.faults[1].unreadable_records = {"scrub"};
  w_.crash(sim::CrashKind::kPower);
  start_again();
  ASSERT_TRUE(w_.world.run_until([&] { return w_.disk_info(1).state() == wire::DiskInfo::FAILING; }, kPatience));
  EXPECT_THAT(w_.disk_info(1).alarm(), HasSubstr("its records cannot be read"));
  EXPECT_EQ(w_.disk_info(0).state(), wire::DiskInfo::WORKING);
  expect_readable(on(1));
}

}  // namespace
}  // namespace dogfs
