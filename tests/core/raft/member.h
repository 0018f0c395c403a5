// One member of a group, fed by hand: what the rules of the paper say of a single server. It is node 1, the others are
// the test's: node 2 leads or votes, unless a test says otherwise.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/raft/raft.h"

namespace dogfs::raft {

// What a member finds on its disk when it starts.
struct MemberSetup {
  std::vector<uint64_t> log = {};  // the term of each entry, from entry 1 on
  uint64_t term = 0;               // at least that of the last entry
  uint64_t vote = 0;
  size_t size = 3;  // of the group
  uint64_t commit = 0;
  uint64_t applied = 0;
  Options options = {};
};

inline Command command_of(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

class Member {
 public:
  explicit Member(const MemberSetup& setup = {}) : size_(setup.size) {
    Options options = setup.options;
    options.group = GroupId(1);
    options.self = NodeId(1);
    raft_.emplace(options, restored_from(setup), now_);
  }

  Raft& raft() { return *raft_; }
  // What it asked for, the latest of each kind. Disk writes are done by persist(), messages are in sent().
  Effects& effects() { return effects_; }
  std::vector<Message> sent() { return std::exchange(sent_, {}); }

  void wait(Duration duration) { now_ += duration; }
  Duration until_deadline() const { return raft_->next_deadline() - now_; }
  void tick() {
    raft_->tick(now_);
    gather();
  }

  Message message(MessageKind kind, uint64_t from, uint64_t term) const {
    Message message;
    message.kind = kind;
    message.group = GroupId(1);
    message.from = NodeId(from);
    message.to = NodeId(1);
    message.term = Term(term);
    return message;
  }
  // It arrives; the disk writes that it causes are not done yet.
  void receive(const Message& message) {
    raft_->step(now_, message);
    gather();
  }
  // ... and they are done.
  void step(const Message& message) {
    receive(message);
    persist();
  }
  void persist() {
    while (effects_.persist) {
      const uint64_t number = effects_.persist->number;
      effects_.persist.reset();
      raft_->persisted(number);
      gather();
    }
  }
  // The part of a snapshot that it was sent is durable.
  void stage() {
    ASSERT_TRUE(effects_.stage.has_value());
    raft_->snapshot_staged(*std::exchange(effects_.stage, std::nullopt));
    gather();
  }
  // The state that it was sent has taken the place of its own.
  void install() {
    ASSERT_TRUE(effects_.install.has_value());
    raft_->snapshot_installed(*std::exchange(effects_.install, std::nullopt));
    gather();
  }
  void gather() {
    Effects more = raft_->take_effects();
    for (Message& each : more.messages) sent_.push_back(std::move(each));
    if (more.persist) effects_.persist = std::move(more.persist);
    if (!more.committed.empty()) effects_.committed = std::move(more.committed);
    if (more.stage) effects_.stage = std::move(more.stage);
    if (more.install) effects_.install = more.install;
    for (SnapshotRead& read : more.snapshot_reads) effects_.snapshot_reads.push_back(read);
    for (CompletedReads& reads : more.reads) effects_.reads.push_back(std::move(reads));
    for (const uint64_t read : more.failed_reads) effects_.failed_reads.push_back(read);
    for (std::string& violation : more.violations) effects_.violations.push_back(std::move(violation));
  }

  void become_pre_candidate() {
    raft_->campaign();
    gather();
    ASSERT_EQ(raft_->role(), RaftRole::kPreCandidate);
  }
  // With the PreVotes of nodes 2 to the majority. Its own vote is durable.
  void become_candidate() {
    become_pre_candidate();
    for (uint64_t voter = 2; voter <= majority(); ++voter) {
      step(message(MessageKind::kPreVoteReply, voter, raft_->term().value() + 1));
    }
    ASSERT_EQ(raft_->role(), RaftRole::kCandidate);
  }
  // ... and with their votes. The first entry of its term is on its own disk.
  void become_leader() {
    become_candidate();
    for (uint64_t voter = 2; voter <= majority(); ++voter) {
      step(message(MessageKind::kVoteReply, voter, raft_->term().value()));
    }
    ASSERT_EQ(raft_->role(), RaftRole::kLeader);
  }
  // Follower `from` acknowledges up to `index`.
  void acknowledge(uint64_t from, uint64_t index) {
    Message reply = message(MessageKind::kAppendReply, from, raft_->term().value());
    reply.log.index = LogIndex(index);
    step(reply);
  }
  void answer_heartbeat(uint64_t from, uint64_t read_round = 0) {
    Message reply = message(MessageKind::kHeartbeatReply, from, raft_->term().value());
    reply.read_round = read_round;
    step(reply);
  }
  Status read(uint64_t context) {
    Status asked = raft_->read_index(context);
    gather();
    return asked;
  }
  void propose(std::string command) {
    ASSERT_TRUE(raft_->propose({command_of(std::move(command))}).has_value());
    gather();
    persist();
  }

 private:
  size_t majority() const { return size_ / 2 + 1; }

  static Restored restored_from(const MemberSetup& setup) {
    std::map<NodeId, Address> voters;
    for (size_t i = 1; i <= setup.size; ++i) voters.emplace(NodeId(i), Address());
    Restored restored;
    restored.configurations = ConfigurationHistory({LogIndex(), initial_configuration(voters)});
    for (const uint64_t term : setup.log) {
      restored.terms.append(Term(term));
      restored.sizes.append(kEntryOverheadBytes + 1);
      restored.tail.push_back(Entry{restored.terms.last_index(), Term(term), EntryType::kCommand, command_of("c")});
    }
    restored.hard_state.term = std::max(Term(setup.term), restored.terms.last_term());
    restored.hard_state.voted_for = NodeId(setup.vote);
    restored.hard_state.commit = LogIndex(setup.commit);
    restored.applied = LogIndex(setup.applied);
    return restored;
  }

  size_t size_;
  MonoTime now_{};
  std::optional<Raft> raft_;
  Effects effects_;
  std::vector<Message> sent_;
};

inline LogPosition at(uint64_t index, uint64_t term) {
  return LogPosition{LogIndex(index), Term(term)};
}

// From node 2 as the leader of `term`: entries of these terms behind `after`.
inline Message append(const Member& member, uint64_t term, LogPosition after, const std::vector<uint64_t>& terms,
                      uint64_t commit = 0) {
  Message message = member.message(MessageKind::kAppend, 2, term);
  message.log = after;
  message.commit = LogIndex(commit);
  for (const uint64_t each : terms) {
    message.entries.push_back(Entry{LogIndex(after.index.value() + message.entries.size() + 1), Term(each),
                                    EntryType::kCommand, command_of("n")});
  }
  return message;
}

inline Message heartbeat(const Member& member, uint64_t term, uint64_t commit = 0) {
  Message message = member.message(MessageKind::kHeartbeat, 2, term);
  message.commit = LogIndex(commit);
  return message;
}

// From node 2 as the leader of `term`: part `number` of its only snapshot, which ends at `position` and was taken of a
// group of nodes 1 to 5.
inline Message snapshot_part(const Member& member, uint64_t term, LogPosition position, uint64_t number, bool last) {
  std::map<NodeId, Address> voters;
  for (uint64_t id = 1; id <= 5; ++id) voters.emplace(NodeId(id), Address());
  SnapshotChunk chunk;
  chunk.number = number;
  chunk.last = last;
  chunk.configuration = {position.index, initial_configuration(voters)};
  Message message = member.message(MessageKind::kSnapshot, 2, term);
  message.log = position;
  message.snapshot = 1;
  message.chunk = std::make_shared<const SnapshotChunk>(std::move(chunk));
  return message;
}

inline Message vote_request(const Member& member, uint64_t from, uint64_t term, LogPosition log) {
  Message message = member.message(MessageKind::kVote, from, term);
  message.log = log;
  return message;
}

inline std::vector<Message> of_kind(MessageKind kind, std::vector<Message> messages) {
  std::erase_if(messages, [kind](const Message& each) { return each.kind != kind; });
  return messages;
}

}  // namespace dogfs::raft
