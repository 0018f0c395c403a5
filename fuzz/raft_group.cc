#include "fuzz/raft_group.h"

#include <utility>
#include <vector>

#include "core/base/check.h"

namespace dogfs::fuzz {
namespace {

// Messages under way; beyond, the oldest are lost.
constexpr size_t kMostMessages = 256;
constexpr int kConvergenceRounds = 400;

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
  return options;
}

RaftGroup::RaftGroup(Input& input) : cluster_(1 + 2 * input.below(3), draw_options(input), input.byte()) {}

void RaftGroup::step(Input& input) {
  enum Operation : uint8_t {
    kDeliver,
    kLose,
    kTick,
    kPersist,
    kApply,
    kFetch,
    kReadState,
    kStage,
    kInstall,
    kPropose,
    kRead,
    kCampaign,
    kTransfer,
    kCrash
  };
  // Deliveries are what most schedules lack most.
  constexpr Operation kOperations[] = {kDeliver,  kDeliver, kDeliver, kDeliver, kDeliver, kLose,     kTick,
                                       kTick,     kPersist, kPersist, kApply,   kFetch,   kPropose,  kCampaign,
                                       kTransfer, kRead,    kCrash,   kStage,   kInstall, kReadState};
  const Operation operation = kOperations[input.below(std::size(kOperations))];
  if (operation == kDeliver) return move_message(input);
  if (operation == kLose) {
    if (!cluster_.network().empty()) cluster_.network().pop_front();
    return;
  }
  const NodeId node = draw_node(input);
  switch (operation) {
    case kTick:
      cluster_.advance(milliseconds(input.byte()) * (input.flag() ? 4 : 1));
      return cluster_.tick(node);
    case kPersist:
      return cluster_.persist_one(node);
    case kApply:
      return cluster_.apply(node);
    case kFetch:
      return cluster_.answer_fetches(node);
    case kReadState:
      return cluster_.read_snapshots(node);
    case kStage:
      return cluster_.stage(node);
    case kInstall:
      return cluster_.install(node);
    case kPropose:
      return propose(node, input);
    case kRead:
      return read(node);
    case kCampaign:
      return cluster_.campaign(node);
    case kTransfer:
      cluster_.transfer(node, draw_node(input));
      return;
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
  const uint64_t context = ++last_read_;
  read_floor_[context] = cluster_.history().committed();
  if (!cluster_.read(node, context)) read_floor_.erase(context);
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
  for (auto& [id, node] : cluster_.nodes()) {
    if (node.disk.machine.size() != applied.value()) return false;
  }
  return true;
}

}  // namespace dogfs::fuzz
