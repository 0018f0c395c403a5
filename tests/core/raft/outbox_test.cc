#include "core/raft/outbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dogfs::raft {
namespace {

using testing::ElementsAre;
using testing::Le;
using testing::SizeIs;

Message append(uint64_t to, uint64_t round, size_t command_bytes, size_t entries = 1) {
  Message message;
  message.kind = MessageKind::kAppend;
  message.from = NodeId(1);
  message.to = NodeId(to);
  message.term = Term(UINT64_MAX);
  message.read_round = round;
  const auto command = std::make_shared<const std::string>(command_bytes, 'x');
  for (size_t i = 0; i < entries; ++i) {
    message.entries.push_back(Entry{LogIndex(UINT64_MAX), Term(UINT64_MAX), EntryType::kCommand, command});
  }
  return message;
}

std::vector<uint64_t> rounds_to(const std::vector<PeerFrame>& frames, NodeId peer) {
  std::vector<uint64_t> rounds;
  for (const PeerFrame& frame : frames) {
    if (frame.peer != peer) continue;
    for (const wire::RaftMessage& message : frame.body.messages()) rounds.push_back(message.read_round());
  }
  return rounds;
}

TEST(RaftOutbox, MessagesForOnePeerShareAFrameInTheirOrder) {
  const std::vector<PeerFrame> frames = pack_frames({append(2, 1, 10), append(3, 2, 10), append(2, 3, 10)});
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_THAT(rounds_to(frames, NodeId(2)), ElementsAre(1, 3));
  EXPECT_THAT(rounds_to(frames, NodeId(3)), ElementsAre(2));
  EXPECT_THAT(pack_frames({}), SizeIs(0));
}

TEST(RaftOutbox, NoFrameExceedsItsLimit) {
  std::vector<Message> messages;
  for (uint64_t round = 1; round <= 20; ++round) {
    messages.push_back(append(2, round, kMaxCommandBytes, 1 + round % 2));
    messages.push_back(append(2, round, 1, kMaxEntriesPerAppend));
  }
  const std::vector<PeerFrame> frames = pack_frames(messages);
  EXPECT_GT(frames.size(), 4U);
  size_t total = 0;
  for (const PeerFrame& frame : frames) {
    EXPECT_THAT(frame.body.ByteSizeLong(), Le(kMaxFrameBodyBytes));
    total += static_cast<size_t>(frame.body.messages_size());
  }
  EXPECT_EQ(total, messages.size());
}

TEST(RaftOutbox, AMessageIsNeverLargerThanItsEstimate) {
  for (const Message& message : {append(2, UINT64_MAX, 0), append(2, 1, 100, 50), append(2, 1, 1 << 20)}) {
    EXPECT_THAT(pack_frames({message}).at(0).body.ByteSizeLong(), Le(message_bytes(message)));
  }
}

}  // namespace
}  // namespace dogfs::raft
