#include "core/raft/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dogfs {

std::string_view role_name(RaftRole role) {
  switch (role) {
    case RaftRole::kFollower:
      return "follower";
    case RaftRole::kPreCandidate:
      return "pre-candidate";
    case RaftRole::kCandidate:
      return "candidate";
    case RaftRole::kLeader:
      return "leader";
  }
  return "unknown";
}

namespace raft {

std::string_view message_kind_name(MessageKind kind) {
  switch (kind) {
    case MessageKind::kPreVote:
      return "PreVote";
    case MessageKind::kPreVoteReply:
      return "PreVoteReply";
    case MessageKind::kVote:
      return "Vote";
    case MessageKind::kVoteReply:
      return "VoteReply";
    case MessageKind::kAppend:
      return "Append";
    case MessageKind::kAppendReply:
      return "AppendReply";
    case MessageKind::kHeartbeat:
      return "Heartbeat";
    case MessageKind::kHeartbeatReply:
      return "HeartbeatReply";
    case MessageKind::kTimeoutNow:
      return "TimeoutNow";
    case MessageKind::kSnapshot:
      return "Snapshot";
    case MessageKind::kSnapshotReply:
      return "SnapshotReply";
  }
  return "Unknown";
}

std::string_view progress_state_name(Progress::State state) {
  switch (state) {
    case Progress::State::kProbe:
      return "probe";
    case Progress::State::kReplicate:
      return "replicate";
    case Progress::State::kSnapshot:
      return "snapshot";
  }
  return "unknown";
}

std::string describe(LogPosition position) {
  return fmt::format("{}/{}", position.index, position.term);
}

std::string describe(const Configuration& configuration) {
  std::string text = fmt::format("voters ({})", fmt::join(configuration.voters, " "));
  const auto add = [&](std::string_view name, const std::vector<NodeId>& nodes) {
    if (!nodes.empty()) text += fmt::format(" {} ({})", name, fmt::join(nodes, " "));
  };
  add("outgoing", configuration.outgoing);
  add("learners", configuration.learners);
  add("learners next", configuration.learners_next);
  return text;
}

std::string describe(const Entry& entry) {
  constexpr size_t kShownBytes = 32;
  const std::string where = describe(LogPosition{entry.index, entry.term});
  if (entry.type == EntryType::kNoop) return where + " noop";
  if (entry.configuration) return where + " " + describe(*entry.configuration);
  return fmt::format("{} \"{}\"", where, entry.text().substr(0, kShownBytes));
}

std::string describe(const Message& message) {
  std::string text =
      fmt::format("{}->{} {} t{}", message.from, message.to, message_kind_name(message.kind), message.term);
  switch (message.kind) {
    case MessageKind::kPreVote:
    case MessageKind::kVote:
      return text + " log " + describe(message.log) + (message.transfer ? " transfer" : "");
    case MessageKind::kPreVoteReply:
    case MessageKind::kVoteReply:
      return text + (message.reject ? " refused" : " granted");
    case MessageKind::kAppend: {
      text += fmt::format(" after {} commit {}", describe(message.log), message.commit);
      for (size_t i = 0; i < message.entries.size(); ++i) {
        text += (i == 0 ? " [" : ", ") + describe(message.entries[i]);
      }
      return message.entries.empty() ? text : text + "]";
    }
    case MessageKind::kAppendReply:
      if (!message.reject) return text + fmt::format(" match {}", message.log.index);
      return text + fmt::format(" rejected {} hint {}", message.log.index, describe(message.hint));
    case MessageKind::kTimeoutNow:
      return text;
    case MessageKind::kSnapshot:
      return text + fmt::format(" #{} at {} part {}{}", message.snapshot, describe(message.log), message.chunk->number,
                                message.chunk->last ? ", the last" : "");
    case MessageKind::kSnapshotReply:
      return text +
             fmt::format(" #{} at {} wants part {}", message.snapshot, describe(message.log), message.next_chunk);
    case MessageKind::kHeartbeat:
      text += fmt::format(" commit {}", message.commit);
      break;
    case MessageKind::kHeartbeatReply:
      break;
  }
  return message.read_round == 0 ? text : text + fmt::format(" round {}", message.read_round);
}

}  // namespace raft
}  // namespace dogfs
