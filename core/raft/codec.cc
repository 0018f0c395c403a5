#include "core/raft/codec.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"

namespace dogfs::raft {

namespace {

Error malformed(std::string what) {
  return Error(ErrorCode::kProtocolError, "raft message: " + std::move(what));
}

wire::RaftMessage::Type encode_kind(MessageKind kind) {
  switch (kind) {
    case MessageKind::kPreVote:
      return wire::RaftMessage::PRE_VOTE;
    case MessageKind::kPreVoteReply:
      return wire::RaftMessage::PRE_VOTE_REPLY;
    case MessageKind::kVote:
      return wire::RaftMessage::VOTE;
    case MessageKind::kVoteReply:
      return wire::RaftMessage::VOTE_REPLY;
    case MessageKind::kAppend:
      return wire::RaftMessage::APPEND;
    case MessageKind::kAppendReply:
      return wire::RaftMessage::APPEND_REPLY;
    case MessageKind::kHeartbeat:
      return wire::RaftMessage::HEARTBEAT;
    case MessageKind::kHeartbeatReply:
      return wire::RaftMessage::HEARTBEAT_REPLY;
    case MessageKind::kTimeoutNow:
      return wire::RaftMessage::TIMEOUT_NOW;
    case MessageKind::kSnapshot:
      return wire::RaftMessage::SNAPSHOT;
    case MessageKind::kSnapshotReply:
      return wire::RaftMessage::SNAPSHOT_REPLY;
  }
  return wire::RaftMessage::UNSPECIFIED;
}

Result<MessageKind> decode_kind(wire::RaftMessage::Type type) {
  switch (type) {
    case wire::RaftMessage::PRE_VOTE:
      return MessageKind::kPreVote;
    case wire::RaftMessage::PRE_VOTE_REPLY:
      return MessageKind::kPreVoteReply;
    case wire::RaftMessage::VOTE:
      return MessageKind::kVote;
    case wire::RaftMessage::VOTE_REPLY:
      return MessageKind::kVoteReply;
    case wire::RaftMessage::APPEND:
      return MessageKind::kAppend;
    case wire::RaftMessage::APPEND_REPLY:
      return MessageKind::kAppendReply;
    case wire::RaftMessage::HEARTBEAT:
      return MessageKind::kHeartbeat;
    case wire::RaftMessage::HEARTBEAT_REPLY:
      return MessageKind::kHeartbeatReply;
    case wire::RaftMessage::TIMEOUT_NOW:
      return MessageKind::kTimeoutNow;
    case wire::RaftMessage::SNAPSHOT:
      return MessageKind::kSnapshot;
    case wire::RaftMessage::SNAPSHOT_REPLY:
      return MessageKind::kSnapshotReply;
    default:
      return malformed("unknown kind");
  }
}

wire::RaftEntry::Type encode_entry_type(EntryType type) {
  switch (type) {
    case EntryType::kCommand:
      return wire::RaftEntry::COMMAND;
    case EntryType::kNoop:
      return wire::RaftEntry::NOOP;
    case EntryType::kConfiguration:
      return wire::RaftEntry::CONFIGURATION;
  }
  return wire::RaftEntry::COMMAND;
}

// The entries of an append, which must follow `previous` without a gap and without a falling term.
Status decode_entries(wire::RaftMessage& from, Message& to) {
  if (static_cast<size_t>(from.entries_size()) > kMaxEntriesPerAppend) return malformed("too many entries");
  if (from.entries_size() > 0 && to.kind != MessageKind::kAppend) return malformed("entries outside an append");
  LogPosition previous = to.log;
  to.entries.reserve(static_cast<size_t>(from.entries_size()));
  for (wire::RaftEntry& message : *from.mutable_entries()) {
    DOGFS_TRY(Entry entry, decode_entry(std::move(message)));
    if (entry.index != previous.index.next() || entry.term < previous.term || entry.term > to.term) {
      return malformed("entries that do not follow each other");
    }
    previous = LogPosition{entry.index, entry.term};
    to.entries.push_back(std::move(entry));
  }
  return ok();
}

void encode_chunk(const SnapshotChunk& chunk, wire::RaftMessage& out) {
  out.set_chunk(chunk.number);
  out.set_last_chunk(chunk.last);
  out.set_rows(chunk.rows);
  encode_configuration(chunk.configuration.configuration, *out.mutable_configuration());
  out.set_configuration_index(chunk.configuration.index.value());
}

Status decode_chunk(wire::RaftMessage& from, Message& to) {
  if (from.rows().size() > kMaxSnapshotChunkBytes) return malformed("an oversized part of a snapshot");
  if (to.log.index.is_none() || to.log.term.is_none() || to.log.term > to.term) {
    return malformed("a snapshot of no committed entry");
  }
  if (from.configuration_index() > from.log_index()) return malformed("a snapshot with a later configuration");
  DOGFS_TRY(Configuration configuration, decode_configuration(from.configuration()));
  SnapshotChunk chunk;
  chunk.number = from.chunk();
  chunk.last = from.last_chunk();
  chunk.configuration = {LogIndex(from.configuration_index()), std::move(configuration)};
  chunk.rows = std::move(*from.mutable_rows());
  to.chunk = std::make_shared<const SnapshotChunk>(std::move(chunk));
  return ok();
}

}  // namespace

void encode_entry(const Entry& entry, wire::RaftEntry& out) {
  out.set_type(encode_entry_type(entry.type));
  out.set_term(entry.term.value());
  out.set_index(entry.index.value());
  if (entry.command) out.set_command(*entry.command);
}

Entry configuration_entry(LogPosition position, Configuration configuration) {
  Entry entry{position.index, position.term, EntryType::kConfiguration, nullptr};
  entry.command = std::make_shared<const std::string>(serialize_configuration(configuration));
  entry.configuration = std::make_shared<const Configuration>(std::move(configuration));
  return entry;
}

Result<Entry> decode_entry(wire::RaftEntry message) {
  if (message.index() == 0 || message.term() == 0) return malformed("an entry without index or term");
  if (message.index() > kMaxLogIndex || message.term() > kMaxTerm) return malformed("a term or index beyond any");
  if (message.command().size() > kMaxCommandBytes) return malformed("an oversized command");
  Entry entry{LogIndex(message.index()), Term(message.term()), EntryType::kNoop, nullptr};
  switch (message.type()) {
    case wire::RaftEntry::NOOP:
      return entry;
    case wire::RaftEntry::COMMAND:
      entry.type = EntryType::kCommand;
      entry.command = std::make_shared<const std::string>(std::move(*message.mutable_command()));
      return entry;
    case wire::RaftEntry::CONFIGURATION: {
      DOGFS_TRY(Configuration configuration, parse_configuration(message.command()));
      return configuration_entry(LogPosition{entry.index, entry.term}, std::move(configuration));
    }
    default:
      return malformed("an entry of unknown type");
  }
}

void encode_configuration(const Configuration& configuration, wire::RaftConfiguration& out) {
  for (const NodeId node : configuration.voters) out.add_voters(node.value());
  for (const NodeId node : configuration.outgoing) out.add_outgoing(node.value());
  for (const NodeId node : configuration.learners) out.add_learners(node.value());
  for (const NodeId node : configuration.learners_next) out.add_learners_next(node.value());
  for (const auto& [node, address] : configuration.addresses) {
    wire::RaftMember& member = *out.add_members();
    member.set_node(node.value());
    member.set_address(address.value);
    member.set_store(configuration.store_of(node).value());
  }
  out.set_last_id(configuration.last_id.value());
}

Result<Configuration> decode_configuration(const wire::RaftConfiguration& message) {
  for (const int size : {message.voters_size(), message.outgoing_size(), message.learners_size(),
                         message.learners_next_size(), message.members_size()}) {
    if (static_cast<size_t>(size) > kMaxRaftMembers) return malformed("a configuration of too many members");
  }
  const auto nodes_of = [](const google::protobuf::RepeatedField<uint64_t>& ids) {
    std::vector<NodeId> nodes;
    for (const uint64_t id : ids) nodes.emplace_back(id);
    return nodes;
  };
  Configuration configuration;
  configuration.voters = nodes_of(message.voters());
  configuration.outgoing = nodes_of(message.outgoing());
  configuration.learners = nodes_of(message.learners());
  configuration.learners_next = nodes_of(message.learners_next());
  for (const wire::RaftMember& member : message.members()) {
    const bool added = configuration.addresses.emplace(NodeId(member.node()), Address{member.address()}).second;
    if (!added) return malformed("a member of a configuration with two addresses");
    if (member.store() != 0) configuration.stores.emplace(NodeId(member.node()), StoreId(member.store()));
  }
  configuration.last_id = NodeId(message.last_id());
  const Status valid = validate(configuration);
  if (!valid) return malformed("a configuration in which " + valid.error().detail);
  return configuration;
}

std::string serialize_configuration(const Configuration& configuration) {
  wire::RaftConfiguration message;
  encode_configuration(configuration, message);
  return message.SerializeAsString();
}

Result<Configuration> parse_configuration(std::string_view text) {
  wire::RaftConfiguration message;
  if (!message.ParseFromArray(text.data(), static_cast<int>(text.size()))) {
    return malformed("a configuration that does not parse");
  }
  return decode_configuration(message);
}

void encode_message(const Message& message, wire::RaftMessage& out) {
  out.set_type(encode_kind(message.kind));
  out.set_group(message.group.value());
  out.set_from(message.from.value());
  out.set_to(message.to.value());
  out.set_term(message.term.value());
  out.set_log_index(message.log.index.value());
  out.set_log_term(message.log.term.value());
  out.set_commit(message.commit.value());
  for (const Entry& entry : message.entries) encode_entry(entry, *out.add_entries());
  out.set_reject(message.reject);
  out.set_hint_index(message.hint.index.value());
  out.set_hint_term(message.hint.term.value());
  out.set_read_round(message.read_round);
  out.set_transfer(message.transfer);
  out.set_sent_at_ns(message.sent_at.time_since_epoch().count());
  out.set_from_store(message.from_store.value());
  out.set_to_store(message.to_store.value());
  out.set_snapshot(message.snapshot);
  if (message.chunk) {
    encode_chunk(*message.chunk, out);
  } else {
    out.set_chunk(message.next_chunk);
  }
}

Result<Message> decode_message(wire::RaftMessage message) {
  Message result;
  DOGFS_TRY(result.kind, decode_kind(message.type()));
  result.group = GroupId(message.group());
  result.from = NodeId(message.from());
  result.to = NodeId(message.to());
  result.term = Term(message.term());
  if (result.from.is_none() || result.to.is_none()) return malformed("no sender or no receiver");
  if (result.term.is_none()) return malformed("no term");
  if (std::max({message.term(), message.log_term(), message.hint_term()}) > kMaxTerm ||
      std::max({message.log_index(), message.commit(), message.hint_index()}) > kMaxLogIndex) {
    return malformed("a term or index beyond any");
  }
  result.log = LogPosition{LogIndex(message.log_index()), Term(message.log_term())};
  result.commit = LogIndex(message.commit());
  result.reject = message.reject();
  result.hint = LogPosition{LogIndex(message.hint_index()), Term(message.hint_term())};
  result.read_round = message.read_round();
  result.transfer = message.transfer();
  result.sent_at = MonoTime(Duration(message.sent_at_ns()));
  result.from_store = StoreId(message.from_store());
  result.to_store = StoreId(message.to_store());
  result.snapshot = message.snapshot();
  DOGFS_TRYV(decode_entries(message, result));
  if (result.kind == MessageKind::kSnapshot) {
    DOGFS_TRYV(decode_chunk(message, result));
  } else {
    result.next_chunk = message.chunk();
  }
  return result;
}

}  // namespace dogfs::raft
