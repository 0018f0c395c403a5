#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "core/base/limits.h"
#include "core/ec/policy_wire.h"
#include "core/meta/session_commands.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {
namespace {

wire::Mutation mkdir_of(const std::string& path) {
  wire::Mutation mutation;
  mutation.mutable_make_directory()->set_path(path);
  return mutation;
}

TEST(Sessions, ARetryGetsTheKeptReplyAndDoesNothing) {
  MachineHarness machine;
  const wire::Command command = machine.next_request(mkdir_of("/a"));
  const wire::CommandReply first = machine.apply(command);
  machine.remove("/a", false);
  // The client has not acknowledged the first reply in this command: its low-water mark is its own sequence.
  EXPECT_EQ(error_code_from_wire(machine.apply(command).error()), ErrorCode::kOutcomeUnknown);

  wire::Command lagging = machine.next_request(mkdir_of("/b"));
  const wire::CommandReply made = machine.apply(lagging);
  wire::Command later = machine.next_request(mkdir_of("/c"));
  later.set_low_water(lagging.sequence());
  machine.apply(later);
  EXPECT_EQ(machine.apply(lagging).SerializeAsString(), made.SerializeAsString());
  EXPECT_EQ(machine.counters().directories(), 4u) << "the root, the deleted one, /b and /c";
}

TEST(Sessions, ANumberWhoseWindowWouldOverflowIsRefused) {
  MachineHarness machine;
  wire::Command command = machine.next_request(mkdir_of("/a"));
  command.set_sequence(std::numeric_limits<uint64_t>::max());
  command.set_low_water(command.sequence());
  EXPECT_EQ(machine.request(command).code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(machine.request(machine.next_request(mkdir_of("/b"))).code, ErrorCode::kOk);
}

TEST(Sessions, FinalRefusalsAreKeptToo) {
  MachineHarness machine;
  wire::Command command = machine.next_request(mkdir_of("/a/b"));
  EXPECT_EQ(machine.request(command).code, ErrorCode::kNotFound);
  wire::Command other = machine.next_request(mkdir_of("/a"));
  other.set_low_water(command.sequence());
  EXPECT_EQ(machine.request(other).code, ErrorCode::kOk);
  EXPECT_EQ(machine.request(command).code, ErrorCode::kNotFound) << "as it was answered then";
}

// All nodes refuse it: one that ended instead would end again at each start, for the entry is committed.
TEST(Sessions, AChangeWhoseReplyWouldBeTooLargeIsRefused) {
  MachineHarness machine;
  wire::EcPolicy policy = geometry_to_wire(kTestGeometry);
  policy.GetReflection()->MutableUnknownFields(&policy)->AddLengthDelimited(100, std::string(kMaxKeptReplyBytes, 'x'));
  machine.close(machine.create("/f").result.create_file(), 0);
  ASSERT_EQ(machine.set_policy("/", &policy).code, ErrorCode::kOk);
  EXPECT_EQ(machine.create("/g").code, ErrorCode::kLimitExceeded);
  const wire::EcPolicy plain = geometry_to_wire(kTestGeometry);
  ASSERT_EQ(machine.set_policy("/", &plain).code, ErrorCode::kOk);
  EXPECT_EQ(machine.create("/g").code, ErrorCode::kOk) << "the refused one has left nothing";
}

TEST(Sessions, ARefusedCommandLeavesNothingBehind) {
  MachineHarness machine;
  const wire::CountersRow before = machine.counters();
  machine.create("/d/f", {.parents = true});
  const wire::CreateFileResult second = machine.create("/g").result.create_file();
  EXPECT_EQ(machine.create("/d/f/x/y", {.parents = true}).code, ErrorCode::kNotADirectory);
  EXPECT_EQ(machine.counters().next_inode(), before.next_inode() + 3);
  EXPECT_EQ(second.inode() + 1, machine.counters().next_inode());
}

TEST(Sessions, UnknownSessionsRunNothing) {
  MachineHarness machine;
  wire::Command command = machine.next_request(mkdir_of("/a"));
  command.set_session(4711);
  EXPECT_EQ(machine.request(command).code, ErrorCode::kSessionExpired);
  EXPECT_EQ(machine.counters().directories(), 1u);
}

TEST(Sessions, NonsensicalSequencesAreRefused) {
  MachineHarness machine;
  wire::Command command = machine.next_request(mkdir_of("/a"));
  command.set_low_water(command.sequence() + 1);
  EXPECT_EQ(machine.request(command).code, ErrorCode::kInvalidArgument);
  command.set_sequence(0);
  command.set_low_water(0);
  EXPECT_EQ(machine.request(command).code, ErrorCode::kInvalidArgument);
  command.set_sequence(1 + kMaxRequestsInFlightPerSession);
  command.set_low_water(1);
  EXPECT_EQ(machine.request(command).code, ErrorCode::kLimitExceeded);
  command.set_sequence(kMaxRequestsInFlightPerSession);
  EXPECT_EQ(machine.request(command).code, ErrorCode::kOk);
}

TEST(Sessions, TheWindowBoundsWhatIsKept) {
  MachineHarness machine;
  for (uint64_t i = 1; i <= kMaxRequestsInFlightPerSession; ++i) {
    wire::Command command = machine.next_request(mkdir_of("/" + std::to_string(i)));
    command.set_low_water(1);
    ASSERT_EQ(machine.request(command).code, ErrorCode::kOk);
  }
  const KeyRange replies = machine.tables().keys().replies(machine.session);
  EXPECT_EQ(machine.count(replies), kMaxRequestsInFlightPerSession);
  wire::Command jump = machine.next_request(mkdir_of("/jump"));
  jump.set_sequence(1'000'000'000);
  jump.set_low_water(1'000'000'000);
  EXPECT_EQ(machine.request(jump).code, ErrorCode::kOk);
  EXPECT_EQ(machine.count(replies), 1u);
}

TEST(Sessions, IdleOnesAreForgottenAndActiveOnesAreNot) {
  MachineHarness machine;
  const SessionId idle = machine.open_session();
  wire::Command request = machine.next_request(mkdir_of("/a"));
  request.set_elapsed_ms(5000);
  machine.request(request);
  wire::Command expire;
  expire.mutable_expire_sessions()->set_idle_since_ms(machine.counters().log_time_ms() - 1);
  expire.mutable_expire_sessions()->add_sessions(idle.value());
  expire.mutable_expire_sessions()->add_sessions(machine.session.value());
  expire.mutable_expire_sessions()->add_sessions(4711);
  EXPECT_EQ(machine.apply(expire).error(), 0u);
  EXPECT_EQ(machine.counters().sessions(), 1u);
  EXPECT_EQ(machine.mkdir("/b").code, ErrorCode::kOk);
  machine.session = idle;
  EXPECT_EQ(machine.mkdir("/c").code, ErrorCode::kSessionExpired);
}

TEST(Sessions, LogTimeNeverGoesBack) {
  MachineHarness machine;
  wire::Command command = machine.next_request(mkdir_of("/a"));
  command.set_elapsed_ms(100);
  machine.apply(command);
  const int64_t before = machine.counters().log_time_ms();
  command = machine.next_request(mkdir_of("/b"));
  command.set_elapsed_ms(-1000);
  machine.apply(command);
  EXPECT_EQ(machine.counters().log_time_ms(), before);
}

TEST(Sessions, LogTimeNeverOverflows) {
  MachineHarness machine;
  for (const char* path : {"/a", "/b", "/c"}) {
    wire::Command command = machine.next_request(mkdir_of(path));
    command.set_elapsed_ms(std::numeric_limits<int64_t>::max());
    EXPECT_EQ(machine.request(command).code, ErrorCode::kOk);
  }
  EXPECT_EQ(machine.counters().log_time_ms(), kMaxLogTimeMs);
}

TEST(Sessions, NothingOpensBeforeTheClusterHasItsIdentity) {
  MemoryRows rows;
  wire::Command command;
  command.mutable_open_session();
  const CommittedEntry entry{.index = LogIndex(1), .term = Term(1), .command = command.SerializeAsString()};
  wire::CommandReply reply;
  ASSERT_TRUE(reply.ParseFromString(apply_entries(rows, GroupId(), {entry}).value().replies.at(0)));
  EXPECT_EQ(error_code_from_wire(reply.error()), ErrorCode::kUnavailable);
}

TEST(Sessions, EntriesThatNobodyUnderstandsAreRefusedByAllAlike) {
  MachineHarness machine;
  EXPECT_EQ(machine.mutate(wire::Mutation()).code, ErrorCode::kUnsupported);
  EXPECT_EQ(error_code_from_wire(machine.apply(wire::Command()).error()), ErrorCode::kOk) << "an empty entry";
  const CommittedEntry entry{.index = LogIndex(99), .term = Term(1), .command = "\xff\xff"};
  wire::CommandReply reply;
  ASSERT_TRUE(reply.ParseFromString(apply_entries(machine.rows, GroupId(), {entry}).value().replies.at(0)));
  EXPECT_EQ(error_code_from_wire(reply.error()), ErrorCode::kProtocolError);
}

}  // namespace
}  // namespace dogfs
