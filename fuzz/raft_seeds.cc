#include "fuzz/raft_seeds.h"

#include <cstdint>
#include <string_view>

#include "fuzz/raft_operations.h"

namespace dogfs::fuzz {
namespace {

constexpr char kYes = 1;
constexpr char kNo = 0;
constexpr char kFirstNode = 0;  // as RaftGroup::draw_node() reads it
constexpr char kSecondNode = 1;
constexpr char kThirdNode = 2;
constexpr char kShortTimeout = 3;

// Writes what RaftGroup reads, in its order.
class Schedule {
 public:
  // Three voters, with the seed of their timeouts and by how much their clocks are fast.
  Schedule(bool leases, bool small_log, char timeouts = 0, std::string_view clocks = {"\0\x78\x28", 3}) {
    bytes_ += {100, 7, 100, 4};  // limits of appends, and of what is applied at once
    bytes_ += {5, 100, 100};     // of flow, and of what is uncommitted
    bytes_ += kNo;               // all of the log is in memory
    bytes_ += small_log ? kYes : kNo;
    if (small_log) bytes_ += {1, 1};  // two entries are kept
    bytes_ += leases ? kYes : kNo;
    bytes_ += {1, timeouts};
    bytes_ += clocks;
  }

  Schedule& at(RaftOperation operation, char node, const std::string& arguments = {}) {
    bytes_ += byte_of(operation);
    bytes_ += node;
    bytes_ += arguments;
    return *this;
  }
  // Everything that is under way arrives, in its order, and is carried out.
  Schedule& settle(int rounds = 3) {
    for (int round = 0; round < rounds; ++round) {
      for (char node = 0; node < nodes_; ++node) {
        for (const RaftOperation operation :
             {RaftOperation::kPersist, RaftOperation::kFetch, RaftOperation::kApply, RaftOperation::kReadState,
              RaftOperation::kStage, RaftOperation::kInstall}) {
          at(operation, node);
        }
      }
      for (int message = 0; message < 3 * nodes_; ++message) deliver();
    }
    return *this;
  }
  Schedule& pass(char ms) {
    for (char node = 0; node < nodes_; ++node) at(RaftOperation::kTick, node, {ms, kNo});
    return *this;
  }
  // Nobody has leases: the first one stands at once. Otherwise whose time is over first.
  Schedule& elect(bool leases) {
    if (!leases) return at(RaftOperation::kCampaign, kFirstNode).settle(5);
    for (int wait = 0; wait < 8; ++wait) pass(50).settle(2);
    return *this;
  }
  Schedule& propose(char node) { return at(RaftOperation::kPropose, node, {0}); }
  // Adds a node.
  Schedule& add(char leader) {
    at(RaftOperation::kChange, leader, {1, 1, 1, kYes, 0});
    ++nodes_;
    return *this;
  }
  // Of three voters and a learner: the learner is to vote, and the last voter is not.
  Schedule& swap(char leader, bool demote) {
    return at(RaftOperation::kChange, leader, {1, 1, demote ? char{4} : char{0}, 0, kNo});
  }
  // The first node leads, and its heartbeat has just been answered. Then it hears nothing any more: as soon as their
  // promise allows it, the third elects the second, which commits the first entry of its term.
  Schedule& depose_first() {
    at(RaftOperation::kTick, kFirstNode, {50, kNo}).settle(1);
    for (const char ms : {127, 127, 26}) at(RaftOperation::kTick, kSecondNode, {ms, kNo});
    for (int round_trip = 0; round_trip < 3; ++round_trip) {
      lose();  // what is sent to the first
      deliver();
      at(RaftOperation::kPersist, kThirdNode);
      deliver();
      at(RaftOperation::kPersist, kSecondNode);
    }
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void deliver() {
    bytes_ += byte_of(RaftOperation::kDeliver);
    bytes_ += '\0';  // the oldest
  }
  void lose() { bytes_ += byte_of(RaftOperation::kLose); }

  std::string bytes_;
  char nodes_ = 3;
};

}  // namespace

std::map<std::string, std::string> raft_schedule_seeds() {
  std::map<std::string, std::string> seeds;
  seeds["commits"] = Schedule(false, false).elect(false).propose(0).settle().propose(0).settle().bytes();
  seeds["transfer"] =
      Schedule(false, false).elect(false).at(RaftOperation::kTransfer, 0, {1}).settle(5).propose(1).settle().bytes();
  seeds["learner"] = Schedule(false, false).elect(false).add(0).settle(5).propose(0).settle().bytes();
  for (const bool demote : {true, false}) {
    seeds[demote ? "voters_change_and_one_learns" : "voters_change_and_one_leaves"] =
        Schedule(false, false).elect(false).add(0).settle(5).swap(0, demote).settle(6).propose(0).settle().bytes();
  }
  seeds["snapshot_to_a_new_member"] = Schedule(false, true)
                                          .elect(false)
                                          .propose(0)
                                          .settle()
                                          .propose(0)
                                          .settle()
                                          .propose(0)
                                          .settle()
                                          .add(0)
                                          .settle(12)
                                          .bytes();
  Schedule leases(true, false);
  leases.elect(true);
  for (char node = 0; node < 3; ++node) leases.propose(node).settle().pass(50).settle();
  for (char node = 0; node < 3; ++node) leases.at(RaftOperation::kRead, node);
  seeds["lease_reads"] = leases.settle().bytes();
  // Clocks that are fast by all that the bound allows, and a timeout near the least: a lease that lasts longer than it
  // may, by more than 40 ms, is read under when another leader has committed.
  seeds["lease_of_a_deposed_leader"] = Schedule(true, false, kShortTimeout, {"\0\xff\xff", 3})
                                           .elect(true)
                                           .depose_first()
                                           .at(RaftOperation::kRead, kFirstNode)
                                           .bytes();
  return seeds;
}

}  // namespace dogfs::fuzz
