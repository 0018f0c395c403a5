#include "core/raft/codec.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>

#include "core/base/limits.h"
#include "core/raft/describe.h"

namespace dogfs::raft {
namespace {

wire::RaftMessage valid_append() {
  wire::RaftMessage message;
  message.set_type(wire::RaftMessage::APPEND);
  message.set_group(1);
  message.set_from(1);
  message.set_to(2);
  message.set_term(3);
  message.set_log_index(4);
  message.set_log_term(2);
  for (uint64_t index = 5; index <= 6; ++index) {
    wire::RaftEntry& entry = *message.add_entries();
    entry.set_index(index);
    entry.set_term(3);
    entry.set_command("c");
  }
  return message;
}

RC_GTEST_PROP(RaftCodec, EveryMessageComesBackAsItWas, ()) {
  Message message;
  message.kind = static_cast<MessageKind>(*rc::gen::inRange(0, 1 + static_cast<int>(MessageKind::kSnapshotReply)));
  message.group = GroupId(*rc::gen::arbitrary<uint64_t>());
  message.from = NodeId(*rc::gen::inRange<uint64_t>(1, 100));
  message.to = NodeId(*rc::gen::inRange<uint64_t>(1, 100));
  message.term = Term(*rc::gen::inRange<uint64_t>(5, 100));
  message.log = LogPosition{LogIndex(*rc::gen::inRange<uint64_t>(0, 100)), Term(*rc::gen::inRange<uint64_t>(0, 5))};
  message.commit = LogIndex(*rc::gen::inRange<uint64_t>(0, kMaxLogIndex + 1));
  message.reject = *rc::gen::arbitrary<bool>();
  message.hint = LogPosition{LogIndex(*rc::gen::inRange<uint64_t>(0, kMaxLogIndex + 1)),
                             Term(*rc::gen::inRange<uint64_t>(0, kMaxTerm + 1))};
  message.read_round = *rc::gen::arbitrary<uint64_t>();
  if (message.kind == MessageKind::kAppend) {
    const auto commands = *rc::gen::arbitrary<std::vector<std::string>>();
    LogIndex index = message.log.index;
    for (const std::string& command : commands) {
      message.entries.push_back(
          Entry{++index, Term(5), EntryType::kCommand, std::make_shared<const std::string>(command)});
    }
  }
  message.snapshot = *rc::gen::arbitrary<uint64_t>();
  if (message.kind == MessageKind::kSnapshotReply) message.next_chunk = *rc::gen::arbitrary<uint64_t>();
  if (message.kind == MessageKind::kSnapshot) {
    message.log = LogPosition{LogIndex(7), Term(4)};
    SnapshotChunk chunk;
    chunk.number = *rc::gen::arbitrary<uint64_t>();
    chunk.last = *rc::gen::arbitrary<bool>();
    chunk.configuration = {LogIndex(*rc::gen::inRange<uint64_t>(0, 8)),
                           initial_configuration({{NodeId(1), Address{"meta-1:1"}}, {NodeId(2), Address{"meta-2:1"}}})};
    chunk.rows = *rc::gen::arbitrary<std::string>();
    message.chunk = std::make_shared<const SnapshotChunk>(std::move(chunk));
  }
  wire::RaftMessage encoded;
  encode_message(message, encoded);
  const Result<Message> decoded = decode_message(encoded);
  RC_ASSERT(decoded.has_value());
  wire::RaftMessage again;
  encode_message(decoded.value(), again);
  RC_ASSERT(again.SerializeAsString() == encoded.SerializeAsString());
  RC_ASSERT(describe(decoded.value()) == describe(message));
}

TEST(RaftCodec, MessagesThatNoMemberSendsAreRefused) {
  ASSERT_TRUE(decode_message(valid_append()).has_value());
  const std::vector<std::pair<std::string, std::function<void(wire::RaftMessage&)>>> damages = {
      {"unknown kind", [](auto& m) { m.set_type(static_cast<wire::RaftMessage::Type>(77)); }},
      {"entries in a snapshot", [](auto& m) { m.set_type(wire::RaftMessage::SNAPSHOT); }},
      {"no kind", [](auto& m) { m.clear_type(); }},
      {"no sender", [](auto& m) { m.clear_from(); }},
      {"no receiver", [](auto& m) { m.clear_to(); }},
      {"no term", [](auto& m) { m.clear_term(); }},
      {"a gap behind the previous entry", [](auto& m) { m.set_log_index(3); }},
      {"a gap between entries", [](auto& m) { m.mutable_entries(1)->set_index(7); }},
      {"a falling term", [](auto& m) { m.mutable_entries(1)->set_term(2); }},
      {"a term below the previous entry's", [](auto& m) { m.set_log_term(4); }},
      {"an entry beyond the sender's term", [](auto& m) { m.mutable_entries(1)->set_term(4); }},
      {"an entry without index", [](auto& m) { m.mutable_entries(0)->clear_index(); }},
      {"an entry without term", [](auto& m) { m.mutable_entries(0)->clear_term(); }},
      {"an entry of reserved type", [](auto& m) { m.mutable_entries(0)->set_type(wire::RaftEntry::CONFIGURATION); }},
      {"an oversized command",
       [](auto& m) { m.mutable_entries(0)->set_command(std::string(kMaxCommandBytes + 1, 'x')); }},
      {"entries in a heartbeat", [](auto& m) { m.set_type(wire::RaftMessage::HEARTBEAT); }},
      {"too many entries",
       [](auto& m) {
         for (size_t i = 0; i < kMaxEntriesPerAppend; ++i) *m.add_entries() = m.entries(0);
       }},
  };
  for (const auto& [name, damage] : damages) {
    wire::RaftMessage message = valid_append();
    damage(message);
    EXPECT_EQ(code_of(decode_message(message)), ErrorCode::kProtocolError) << name;
  }
}

TEST(RaftCodec, ATermOrAnIndexThatNoGroupReachesIsRefused) {
  wire::RaftMessage largest = valid_append();
  largest.clear_entries();
  largest.set_term(kMaxTerm);
  largest.set_log_index(kMaxLogIndex);
  EXPECT_TRUE(decode_message(largest).has_value());
  wire::RaftMessage beyond = largest;
  beyond.set_term(kMaxTerm + 1);
  EXPECT_EQ(code_of(decode_message(beyond)), ErrorCode::kProtocolError);
  beyond = largest;
  beyond.set_log_index(kMaxLogIndex + 1);
  EXPECT_EQ(code_of(decode_message(beyond)), ErrorCode::kProtocolError);
}

TEST(RaftCodec, AnEntryOfATermOrAnIndexThatNoGroupReachesIsRefused) {
  wire::RaftMessage append = valid_append();
  append.set_log_index(kMaxLogIndex - 1);
  append.mutable_entries()->RemoveLast();
  append.mutable_entries(0)->set_index(kMaxLogIndex);
  EXPECT_TRUE(decode_message(append).has_value());
  append.set_log_index(kMaxLogIndex);
  append.mutable_entries(0)->set_index(kMaxLogIndex + 1);
  EXPECT_EQ(code_of(decode_message(append)), ErrorCode::kProtocolError);
  // As it is read from a store.
  wire::RaftEntry entry = valid_append().entries(0);
  entry.set_term(kMaxTerm);
  EXPECT_TRUE(decode_entry(entry).has_value());
  entry.set_term(kMaxTerm + 1);
  EXPECT_FALSE(decode_entry(entry).has_value());
}

TEST(RaftCodec, SnapshotsThatNoLeaderSendsAreRefused) {
  Message message;
  message.kind = MessageKind::kSnapshot;
  message.from = NodeId(1);
  message.to = NodeId(2);
  message.term = Term(3);
  message.log = LogPosition{LogIndex(7), Term(3)};
  SnapshotChunk chunk;
  chunk.configuration = {LogIndex(7), initial_configuration({{NodeId(1), Address{"meta-1:1"}}})};
  chunk.rows = std::string(kMaxSnapshotChunkBytes, 'x');
  message.chunk = std::make_shared<const SnapshotChunk>(std::move(chunk));
  wire::RaftMessage valid;
  encode_message(message, valid);
  ASSERT_TRUE(decode_message(valid).has_value());
  const std::vector<std::pair<std::string, std::function<void(wire::RaftMessage&)>>> damages = {
      {"an oversized part", [](auto& m) { m.mutable_rows()->push_back('x'); }},
      {"of no entry", [](auto& m) { m.clear_log_index(); }},
      {"of no term", [](auto& m) { m.clear_log_term(); }},
      {"of a term to come", [](auto& m) { m.set_log_term(4); }},
      {"of a configuration to come", [](auto& m) { m.set_configuration_index(8); }},
      {"without a configuration that is valid", [](auto& m) { m.mutable_configuration()->add_learners(1); }},
  };
  for (const auto& [name, damage] : damages) {
    wire::RaftMessage damaged = valid;
    damage(damaged);
    EXPECT_EQ(code_of(decode_message(damaged)), ErrorCode::kProtocolError) << name;
  }
}

}  // namespace
}  // namespace dogfs::raft
