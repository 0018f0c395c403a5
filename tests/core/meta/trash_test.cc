#include "core/meta/trash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/base/limits.h"
#include "core/meta/invariants.h"
#include "core/meta/queries.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kPeriodMs = 100'000;

class Trash : public ::testing::Test {
 protected:
  Trash() {
    machine.add_servers(5);
    EXPECT_EQ(machine.set_trash_period(kPeriodMs), ErrorCode::kOk);
  }
  void TearDown() override { EXPECT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty()); }

  // The inode that it is in the trash as; 0 where it is not.
  uint64_t remove(const std::string& path) {
    const Outcome outcome = machine.remove(path, true);
    EXPECT_EQ(outcome.code, ErrorCode::kOk) << outcome.detail;
    return outcome.result.delete_().trashed_inode();
  }
  uint64_t inode_of(const std::string& path) {
    wire::StatRequest request;
    request.set_path(path);
    const Result<wire::StatReply> reply = query_stat(machine.tables(), request);
    return reply ? reply.value().status().inode() : 0;
  }
  std::vector<std::string> kept() {
    std::vector<std::string> paths;
    const wire::ListTrashReply reply = query_trash(machine.tables(), {}).value();
    for (const wire::TrashEntry& entry : reply.entries()) paths.push_back(entry.path());
    return paths;
  }

  MachineHarness machine;
};

TEST_F(Trash, ADeletedTreeIsKeptWholeAndComesBackToWhereItWas) {
  machine.write_file("/a/b/f", 2);
  machine.write_file("/a/b/c/g", 1);
  const uint64_t file = inode_of("/a/b/f");
  const wire::CountersRow before = machine.counters();
  const uint64_t id = remove("/a/b");
  EXPECT_EQ(inode_of("/a/b"), 0u);
  EXPECT_EQ(inode_of("/a/b/f"), 0u);
  machine.reclaim_step(1000);
  EXPECT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty());
  EXPECT_EQ(machine.counters().blocks(), before.blocks());
  wire::GetBlocksRequest read;
  read.set_inode(file);
  EXPECT_EQ(query_blocks(machine.tables(), read).value().blocks_size(), 2) << "who has it open reads on";
  EXPECT_EQ(machine.counters().trash_entries(), 1u);
  ASSERT_EQ(machine.restore(id).code, ErrorCode::kOk);
  EXPECT_EQ(inode_of("/a/b/f"), file);
  EXPECT_EQ(machine.counters().files(), before.files());
  EXPECT_EQ(machine.counters().directories(), before.directories());
  EXPECT_EQ(machine.counters().trash_entries(), 0u);
  EXPECT_THAT(kept(), IsEmpty());
  EXPECT_EQ(machine.restore(id).code, ErrorCode::kNotFound) << "once";
}

TEST_F(Trash, TellsWhatWasDeletedByWhomAndUntilWhen) {
  machine.write_file("/d/f", 1);
  machine.mkdir("/d/e/x", true);
  const Outcome outcome = machine.remove("/d/f", false);
  EXPECT_EQ(outcome.result.delete_().kept_ms(), kPeriodMs);
  remove("/d/e");
  const wire::ListTrashReply reply = query_trash(machine.tables(), {}).value();
  ASSERT_EQ(reply.entries_size(), 2);
  const wire::TrashEntry& file = reply.entries(0);
  EXPECT_EQ(file.inode(), outcome.result.delete_().trashed_inode());
  EXPECT_EQ(file.path(), "/d/f");
  EXPECT_FALSE(file.directory());
  EXPECT_EQ(file.length(), kTestGeometry.block_bytes);
  EXPECT_EQ(file.deleted_by(), "alice");
  EXPECT_GT(file.deleted_wall_ms(), 1'000'000);
  EXPECT_EQ(file.expires_ms(), file.deleted_ms() + kPeriodMs);
  EXPECT_TRUE(reply.entries(1).directory());
  EXPECT_EQ(reply.entries(1).entries(), 1u);
}

TEST_F(Trash, WithoutAPeriodOrWhereAskedWhatIsDeletedIsGone) {
  machine.mkdir("/a");
  EXPECT_EQ(machine.remove_for_good("/a").result.delete_().trashed_inode(), 0u);
  EXPECT_EQ(machine.set_trash_period(0), ErrorCode::kOk);
  machine.mkdir("/b");
  EXPECT_EQ(remove("/b"), 0u);
  EXPECT_EQ(machine.count(machine.tables().keys().detached_after(InodeId())), 2u);
  EXPECT_THAT(kept(), IsEmpty());
}

TEST_F(Trash, WhatIsReplacedDoesNotGoThere) {
  machine.write_file("/f", 1);
  machine.write_file("/g", 1);
  ASSERT_EQ(machine.rename("/g", "/f", true).code, ErrorCode::kOk);
  ASSERT_EQ(machine.create("/f", {.overwrite = true}).code, ErrorCode::kOk);
  EXPECT_THAT(kept(), IsEmpty());
}

TEST_F(Trash, ComesBackElsewhereWhereThatIsFree) {
  machine.write_file("/a/f", 1);
  machine.write_file("/taken", 1);
  const uint64_t id = remove("/a/f");
  EXPECT_EQ(machine.restore(id, "/taken").code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(machine.restore(id, "/").code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(machine.restore(id, "/x/y/f").code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.restore(id, "/taken/f").code, ErrorCode::kNotADirectory);
  EXPECT_EQ(machine.restore(id, "relative").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.counters().directories(), 2u) << "refusals leave nothing behind";
  ASSERT_EQ(machine.restore(id, "/x/y/f", true).code, ErrorCode::kOk);
  EXPECT_EQ(inode_of("/x/y/f"), id);
}

TEST_F(Trash, IfItsDirectoryIsGoneThatIsMadeWhereAsked) {
  machine.write_file("/a/b/f", 1);
  const uint64_t id = remove("/a/b/f");
  remove("/a");
  EXPECT_EQ(machine.restore(id).code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.restore(id, {}, true).code, ErrorCode::kOk);
  EXPECT_EQ(inode_of("/a/b/f"), id);
  EXPECT_THAT(kept(), ElementsAre("/a"));
}

// The path of a directory `levels` deep.
std::string deep(size_t levels) {
  std::string path;
  for (size_t i = 0; i < levels; ++i) path += "/d";
  return path;
}

TEST_F(Trash, NothingComesToLieTooDeep) {
  machine.mkdir("/t/1/2/3", true);
  machine.mkdir(deep(kMaxPathDepth - 4), true);
  const uint64_t id = remove("/t");
  EXPECT_EQ(machine.restore(id, deep(kMaxPathDepth - 4) + "/1/t", true).code, ErrorCode::kPathTooDeep);
  ASSERT_EQ(machine.restore(id, deep(kMaxPathDepth - 4) + "/t").code, ErrorCode::kOk);
  EXPECT_EQ(machine.rename("/d", "/e", false).code, ErrorCode::kOk);
  machine.mkdir("/f");
  EXPECT_EQ(machine.rename("/e", "/f/e", false).code, ErrorCode::kPathTooDeep) << "heights allow for it";
}

TEST_F(Trash, AWriterIsRefusedWhileItIsThere) {
  const wire::CreateFileResult file = machine.create("/a/f", {.parents = true}).result.create_file();
  const uint64_t id = remove("/a");
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4, 5}).code, ErrorCode::kGone);
  EXPECT_EQ(machine.close(file, 0).code, ErrorCode::kGone);
  ASSERT_EQ(machine.restore(id).code, ErrorCode::kOk);
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4, 5}).code, ErrorCode::kOk) << "its lease still holds";
  remove("/a");
  EXPECT_EQ(machine.expire_lease(file.inode(), file.lease_epoch()), ErrorCode::kOk);
  EXPECT_EQ(machine.allocate(file, 0, {1, 2, 3, 4, 5}).code, ErrorCode::kLeaseLost);
  EXPECT_THAT(machine.garbage(), testing::SizeIs(5)) << "what it did not commit";
}

TEST_F(Trash, ExpiresByLogTimeAlone) {
  machine.write_file("/f", 1);
  const uint64_t id = remove("/f");
  // A shorter period is for what is deleted from now on.
  ASSERT_EQ(machine.set_trash_period(1), ErrorCode::kOk);
  machine.mkdir("/late");
  const uint64_t late = remove("/late");
  ASSERT_EQ(machine.expire_trash(kPeriodMs - 10, 10), ErrorCode::kOk);
  EXPECT_THAT(kept(), ElementsAre("/f"));
  EXPECT_EQ(machine.restore(late).code, ErrorCode::kNotFound);
  ASSERT_EQ(machine.expire_trash(10, 10), ErrorCode::kOk);
  EXPECT_THAT(kept(), IsEmpty());
  EXPECT_EQ(machine.restore(id).code, ErrorCode::kNotFound);
  machine.reclaim_all(10);
  EXPECT_EQ(machine.counters().files(), 0u);
  EXPECT_EQ(machine.counters().bytes(), 0u);
  EXPECT_EQ(machine.garbage().size(), 5u);
}

TEST_F(Trash, ExpiresInBoundedSteps) {
  for (int i = 0; i < 7; ++i) {
    machine.mkdir("/d" + std::to_string(i));
    remove("/d" + std::to_string(i));
  }
  EXPECT_EQ(machine.expire_trash(kPeriodMs, 3), ErrorCode::kOk);
  EXPECT_THAT(kept(), ElementsAre("/d3", "/d4", "/d5", "/d6")) << "what is due first goes first";
  EXPECT_EQ(machine.expire_trash(0, 0), ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.expire_trash(0, kMaxTrashRows + 1), ErrorCode::kInvalidArgument);
}

TEST_F(Trash, IsPurgedOneByOneOrAllAtOnce) {
  for (const char* path : {"/a", "/b", "/c"}) machine.mkdir(path);
  const uint64_t a = remove("/a");
  const uint64_t inner = inode_of("/b");
  remove("/b");
  remove("/c");
  EXPECT_EQ(machine.purge(a).result.purge_trash().purged(), 1u);
  EXPECT_EQ(machine.purge(a).code, ErrorCode::kNotFound);
  EXPECT_THAT(kept(), ElementsAre("/b", "/c"));
  wire::Mutation both;
  both.mutable_purge_trash()->set_all(true);
  both.mutable_purge_trash()->set_inode(inner);
  EXPECT_EQ(machine.mutate(both).code, ErrorCode::kInvalidArgument);
  both.mutable_purge_trash()->Clear();
  EXPECT_EQ(machine.mutate(both).code, ErrorCode::kInvalidArgument) << "nothing is not everything";
  const Outcome all = machine.purge_all();
  EXPECT_EQ(all.result.purge_trash().purged(), 2u);
  EXPECT_FALSE(all.result.purge_trash().more());
  EXPECT_EQ(machine.count(machine.tables().keys().detached_after(InodeId())), 3u);
}

TEST_F(Trash, PurgingItAllIsBoundedAndSaysWhetherThereIsMore) {
  for (uint32_t i = 0; i < kMaxTrashRows + 1; ++i) {
    machine.mkdir("/d");
    remove("/d");
  }
  const Outcome first = machine.purge_all();
  EXPECT_EQ(first.result.purge_trash().purged(), kMaxTrashRows);
  EXPECT_TRUE(first.result.purge_trash().more());
  const Outcome second = machine.purge_all();
  EXPECT_EQ(second.result.purge_trash().purged(), 1u);
  EXPECT_FALSE(second.result.purge_trash().more());
}

TEST_F(Trash, OnlyTheTopOfATreeCanBeNamed) {
  machine.mkdir("/a/b", true);
  const uint64_t inner = inode_of("/a/b");
  remove("/a");
  EXPECT_EQ(machine.restore(inner).code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.purge(inner).code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.restore(kRootInode.value(), "/r").code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.restore(999, "/r").code, ErrorCode::kNotFound);
}

TEST_F(Trash, ARestoreThatIsRepeatedIsAnsweredTheSame) {
  machine.mkdir("/a");
  const uint64_t id = remove("/a");
  wire::Mutation mutation;
  mutation.mutable_restore_trash()->set_inode(id);
  const wire::Command command = machine.next_request(mutation);
  EXPECT_EQ(machine.request(command).code, ErrorCode::kOk);
  EXPECT_EQ(machine.request(command).code, ErrorCode::kOk);
  EXPECT_EQ(machine.counters().directories(), 2u);
}

TEST_F(Trash, ItsPeriodHasLimits) {
  EXPECT_EQ(machine.set_trash_period(-1), ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.set_trash_period(kMaxTrashPeriodMs + 1), ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.counters().trash_ms(), kPeriodMs);
  EXPECT_EQ(machine.set_trash_period(kMaxTrashPeriodMs), ErrorCode::kOk);
}

TEST_F(Trash, IsListedInPages) {
  for (int i = 0; i < 5; ++i) {
    machine.mkdir("/d" + std::to_string(i));
    remove("/d" + std::to_string(i));
  }
  wire::ListTrashRequest request;
  request.set_limit(2);
  std::vector<std::string> seen;
  for (int pages = 1;; ++pages) {
    const wire::ListTrashReply page = query_trash(machine.tables(), request).value();
    for (const wire::TrashEntry& entry : page.entries()) seen.push_back(entry.path());
    if (!page.more()) {
      EXPECT_EQ(pages, 3);
      break;
    }
    ASSERT_EQ(page.entries_size(), 2);
    request.set_after_expires_ms(page.entries(1).expires_ms());
    request.set_after_inode(page.entries(1).inode());
  }
  EXPECT_THAT(seen, ElementsAre("/d0", "/d1", "/d2", "/d3", "/d4"));
  request.Clear();
  request.set_inode(4711);
  EXPECT_EQ(code_of(query_trash(machine.tables(), request)), ErrorCode::kNotFound);
}

TEST_F(Trash, APageEndsBeforeItIsTooLargeForAMessage) {
  std::string path;
  for (size_t i = 0; i < kMaxPathDepth; ++i) path += "/" + std::string(kMaxNameBytes, 'x');
  for (size_t i = 0; i < 2 * kMaxTrashPageBytes / kMaxPathBytes; ++i) {
    ASSERT_EQ(machine.mkdir(path, true).code, ErrorCode::kOk);
    remove(path);
  }
  const wire::ListTrashReply page = query_trash(machine.tables(), {}).value();
  EXPECT_TRUE(page.more());
  EXPECT_LT(page.ByteSizeLong(), kMaxTrashPageBytes + 2 * kMaxPathBytes);
}

}  // namespace
}  // namespace dogfs
