// A member alone that is sent a snapshot by hand: what a whole group seldom comes to.
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>

#include "core/raft/raft.h"

namespace dogfs::raft {
namespace {

constexpr NodeId kSelf{3};
constexpr NodeId kLeader{1};
constexpr NodeId kOther{2};
constexpr Term kTerm{1};

Options options() {
  Options options;
  options.self = kSelf;
  return options;
}

Restored restored() {
  Restored restored;
  const Configuration three = initial_configuration({{kLeader, Address()}, {kOther, Address()}, {kSelf, Address()}});
  restored.configurations.reset(ConfigurationHistory::Item{LogIndex(), three});
  return restored;
}

Message from_leader(MessageKind kind) {
  Message message;
  message.kind = kind;
  message.from = kLeader;
  message.to = kSelf;
  message.term = kTerm;
  return message;
}

// Node 3 of three, which has the leader's first two entries and is still applying them when it has been sent, and has
// staged, the whole state of a group that it was removed from.
class RemovedBySnapshot : public testing::Test {
 protected:
  RemovedBySnapshot() : member_(options(), restored(), MonoTime()) {
    Message append = from_leader(MessageKind::kAppend);
    append.entries = {Entry{LogIndex(1), kTerm, EntryType::kNoop, nullptr},
                      Entry{LogIndex(2), kTerm, EntryType::kCommand, std::make_shared<const std::string>("a")}};
    append.commit = LogIndex(2);
    member_.step(MonoTime(), append);
    work();
    EXPECT_TRUE(member_.is_applying());

    SnapshotChunk chunk;
    chunk.last = true;
    chunk.configuration = {LogIndex(4), initial_configuration({{kLeader, Address()}, {kOther, Address()}})};
    Message snapshot = from_leader(MessageKind::kSnapshot);
    snapshot.log = kPosition;
    snapshot.snapshot = 1;
    snapshot.chunk = std::make_shared<const SnapshotChunk>(std::move(chunk));
    member_.step(MonoTime(), snapshot);
    const Effects effects = member_.take_effects();
    member_.snapshot_staged(effects.stage.value());
    work();
    EXPECT_FALSE(member_.is_installing()) << "the state that it replaces is being written to";
  }

  // The disk does all that it is asked for.
  Effects work() {
    Effects effects = member_.take_effects();
    if (effects.persist) {
      member_.persisted(effects.persist->number);
      Effects later = member_.take_effects();
      std::ranges::move(later.messages, std::back_inserter(effects.messages));
      if (later.install) effects.install = later.install;
    }
    return effects;
  }
  void hear_nothing() {
    member_.tick(member_.next_deadline());
    work();
  }
  void is_granted(MessageKind kind) {
    Message grant;
    grant.kind = kind;
    grant.from = kOther;
    grant.to = kSelf;
    grant.term = kTerm.next();
    member_.step(member_.next_deadline(), grant);
  }

  // The rest is applied. The snapshot takes the state's place, and the vote away.
  void expect_it_installs_and_gives_up() {
    member_.applied(LogIndex(2));
    EXPECT_TRUE(member_.is_installing());
    EXPECT_EQ(member_.configuration().voters, (std::vector<NodeId>{kLeader, kOther}));
    EXPECT_EQ(member_.role(), RaftRole::kFollower) << "it has no vote";
    const Effects effects = work();
    ASSERT_EQ(effects.install, kPosition);
    member_.snapshot_installed(kPosition);
    const Term term = member_.term();
    hear_nothing();
    EXPECT_EQ(member_.role(), RaftRole::kFollower);
    EXPECT_EQ(member_.term(), term);
  }

  static constexpr LogPosition kPosition{LogIndex(5), kTerm};
  Raft member_;
};

TEST_F(RemovedBySnapshot, APreCandidateGivesUp) {
  hear_nothing();
  ASSERT_EQ(member_.role(), RaftRole::kPreCandidate);
  expect_it_installs_and_gives_up();
}

TEST_F(RemovedBySnapshot, ACandidateGivesUp) {
  hear_nothing();
  // The vote itself is not granted yet, nor is its own durable.
  is_granted(MessageKind::kPreVoteReply);
  ASSERT_EQ(member_.role(), RaftRole::kCandidate);
  expect_it_installs_and_gives_up();
}

// What it asked for as a candidate is answered when it is none any more.
TEST_F(RemovedBySnapshot, AVoteThatComesTooLateMakesNoLeader) {
  hear_nothing();
  is_granted(MessageKind::kPreVoteReply);
  work();
  expect_it_installs_and_gives_up();
  is_granted(MessageKind::kVoteReply);
  EXPECT_EQ(member_.role(), RaftRole::kFollower);
}

// The member has store 7; in the snapshot's configuration it is the one that it became with store `counted`.
bool is_staged(StoreId counted) {
  Restored mine = restored();
  mine.store = StoreId(7);
  Raft member(options(), std::move(mine), MonoTime());
  SnapshotChunk chunk;
  chunk.configuration = {LogIndex(4), restored().configurations.latest()};
  chunk.configuration.configuration.stores[kSelf] = counted;
  Message snapshot = from_leader(MessageKind::kSnapshot);
  snapshot.log = LogPosition{LogIndex(5), kTerm};
  snapshot.snapshot = 1;
  snapshot.chunk = std::make_shared<const SnapshotChunk>(std::move(chunk));
  member.step(MonoTime(), snapshot);
  return member.take_effects().stage.has_value();
}

TEST(SnapshotForAStore, IsNotTakenByTheOneThatTookItsPlace) {
  EXPECT_TRUE(is_staged(StoreId(7)));
  EXPECT_FALSE(is_staged(StoreId(6)));
}

// A member that has staged the first of several parts.
class PartOfSnapshot : public testing::Test {
 protected:
  PartOfSnapshot() : member_(options(), restored(), MonoTime()) {
    SnapshotChunk chunk;
    chunk.configuration = {LogIndex(), restored().configurations.latest()};
    Message snapshot = from_leader(MessageKind::kSnapshot);
    snapshot.log = LogPosition{LogIndex(2), kTerm};
    snapshot.snapshot = 1;
    snapshot.chunk = std::make_shared<const SnapshotChunk>(std::move(chunk));
    member_.step(MonoTime(), snapshot);
    stage_ = work().stage.value();
    EXPECT_TRUE(member_.wants_staged());
  }

  Effects work() {
    Effects effects = member_.take_effects();
    if (effects.persist) member_.persisted(effects.persist->number);
    return effects;
  }

  Raft member_;
  SnapshotStage stage_;
};

TEST_F(PartOfSnapshot, IsOfUseAsLongAsItsLeaderLeads) {
  member_.snapshot_staged(stage_);
  member_.step(MonoTime(), from_leader(MessageKind::kHeartbeat));
  work();
  EXPECT_TRUE(member_.wants_staged());
}

TEST_F(PartOfSnapshot, IsOfNoUseUnderAnotherLeader) {
  Message heartbeat = from_leader(MessageKind::kHeartbeat);
  heartbeat.from = kOther;
  heartbeat.term = kTerm.next();
  member_.step(MonoTime(), heartbeat);
  work();
  EXPECT_FALSE(member_.wants_staged());
  // It was on its way to the disk.
  member_.snapshot_staged(stage_);
  EXPECT_FALSE(member_.wants_staged());
}

TEST_F(PartOfSnapshot, IsOfNoUseOnceTheLogHasWhatItIncludes) {
  member_.snapshot_staged(stage_);
  Message append = from_leader(MessageKind::kAppend);
  append.entries = {Entry{LogIndex(1), kTerm, EntryType::kNoop, nullptr},
                    Entry{LogIndex(2), kTerm, EntryType::kCommand, std::make_shared<const std::string>("a")}};
  append.commit = LogIndex(1);
  member_.step(MonoTime(), append);
  work();
  EXPECT_TRUE(member_.wants_staged()) << "the entry may yet be taken back";
  append.log = LogPosition{LogIndex(2), kTerm};
  append.entries.clear();
  append.commit = LogIndex(2);
  member_.step(MonoTime(), append);
  work();
  EXPECT_FALSE(member_.wants_staged());
}

}  // namespace
}  // namespace dogfs::raft
