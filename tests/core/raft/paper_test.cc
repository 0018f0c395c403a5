// The Raft paper, rule by rule: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm (Extended
// Version)", 2014, and Ongaro's thesis "Consensus: Bridging Theory and Practice", 2014. (After etcd's raft_paper_test.go.)
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/raft/describe.h"
#include "core/raft/raft.h"

namespace dogfs::raft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr GroupId kGroup(1);

ConfigurationHistory voters_up_to(size_t size) {
  std::map<NodeId, Address> voters;
  for (size_t i = 1; i <= size; ++i) voters.emplace(NodeId(i), Address());
  return ConfigurationHistory({LogIndex(), initial_configuration(voters)});
}

// One member, fed by hand. It is node 1; the others are the test's.
class Member {
 public:
  explicit Member(const std::vector<uint64_t>& log_terms = {}, Term term = Term(), NodeId vote = NodeId(),
                  size_t size = 3) {
    options_.group = kGroup;
    options_.self = NodeId(1);
    Restored restored;
    restored.configurations = voters_up_to(size);
    for (const uint64_t each : log_terms) {
      restored.terms.append(Term(each));
      restored.sizes.append(kEntryOverheadBytes + 1);
      restored.tail.push_back(Entry{restored.terms.last_index(), Term(each), EntryType::kCommand,
                                    std::make_shared<const std::string>("c")});
    }
    restored.hard_state.term = std::max(term, restored.terms.last_term());
    restored.hard_state.voted_for = vote;
    raft_.emplace(options_, std::move(restored), now_);
  }

  Raft& raft() { return *raft_; }
  Effects& effects() { return effects_; }
  void wait(Duration duration) { now_ += duration; }
  void tick() {
    raft_->tick(now_);
    gather();
  }

  Message message(MessageKind kind, uint64_t from, uint64_t term) {
    Message message;
    message.kind = kind;
    message.group = kGroup;
    message.from = NodeId(from);
    message.to = NodeId(1);
    message.term = Term(term);
    return message;
  }
  // Steps it, and completes the disk writes that it causes. What it sends is in sent().
  void step(const Message& message) {
    raft_->step(now_, message);
    gather();
    persist();
  }
  void persist() {
    while (effects_.persist) {
      const uint64_t number = effects_.persist->number;
      effects_.persist.reset();
      raft_->persisted(number);
      gather();
    }
  }
  void gather() {
    Effects more = raft_->take_effects();
    for (Message& each : more.messages) sent_.push_back(std::move(each));
    if (more.persist) effects_.persist = std::move(more.persist);
    if (!more.committed.empty()) effects_.committed = std::move(more.committed);
    for (CompletedReads& reads : more.reads) effects_.reads.push_back(std::move(reads));
    for (std::string& violation : more.violations) effects_.violations.push_back(std::move(violation));
  }
  std::vector<Message> sent() { return std::exchange(sent_, {}); }

  // Makes it the leader of its next term, with the vote of node 2.
  void become_leader() {
    raft_->campaign();
    gather();
    step(message(MessageKind::kPreVoteReply, 2, raft_->term().value() + 1));
    step(message(MessageKind::kVoteReply, 2, raft_->term().value()));
    ASSERT_EQ(raft_->role(), RaftRole::kLeader);
  }
  // Follower `from` acknowledges up to `index`.
  void acknowledge(uint64_t from, uint64_t index) {
    Message reply = message(MessageKind::kAppendReply, from, raft_->term().value());
    reply.log.index = LogIndex(index);
    step(reply);
  }
  void propose(std::string command) {
    ASSERT_TRUE(raft_->propose({std::make_shared<const std::string>(std::move(command))}).has_value());
    gather();
    persist();
  }

 private:
  Options options_;
  MonoTime now_{};
  std::optional<Raft> raft_;
  Effects effects_;
  std::vector<Message> sent_;
};

Message append(Member& member, uint64_t term, LogPosition after, const std::vector<uint64_t>& terms,
               uint64_t commit = 0) {
  Message message = member.message(MessageKind::kAppend, 2, term);
  message.log = after;
  message.commit = LogIndex(commit);
  for (const uint64_t each : terms) {
    message.entries.push_back(Entry{LogIndex(after.index.value() + message.entries.size() + 1), Term(each),
                                    EntryType::kCommand, std::make_shared<const std::string>("n")});
  }
  return message;
}

Message vote_request(Member& member, uint64_t from, uint64_t term, LogPosition log) {
  Message message = member.message(MessageKind::kVote, from, term);
  message.log = log;
  return message;
}

LogPosition at(uint64_t index, uint64_t term) {
  return LogPosition{LogIndex(index), Term(term)};
}

// --- Figure 2, all servers: if a message has a higher term, adopt it and become follower -------------------------------

TEST(Figure2, AnyRoleFollowsAHigherTerm) {
  Member candidate({}, Term(1));
  candidate.raft().campaign();
  candidate.gather();
  candidate.step(append(candidate, 5, at(0, 0), {}));
  EXPECT_EQ(candidate.raft().role(), RaftRole::kFollower);
  EXPECT_EQ(candidate.raft().term(), Term(5));
  EXPECT_EQ(candidate.raft().leader(), NodeId(2));

  Member leader;
  leader.become_leader();
  leader.step(append(leader, 9, at(0, 0), {}));
  EXPECT_EQ(leader.raft().role(), RaftRole::kFollower);
  EXPECT_EQ(leader.raft().term(), Term(9));
}

TEST(Figure2, AppendOfAnOldTermIsRejectedWithTheNewTerm) {
  Member member({1}, Term(4));
  member.step(append(member, 3, at(1, 1), {3}));
  const std::vector<Message> sent = member.sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_TRUE(sent[0].reject);
  EXPECT_EQ(sent[0].term, Term(4));
  EXPECT_EQ(member.raft().log().last_index(), LogIndex(1));
}

TEST(Figure2, AppendBehindAnEntryThatIsMissingOrDifferentIsRejected) {
  for (const LogPosition after : {at(3, 2), at(2, 2)}) {
    Member member({1, 1}, Term(2));
    member.step(append(member, 2, after, {2}));
    const std::vector<Message> sent = member.sent();
    ASSERT_THAT(sent, SizeIs(1));
    EXPECT_TRUE(sent[0].reject) << describe(after);
    EXPECT_EQ(sent[0].log.index, after.index);
  }
}

TEST(Figure2, ConflictingEntriesAreReplacedAndNewOnesAppended) {
  Member member({1, 1, 2, 2}, Term(3));
  member.step(append(member, 3, at(2, 1), {3}));
  EXPECT_EQ(member.raft().log().last(), at(3, 3));
  EXPECT_EQ(member.sent().back().log.index, LogIndex(3));
}

TEST(Figure2, CommitIsTheLesserOfTheLeadersAndTheLastNewEntry) {
  Member member({1, 1, 1}, Term(1));
  member.step(append(member, 1, at(1, 1), {1}, 3));
  EXPECT_EQ(member.raft().commit(), LogIndex(2)) << "entry 3 may be another leader's (ScyllaDB #10578)";
}

TEST(Figure2, AVoteIsGrantedOnceATerm) {
  Member member({}, Term(1));
  member.step(vote_request(member, 2, 2, at(0, 0)));
  EXPECT_FALSE(member.sent().back().reject);
  member.step(vote_request(member, 3, 2, at(0, 0)));
  EXPECT_TRUE(member.sent().back().reject);
  member.step(vote_request(member, 2, 2, at(0, 0)));
  EXPECT_FALSE(member.sent().back().reject) << "the same candidate may ask again";
}

TEST(Figure2, AVoteIsRememberedOverARestart) {
  Member member({}, Term(2), NodeId(3));
  member.step(vote_request(member, 2, 2, at(0, 0)));
  EXPECT_TRUE(member.sent().back().reject);
}

TEST(Figure2, VotesAndAppendsAreAnsweredAfterTheDiskHasThem) {
  Member member;
  member.raft().step(MonoTime(), vote_request(member, 2, 1, at(0, 0)));
  member.gather();
  EXPECT_THAT(member.sent(), IsEmpty());
  EXPECT_EQ(member.effects().persist->hard_state.voted_for, NodeId(2));
  member.persist();
  EXPECT_THAT(member.sent(), SizeIs(1));

  member.raft().step(MonoTime(), append(member, 1, at(0, 0), {1}));
  member.gather();
  EXPECT_THAT(member.sent(), IsEmpty());
  member.persist();
  EXPECT_THAT(member.sent(), SizeIs(1));
}

// --- 5.1, 5.2: elections --------------------------------------------------------------------------------------------

TEST(Section5_2, AFollowerStandsWhenItHearsNothingForItsTimeout) {
  Member member;
  member.wait(milliseconds(299));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kFollower);
  member.wait(milliseconds(301));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
}

TEST(Section5_2, HeartbeatsKeepAFollowerQuiet) {
  Member member({}, Term(1));
  for (int i = 0; i < 50; ++i) {
    member.step(member.message(MessageKind::kHeartbeat, 2, 1));
    member.wait(milliseconds(250));
    member.tick();
    ASSERT_EQ(member.raft().role(), RaftRole::kFollower);
  }
}

TEST(Section5_2, ACandidateIncrementsItsTermVotesForItselfAndAsksAll) {
  Member member({1}, Term(4));
  member.raft().campaign();
  member.gather();
  member.sent();
  member.step(member.message(MessageKind::kPreVoteReply, 2, 5));
  EXPECT_EQ(member.raft().role(), RaftRole::kCandidate);
  EXPECT_EQ(member.raft().term(), Term(5));
  EXPECT_EQ(member.raft().voted_for(), NodeId(1));
  const std::vector<Message> sent = member.sent();
  ASSERT_THAT(sent, SizeIs(2));
  for (const Message& request : sent) {
    EXPECT_EQ(request.kind, MessageKind::kVote);
    EXPECT_EQ(request.log, at(1, 1));
  }
}

TEST(Section5_2, AMajorityOfVotesWinsAndALeaderAnnouncesItself) {
  Member member({}, Term(), NodeId(), 5);
  member.raft().campaign();
  member.gather();
  for (const uint64_t voter : {2, 3}) member.step(member.message(MessageKind::kPreVoteReply, voter, 1));
  member.step(member.message(MessageKind::kVoteReply, 2, 1));
  member.step(member.message(MessageKind::kVoteReply, 2, 1));
  EXPECT_EQ(member.raft().role(), RaftRole::kCandidate) << "a vote that comes twice counts once";
  member.sent();
  member.step(member.message(MessageKind::kVoteReply, 3, 1));
  EXPECT_EQ(member.raft().role(), RaftRole::kLeader);
  const std::vector<Message> sent = member.sent();
  EXPECT_THAT(sent, SizeIs(4));
  for (const Message& each : sent) EXPECT_EQ(each.kind, MessageKind::kAppend);
}

TEST(Section5_2, ACandidateYieldsToALeaderOfItsTerm) {
  Member member;
  member.raft().campaign();
  member.gather();
  member.step(member.message(MessageKind::kPreVoteReply, 2, 1));
  ASSERT_EQ(member.raft().role(), RaftRole::kCandidate);
  member.step(member.message(MessageKind::kHeartbeat, 3, 1));
  EXPECT_EQ(member.raft().role(), RaftRole::kFollower);
  EXPECT_EQ(member.raft().leader(), NodeId(3));
}

TEST(Section5_2, TimeoutsAreSpreadOverTheirRange) {
  std::map<int64_t, int> seen;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Options options;
    options.group = kGroup;
    options.self = NodeId(1);
    options.election_seed = seed;
    Restored restored;
    restored.configurations = voters_up_to(2);
    const Raft raft(options, std::move(restored), MonoTime());
    const Duration wait = raft.next_deadline() - MonoTime();
    ASSERT_GE(wait, options.election_timeout);
    ASSERT_LT(wait, 2 * options.election_timeout);
    ++seen[(wait - options.election_timeout) * 10 / options.election_timeout];
  }
  EXPECT_THAT(seen, SizeIs(10));
  for (const auto& [tenth, count] : seen) EXPECT_GT(count, 50) << tenth;
}

// --- Elections on slow disks ----------------------------------------------------------------------------------------

// Follower to candidate, with the PreVote of node 2.
void stand(Member& member) {
  member.wait(seconds(1));
  member.tick();
  ASSERT_EQ(member.raft().role(), RaftRole::kPreCandidate);
  member.step(member.message(MessageKind::kPreVoteReply, 2, member.raft().term().value() + 1));
  ASSERT_EQ(member.raft().role(), RaftRole::kCandidate);
}

TEST(SlowDisks, ACandidacyAfterOneThatExpiredHasTwiceTheTime) {
  Member member;
  Duration least = milliseconds(300);
  for (int i = 0; i < 4; ++i, least *= 2) {
    stand(member);
    member.wait(least - milliseconds(1));
    member.tick();
    EXPECT_EQ(member.raft().role(), RaftRole::kCandidate);
    member.wait(least + milliseconds(1));
    member.tick();
    EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
  }
  // Until somebody leads.
  member.step(member.message(MessageKind::kHeartbeat, 2, member.raft().term().value()));
  stand(member);
  member.wait(milliseconds(600));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
}

TEST(SlowDisks, WhoHasNotWrittenItsVoteYetDoesNotStand) {
  Member member;
  member.raft().step(MonoTime(), vote_request(member, 2, 1, at(0, 0)));
  member.gather();
  for (int i = 0; i < 10; ++i) {
    member.wait(seconds(1));
    member.tick();
    EXPECT_EQ(member.raft().role(), RaftRole::kFollower);
  }
  member.persist();
  member.wait(seconds(1));
  member.tick();
  EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
}

// --- 5.3: replication -----------------------------------------------------------------------------------------------

TEST(Section5_3, ALeaderCommitsWhatAMajorityHas) {
  Member leader({}, Term(), NodeId(), 5);
  leader.raft().campaign();
  leader.gather();
  for (const uint64_t voter : {2, 3}) leader.step(leader.message(MessageKind::kPreVoteReply, voter, 1));
  for (const uint64_t voter : {2, 3}) leader.step(leader.message(MessageKind::kVoteReply, voter, 1));
  leader.propose("a");
  leader.acknowledge(2, 2);
  EXPECT_EQ(leader.raft().commit(), LogIndex(0));
  leader.acknowledge(2, 2);
  EXPECT_EQ(leader.raft().commit(), LogIndex(0)) << "an acknowledgement that comes twice counts once";
  leader.acknowledge(3, 2);
  EXPECT_EQ(leader.raft().commit(), LogIndex(2));
  EXPECT_THAT(leader.effects().committed, SizeIs(2));
}

TEST(Section5_3, TheLeadersOwnCopyCountsWhenItIsDurable) {
  Member leader;
  leader.become_leader();
  ASSERT_TRUE(leader.raft().propose({std::make_shared<const std::string>("a")}).has_value());
  leader.gather();
  Message reply = leader.message(MessageKind::kAppendReply, 2, 1);
  reply.log.index = LogIndex(2);
  leader.raft().step(MonoTime(), reply);
  leader.gather();
  EXPECT_EQ(leader.raft().commit(), LogIndex(1));
  leader.persist();
  EXPECT_EQ(leader.raft().commit(), LogIndex(2));
}

TEST(Section5_3, FollowersLearnOfCommitsAndApplyThemInOrder) {
  Member member;
  member.step(append(member, 1, at(0, 0), {1, 1}, 1));
  ASSERT_THAT(member.effects().committed, SizeIs(1));
  EXPECT_EQ(member.effects().committed[0].index, LogIndex(1));
  member.raft().applied(LogIndex(1));
  Message heartbeat = member.message(MessageKind::kHeartbeat, 2, 1);
  heartbeat.commit = LogIndex(2);
  member.step(heartbeat);
  EXPECT_EQ(member.effects().committed[0].index, LogIndex(2));
}

TEST(Section5_3, AHeartbeatNamesNoCommitThatItsFollowerMayLack) {
  Member leader;
  leader.become_leader();
  leader.propose("a");
  leader.acknowledge(2, 2);
  leader.sent();
  leader.wait(milliseconds(60));
  leader.tick();
  for (const Message& heartbeat : leader.sent()) {
    EXPECT_EQ(heartbeat.commit, heartbeat.to == NodeId(2) ? LogIndex(2) : LogIndex(0));
  }
}

// Figure 7: whatever a follower's log looks like, it comes to be the leader's, and without a message for each entry.
TEST(Section5_3, TheLogsOfFigure7AreBroughtIntoLine) {
  const std::vector<uint64_t> leaders = {1, 1, 1, 4, 4, 5, 5, 6, 6, 6};
  const std::vector<std::vector<uint64_t>> followers = {
      {1, 1, 1, 4, 4, 5, 5, 6, 6},          {1, 1, 1, 4},          {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6},
      {1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7}, {1, 1, 1, 4, 4, 4, 4}, {1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3},
  };
  for (const std::vector<uint64_t>& terms : followers) {
    Member leader(leaders, Term(7));
    leader.become_leader();
    Member follower(terms, Term(7));
    int round_trips = 0;
    for (std::vector<Message> sent = leader.sent(); !sent.empty(); sent = leader.sent()) {
      bool any = false;
      for (Message& each : sent) {
        if (each.to != NodeId(3) || each.kind != MessageKind::kAppend) continue;
        // The members of this test are all node 1 to themselves.
        each.to = NodeId(1);
        each.from = NodeId(2);
        follower.step(each);
        any = true;
      }
      if (any) ++round_trips;
      for (Message& reply : follower.sent()) {
        reply.from = NodeId(3);
        reply.to = NodeId(1);
        leader.step(reply);
      }
      ASSERT_LT(round_trips, 20);
    }
    EXPECT_EQ(follower.raft().log().last(), at(11, 8));
    EXPECT_EQ(follower.raft().log().terms().runs(), leader.raft().log().terms().runs());
    EXPECT_LE(round_trips, 4);
  }
}

TEST(Section5_3, OldRejectionsDoNotMakeTheLeaderGoBack) {
  Member leader;
  leader.become_leader();
  leader.propose("a");
  leader.acknowledge(2, 2);
  leader.sent();
  Message late = leader.message(MessageKind::kAppendReply, 2, 1);
  late.reject = true;
  late.log.index = LogIndex(1);
  leader.step(late);
  EXPECT_THAT(leader.sent(), IsEmpty());
  EXPECT_EQ(leader.raft().progress().at(NodeId(2)).match(), LogIndex(2));
}

// --- 5.4: safety ----------------------------------------------------------------------------------------------------

TEST(Section5_4_1, AVoterRefusesACandidateWithALesserLog) {
  const struct {
    LogPosition candidate;
    bool granted;
  } cases[] = {{at(2, 2), true}, {at(3, 2), true}, {at(1, 3), true}, {at(1, 2), false}, {at(5, 1), false}};
  for (const auto& each : cases) {
    Member member({1, 2}, Term(2));
    member.step(vote_request(member, 2, 3, each.candidate));
    EXPECT_EQ(!member.sent().back().reject, each.granted) << describe(each.candidate);
  }
}

TEST(Section5_4_2, OnlyEntriesOfTheOwnTermAreCommittedByCounting) {
  Member leader({1, 2}, Term(2));
  leader.become_leader();
  leader.acknowledge(2, 2);
  EXPECT_EQ(leader.raft().commit(), LogIndex(0)) << "a majority has entry 2, but it is of term 2 (LogCabin #44)";
  leader.acknowledge(2, 3);
  EXPECT_EQ(leader.raft().commit(), LogIndex(3));
}

// --- Thesis, 4.2.3 and 9.6: disruptive servers ----------------------------------------------------------------------

TEST(Thesis4_2_3, WhoHearsFromALeaderIgnoresCandidates) {
  Member member({}, Term(1));
  member.step(member.message(MessageKind::kHeartbeat, 2, 1));
  member.sent();
  member.wait(milliseconds(299));
  for (const MessageKind kind : {MessageKind::kPreVote, MessageKind::kVote}) {
    member.step(member.message(kind, 3, 9));
    EXPECT_THAT(member.sent(), IsEmpty());
    EXPECT_EQ(member.raft().term(), Term(1));
  }
  member.wait(milliseconds(2));
  member.step(member.message(MessageKind::kVote, 3, 9));
  EXPECT_EQ(member.raft().voted_for(), NodeId(3));
}

TEST(Thesis4_2_3, AnUndisputedLeaderIgnoresCandidates) {
  Member leader;
  leader.become_leader();
  leader.sent();
  leader.step(leader.message(MessageKind::kVote, 3, 9));
  EXPECT_EQ(leader.raft().role(), RaftRole::kLeader);
  EXPECT_THAT(leader.sent(), IsEmpty());
}

TEST(Thesis9_6, APreVoteChangesNoTermAndBindsNobody) {
  Member member({1}, Term(1));
  Message request = member.message(MessageKind::kPreVote, 2, 2);
  request.log = at(1, 1);
  member.step(request);
  EXPECT_FALSE(member.sent().back().reject);
  EXPECT_EQ(member.raft().term(), Term(1));
  request.from = NodeId(3);
  member.step(request);
  EXPECT_FALSE(member.sent().back().reject);
}

TEST(Thesis9_6, APreCandidateOfAnOldTermLearnsOfTheNewOne) {
  Member member({}, Term(5));
  member.step(member.message(MessageKind::kPreVote, 2, 3));
  const std::vector<Message> sent = member.sent();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_TRUE(sent[0].reject);
  EXPECT_EQ(sent[0].term, Term(5)) << "or the group might stay without a leader (etcd #8501)";
}

TEST(Thesis9_6, AGrantOfAnEarlierPreVoteDoesNotCount) {
  Member member({}, Term(4));
  member.raft().campaign();
  member.gather();
  member.step(member.message(MessageKind::kPreVoteReply, 2, 4));
  EXPECT_EQ(member.raft().role(), RaftRole::kPreCandidate);
}

// --- Thesis, 6.2: leaders without a majority ------------------------------------------------------------------------

TEST(Thesis6_2, ALeaderStepsDownWhenAMajorityIsSilent) {
  Member leader({}, Term(), NodeId(), 5);
  leader.raft().campaign();
  leader.gather();
  for (const uint64_t voter : {2, 3}) leader.step(leader.message(MessageKind::kPreVoteReply, voter, 1));
  for (const uint64_t voter : {2, 3}) leader.step(leader.message(MessageKind::kVoteReply, voter, 1));
  for (int i = 0; i < 20; ++i) {
    leader.wait(milliseconds(50));
    for (const uint64_t voter : {2, 3}) leader.step(leader.message(MessageKind::kHeartbeatReply, voter, 1));
    leader.tick();
  }
  EXPECT_EQ(leader.raft().role(), RaftRole::kLeader);
  for (int i = 0; i < 8; ++i) {
    leader.wait(milliseconds(50));
    leader.step(leader.message(MessageKind::kHeartbeatReply, 2, 1));
    leader.tick();
  }
  EXPECT_EQ(leader.raft().role(), RaftRole::kFollower) << "two of five are not enough";
}

// --- Thesis, 6.4: reads ---------------------------------------------------------------------------------------------

TEST(Thesis6_4, AReadWaitsForAnEntryOfTheLeadersTermAndForAMajority) {
  Member leader({1}, Term(1));
  leader.become_leader();
  ASSERT_TRUE(leader.raft().read_index(77).has_value());
  leader.gather();
  leader.sent();
  Message reply = leader.message(MessageKind::kHeartbeatReply, 2, 2);
  leader.step(reply);
  EXPECT_THAT(leader.effects().reads, IsEmpty()) << "nothing of term 2 is committed (etcd #7331)";
  leader.acknowledge(2, 2);
  EXPECT_THAT(leader.effects().reads, IsEmpty()) << "no round has been answered";
  reply.read_round = 1;
  leader.step(reply);
  ASSERT_THAT(leader.effects().reads, SizeIs(1));
  EXPECT_EQ(leader.effects().reads[0].index, LogIndex(2));
  EXPECT_THAT(leader.effects().reads[0].contexts, ElementsAre(77));
}

TEST(Thesis6_4, ADeposedLeaderFailsItsReads) {
  Member leader;
  leader.become_leader();
  leader.acknowledge(2, 1);
  ASSERT_TRUE(leader.raft().read_index(1).has_value());
  leader.raft().step(MonoTime(), append(leader, 9, at(0, 0), {}));
  EXPECT_THAT(leader.raft().take_effects().failed_reads, ElementsAre(1));
  EXPECT_EQ(code_of(leader.raft().read_index(2)), ErrorCode::kNotLeader);
}

// --- Messages that are not for this member, or that no member sends -------------------------------------------------

TEST(Strangers, MessagesOfOtherGroupsAndReceiversAndAnswersOfOtherNodesAreIgnored) {
  Member member;
  Message message = member.message(MessageKind::kAppend, 2, 7);
  Message other_group = message;
  other_group.group = GroupId(2);
  Message stranger = message;
  stranger.kind = MessageKind::kAppendReply;
  stranger.from = NodeId(9);
  Message for_another = message;
  for_another.to = NodeId(3);
  Message own = message;
  own.from = NodeId(1);
  for (const Message& each : {other_group, stranger, for_another, own}) {
    member.step(each);
    EXPECT_EQ(member.raft().term(), Term(0));
    EXPECT_THAT(member.sent(), IsEmpty());
  }
}

TEST(Strangers, ImpossibleMessagesAreRefusedAndReported) {
  Member follower({1, 1}, Term(1));
  follower.step(append(follower, 1, at(2, 1), {}, 2));
  follower.step(append(follower, 2, at(0, 0), {2}));
  EXPECT_EQ(follower.raft().log().last(), at(2, 1));
  Message beyond = follower.message(MessageKind::kHeartbeat, 2, 2);
  beyond.commit = LogIndex(50);
  follower.step(beyond);
  EXPECT_EQ(follower.raft().commit(), LogIndex(2));
  follower.step(follower.message(MessageKind::kHeartbeat, 3, 2));
  EXPECT_THAT(follower.effects().violations, SizeIs(2)) << "a commit beyond the log, a second leader";

  Member leader;
  leader.become_leader();
  leader.acknowledge(2, 99);
  EXPECT_EQ(leader.raft().commit(), LogIndex(0));
  leader.step(append(leader, 1, at(0, 0), {}));
  EXPECT_EQ(leader.raft().role(), RaftRole::kLeader);
  EXPECT_THAT(leader.effects().violations, SizeIs(2));
}

}  // namespace
}  // namespace dogfs::raft
