#include "fuzz/raft_group.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "fuzz/raft_operations.h"

namespace dogfs::fuzz {
namespace {

// Messages under way; beyond, the oldest are lost.
constexpr size_t kMostMessages = 256;
constexpr int kConvergenceRounds = 400;
constexpr uint64_t kMostNodes = 8;
constexpr Duration kLeaseDriftBound = milliseconds(60);

}  // namespace

// Small limits, so that one entry an append, full windows, refused proposals and evicted entries are common.
raft::Options RaftGroup::draw_options(Input& input) {
  raft::Options options;
  options.append = {1 + size_t{input.byte()}, 1 + input.below(8)};
  options.apply = {1 + size_t{input.byte()}, 1 + input.below(5)};
  options.flow = {1 + input.below(6), 1 + size_t{input.byte()} * 4};
  options.max_uncommitted_bytes = 100 + size_t{input.byte()} * 8;
  options.max_cached_bytes = input.flag() ? 1 + size_t{input.byte()} * 2 : kMaxLogCacheBytes;
  if (input.flag()) {
    options.compaction.keep.max_entries = 1 + input.below(4);
    options.compaction.hold.max_entries = options.compaction.keep.max_entries + input.below(4);
  }
  if (input.flag()) options.lease_drift_bound = kLeaseDriftBound;
  return options;
}

RaftGroup::RaftGroup(Input& input)
    : options_(draw_options(input)), cluster_(1 + 2 * input.below(3), options_, input.byte()) {
  for (auto& [id, node] : cluster_.nodes()) draw_clock(node, input);
}

// Leases rely on clocks that keep to the bound; nothing else relies on any.
void RaftGroup::draw_clock(raft::TestNode& node, Input& input) {
  constexpr int64_t kMillion = 1'000'000;
  const int64_t most_ppm =
      options_.lease_drift_bound ? *options_.lease_drift_bound * kMillion / options_.election_timeout : kMillion;
  node.drift_ppm = most_ppm * input.byte() / 256;
}

void RaftGroup::step(Input& input) {
  const RaftOperation operation = kRaftOperations[input.below(std::size(kRaftOperations))];
  if (operation == RaftOperation::kDeliver) return move_message(input);
  if (operation == RaftOperation::kLose) {
    if (!cluster_.network().empty()) cluster_.network().pop_front();
    return;
  }
  const NodeId node = draw_node(input);
  switch (operation) {
    case RaftOperation::kTick:
      cluster_.advance(milliseconds(input.byte()) * (input.flag() ? 4 : 1));
      return cluster_.tick(node);
    case RaftOperation::kPersist:
      return cluster_.persist_one(node);
    case RaftOperation::kApply:
      return cluster_.apply(node);
    case RaftOperation::kFetch:
      return cluster_.answer_fetches(node);
    case RaftOperation::kReadState:
      return cluster_.read_snapshots(node);
    case RaftOperation::kStage:
      return cluster_.stage(node);
    case RaftOperation::kInstall:
      return cluster_.install(node);
    case RaftOperation::kPropose:
      return propose(node, input);
    case RaftOperation::kRead:
      return read(node);
    case RaftOperation::kCampaign:
      // That nobody does this out of turn is what a lease relies on.
      return options_.lease_drift_bound ? void() : cluster_.campaign(node);
    case RaftOperation::kTransfer:
      cluster_.transfer(node, draw_node(input));
      return;
    case RaftOperation::kChange:
      return change_membership(node, input);
    default:
      return crash(node, input);
  }
}

void RaftGroup::propose(NodeId node, Input& input) {
  std::vector<std::string> commands;
  const size_t count = 1 + input.below(3);
  for (size_t i = 0; i < count; ++i) commands.push_back("c" + std::to_string(++last_command_));
  cluster_.propose(node, std::move(commands));
}

void RaftGroup::read(NodeId node) {
  // As a replica does: a lease is judged by the time at which somebody asks.
  cluster_.tick(node);
  const uint64_t context = ++last_read_;
  read_floor_[context] = cluster_.history().committed();
  if (!cluster_.read(node, context)) read_floor_.erase(context);
}

// Any change that makes sense: of one member, or of several at once. A node that is added begins with an empty disk.
void RaftGroup::change_membership(NodeId id, Input& input) {
  if (!cluster_.node(id).raft) return;
  const raft::Configuration now = cluster_.node(id).raft->configuration();
  raft::MembershipChange change;
  for (const NodeId voter : now.voters) {
    const uint8_t choice = input.byte();
    if (choice % 4 == 0) (choice & 4 ? change.demote : change.remove).push_back(voter);
  }
  for (const NodeId learner : now.learners) {
    const uint8_t choice = input.byte();
    if (choice % 2 == 0) (choice & 4 ? change.remove : change.promote).push_back(learner);
  }
  const NodeId next = now.last_id.next();
  // Ids are given out one by one: only a forged configuration knows more.
  const bool may_add = next.value() <= std::min<uint64_t>(cluster_.nodes().size() + 1, kMostNodes);
  if (may_add && input.flag()) {
    change.add.emplace(next, Address());
    if (!cluster_.nodes().contains(next)) {
      cluster_.join(next);
      draw_clock(cluster_.node(next), input);
    }
  }
  // What makes no sense, or comes too early, is refused.
  static_cast<void>(cluster_.change(id, change));
}

// Crashes the node, or starts it again.
void RaftGroup::crash(NodeId id, Input& input) {
  raft::TestNode& node = cluster_.node(id);
  if (!node.raft) return cluster_.restart(id);
  const size_t survive = input.below(8);
  const size_t applied = std::min<size_t>(input.byte(), node.disk.machine.size());
  cluster_.crash(id, survive, LogIndex(node.disk.machine.size() - applied));
}

// Delivers a message that is under way; it may stay under way, to arrive again.
void RaftGroup::move_message(Input& input) {
  std::deque<raft::Message>& network = cluster_.network();
  if (network.empty()) return;
  while (network.size() > kMostMessages) network.pop_front();
  const uint8_t choice = input.byte();
  const bool again = choice >= 0xE0;
  const auto which = network.begin() + static_cast<std::ptrdiff_t>((again ? choice - 0xE0 : choice) % network.size());
  const raft::Message message = again ? *which : std::move(*which);
  if (!again) network.erase(which);
  cluster_.deliver(message);
}

// A read must see everything that was committed anywhere when it was asked for.
void RaftGroup::check_reads() {
  for (auto& [id, node] : cluster_.nodes()) {
    for (const raft::CompletedReads& reads : std::exchange(node.reads, {})) {
      for (const uint64_t context : reads.contexts) {
        DOGFS_CHECK(reads.index >= read_floor_[context], "no read is stale");
      }
    }
    node.failed_reads.clear();
  }
}

void RaftGroup::check() {
  if (cluster_.violation()) DOGFS_CHECK(false, *cluster_.violation());
  check_reads();
}

void RaftGroup::converge() {
  for (auto& [id, node] : cluster_.nodes()) {
    if (!node.raft) cluster_.restart(id);
  }
  for (int round = 0; round < kConvergenceRounds; ++round) {
    cluster_.settle();
    check();
    if (converged()) return;
    cluster_.advance(milliseconds(20));
    for (auto& [id, node] : cluster_.nodes()) cluster_.tick(id);
  }
  DOGFS_CHECK(false, "the group agrees when nothing fails any more");
}

bool RaftGroup::converged() {
  const NodeId leader = cluster_.leader();
  if (leader.is_none()) return false;
  const raft::TestNode& leading = cluster_.node(leader);
  const LogIndex applied(leading.disk.machine.size());
  if (leading.raft->log().term_at(applied) != leading.raft->term()) return false;
  const raft::Configuration& members = leading.raft->configuration();
  if (members.is_joint()) return false;
  for (auto& [id, node] : cluster_.nodes()) {
    if (members.is_member(id) && node.disk.machine.size() != applied.value()) return false;
  }
  return true;
}

}  // namespace dogfs::fuzz
