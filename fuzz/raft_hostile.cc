// One member of a Raft group against peers that send anything: no message that the codec lets through may bring the
// process down or make the member break its own promises (what it voted, what it has committed). What such a peer does
// to the group is another matter: Raft does not promise to withstand liars.
#include "core/base/check.h"
#include "core/raft/codec.h"
#include "fuzz/raft_group.h"

namespace dogfs::fuzz {
namespace {

constexpr size_t kMostEntries = 4;
constexpr size_t kMostSnapshotEntries = 64;
constexpr uint64_t kMostForgedMembers = 4;

// The state at `position`, made up, as if it were the first part of a snapshot.
std::shared_ptr<const raft::SnapshotChunk> forge_chunk(Input& input, raft::LogPosition position) {
  raft::SnapshotChunk chunk;
  chunk.last = input.flag();
  chunk.configuration.configuration = raft::initial_configuration({{NodeId(1 + input.below(3)), Address()}});
  std::vector<raft::Entry> applied;
  for (LogIndex index(1); index <= position.index; ++index) {
    applied.push_back(raft::Entry{index, position.term, raft::EntryType::kNoop, nullptr});
  }
  chunk.rows = raft::encode_rows(applied);
  return std::make_shared<const raft::SnapshotChunk>(std::move(chunk));
}

// Who is in the group, made up: any sets of a few nodes, which the codec refuses where they contradict each other.
raft::Configuration forge_configuration(Input& input) {
  raft::Configuration configuration;
  const uint8_t voters = input.byte();
  const uint8_t others = input.byte();
  for (uint64_t id = 1; id <= kMostForgedMembers; ++id) {
    const NodeId node(id);
    const bool votes = (voters >> (id - 1) & 1) != 0;
    const bool voted = (voters >> (id - 1 + kMostForgedMembers) & 1) != 0;
    const bool learns = (others >> (id - 1) & 1) != 0;
    if (votes) configuration.voters.push_back(node);
    if (voted) configuration.outgoing.push_back(node);
    if (learns) (voted ? configuration.learners_next : configuration.learners).push_back(node);
    if (votes || voted || learns) configuration.addresses.emplace(node, Address());
  }
  configuration.last_id = NodeId(kMostForgedMembers);
  return configuration;
}

raft::Entry forge_entry(Input& input, raft::LogPosition position) {
  const uint8_t choice = input.byte();
  if (choice % 8 == 7) return raft::configuration_entry(position, forge_configuration(input));
  if (choice % 2 == 0) return {position.index, position.term, raft::EntryType::kNoop, nullptr};
  return {position.index, position.term, raft::EntryType::kCommand, std::make_shared<const std::string>("forged")};
}

// A message of small numbers, which are those that mean something to the member.
raft::Message draw_message(Input& input, size_t members) {
  constexpr raft::MessageKind kKinds[] = {
      raft::MessageKind::kPreVote,   raft::MessageKind::kPreVoteReply,   raft::MessageKind::kVote,
      raft::MessageKind::kVoteReply, raft::MessageKind::kAppend,         raft::MessageKind::kAppendReply,
      raft::MessageKind::kHeartbeat, raft::MessageKind::kHeartbeatReply, raft::MessageKind::kTimeoutNow,
      raft::MessageKind::kSnapshot,  raft::MessageKind::kSnapshotReply};
  raft::Message message;
  message.kind = kKinds[input.below(std::size(kKinds))];
  message.from = NodeId(1 + input.below(members + 1));
  message.to = NodeId(1 + input.below(members));
  message.term = Term(1 + input.number());
  message.log = {LogIndex(input.number()), Term(input.number())};
  message.commit = LogIndex(input.number());
  message.reject = input.flag();
  message.hint = {LogIndex(input.number()), Term(input.number())};
  message.read_round = input.number();
  message.transfer = input.flag();
  message.snapshot = input.below(4);
  if (message.kind == raft::MessageKind::kSnapshotReply) message.next_chunk = input.below(4);
  if (message.kind == raft::MessageKind::kSnapshot) {
    message.log.index = LogIndex(input.below(kMostSnapshotEntries));
    message.chunk = forge_chunk(input, message.log);
  }
  if (message.kind != raft::MessageKind::kAppend) return message;
  raft::LogPosition last = message.log;
  for (size_t i = input.below(kMostEntries + 1); i > 0; --i) {
    last = {last.index.next(), Term(last.term.value() + input.below(3))};
    message.entries.push_back(forge_entry(input, last));
  }
  return message;
}

// Only what would come through the wire.
void forge(RaftGroup& group, Input& input) {
  wire::RaftMessage encoded;
  raft::encode_message(draw_message(input, group.cluster().nodes().size()), encoded);
  Result<raft::Message> message = raft::decode_message(std::move(encoded));
  if (message) group.cluster().deliver(message.value());
}

// Holds each member to what it was before the last step.
class Watch {
 public:
  void check(raft::TestCluster& cluster) {
    for (const auto& [id, node] : cluster.nodes()) {
      const auto known = before_.find(id);
      if (!node.raft) {
        before_.erase(id);
        continue;
      }
      const raft::NodeView view = raft::view_of(*node.raft);
      if (const raft::Violation broken = raft::check_node(view)) DOGFS_CHECK(false, *broken);
      if (known != before_.end() && known->second.incarnation == node.incarnation) {
        if (const raft::Violation broken = raft::check_step(known->second.snapshot, view)) DOGFS_CHECK(false, *broken);
      }
      before_.insert_or_assign(id, Before{node.incarnation, raft::snapshot_of(view)});
    }
  }

 private:
  struct Before {
    uint64_t incarnation;
    raft::NodeSnapshot snapshot;
  };
  std::map<NodeId, Before> before_;
};

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace dogfs;
  fuzz::Input input(data, size);
  fuzz::RaftGroup group(input);
  fuzz::Watch watch;
  while (!input.empty()) {
    if (input.below(3) == 0) {
      fuzz::forge(group, input);
    } else {
      group.step(input);
    }
    watch.check(group.cluster());
  }
  return 0;
}
