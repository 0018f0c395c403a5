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

const Address kPeer{"peer"};
const Address kOther{"other"};

std::vector<uint64_t> rounds_of(const wire::RaftMessages& frame) {
  std::vector<uint64_t> rounds;
  for (const wire::RaftMessage& message : frame.messages()) rounds.push_back(message.read_round());
  return rounds;
}

TEST(RaftOutbox, MessagesForOnePeerShareAFrameInTheirOrder) {
  FramePacker packer;
  EXPECT_FALSE(packer.add(kPeer, append(2, 1, 10)));
  EXPECT_FALSE(packer.add(kOther, append(3, 2, 10)));
  EXPECT_FALSE(packer.add(kPeer, append(2, 3, 10)));
  const auto frames = packer.take();
  ASSERT_THAT(frames, SizeIs(2));
  EXPECT_THAT(rounds_of(frames.at(kPeer)), ElementsAre(1, 3));
  EXPECT_THAT(rounds_of(frames.at(kOther)), ElementsAre(2));
  EXPECT_THAT(packer.take(), SizeIs(0));
}

TEST(RaftOutbox, NoFrameExceedsItsLimit) {
  FramePacker packer;
  std::vector<uint64_t> sent;
  std::vector<uint64_t> received;
  size_t full = 0;
  const auto receive = [&](const wire::RaftMessages& frame) {
    EXPECT_THAT(frame.ByteSizeLong(), Le(kMaxFrameBodyBytes));
    for (const uint64_t round : rounds_of(frame)) received.push_back(round);
  };
  const auto send = [&](const Message& message) {
    sent.push_back(message.read_round);
    if (const auto frame = packer.add(kPeer, message)) {
      ++full;
      receive(*frame);
    }
  };
  for (uint64_t round = 1; round <= 40; round += 2) {
    send(append(2, round, kMaxCommandBytes, 1 + round % 2));
    send(append(2, round + 1, 1, kMaxEntriesPerAppend));
  }
  EXPECT_GT(full, 4U);
  for (const auto& [peer, frame] : packer.take()) receive(frame);
  EXPECT_EQ(received, sent);
}

TEST(RaftOutbox, AMessageIsNeverLargerThanItsEstimate) {
  for (const Message& message : {append(2, UINT64_MAX, 0), append(2, 1, 100, 50), append(2, 1, 1 << 20)}) {
    FramePacker packer;
    packer.add(kPeer, message);
    EXPECT_THAT(packer.take().at(kPeer).ByteSizeLong(), Le(message_bytes(message)));
  }
}

}  // namespace
}  // namespace dogfs::raft
