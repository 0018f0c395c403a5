#include "sim/failure_kind.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace dogfs::sim {
namespace {

TEST(FailureKind, IsTheOracleAndWhatItSays) {
  EXPECT_EQ(failure_kind("raft: nodes 1 and 12 both led term 3"), "raft: nodes # and # both led term #");
  EXPECT_EQ(failure_kind("liveness: the work is not done after 120000 ms\n  nobody leads"),
            "liveness: the work is not done after # ms");
  EXPECT_EQ(failure_kind("leak: 3 leases"), "leak: # leases");
  EXPECT_EQ(failure_kind("leak: shard file 7-1-2.shard on chunk-3 disk-2"), "leak: shard file # on #");
  EXPECT_EQ(failure_kind(""), "");
  EXPECT_EQ(failure_kind("meta"), "meta");
}

TEST(FailureKind, LeavesOutNamesPathsAndWhatIsQuoted) {
  EXPECT_EQ(failure_kind("raft: node 2 (leader of term 4): commit goes back"), "raft: node #: commit goes back");
  EXPECT_EQ(failure_kind("file: /client-1: read of /client-1/d1/f7: not found: no such file: /client-1"),
            "file: read of #: not found");
  EXPECT_EQ(failure_kind("file: /client-2: the listing of /client-2 is [a b (c)], not [a: b]"),
            "file: the listing of # is not");
}

TEST(FailureKind, OfALinearizabilityViolationIsNotTheOperation) {
  const std::string read = failure_kind(
      "linearizability: List {path: \"/a: b\"} [5..9 ns, kOk] fits nowhere in the log "
      "from 3 to 5: at 4 it is not found");
  EXPECT_EQ(read, failure_kind("linearizability: Stat {path: \"/c\"} [1..2 ns, kOk] fits nowhere in the log "
                               "from 8 to 8: there"));
  EXPECT_NE(read, failure_kind("linearizability: Mutate {x: 1} took effect at 3 and again at 5"));
}

TEST(FailureKind, OfWhatShowsAnywhereIsTheOracleAlone) {
  EXPECT_EQ(failure_kind("availability: /client-1: mkdir /client-1/d: timeout"), "availability");
  EXPECT_EQ(failure_kind("heal: not whole again: block 3 shard 1 (server 4, DAMAGED)"), "heal");
}

TEST(FailureKind, OfAProcessIsTheCheckThatDidNotHold) {
  const auto check = [](int line) {
    return process_failure(
        fmt::format("noise\n/src/core/raft/raft.cc:{}: invariant broken: a: b == c: detail\nmore", line), 6);
  };
  EXPECT_EQ(check(12), "process: invariant broken at /src/core/raft/raft.cc:12: a: b == c: detail");
  EXPECT_EQ(failure_kind(check(12)), "process: invariant broken at /src/core/raft/raft.cc:12");
  EXPECT_NE(failure_kind(check(12)), failure_kind(check(13)));
  EXPECT_EQ(failure_kind(process_failure("x.cc:1:2: runtime error: signed integer overflow: 1 + 2", 6)),
            "process: undefined behaviour at x.cc:1:2");
  EXPECT_EQ(failure_kind(process_failure("==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1", 6)),
            "process: heap-use-after-free");
  EXPECT_EQ(failure_kind(process_failure("", 11)), "process: ended by signal 11");
}

}  // namespace
}  // namespace dogfs::sim
