#include "core/meta/quota.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/meta/invariants.h"
#include "core/meta/queries.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A full block of the test's policy, with its parity: RS(3,2).
constexpr uint64_t kFullBlock = kTestGeometry.block_bytes / 3 * 5;
const std::vector<uint64_t> kPlaced{1, 2, 3, 4, 5};

class Quota : public ::testing::Test {
 protected:
  Quota() {
    machine.add_servers(5);
    machine.mkdir("/q");
  }
  // Whatever was done, what is charged is what is there.
  void TearDown() override { EXPECT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty()); }

  Outcome set(const std::string& path, uint64_t names, uint64_t bytes) { return machine.set_quota(path, names, bytes); }
  wire::GetQuotasReply quotas(const std::string& path) {
    wire::GetQuotasRequest request;
    request.set_path(path);
    return query_quotas(machine.tables(), request).value();
  }
  wire::GetQuotasReply::Quota quota(const std::string& path) {
    const wire::GetQuotasReply reply = quotas(path);
    EXPECT_GT(reply.quotas_size(), 0);
    return reply.quotas_size() == 0 ? wire::GetQuotasReply::Quota() : reply.quotas(reply.quotas_size() - 1);
  }
  uint64_t names(const std::string& path) { return quota(path).names(); }
  uint64_t bytes(const std::string& path) { return quota(path).bytes(); }
  uint64_t inode_of(const std::string& path) {
    wire::StatRequest request;
    request.set_path(path);
    return query_stat(machine.tables(), request).value().status().inode();
  }

  MachineHarness machine;
};

TEST_F(Quota, OfNamesCountsTheDirectoryAndAllBelowIt) {
  ASSERT_EQ(set("/q", 4, 0).code, ErrorCode::kOk);
  EXPECT_EQ(names("/q"), 1u);
  EXPECT_EQ(machine.mkdir("/q/a/b", true).code, ErrorCode::kOk);
  EXPECT_EQ(machine.create("/q/a/f").code, ErrorCode::kOk);
  const Outcome refused = machine.create("/q/a/g");
  EXPECT_EQ(refused.code, ErrorCode::kQuotaExceeded);
  EXPECT_EQ(refused.detail, "\"/q\" may have 4 names, has 4, and 1 more are wanted");
  EXPECT_EQ(machine.mkdir("/q/c").code, ErrorCode::kQuotaExceeded);
  EXPECT_EQ(machine.mkdir("/elsewhere").code, ErrorCode::kOk);
  EXPECT_EQ(names("/q/a/f"), 4u);
}

TEST_F(Quota, ARefusalLeavesNothingBehind) {
  set("/q", 3, 0);
  EXPECT_EQ(machine.create("/q/a/b/f", {.parents = true}).code, ErrorCode::kQuotaExceeded);
  EXPECT_EQ(names("/q"), 1u);
  EXPECT_EQ(machine.counters().directories(), 2u);
}

TEST_F(Quota, OfBytesCountsWhatIsStoredAndReservesItFirst) {
  set("/q", 0, 2 * kFullBlock);
  const wire::CreateFileResult file = machine.create("/q/f").result.create_file();
  const Outcome first = machine.allocate(file, 0, kPlaced);
  EXPECT_EQ(bytes("/q"), kFullBlock) << "as if it were full";
  // One byte has one data shard and two of parity.
  ASSERT_EQ(machine.commit(MachineHarness::full_commit(file, first.result.allocate_block(), 0, 1)).code,
            ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 3u);
  ASSERT_EQ(machine.allocate(file, 0, kPlaced).code, ErrorCode::kOk);
  const Outcome refused = machine.allocate(file, 0, kPlaced);
  EXPECT_EQ(refused.code, ErrorCode::kQuotaExceeded);
  EXPECT_THAT(refused.detail, HasSubstr("\"/q\" may have " + std::to_string(2 * kFullBlock) + " stored bytes"));
  EXPECT_EQ(machine.allocate(file, 1, {1, 2, 3}).code, ErrorCode::kOk) << "for a short one there is room";
}

TEST_F(Quota, ABlockThatComesOutLongerThanWasSaidNeedsRoom) {
  set("/q", 0, 100);
  const wire::CreateFileResult file = machine.create("/q/f").result.create_file();
  const Outcome block = machine.allocate(file, 10, {1, 2, 3});
  ASSERT_EQ(block.code, ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 30u);
  EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, block.result.allocate_block(), 0, 34)).code,
            ErrorCode::kQuotaExceeded);
  EXPECT_EQ(machine.commit(MachineHarness::full_commit(file, block.result.allocate_block(), 0, 33)).code,
            ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 99u);
}

TEST_F(Quota, WhatIsGivenUpIsReleased) {
  set("/q", 0, 10 * kFullBlock);
  const wire::CreateFileResult file = machine.create("/q/f").result.create_file();
  const uint64_t block = machine.allocate(file, 0, kPlaced).result.allocate_block().block();
  machine.allocate(file, 0, kPlaced);
  EXPECT_EQ(machine.abandon(file, block).code, ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), kFullBlock);
  EXPECT_EQ(machine.expire_lease(file.inode(), file.lease_epoch()), ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 0u);
}

TEST_F(Quota, ATruncationReleasesWholeBlocks) {
  machine.write_file("/q/f", 3);
  set("/q", 0, 10 * kFullBlock);
  EXPECT_EQ(bytes("/q"), 3 * kFullBlock) << "what was there is counted";
  const wire::CreateFileResult file = MachineHarness::writer_of(machine.append("/q/f").result.append_file());
  ASSERT_EQ(machine.truncate(file, kTestGeometry.block_bytes + 1).code, ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 2 * kFullBlock) << "of the second all shards are kept";
}

TEST_F(Quota, AnInlineTailCountsForItsOwnBytes) {
  set("/q", 0, 300);
  const wire::CreateFileResult file = machine.create("/q/f").result.create_file();
  EXPECT_EQ(machine.commit_tail(file, 0, std::string(301, 'x')).code, ErrorCode::kQuotaExceeded);
  ASSERT_EQ(machine.commit_tail(file, 0, std::string(100, 'x')).code, ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 100u);
  const Outcome block = machine.allocate(file, 60, {1, 2, 3});
  ASSERT_EQ(block.code, ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 280u);
  EXPECT_EQ(machine.commit_tail(file, 0, std::string(121, 'x')).code, ErrorCode::kQuotaExceeded);
  EXPECT_EQ(machine.abandon(file, block.result.allocate_block().block()).code, ErrorCode::kOk);
  EXPECT_EQ(machine.truncate(file, 40).code, ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 40u);
  const Outcome longer = machine.allocate(file, 50, {1, 2, 3});
  ASSERT_EQ(machine.commit(MachineHarness::full_commit(file, longer.result.allocate_block(), 0, 50)).code,
            ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 150u) << "the block took its place";
  EXPECT_EQ(machine.close(file, 60, std::string(10, 'y')).code, ErrorCode::kOk);
  EXPECT_EQ(machine.remove("/q/f", false).code, ErrorCode::kOk);
  machine.reclaim_all(1);
  EXPECT_EQ(bytes("/q"), 0u);
}

TEST_F(Quota, BlocksThatAreReplacedAreReleasedForThoseThatReplaceThem) {
  set("/q", 0, 600);
  const wire::CreateFileResult file = machine.create("/q/f").result.create_file();
  std::vector<uint64_t> ids;
  for (const uint64_t offset : {0, 50}) {
    const Outcome block = machine.allocate(file, 50, {1, 2, 3});
    ids.push_back(block.result.allocate_block().block());
    ASSERT_EQ(machine.commit(MachineHarness::full_commit(file, block.result.allocate_block(), offset, 50)).code,
              ErrorCode::kOk);
  }
  EXPECT_EQ(bytes("/q"), 300u);
  const Outcome joined = machine.allocate(file, 100, {1, 2, 3});
  ASSERT_EQ(joined.code, ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 600u) << "old and new are there for a while";
  EXPECT_EQ(machine.allocate(file, 1, {1, 2, 3}).code, ErrorCode::kQuotaExceeded);
  EXPECT_EQ(
      machine.replace_blocks(file, ids, {MachineHarness::full_commit(file, joined.result.allocate_block(), 0, 100)})
          .code,
      ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 300u);
}

TEST_F(Quota, ALimitThatIsLoweredKeepsWhatIsThere) {
  machine.write_file("/q/f", 2);
  ASSERT_EQ(set("/q", 1, 1).code, ErrorCode::kOk);
  EXPECT_EQ(names("/q"), 2u);
  EXPECT_EQ(machine.mkdir("/q/d").code, ErrorCode::kQuotaExceeded);
  wire::GetBlocksRequest read;
  read.set_path("/q/f");
  EXPECT_EQ(query_blocks(machine.tables(), read).value().blocks_size(), 2) << "reads go on";
  EXPECT_EQ(machine.rename("/q/f", "/q/g", false).code, ErrorCode::kOk);
  ASSERT_EQ(set("/q", 3, 0).code, ErrorCode::kOk);
  EXPECT_EQ(quota("/q").max_bytes(), 1u) << "as it was";
  EXPECT_EQ(machine.mkdir("/q/d").code, ErrorCode::kOk);
}

TEST_F(Quota, EachOnTheWayToTheRootIsCharged) {
  machine.mkdir("/q/in/deep", true);
  set("/", 100, 0);
  set("/q", 5, 0);
  set("/q/in", 3, 0);
  machine.create("/q/in/deep/f");
  EXPECT_EQ(names("/"), 5u);
  EXPECT_EQ(names("/q"), 4u);
  EXPECT_EQ(names("/q/in"), 3u);
  EXPECT_EQ(machine.create("/q/in/g").code, ErrorCode::kQuotaExceeded);
  EXPECT_EQ(machine.create("/q/g").code, ErrorCode::kOk);
  EXPECT_THAT(machine.create("/q/h").detail, HasSubstr("\"/q\" may have 5 names"));
  const wire::GetQuotasReply all = quotas("/q/in/deep/f");
  ASSERT_EQ(all.quotas_size(), 3);
  EXPECT_EQ(all.quotas(0).path(), "/");
  EXPECT_EQ(all.quotas(2).path(), "/q/in");
}

TEST_F(Quota, WhatWasDeletedIsChargedUntilItIsReclaimed) {
  machine.write_file("/q/d/e/f", 2);
  set("/q", 100, 10 * kFullBlock);
  ASSERT_EQ(machine.remove("/q/d", true).code, ErrorCode::kOk);
  EXPECT_EQ(names("/q"), 4u);
  for (uint64_t last = names("/q"); machine.count(machine.tables().keys().detached_after(InodeId())) > 0;) {
    machine.reclaim_step(1);
    ASSERT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty());
    EXPECT_LE(names("/q"), last);
    last = names("/q");
  }
  EXPECT_EQ(names("/q"), 1u);
  EXPECT_EQ(bytes("/q"), 0u);
}

TEST_F(Quota, InTheTrashItIsChargedToo) {
  machine.set_trash_period(1000);
  machine.write_file("/q/d/f", 1);
  set("/q", 3, 0);
  const uint64_t id = machine.remove("/q/d", true).result.delete_().trashed_inode();
  EXPECT_EQ(names("/q"), 3u);
  EXPECT_EQ(machine.mkdir("/q/x").code, ErrorCode::kQuotaExceeded);
  EXPECT_EQ(machine.restore(id).code, ErrorCode::kOk) << "which needs no more room";
  machine.remove("/q/d", true);
  machine.purge_all();
  machine.reclaim_all(10);
  EXPECT_EQ(names("/q"), 1u);
  EXPECT_EQ(bytes("/q"), 0u);
}

TEST_F(Quota, WhatComesBackElsewhereIsChargedThere) {
  machine.set_trash_period(1000);
  machine.write_file("/q/d/f", 1);
  machine.mkdir("/r");
  set("/q", 10, 0);
  set("/r", 3, 0);
  const uint64_t id = machine.remove("/q/d", true).result.delete_().trashed_inode();
  EXPECT_EQ(machine.restore(id, "/r/sub/d", true).code, ErrorCode::kQuotaExceeded);
  ASSERT_EQ(machine.restore(id, "/r/d").code, ErrorCode::kOk);
  EXPECT_EQ(names("/q"), 1u);
  EXPECT_EQ(bytes("/q"), 0u);
  EXPECT_EQ(names("/r"), 3u);
  EXPECT_EQ(bytes("/r"), kFullBlock);
}

TEST_F(Quota, AMovedTreeIsChargedToWhereItIs) {
  machine.write_file("/q/d/f", 1);
  machine.mkdir("/q/sub/t", true);
  machine.mkdir("/r");
  set("/q", 10, 0);
  set("/q/sub", 3, 0);
  set("/r", 3, kFullBlock);
  EXPECT_EQ(machine.rename("/q/d", "/q/sub/d", false).code, ErrorCode::kQuotaExceeded) << "it has two names";
  ASSERT_EQ(machine.rename("/q/d", "/r/d", false).code, ErrorCode::kOk);
  EXPECT_EQ(names("/q"), 3u);
  EXPECT_EQ(bytes("/q"), 0u);
  EXPECT_EQ(names("/r"), 3u);
  EXPECT_EQ(bytes("/r"), kFullBlock);
  EXPECT_EQ(machine.rename("/r/d", "/r/e", false).code, ErrorCode::kOk) << "within it nothing is wanted";
  ASSERT_EQ(machine.rename("/q/sub", "/sub", false).code, ErrorCode::kOk);
  EXPECT_EQ(names("/q"), 1u);
  EXPECT_EQ(names("/sub"), 2u) << "its own quota moves with it";
}

TEST_F(Quota, AMoveThatReplacesChargesTheReplacedUntilItIsReclaimed) {
  machine.write_file("/f", 1);
  machine.write_file("/q/g", 1);
  set("/q", 2, 0);
  EXPECT_EQ(machine.rename("/f", "/q/g", true).code, ErrorCode::kQuotaExceeded);
  EXPECT_EQ(machine.create("/q/g", {.overwrite = true}).code, ErrorCode::kOk) << "one for one";
  EXPECT_EQ(names("/q"), 3u);
  machine.reclaim_all(10);
  EXPECT_EQ(names("/q"), 2u);
  EXPECT_EQ(bytes("/q"), 0u);
}

// The next quota of the directory knows nothing of what was deleted before it was set.
TEST_F(Quota, WhatWasChargedToOneIsNeverReleasedFromTheNext) {
  machine.write_file("/q/old", 1);
  set("/q", 10, 0);
  machine.remove("/q/old", false);
  ASSERT_EQ(machine.clear_quota("/q").code, ErrorCode::kOk);
  EXPECT_EQ(quotas("/q").quotas_size(), 0);
  set("/q", 10, 0);
  machine.write_file("/q/new", 1);
  EXPECT_EQ(names("/q"), 2u);
  machine.reclaim_all(10);
  EXPECT_EQ(names("/q"), 2u);
  EXPECT_EQ(bytes("/q"), kFullBlock);
}

TEST_F(Quota, ADirectoryTakesItsQuotaWithIt) {
  machine.set_trash_period(1000);
  machine.write_file("/q/in/f", 1);
  set("/q", 10, 0);
  set("/q/in", 2, 0);
  const uint64_t id = machine.remove("/q/in", true).result.delete_().trashed_inode();
  EXPECT_EQ(machine.counters().quotas(), 2u);
  ASSERT_EQ(machine.restore(id, "/back").code, ErrorCode::kOk);
  EXPECT_EQ(names("/back"), 2u);
  EXPECT_EQ(machine.create("/back/g").code, ErrorCode::kQuotaExceeded);
  machine.remove_for_good("/back");
  machine.reclaim_all(1);
  EXPECT_EQ(machine.counters().quotas(), 1u);
  EXPECT_EQ(machine.count(machine.tables().keys().all_quotas()), 1u);
}

TEST_F(Quota, OfAWriterInTheTrashThatGivesUpIsReleased) {
  machine.set_trash_period(1000);
  set("/q", 10, 10 * kFullBlock);
  const wire::CreateFileResult file = machine.create("/q/d/f", {.parents = true}).result.create_file();
  machine.allocate(file, 0, kPlaced);
  machine.remove("/q/d", true);
  EXPECT_EQ(bytes("/q"), kFullBlock);
  EXPECT_EQ(machine.expire_lease(file.inode(), file.lease_epoch()), ErrorCode::kOk);
  EXPECT_EQ(bytes("/q"), 0u);
  EXPECT_EQ(names("/q"), 3u);
}

TEST_F(Quota, IsForDirectoriesAndWithinItsLimits) {
  machine.create("/f");
  EXPECT_EQ(set("/f", 1, 0).code, ErrorCode::kNotADirectory);
  EXPECT_EQ(set("/none", 1, 0).code, ErrorCode::kNotFound);
  EXPECT_EQ(set("/q", 0, 0).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(set("/q", kMaxQuota + 1, 0).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(set("/q", 0, kMaxQuota + 1).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.clear_quota("/q").code, ErrorCode::kOk) << "there is none already";
  EXPECT_EQ(machine.counters().quotas(), 0u);
}

TEST_F(Quota, WhatIsTooLargeToBeCountedAtOnceIsRefused) {
  // Only the directory's own count is looked at before its entries are.
  wire::InodeRow row = machine.tables().required_inode(InodeId(inode_of("/q"))).value();
  machine.mkdir("/r");
  set("/r", 1'000'000, 0);
  const std::string key = machine.tables().keys().inode(InodeId(row.inode()));
  const std::string before = machine.rows.rows[key];
  row.set_entries(kMaxCountedInodes);
  machine.rows.rows[key] = row.SerializeAsString();
  const Outcome refused = set("/q", 1'000'000, 0);
  EXPECT_EQ(refused.code, ErrorCode::kLimitExceeded);
  EXPECT_THAT(refused.detail, HasSubstr("more than 50000 files and directories"));
  EXPECT_EQ(machine.rename("/q", "/r/q", false).code, ErrorCode::kLimitExceeded);
  EXPECT_EQ(machine.rename("/q", "/s", false).code, ErrorCode::kOk) << "which need not count it";
  machine.rename("/s", "/q", false);
  machine.rows.rows[key] = before;
}

}  // namespace
}  // namespace dogfs
