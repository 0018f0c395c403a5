// Snapshots from store to store: whole replicas in the simulated world, one of which lacks what the others have dropped.
#include <gtest/gtest.h>

#include <algorithm>
#include <variant>

#include "core/base/hash.h"
#include "core/raft/raft.h"
#include "core/raft/raft_store.h"
#include "tests/core/raft/replica_world.h"

namespace dogfs {
namespace {

constexpr GroupId kGroup{7};

// A group of three that keeps hardly any log, and one member of which is down while commands of `bytes` are committed.
class LaggingGroup : public ReplicaWorld {
 public:
  LaggingGroup(uint64_t seed, size_t commands, size_t bytes) : ReplicaWorld(3, seed) {
    log = {{SIZE_MAX, 10}, {SIZE_MAX, 20}};
    start_all();
    leader_ = elect();
    DOGFS_CHECK(leader_ != 0 && converge());
    lagging_ = leader_ % 3 + 1;
    crash(lagging_);
    for (size_t i = 0; i < commands; ++i) DOGFS_CHECK(propose(leader_, std::string(bytes, 'c')).has_value());
    on_write = [this](size_t node, const WriteBatch& batch) {
      if (node == lagging_ && stages_a_part(batch)) ++parts_written_;
    };
  }

  size_t leader_at_first() const { return leader_; }
  size_t lagging() const { return lagging_; }
  const raft::Log& log_of(size_t i) { return program(i)->replica().raft()->log(); }
  bool is_installing(size_t i) {
    const auto install = raft::load_install(*node(i).kv_disk(), kGroup);
    return install.has_value() && install.value().has_value();
  }
  // How many parts of snapshots the lagging member has written, over all its lives.
  size_t parts_written() const { return parts_written_; }
  // How many parts of a snapshot are on the lagging member's disk, as a restart would find.
  uint64_t parts_staged() {
    const auto staged = raft::load_staged(*node(lagging_).kv_disk(), kGroup);
    DOGFS_CHECK(staged.has_value());
    return staged.value() ? staged.value()->parts : 0;
  }
  bool run_until_staged(uint64_t parts) {
    return world().run_until([&] { return parts_staged() >= parts; }, seconds(30));
  }
  // The lagging member comes back, and goes when it has so many parts.
  bool interrupt_transfer(uint64_t parts) {
    const bool staged = start(lagging_).has_value() && run_until_staged(parts);
    crash(lagging_);
    return staged;
  }
  bool has_staged(size_t i) {
    bool staged = false;
    const KeyRange rows = raft::staged_rows(kGroup);
    DOGFS_CHECK(node(i).kv_disk()->scan(rows.begin, rows.end, [&](auto, auto) { return staged = true; }).has_value());
    return staged;
  }

 private:
  static bool stages_a_part(const WriteBatch& batch) {
    return std::ranges::any_of(batch.operations(), [](const WriteBatch::Operation& operation) {
      const auto* put = std::get_if<WriteBatch::Put>(&operation);
      return put != nullptr && raft::staged_rows(kGroup).contains(put->key);
    });
  }

  size_t leader_ = 0;
  size_t lagging_ = 0;
  size_t parts_written_ = 0;
};

TEST(ReplicaSnapshot, AFollowerThatLacksWhatWasDroppedIsSentTheState) {
  LaggingGroup group(1, 100, 10);
  EXPECT_GT(group.log_of(group.leader_at_first()).base().index, LogIndex(50));
  ASSERT_TRUE(group.start(group.lagging()).has_value());
  EXPECT_EQ(group.log_of(group.lagging()).base().index, LogIndex());
  EXPECT_TRUE(group.converge());
  EXPECT_GT(group.log_of(group.lagging()).base().index, LogIndex(50));
  EXPECT_FALSE(group.is_installing(group.lagging()));
  EXPECT_FALSE(group.has_staged(group.lagging())) << "what was staged is the state now";

  // What it has is durable, and it goes on from there.
  group.crash(group.lagging());
  ASSERT_TRUE(group.start(group.lagging()).has_value());
  EXPECT_TRUE(group.converge());
  ASSERT_TRUE(group.propose(group.elect(), "last").has_value());
  EXPECT_TRUE(group.converge());
}

TEST(ReplicaSnapshot, CommandsAreAnsweredWhileItIsSent) {
  // Ten parts.
  LaggingGroup group(2, 100, 100 * kKiB);
  ASSERT_TRUE(group.start(group.lagging()).has_value());
  size_t answered = 0;
  while (group.log_of(group.lagging()).base().index == LogIndex() && answered < 10'000) {
    ASSERT_TRUE(group.propose(group.leader_at_first(), "c", seconds(1)).has_value());
    ++answered;
  }
  EXPECT_GT(answered, 10U);
  EXPECT_LT(answered, 10'000U);
  EXPECT_TRUE(group.converge());
}

// A leader that sent another snapshot each time the first part was not answered at once had it begin anew for ever.
TEST(ReplicaSnapshot, AFollowerWhoseDiskTakesLongerThanAnElectionTimeoutIsSentOneToo) {
  LaggingGroup group(12, 100, 10);
  const sim::DiskTrouble slow{.delay_min = milliseconds(900), .delay_max = milliseconds(900)};
  group.node(group.lagging()).kv_disk()->begin_trouble(slow);
  ASSERT_TRUE(group.start(group.lagging()).has_value());
  const auto is_sent = [&] { return group.log_of(group.lagging()).base().index > LogIndex(50); };
  EXPECT_TRUE(group.world().run_until(is_sent, seconds(60)));
}

TEST(ReplicaSnapshot, ANewMemberIsSentTheStateAndGetsItsVote) {
  LaggingGroup group(3, 100, 10);
  const size_t added = group.join();
  ASSERT_TRUE(group.change(group.leader_at_first(), {.add = {{NodeId(added), group.address_of(added)}}}).has_value());
  const auto has_everything = [&] {
    const ReplicaStatus leader = group.program(group.leader_at_first())->replica().status();
    return leader.match.at(NodeId(added)) == leader.last;
  };
  ASSERT_TRUE(group.world().run_until(has_everything, seconds(10)));
  EXPECT_GT(group.log_of(added).base().index, LogIndex(50));
  ASSERT_TRUE(group.change(group.leader_at_first(), {.promote = {NodeId(added)}}).has_value());
  EXPECT_TRUE(group.world().run_until([&] { return group.configuration(added).is_voter(NodeId(added)); }, seconds(10)));
}

// Whatever is lost at whatever moment, the follower comes to have the leader's state.
TEST(ReplicaSnapshot, CrashesInTheMiddleLoseNothing) {
  size_t while_staging = 0;
  size_t while_installing = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    LaggingGroup group(seed, 60, 60 * kKiB);
    for (uint64_t crashes = 0; crashes < 4; ++crashes) {
      ASSERT_TRUE(group.start(group.lagging()).has_value()) << seed;
      // While parts are staged, or while the state is replaced.
      const uint64_t draw = combine64(seed, crashes);
      const bool late = crashes % 2 == 1;
      const auto begun = [&] {
        return late ? group.is_installing(group.lagging()) : group.has_staged(group.lagging());
      };
      group.world().run_until(begun, seconds(1));
      const Duration pause = late ? microseconds(reduce64(draw, 500)) : milliseconds(reduce64(draw, 20));
      const sim::VirtualTime until = group.world().now() + pause;
      group.world().run_until([&] { return group.world().now() >= until; }, seconds(10));
      group.crash(group.lagging());
      if (group.is_installing(group.lagging())) {
        ++while_installing;
      } else if (group.has_staged(group.lagging())) {
        ++while_staging;
      }
    }
    ASSERT_TRUE(group.start(group.lagging()).has_value()) << seed;
    ASSERT_TRUE(group.converge()) << seed;
    EXPECT_FALSE(group.has_staged(group.lagging())) << seed;
  }
  EXPECT_GT(while_staging, 5U);
  EXPECT_GT(while_installing, 5U);
}

// Ten parts or so of one snapshot.
constexpr size_t kManyCommands = 100;
constexpr size_t kLongCommand = 100 * kKiB;

size_t parts_of_an_undisturbed_transfer() {
  LaggingGroup group(6, kManyCommands, kLongCommand);
  DOGFS_CHECK(group.start(group.lagging()).has_value() && group.converge());
  return group.parts_written();
}

// What was durable when the follower went down does not travel again, however it went down and however often.
TEST(ReplicaSnapshot, AFollowerThatRestartsIsSentOnlyWhatItLacks) {
  const size_t parts = parts_of_an_undisturbed_transfer();
  ASSERT_GE(parts, 9U);
  for (const sim::CrashKind kind : {sim::CrashKind::kPower, sim::CrashKind::kProcess}) {
    LaggingGroup group(6, kManyCommands, kLongCommand);
    uint64_t staged = 0;
    size_t written_in_vain = 0;
    while (staged + 2 < parts) {
      ASSERT_TRUE(group.start(group.lagging()).has_value());
      const size_t written_before = group.parts_written();
      ASSERT_TRUE(group.run_until_staged(staged + 2)) << "from " << staged << " parts on";
      group.crash(group.lagging(), kind);
      written_in_vain += staged + group.parts_written() - written_before - group.parts_staged();
      staged = group.parts_staged();
      // As long as a process takes to come back.
      group.world().run_for(seconds(2));
    }
    ASSERT_TRUE(group.start(group.lagging()).has_value());
    EXPECT_TRUE(group.converge());
    EXPECT_EQ(group.parts_written(), parts + written_in_vain);
    EXPECT_LE(written_in_vain, parts / 2) << "at most what was being written at each crash";
    EXPECT_EQ(group.parts_staged(), 0U);
    EXPECT_FALSE(group.has_staged(group.lagging()));
  }
}

// Views of two leaders differ, even when both call them their first.
TEST(ReplicaSnapshot, AFollowerThatRestartsUnderAnotherLeaderIsSentAllOfItsState) {
  const size_t parts = parts_of_an_undisturbed_transfer();
  LaggingGroup group(6, kManyCommands, kLongCommand);
  ASSERT_TRUE(group.interrupt_transfer(4));
  EXPECT_GE(group.parts_staged(), 4U);
  const size_t other = 6 - group.leader_at_first() - group.lagging();
  ASSERT_TRUE(group.transfer(group.leader_at_first(), NodeId(other)).has_value());
  ASSERT_TRUE(group.world().run_until([&] { return group.leader() == other; }, seconds(10)));
  const size_t written_before = group.parts_written();
  ASSERT_TRUE(group.start(group.lagging()).has_value());
  EXPECT_TRUE(group.converge());
  EXPECT_GE(group.parts_written() - written_before, parts);
  EXPECT_FALSE(group.has_staged(group.lagging()));
}

// Its leader has closed the view.
TEST(ReplicaSnapshot, AFollowerThatComesBackTooLateIsSentTheStateAnew) {
  const size_t parts = parts_of_an_undisturbed_transfer();
  LaggingGroup group(6, kManyCommands, kLongCommand);
  ASSERT_TRUE(group.interrupt_transfer(4));
  group.world().run_for(seconds(11));
  const size_t written_before = group.parts_written();
  ASSERT_TRUE(group.start(group.lagging()).has_value());
  EXPECT_TRUE(group.converge());
  EXPECT_EQ(group.parts_written() - written_before, parts);
}

// The leader that began it dies; the next one begins anew.
TEST(ReplicaSnapshot, ANewLeaderSendsItsOwn) {
  LaggingGroup group(4, 100, 100 * kKiB);
  ASSERT_TRUE(group.start(group.lagging()).has_value());
  ASSERT_TRUE(group.world().run_until([&] { return group.has_staged(group.lagging()); }, seconds(10)));
  group.crash(group.leader_at_first());
  ASSERT_TRUE(group.world().run_until(
      [&] {
        const size_t leader = group.leader();
        return leader != 0 && group.program(group.lagging())->replica().status().applied > LogIndex(100);
      },
      seconds(30)));
  EXPECT_FALSE(group.has_staged(group.lagging()));
  ASSERT_TRUE(group.start(group.leader_at_first()).has_value());
  EXPECT_TRUE(group.converge());
}

// What the leader that died has sent goes before anything of the next one's is there.
TEST(ReplicaSnapshot, PartsThatNobodyWillCompleteAreDiscarded) {
  LaggingGroup group(4, kManyCommands, kLongCommand);
  ASSERT_TRUE(group.start(group.lagging()).has_value());
  ASSERT_TRUE(group.run_until_staged(2));
  group.crash(group.leader_at_first());
  ASSERT_TRUE(group.world().run_until([&] { return !group.has_staged(group.lagging()); }, seconds(30)));
  EXPECT_EQ(group.log_of(group.lagging()).base().index, LogIndex()) << "the next one's has been installed";
  ASSERT_TRUE(group.start(group.leader_at_first()).has_value());
  EXPECT_TRUE(group.converge());
}

// A member that cannot be reached does not keep a view of the state open; when it can, it gets a new one.
TEST(ReplicaSnapshot, AnUnreachableFollowerIsGivenUp) {
  LaggingGroup group(5, 100, 100 * kKiB);
  ASSERT_TRUE(group.start(group.lagging()).has_value());
  ASSERT_TRUE(group.world().run_until([&] { return group.has_staged(group.lagging()); }, seconds(10)));
  group.isolate(group.lagging());
  const raft::Raft& leader = *group.program(group.leader_at_first())->replica().raft();
  const auto is_sending = [&] {
    return leader.progress().at(NodeId(group.lagging())).state() == raft::Progress::State::kSnapshot;
  };
  EXPECT_TRUE(is_sending());
  group.world().run_for(seconds(5));
  EXPECT_TRUE(is_sending()) << "it may have restarted";
  EXPECT_TRUE(group.world().run_until([&] { return !is_sending(); }, seconds(6)));
  group.reconnect(group.lagging());
  EXPECT_TRUE(group.converge());
}

}  // namespace
}  // namespace dogfs
