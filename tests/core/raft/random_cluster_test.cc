// Thousands of random schedules over groups in memory: messages lost, doubled, reordered and delayed, disks that lag,
// crashes that lose what was not synced, followers that fall behind so far that they are sent snapshots. Every schedule is a function of its seed.
//
// To repeat one: DOGFS_RAFT_SEED=17 raft_random_cluster_test. To try more: DOGFS_RAFT_SCHEDULES=100000.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "core/base/hash.h"
#include "core/base/mutant.h"
#include "core/raft/describe.h"
#include "tests/core/raft/cluster.h"

namespace dogfs::raft {
namespace {

class Draws {
 public:
  explicit Draws(uint64_t seed) : state_(seed) {}
  uint64_t below(uint64_t bound) { return reduce64(combine64(state_, ++count_), bound); }
  bool one_in(uint64_t n) { return below(n) == 0; }

 private:
  uint64_t state_;
  uint64_t count_ = 0;
};

constexpr uint64_t kNever = UINT64_MAX;  // for one_in()

// What a schedule does more or less often: drawn once for each, so that schedules differ in kind.
struct Temper {
  uint64_t drop_one_in;
  uint64_t double_one_in;
  uint64_t crash_one_in;
  uint64_t crash_receiver_one_in;  // who has parts of a snapshot, and comes back at once
  uint64_t campaign_one_in;
  uint64_t partition_one_in;
  uint64_t longest_wait_ms;
  uint64_t change_one_in;  // of the membership
  uint64_t transfer_one_in;
  uint64_t cut_off_for;  // steps, at least
  bool ordered;
  bool slow_disks;
  // Of members whose stores have ids: how often, and of how many at most, the disk is emptied.
  uint64_t lose_disk_one_in;
  size_t most_lost;
};

class Schedule {
 public:
  explicit Schedule(uint64_t seed)
      : draws_(seed),
        temper_(draw_temper(draws_)),
        cluster_(draws_.one_in(6)   ? 1
                 : draws_.one_in(2) ? 3
                                    : 5,
                 options(draws_), seed, draws_.one_in(3) ? TestStores::kNamed : TestStores::kNameless) {
    draw_losses();
    for (auto& [id, node] : cluster_.nodes()) draw_clock(node);
    const uint64_t most_per_part = draws_.one_in(2) ? 3 : 40;
    cluster_.entries_per_part = 1 + draws_.below(most_per_part);
  }

  // Runs `steps` random steps, then heals everything. Returns the first broken promise.
  Violation run(size_t steps) {
    for (size_t i = 0; i < steps && !cluster_.violation(); ++i) {
      step();
      check_reads();
    }
    installed_in_trouble_ = cluster_.installed();
    if (!cluster_.violation() && !read_violation_) heal();
    return cluster_.violation() ? cluster_.violation() : read_violation_;
  }

  LogIndex committed() { return cluster_.history().committed(); }
  size_t changes() const { return changes_; }
  size_t lost() const { return lost_.size(); }
  // While faults lasted, and in all.
  size_t installed_in_trouble() const { return installed_in_trouble_; }
  size_t installed() const { return cluster_.installed(); }
  // Transfers of snapshots that outlived a restart of who received them.
  size_t resumed() const { return cluster_.resumed(); }

 private:
  static Temper draw_temper(Draws& draws) {
    Temper temper{};
    temper.drop_one_in = 3 + draws.below(40);
    temper.double_one_in = 5 + draws.below(50);
    temper.crash_one_in = 30 + draws.below(400);
    temper.crash_receiver_one_in = draws.one_in(2) ? kNever : 1 + draws.below(10);
    temper.campaign_one_in = 20 + draws.below(300);
    temper.partition_one_in = 20 + draws.below(400);
    temper.change_one_in = draws.one_in(2) ? kNever : 20 + draws.below(200);
    temper.transfer_one_in = draws.one_in(2) ? kNever : 20 + draws.below(200);
    temper.longest_wait_ms = draws.one_in(2) ? 30 : 700;
    // Half of the schedules leave somebody behind for long.
    temper.cut_off_for = draws.one_in(2) ? 0 : 100 + draws.below(300);
    temper.ordered = draws.one_in(3);
    temper.slow_disks = draws.one_in(3);
    return temper;
  }

  // A group survives the loss of a minority of its disks. What becomes of it when more are lost is promised by nobody:
  // docs/operations.md has them replaced before.
  void draw_losses() {
    const size_t size = cluster_.nodes().size();
    const bool named = !cluster_.node(NodeId(1)).disk.store.is_none();
    temper_.lose_disk_one_in = named && size > 1 && draws_.one_in(2) ? 100 + draws_.below(500) : kNever;
    temper_.most_lost = draws_.one_in(3) ? 1 : (size - 1) / 2;
    if (temper_.lose_disk_one_in < kNever) temper_.change_one_in = kNever;
  }

  static Options options(Draws& draws) {
    Options options;
    // Small limits, so that one entry an append, full windows, refused proposals and evicted entries are common.
    options.append = EntryLimits{draws.one_in(2) ? size_t{1} : 4 * kEntryOverheadBytes, 8};
    options.apply = EntryLimits{1 + draws.below(400), 1 + draws.below(5)};
    options.flow = FlowLimits{1 + draws.below(6), 1 + draws.below(1000)};
    options.max_uncommitted_bytes = 100 + draws.below(2000);
    options.max_cached_bytes = draws.one_in(2) ? 1 + draws.below(400) : kMaxLogCacheBytes;
    if (draws.one_in(3)) options.lease_drift_bound = kDriftBound;
    if (draws.one_in(2)) {
      options.compaction.keep.max_entries = 1 + draws.below(6);
      options.compaction.hold.max_entries = options.compaction.keep.max_entries + draws.below(4);
    }
    return options;
  }

  // Leases rely on clocks that keep to the bound; nothing else relies on any.
  void draw_clock(TestNode& node) {
    constexpr int64_t kMillion = 1'000'000;
    const bool leased = node.raft->options().lease_drift_bound.has_value();
    const int64_t most_ppm = leased ? kDriftBound * kMillion / node.raft->options().election_timeout : kMillion;
    node.drift_ppm = static_cast<int64_t>(draws_.below(static_cast<uint64_t>(most_ppm)));
  }

  NodeId any_node() { return NodeId(1 + draws_.below(cluster_.nodes().size())); }

  // Half of the time the leader, if there is one: what befalls leaders is what elections are for.
  NodeId likely_leader(NodeId otherwise) {
    const NodeId leader = cluster_.leader();
    return leader.is_none() || draws_.one_in(2) ? otherwise : leader;
  }

  void step() {
    const NodeId id = any_node();
    TestNode& node = cluster_.node(id);
    if (draws_.one_in(temper_.crash_one_in)) return crash(likely_leader(id));
    if (draws_.one_in(temper_.lose_disk_one_in)) return lose_disk(likely_leader(id));
    if (!node.raft) {
      if (draws_.one_in(8)) cluster_.restart(id);
      return;
    }
    if (node.disk.parts && draws_.one_in(temper_.crash_receiver_one_in)) {
      crash(id);
      return cluster_.restart(id);
    }
    // A campaign out of turn is what a lease relies on that nobody does.
    const bool leased = node.raft->options().lease_drift_bound.has_value();
    if (!leased && draws_.one_in(temper_.campaign_one_in)) return cluster_.campaign(id);
    if (draws_.one_in(temper_.change_one_in)) return change_membership(likely_leader(id));
    if (draws_.one_in(temper_.transfer_one_in)) return transfer(likely_leader(id));
    if (cut_off_until_ > 0) --cut_off_until_;
    if (cut_off_until_ == 0 && draws_.one_in(temper_.partition_one_in)) {
      cut_off_ = draws_.one_in(3) ? NodeId() : likely_leader(id);
      cut_off_until_ = temper_.cut_off_for;
    }
    switch (draws_.below(14)) {
      case 0:
        return propose(id);
      case 1:
        cluster_.advance(milliseconds(static_cast<int64_t>(draws_.below(temper_.longest_wait_ms))));
        return cluster_.tick(id);
      case 2:
      case 3:
        return temper_.slow_disks && !draws_.one_in(4) ? void() : cluster_.persist_one(id);
      case 4:
        return draws_.one_in(2) ? cluster_.apply(id) : cluster_.answer_fetches(id);
      case 5:
        return draws_.one_in(3) ? read(id) : void();
      case 6:
        return cluster_.read_snapshots(id);
      case 7:
        if (!temper_.slow_disks || draws_.one_in(4)) cluster_.stage(id);
        return draws_.one_in(3) ? cluster_.install(id) : void();
      default:
        return move_message();
    }
  }

  void crash(NodeId id) {
    TestNode& node = cluster_.node(id);
    if (!node.raft) return;
    const size_t survive = draws_.below(node.disk.unsynced.size() + 1);
    const LogIndex applied(draws_.below(node.disk.machine.size() + 1));
    cluster_.crash(id, survive, applied);
  }

  void lose_disk(NodeId id) {
    if (!lost_.contains(id) && lost_.size() >= temper_.most_lost) return;
    lost_.insert(id);
    cluster_.lose_disk(id);
  }

  void propose(NodeId id) {
    std::vector<std::string> commands;
    const size_t count = 1 + draws_.below(3);
    for (size_t i = 0; i < count; ++i) commands.push_back("c" + std::to_string(++last_command_));
    cluster_.propose(id, std::move(commands));
  }

  // Any change that makes sense: one node, or several at once.
  void change_membership(NodeId id) {
    if (!cluster_.node(id).raft) return;
    const Configuration now = cluster_.node(id).raft->configuration();
    MembershipChange change;
    for (const NodeId voter : now.voters) {
      if (draws_.one_in(4)) (draws_.one_in(3) ? change.demote : change.remove).push_back(voter);
    }
    for (const NodeId learner : now.learners) {
      if (draws_.one_in(2)) (draws_.one_in(4) ? change.remove : change.promote).push_back(learner);
    }
    const NodeId next = now.last_id.next();
    if (next.value() <= kMostNodes && draws_.one_in(2)) {
      change.add.emplace(next, Address());
      if (!cluster_.nodes().contains(next)) {
        cluster_.join(next);
        draw_clock(cluster_.node(next));
      }
    }
    if (cluster_.change(id, change)) ++changes_;
  }

  void transfer(NodeId id) {
    if (cluster_.node(id).raft) cluster_.transfer(id, any_node());
  }

  void read(NodeId id) {
    const uint64_t context = ++last_read_;
    const LogIndex floor = cluster_.history().committed();
    if (cluster_.read(id, context)) read_floor_[context] = floor;
  }

  // A read must see everything that was committed anywhere when it was asked for.
  void check_reads() {
    for (auto& [id, node] : cluster_.nodes()) {
      for (const CompletedReads& reads : std::exchange(node.reads, {})) {
        for (const uint64_t context : reads.contexts) {
          if (reads.index < read_floor_[context])
            read_violation_ = "a stale read at node " + std::to_string(id.value());
        }
      }
      node.failed_reads.clear();
    }
  }

  void move_message() {
    std::deque<Message>& network = cluster_.network();
    if (network.empty()) return;
    const size_t which = temper_.ordered ? 0 : draws_.below(std::min<size_t>(network.size(), 12));
    const Message message = network[which];
    if (draws_.one_in(temper_.double_one_in)) {
      if (network.size() < 500) network.push_back(message);
    }
    network.erase(network.begin() + static_cast<std::ptrdiff_t>(which));
    if (message.from == cut_off_ || message.to == cut_off_) return;
    if (!draws_.one_in(temper_.drop_one_in)) cluster_.deliver(message);
  }

  // Nothing fails any more: the group must agree on everything within a few elections.
  void heal() {
    for (auto& [id, node] : cluster_.nodes()) {
      if (!node.raft) cluster_.restart(id);
    }
    for (int round = 0; round < 400 && !cluster_.violation(); ++round) {
      cluster_.settle();
      check_reads();
      if (converged()) return;
      cluster_.advance(milliseconds(20));
      for (auto& [id, node] : cluster_.nodes()) cluster_.tick(id);
    }
    if (!cluster_.violation()) read_violation_ = "the group did not converge after all faults had ended:" + describe();
  }

  // For a failure.
  std::string describe() {
    std::string text;
    for (auto& [id, node] : cluster_.nodes()) {
      const Raft& raft = *node.raft;
      text +=
          fmt::format("\n  {} is {} of term {}, log {} to {}, commit {}, applied {}{}; {}", id, role_name(raft.role()),
                      raft.term(), raft::describe(raft.log().base()), raft::describe(raft.log().last()), raft.commit(),
                      raft.applied(), raft.is_installing() ? ", installs" : "", raft::describe(raft.configuration()));
      for (const auto& [peer, progress] : raft.progress()) {
        text += fmt::format("\n    {}: {} match {} next {}", peer, progress_state_name(progress.state()),
                            progress.match(), progress.next());
        if (progress.snapshot()) {
          text += fmt::format(", snapshot #{} at {} part {}{}", progress.snapshot()->number,
                              raft::describe(progress.snapshot()->position), progress.snapshot()->chunk,
                              progress.snapshot()->reading ? ", being read" : "");
        }
      }
    }
    return text;
  }

  bool converged() {
    const NodeId leader = cluster_.leader();
    if (leader.is_none()) return false;
    const std::vector<Entry>& machine = cluster_.node(leader).disk.machine;
    if (cluster_.node(leader).raft->log().term_at(LogIndex(machine.size())) != cluster_.node(leader).raft->term()) {
      return false;
    }
    const Configuration& members = cluster_.node(leader).raft->configuration();
    if (members.is_joint()) return false;
    for (auto& [id, node] : cluster_.nodes()) {
      const StoreId counted = members.store_of(id);
      if (!counted.is_none() && counted != node.disk.store) continue;
      if (members.is_member(id) && node.disk.machine.size() != machine.size()) return false;
    }
    return true;
  }

  static constexpr uint64_t kMostNodes = 8;
  static constexpr Duration kDriftBound = milliseconds(60);

  size_t changes_ = 0;
  Draws draws_;
  Temper temper_;
  TestCluster cluster_;
  size_t installed_in_trouble_ = 0;
  uint64_t cut_off_until_ = 0;
  NodeId cut_off_;  // from everybody else; none: all are connected
  uint64_t last_command_ = 0;
  uint64_t last_read_ = 0;
  std::map<uint64_t, LogIndex> read_floor_;
  std::set<NodeId> lost_;  // whose disks were emptied
  Violation read_violation_;
};

constexpr size_t kSteps = 1500;

TEST(RandomCluster, EveryScheduleKeepsRaftsPromises) {
  const char* chosen = std::getenv("DOGFS_RAFT_SEED");
  const uint64_t first = chosen ? std::strtoull(chosen, nullptr, 10) : 1;
  const char* wanted = std::getenv("DOGFS_RAFT_SCHEDULES");
  const uint64_t count = chosen ? 1 : wanted ? std::strtoull(wanted, nullptr, 10) : 1000;
  uint64_t committed = 0;
  uint64_t changes = 0;
  uint64_t installed_in_trouble = 0;
  uint64_t resumed = 0;
  uint64_t installed = 0;
  uint64_t lost = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    Schedule schedule(seed);
    const Violation violation = schedule.run(kSteps);
    ASSERT_EQ(violation, std::nullopt) << "DOGFS_RAFT_SEED=" << seed;
    committed += schedule.committed().value();
    changes += schedule.changes();
    installed_in_trouble += schedule.installed_in_trouble();
    resumed += schedule.resumed();
    lost += schedule.lost();
    installed += schedule.installed();
  }
  printf(
      "%llu entries committed, %llu changes of membership, %llu snapshots installed, %llu of them among faults, "
      "%llu transfers resumed, %llu disks lost\n",
      static_cast<unsigned long long>(committed), static_cast<unsigned long long>(changes),
      static_cast<unsigned long long>(installed), static_cast<unsigned long long>(installed_in_trouble),
      static_cast<unsigned long long>(resumed), static_cast<unsigned long long>(lost));
  if (!chosen) EXPECT_GT(changes, count / 10) << "schedules that change no membership test less";
  if (!chosen) EXPECT_GT(installed_in_trouble, count / 100) << "few snapshots were sent while something failed";
  if (!chosen) EXPECT_GT(resumed, count / 200) << "few transfers of snapshots outlived a restart";
  if (!chosen) EXPECT_GT(lost, count / 10) << "few disks were lost";
  if (!chosen) EXPECT_GT(committed, count) << "schedules that commit nothing test nothing";
}

TEST(RandomCluster, ASeedGivesTheSameRunTwice) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Schedule once(seed);
    Schedule again(seed);
    once.run(kSteps);
    again.run(kSteps);
    EXPECT_EQ(once.committed(), again.committed());
  }
}

#ifdef DOGFS_MUTANTS

// A famous bug, planted: some schedule must show it, which keeps all promises without it.
class Mutants : public testing::TestWithParam<Mutant> {};

bool is_caught(Mutant mutant, uint64_t seed) {
  set_active_mutant(mutant);
  const bool broken = Schedule(seed).run(kSteps).has_value();
  set_active_mutant(Mutant::kNone);
  return broken && !Schedule(seed).run(kSteps).has_value();
}

TEST_P(Mutants, AreCaught) {
  uint64_t caught_by = 0;
  for (uint64_t seed = 1; seed <= 50000 && caught_by == 0; ++seed) {
    if (is_caught(GetParam(), seed)) caught_by = seed;
  }
  ASSERT_NE(caught_by, 0u) << mutant_name(GetParam());
  printf("%s: caught by seed %llu\n", std::string(mutant_name(GetParam())).c_str(),
         static_cast<unsigned long long>(caught_by));
}

INSTANTIATE_TEST_SUITE_P(All, Mutants,
                         testing::Values(Mutant::kAckBeforeSync, Mutant::kVoteTwice, Mutant::kForgetVote,
                                         Mutant::kVoteForShorterLog, Mutant::kCommitOlderTerm, Mutant::kCommitAlone,
                                         Mutant::kCountUnsyncedSelf, Mutant::kApplyBeforeDurable,
                                         Mutant::kAppendWithoutMatch, Mutant::kTruncateWithoutConflict,
                                         Mutant::kCommitWithoutMatch, Mutant::kReadBeforeTermCommit,
                                         Mutant::kReadUnconfirmed, Mutant::kSnapshotKeepsTail));

#endif

}  // namespace
}  // namespace dogfs::raft
