#include "sim/trace_messages.h"

#include <fmt/format.h>
#include <google/protobuf/empty.pb.h>

#include <algorithm>
#include <span>
#include <utility>

#include "core/base/check.h"
#include "core/base/error.h"
#include "core/wire/chunk.pb.h"
#include "core/wire/frame.h"
#include "core/wire/meta.pb.h"
#include "core/wire/raft.pb.h"

namespace dogfs::sim {
namespace {

using namespace wire;  // the list of message types names its protobuf messages unqualified

constexpr size_t kMostDetail = 120;

std::string cut(std::string text) {
  if (text.size() <= kMostDetail) return text;
  text.resize(kMostDetail);
  return text + "...";
}

template <class Message>
std::string fields_of(std::string_view body) {
  Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return "";
  return cut(message.ShortDebugString());
}

// What the list of message types names where there is no reply.
using None = google::protobuf::Empty;

std::string request_fields(MessageType type, std::string_view body) {
  switch (type) {
#define X(name, number, request, reply) \
  case MessageType::name:               \
    return fields_of<request>(body);
    DOGFS_MESSAGE_TYPES(X)
#undef X
  }
  return "";
}

std::string reply_fields(MessageType type, std::string_view body) {
  switch (type) {
#define X(name, number, request, reply) \
  case MessageType::name:               \
    return fields_of<reply>(body);
    DOGFS_MESSAGE_TYPES(X)
#undef X
  }
  return "";
}

std::string_view raft_label(wire::RaftMessage::Type type) {
  using wire::RaftMessage;
  switch (type) {
    case RaftMessage::PRE_VOTE:
      return "PreVote";
    case RaftMessage::PRE_VOTE_REPLY:
      return "PreVoteReply";
    case RaftMessage::VOTE:
      return "Vote";
    case RaftMessage::VOTE_REPLY:
      return "VoteReply";
    case RaftMessage::APPEND:
      return "Append";
    case RaftMessage::APPEND_REPLY:
      return "AppendReply";
    case RaftMessage::HEARTBEAT:
      return "RaftHeartbeat";
    case RaftMessage::HEARTBEAT_REPLY:
      return "RaftHeartbeatReply";
    case RaftMessage::SNAPSHOT:
      return "Snapshot";
    case RaftMessage::SNAPSHOT_REPLY:
      return "SnapshotReply";
    case RaftMessage::TIMEOUT_NOW:
      return "TimeoutNow";
    default:
      return "Raft";
  }
}

std::string raft_detail(const wire::RaftMessage& message) {
  using wire::RaftMessage;
  const std::string term = fmt::format("term {}", message.term());
  const std::string position = fmt::format("{} (term {})", message.log_index(), message.log_term());
  switch (message.type()) {
    case RaftMessage::PRE_VOTE:
      return fmt::format("would you vote for me in {}? my log ends at {}", term, position);
    case RaftMessage::VOTE:
      return fmt::format("vote for me in {}; my log ends at {}", term, position);
    case RaftMessage::PRE_VOTE_REPLY:
    case RaftMessage::VOTE_REPLY:
      return fmt::format("{}, {}", message.reject() ? "no" : "yes", term);
    case RaftMessage::APPEND:
      return fmt::format("{}, {} entries after {}, commit {}", term, message.entries_size(), position,
                         message.commit());
    case RaftMessage::APPEND_REPLY:
      if (!message.reject()) return fmt::format("{}, stored up to {}", term, message.log_index());
      return fmt::format("{}, rejected what follows {}; go on from {}", term, message.log_index(),
                         message.hint_index());
    default:
      return fmt::format("{}, commit {}", term, message.commit());
  }
}

// Of several messages in one frame the label is that of the one that says most: the votes and appends.
MessageText describe_raft(std::string_view body) {
  wire::RaftMessages batch;
  if (!batch.ParseFromArray(body.data(), static_cast<int>(body.size())) || batch.messages_size() == 0) {
    return {"Raft", ""};
  }
  const auto telling = std::min_element(
      batch.messages().begin(), batch.messages().end(), [](const wire::RaftMessage& a, const wire::RaftMessage& b) {
        const auto is_heartbeat = [](const wire::RaftMessage& message) {
          return message.type() == wire::RaftMessage::HEARTBEAT || message.type() == wire::RaftMessage::HEARTBEAT_REPLY;
        };
        return is_heartbeat(a) < is_heartbeat(b);
      });
  std::string detail;
  for (const wire::RaftMessage& message : batch.messages()) {
    if (!detail.empty()) detail += "; ";
    if (message.type() != telling->type()) detail += fmt::format("{}: ", raft_label(message.type()));
    detail += raft_detail(message);
  }
  return {std::string(raft_label(telling->type())), cut(std::move(detail))};
}

std::string describe_reply(MessageType type, const Reply& reply) {
  if (reply.error.code == ErrorCode::kOk) return reply_fields(type, reply.body);
  std::string text = reply.error.to_string();
  if (!reply.leader.value.empty()) text += " (ask " + reply.leader.value + ")";
  return cut(std::move(text));
}

}  // namespace

MessageText describe_message(const Envelope& envelope) {
  const std::string name(message_type_name(envelope.type));
  if (envelope.kind == MessageKind::kRefused) return {name + "Reply", "connection refused"};
  if (envelope.kind == MessageKind::kReset) return {name + "Reply", "connection reset"};
  const auto bytes = std::as_bytes(std::span(envelope.frame));
  const Result<FrameHeader> header = decode_frame_header(bytes.first<kFrameHeaderBytes>());
  DOGFS_CHECK(header.has_value());
  const std::string_view message = std::string_view(envelope.frame).substr(kFrameHeaderBytes);
  if (envelope.kind == MessageKind::kReply) {
    const Result<Reply> reply = decode_reply(header.value(), message, envelope.payload);
    DOGFS_CHECK(reply.has_value());
    return {name + "Reply", describe_reply(envelope.type, reply.value())};
  }
  const Result<DecodedRequest> request = decode_request(header.value(), message, envelope.payload);
  DOGFS_CHECK(request.has_value());
  const std::string& body = request.value().request.body;
  if (envelope.type == MessageType::kRaft) return describe_raft(body);
  return {name, request_fields(envelope.type, body)};
}

}  // namespace dogfs::sim
