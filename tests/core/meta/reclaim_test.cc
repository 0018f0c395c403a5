#include "core/meta/reclaim.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "core/base/limits.h"
#include "core/meta/invariants.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

using ::testing::IsEmpty;

class Reclaim : public ::testing::TestWithParam<uint32_t> {};

TEST_P(Reclaim, TakesATreeApartWhateverTheStep) {
  MachineHarness machine;
  machine.add_servers(5);
  const size_t rows_before = machine.rows.rows.size();
  machine.write_file("/a/b/c/d/f", 7);
  machine.write_file("/a/b/g", 3);
  for (int i = 0; i < 20; ++i) machine.mkdir("/a/wide/" + std::to_string(i), true);
  machine.remove("/a", true);
  const wire::CountersRow deleted = machine.counters();
  EXPECT_EQ(deleted.blocks(), 10u) << "counted until they are reclaimed";
  while (machine.count(machine.tables().keys().detached_after(InodeId())) > 0) {
    machine.reclaim_step(GetParam());
    ASSERT_THAT(check_meta_invariants(machine.rows, GroupId()).value(), IsEmpty());
  }
  EXPECT_EQ(machine.counters().blocks(), 0u);
  EXPECT_EQ(machine.counters().bytes(), 0u);
  EXPECT_EQ(machine.counters().files(), 0u);
  EXPECT_EQ(machine.counters().directories(), 1u);
  EXPECT_EQ(machine.garbage().size(), 50u);
  // The applied index, counters and so on were there before; a kept reply and the garbage are new.
  EXPECT_EQ(machine.rows.rows.size(), rows_before + 1 + 50);
}

INSTANTIATE_TEST_SUITE_P(Steps, Reclaim, ::testing::Values(1, 2, 3, 7, 20, 1000));

TEST(ReclaimSteps, AreBounded) {
  MachineHarness machine;
  machine.add_servers(5);
  for (int i = 0; i < 500; ++i) machine.create("/d/" + std::to_string(i), {.parents = true});
  machine.remove("/d", true);
  EXPECT_GE(machine.reclaim_all(100), 10) << "an entry and an inode for each file";
  wire::Command command;
  command.mutable_reclaim_step()->set_max_rows(0);
  EXPECT_EQ(error_code_from_wire(machine.apply(command).error()), ErrorCode::kInvalidArgument);
  command.mutable_reclaim_step()->set_max_rows(kMaxReclaimRows + 1);
  EXPECT_EQ(error_code_from_wire(machine.apply(command).error()), ErrorCode::kInvalidArgument);
}

TEST(ReclaimSteps, DoNotTouchWhatIsAttached) {
  MachineHarness machine;
  machine.add_servers(5);
  machine.write_file("/keep/f", 2);
  machine.reclaim_step(1000);
  EXPECT_EQ(machine.counters().blocks(), 2u);
  EXPECT_THAT(machine.garbage(), IsEmpty());
}

}  // namespace
}  // namespace dogfs
