#include <gtest/gtest.h>

#include <string>

#include "core/base/limits.h"
#include "core/meta/path.h"
#include "core/meta/resolve.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

Result<Resolution> look_up(const MachineHarness& machine, const std::string& text) {
  const Path path = Path::parse(text).value();
  return resolve_existing(machine.tables(), path);
}

bool exists(const MachineHarness& machine, const std::string& text) {
  return look_up(machine, text).has_value();
}

wire::InodeRow inode_at(const MachineHarness& machine, const std::string& text) {
  return machine.tables().required_inode(look_up(machine, text).value().inode()).value();
}

TEST(Namespace, MakeDirectoryMakesOneLevelOnly) {
  MachineHarness machine;
  EXPECT_EQ(machine.mkdir("/a").code, ErrorCode::kOk);
  EXPECT_EQ(machine.mkdir("/a").code, ErrorCode::kAlreadyExists);
  const Outcome deep = machine.mkdir("/x/y");
  EXPECT_EQ(deep.code, ErrorCode::kNotFound);
  EXPECT_EQ(deep.detail, "/x");
  EXPECT_EQ(machine.mkdir("/").code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(inode_at(machine, "/").entries(), 1u);
}

TEST(Namespace, MakeDirectoryWithParentsMakesWhatIsMissing) {
  MachineHarness machine;
  const Outcome made = machine.mkdir("/a/b/c", true);
  EXPECT_EQ(made.code, ErrorCode::kOk);
  EXPECT_EQ(machine.mkdir("/a/b/c", true).result.make_directory().inode(), made.result.make_directory().inode());
  EXPECT_EQ(machine.mkdir("/", true).code, ErrorCode::kOk);
  EXPECT_EQ(machine.mkdir("/a/x/y", true).code, ErrorCode::kOk);
  EXPECT_EQ(inode_at(machine, "/a").entries(), 2u);
  EXPECT_EQ(machine.counters().directories(), 6u) << "the root included";
}

TEST(Namespace, NothingIsMadeBelowAFile) {
  MachineHarness machine;
  ASSERT_EQ(machine.create("/f").code, ErrorCode::kOk);
  const Outcome below = machine.mkdir("/f/a/b", true);
  EXPECT_EQ(below.code, ErrorCode::kNotADirectory);
  EXPECT_EQ(below.detail, "/f");
  EXPECT_EQ(machine.mkdir("/f", true).code, ErrorCode::kNotADirectory);
  EXPECT_EQ(machine.create("/f/x").code, ErrorCode::kNotADirectory);
}

TEST(Namespace, BadPathsAreRefusedByEveryCommand) {
  MachineHarness machine;
  const std::string long_name = "/" + std::string(kMaxNameBytes + 1, 'x');
  EXPECT_EQ(machine.mkdir("/a/../b", true).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.mkdir(long_name).code, ErrorCode::kNameTooLong);
  EXPECT_EQ(machine.create(std::string("/a\0b", 4)).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.rename("/a", "relative", true).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.remove("/a//b", true).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.recover_lease("").code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.counters().directories(), 1u);
}

TEST(Namespace, CreateFollowsHdfsForWhatExists) {
  MachineHarness machine;
  const wire::CreateFileResult first = machine.create("/f").result.create_file();
  EXPECT_EQ(machine.create("/f").code, ErrorCode::kLeaseHeld);
  EXPECT_EQ(machine.close(first, 0).code, ErrorCode::kOk);
  EXPECT_EQ(machine.create("/f").code, ErrorCode::kAlreadyExists);
  const Outcome second = machine.create("/f", {.overwrite = true});
  EXPECT_EQ(second.code, ErrorCode::kOk);
  EXPECT_NE(second.result.create_file().inode(), first.inode());
  EXPECT_EQ(machine.create("/f", {.overwrite = true}).code, ErrorCode::kOk) << "even while it is being written";
  EXPECT_EQ(machine.close(second.result.create_file(), 0).code, ErrorCode::kGone);
  EXPECT_EQ(machine.create("/", {.overwrite = true}).code, ErrorCode::kIsADirectory);
}

TEST(Namespace, CreateMakesParentsOnlyWhenAsked) {
  MachineHarness machine;
  EXPECT_EQ(machine.create("/a/b/f").code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.create("/a/b/f", {.parents = true}).code, ErrorCode::kOk);
  EXPECT_TRUE(exists(machine, "/a/b/f"));
}

TEST(Namespace, PoliciesAreInheritedAndFixedAtCreation) {
  MachineHarness machine;
  const wire::EcPolicy wide =
      geometry_to_wire({.data_shards = 10, .parity_shards = 4, .cell_bytes = 65536, .block_bytes = 655360});
  machine.mkdir("/a/b", true);
  ASSERT_EQ(machine.set_policy("/a", &wide).code, ErrorCode::kOk);
  const wire::CreateFileResult file = machine.create("/a/b/c/f", {.parents = true}).result.create_file();
  EXPECT_EQ(file.policy().data_shards(), 10u);
  EXPECT_EQ(machine.create("/f").result.create_file().policy().data_shards(), 3u);
  ASSERT_EQ(machine.set_policy("/a", nullptr).code, ErrorCode::kOk);
  EXPECT_EQ(machine.create("/a/b/g").result.create_file().policy().data_shards(), 3u);
  EXPECT_EQ(inode_at(machine, "/a/b/c/f").file_policy().data_shards(), 10u);
}

TEST(Namespace, ADirectoryTakesItsPolicyAlongWhenItMoves) {
  MachineHarness machine;
  const wire::EcPolicy wide =
      geometry_to_wire({.data_shards = 10, .parity_shards = 4, .cell_bytes = 65536, .block_bytes = 655360});
  machine.mkdir("/a");
  machine.set_policy("/a", &wide);
  machine.rename("/a", "/b", false);
  EXPECT_EQ(machine.create("/b/f").result.create_file().policy().data_shards(), 10u);
}

TEST(Namespace, BadPoliciesAreRefused) {
  MachineHarness machine;
  wire::EcPolicy policy = geometry_to_wire(kTestGeometry);
  policy.set_block_bytes(policy.block_bytes() + 1);
  EXPECT_EQ(machine.set_policy("/", &policy).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.set_policy("/", nullptr).code, ErrorCode::kInvalidArgument);
  machine.create("/f");
  policy = geometry_to_wire(kTestGeometry);
  EXPECT_EQ(machine.set_policy("/f", &policy).code, ErrorCode::kNotADirectory);
  EXPECT_EQ(machine.set_policy("/none", &policy).code, ErrorCode::kNotFound);
}

TEST(Namespace, RenameMovesFilesAndDirectories) {
  MachineHarness machine;
  machine.create("/a/b/f", {.parents = true});
  EXPECT_EQ(machine.rename("/a/b", "/c", false).code, ErrorCode::kOk);
  EXPECT_TRUE(exists(machine, "/c/f"));
  EXPECT_FALSE(exists(machine, "/a/b"));
  EXPECT_EQ(inode_at(machine, "/a").entries(), 0u);
  EXPECT_EQ(machine.rename("/c/f", "/c/g", false).code, ErrorCode::kOk);
  EXPECT_EQ(inode_at(machine, "/c").entries(), 1u);
  EXPECT_EQ(inode_at(machine, "/c/g").entry_name(), "g");
}

TEST(Namespace, RenameRefusesCyclesAndTheRoot) {
  MachineHarness machine;
  machine.mkdir("/a/b", true);
  EXPECT_EQ(machine.rename("/a", "/a/b/c", true).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.rename("/a", "/a/c", false).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.rename("/", "/x", true).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.rename("/a", "/", true).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.rename("/a", "/a", false).code, ErrorCode::kOk) << "onto itself: nothing happens";
  EXPECT_EQ(machine.rename("/none", "/none", false).code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.rename("/a/b", "/a", true).code, ErrorCode::kDirectoryNotEmpty);
}

// "/d/d/d" for 3.
std::string path_of(size_t depth) {
  std::string path;
  for (size_t i = 0; i < depth; ++i) path += "/d";
  return path;
}

TEST(Namespace, RenameLeavesNothingDeeperThanAPathMayBe) {
  constexpr size_t kHeight = 100;
  MachineHarness machine;
  machine.mkdir("/tall" + path_of(kHeight), true);
  machine.mkdir("/at" + path_of(kMaxPathDepth - kHeight), true);
  const auto move_to = [&](const std::string& source, size_t depth) {
    return machine.rename(source, "/at" + path_of(depth - 2) + "/x", false).code;
  };
  EXPECT_EQ(move_to("/tall", kMaxPathDepth - kHeight + 1), ErrorCode::kPathTooDeep);
  EXPECT_TRUE(exists(machine, "/tall"));
  EXPECT_EQ(move_to("/tall", kMaxPathDepth - kHeight), ErrorCode::kOk);
  EXPECT_TRUE(exists(machine, "/at" + path_of(kMaxPathDepth - kHeight - 2) + "/x" + path_of(kHeight)));
}

TEST(Namespace, WhatMovesSidewaysOrUpIsNeverTooDeep) {
  MachineHarness machine;
  machine.mkdir("/a" + path_of(kMaxPathDepth - 1), true);
  EXPECT_EQ(machine.rename("/a", "/b", false).code, ErrorCode::kOk);
  EXPECT_EQ(machine.rename("/b/d", "/up", false).code, ErrorCode::kOk);
  EXPECT_EQ(machine.mkdir("/c").code, ErrorCode::kOk);
  EXPECT_EQ(machine.rename("/up", "/c/d", false).code, ErrorCode::kOk) << "back to where it fitted";
}

TEST(Namespace, AnEmptiedDirectoryForgetsHowHighItWas) {
  MachineHarness machine;
  machine.mkdir("/a" + path_of(kMaxPathDepth - 1), true);
  machine.mkdir("/b");
  EXPECT_EQ(machine.rename("/a", "/b/a", false).code, ErrorCode::kPathTooDeep);
  machine.remove("/a/d", true);
  EXPECT_EQ(inode_at(machine, "/a").height(), 0u);
  EXPECT_EQ(machine.rename("/a", "/b/a", false).code, ErrorCode::kOk);
}

TEST(Namespace, AFileIsALevelToo) {
  MachineHarness machine;
  machine.create("/a" + path_of(kMaxPathDepth - 2) + "/f", {.parents = true});
  machine.mkdir("/b");
  EXPECT_EQ(machine.rename("/a", "/b/a", false).code, ErrorCode::kPathTooDeep);
}

TEST(Namespace, RenameReplacesAsPosixSaysOnlyWhenAsked) {
  MachineHarness machine;
  machine.create("/f");
  machine.create("/g");
  machine.mkdir("/d");
  machine.mkdir("/e");
  machine.create("/full/x", {.parents = true});
  EXPECT_EQ(machine.rename("/f", "/g", false).code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(machine.rename("/f", "/d", true).code, ErrorCode::kIsADirectory);
  EXPECT_EQ(machine.rename("/d", "/f", true).code, ErrorCode::kNotADirectory);
  EXPECT_EQ(machine.rename("/d", "/full", true).code, ErrorCode::kDirectoryNotEmpty);
  EXPECT_EQ(machine.rename("/f", "/nowhere/f", true).code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.rename("/f", "/g", true).code, ErrorCode::kOk);
  EXPECT_EQ(machine.rename("/d", "/e", true).code, ErrorCode::kOk);
  EXPECT_EQ(inode_at(machine, "/").entries(), 3u);
}

TEST(Namespace, DeleteAsksForRecursive) {
  MachineHarness machine;
  machine.create("/a/f", {.parents = true});
  EXPECT_EQ(machine.remove("/a", false).code, ErrorCode::kDirectoryNotEmpty);
  EXPECT_EQ(machine.remove("/", true).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.remove("/b", true).code, ErrorCode::kNotFound);
  EXPECT_EQ(machine.remove("/a", true).code, ErrorCode::kOk);
  EXPECT_FALSE(exists(machine, "/a"));
  EXPECT_EQ(machine.mkdir("/a").code, ErrorCode::kOk) << "the name is free at once";
}

// A writer that failed takes away what it has left, and nothing else.
TEST(Namespace, AFileIsDeletedForItsWriterOnlyAsTheWriterHasLeftIt) {
  MachineHarness machine;
  const auto remove_left = [&machine](const std::string& path, const wire::CreateFileResult& file) {
    wire::Mutation mutation;
    mutation.mutable_delete_()->set_path(path);
    mutation.mutable_delete_()->set_inode(file.inode());
    mutation.mutable_delete_()->set_lease_epoch(file.lease_epoch());
    return machine.mutate(mutation).code;
  };
  const wire::CreateFileResult file = machine.create("/f").result.create_file();
  machine.close(machine.create("/other").result.create_file(), 0);
  ASSERT_EQ(machine.rename("/other", "/f", true).code, ErrorCode::kOk);
  EXPECT_EQ(remove_left("/f", file), ErrorCode::kGone) << "another file is there";
  EXPECT_TRUE(exists(machine, "/f"));

  const wire::CreateFileResult closed = machine.create("/g").result.create_file();
  ASSERT_EQ(machine.close(closed, 0).code, ErrorCode::kOk);
  ASSERT_EQ(machine.append("/g").code, ErrorCode::kOk);
  EXPECT_EQ(remove_left("/g", closed), ErrorCode::kLeaseLost) << "another writes on";
  EXPECT_TRUE(exists(machine, "/g"));

  EXPECT_EQ(remove_left("/h", machine.create("/h").result.create_file()), ErrorCode::kOk);
  EXPECT_FALSE(exists(machine, "/h"));
}

TEST(Namespace, WritersOfADeletedTreeAreTold) {
  MachineHarness machine;
  const wire::CreateFileResult file = machine.create("/a/b/f", {.parents = true}).result.create_file();
  machine.remove("/a", true);
  EXPECT_EQ(machine.close(file, 0).code, ErrorCode::kGone);
  machine.reclaim_all(10);
  EXPECT_EQ(machine.close(file, 0).code, ErrorCode::kGone);
}

}  // namespace
}  // namespace dogfs
