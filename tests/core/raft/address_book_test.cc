#include "core/raft/address_book.h"

#include <gtest/gtest.h>

#include "core/base/limits.h"

namespace dogfs::raft {
namespace {

constexpr NodeId kOne{1};
constexpr NodeId kTwo{2};
constexpr NodeId kThree{3};

class AddressBookTest : public ::testing::Test {
 protected:
  std::string address_of(NodeId node) const {
    const Address* address = book_.find(node);
    return address == nullptr ? "" : address->value;
  }
  static Configuration members(std::map<NodeId, Address> addresses) {
    Configuration configuration;
    configuration.addresses = std::move(addresses);
    return configuration;
  }

  AddressBook book_{{{kOne, {"one"}}, {kTwo, {"two"}}}};
  ConfigurationHistory history_;
};

TEST_F(AddressBookTest, TheLogKnowsBetterThanWhatTheNodeWasStartedWith) {
  history_.append(LogIndex(5), members({{kOne, {"one"}}, {kTwo, {"two-moved"}}}));
  EXPECT_TRUE(book_.learn(history_));
  EXPECT_EQ(address_of(kOne), "one");
  EXPECT_EQ(address_of(kTwo), "two-moved");
  EXPECT_EQ(address_of(kThree), "");
  EXPECT_FALSE(book_.learn(history_)) << "nothing has changed";
}

TEST_F(AddressBookTest, WhoHasLeftCanStillBeTold) {
  history_.append(LogIndex(5), members({{kOne, {"one"}}, {kThree, {"three"}}}));
  history_.append(LogIndex(9), members({{kOne, {"one"}}}));
  EXPECT_TRUE(book_.learn(history_));
  EXPECT_EQ(address_of(kThree), "three");
}

TEST_F(AddressBookTest, AStrangerIsAnsweredWhereItSaysThatItIs) {
  EXPECT_TRUE(book_.learn(history_));
  book_.meet(kThree, {"three"});
  EXPECT_EQ(address_of(kThree), "three");
  book_.meet(kThree, {});
  EXPECT_EQ(address_of(kThree), "three") << "it did not say";
  book_.meet(kTwo, {"an impostor"});
  EXPECT_EQ(address_of(kTwo), "two") << "a member is where the configurations say";
  history_.append(LogIndex(5), members({{kThree, {"three-member"}}}));
  EXPECT_TRUE(book_.learn(history_));
  EXPECT_EQ(address_of(kThree), "three-member");
}

TEST_F(AddressBookTest, OfStrangersAFewAreRemembered) {
  EXPECT_TRUE(book_.learn(history_));
  for (uint64_t node = 100; node < 1000; ++node) book_.meet(NodeId(node), {"stranger"});
  size_t known = 0;
  for (uint64_t node = 100; node < 1000; ++node) known += book_.find(NodeId(node)) == nullptr ? 0 : 1;
  EXPECT_LE(known, kMaxRaftMembers);
  EXPECT_NE(book_.find(NodeId(999)), nullptr);
}

}  // namespace
}  // namespace dogfs::raft
