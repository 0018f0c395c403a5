// What happened in a run, as typed events for pictures (sim/html.h). Recorded only where asked for: a run without a
// Recording pays a null check for each event, and the digest never depends on one.
//
// Events are kept in the order in which they began. An event that takes time (a message, a fault, a sync, an operation)
// is entered when it begins and completed when it ends; kNever stands for an end that never came.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/env/log.h"
#include "core/raft/types.h"
#include "sim/executor.h"
#include "sim/network.h"

namespace dogfs::sim {

// An interned text.
using TextId = uint32_t;

// Names an event that has not ended; 0 names none.
using EventId = uint32_t;

inline constexpr VirtualTime kUnended = VirtualTime::max();

enum class Fate : uint8_t {
  kUnderWay,
  kDelivered,
  kLate,     // delivered, and others may have overtaken it
  kLost,     // by chance
  kCut,      // by a partition
  kRefused,  // nobody was there to take it
  kDropped,  // the link's queue was full
  kDamaged,  // it arrived with a bit flipped, of which a checksum tells
};

struct MessageEvent {
  VirtualTime sent{};
  VirtualTime end = kUnended;
  NodeIndex from = kWorld;
  NodeIndex to = kWorld;
  MessageKind kind{};
  bool duplicate = false;
  Fate fate = Fate::kUnderWay;
  uint64_t request_id = 0;
  uint64_t bytes = 0;
  TextId label = 0;   // "Append", "SealShard"
  TextId detail = 0;  // what it says
};

// A member of the Raft group, after it changed.
struct MemberEvent {
  VirtualTime time{};
  NodeIndex node = kWorld;
  RaftRole role{};
  Term term;
  NodeId voted_for;
  LogIndex commit;
  LogIndex applied;
  LogIndex last;
  LogIndex durable;
};

enum class LifeChange : uint8_t { kBoots, kKilled, kLosesPower };

struct LifeEvent {
  VirtualTime time{};
  NodeIndex node = kWorld;
  LifeChange change{};
};

struct FaultEvent {
  VirtualTime begin{};
  VirtualTime end = kUnended;
  TextId text = 0;
  TextId who = 0;
  std::vector<NodeIndex> nodes;  // whom it strikes; of a partition, those on its smaller side
};

enum class Outcome : uint8_t { kUnfinished, kOk, kFailed };

struct OperationEvent {
  VirtualTime begin{};
  VirtualTime end = kUnended;
  NodeIndex node = kWorld;
  Outcome outcome = Outcome::kUnfinished;
  TextId text = 0;   // "write /client-1/f3"
  TextId error = 0;  // why it failed
};

struct SyncEvent {
  VirtualTime begin{};
  VirtualTime end = kUnended;
  NodeIndex node = kWorld;
};

struct LogEvent {
  VirtualTime time{};
  NodeIndex node = kWorld;  // kWorld: an oracle's verdict
  LogLevel level{};
  TextId text = 0;
};

class Recording {
 public:
  // Events beyond `most_events` are not kept; truncated() then says so.
  explicit Recording(size_t most_events = 2'000'000) : most_events_(most_events) {}
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  // --- What happens, told by whoever makes it happen ---
  void add_node(NodeIndex node, const std::string& name);
  // `envelope` still has its frame.
  EventId message_sent(VirtualTime now, const Envelope& envelope, bool duplicate);
  void message_ended(EventId message, VirtualTime now, Fate fate);
  void member_changed(const MemberEvent& member);
  void life_changed(VirtualTime now, NodeIndex node, LifeChange change);
  EventId fault_begins(VirtualTime now, std::string_view text, std::string_view who, std::vector<NodeIndex> nodes);
  void fault_ends(EventId fault, VirtualTime now);
  EventId operation_begins(VirtualTime now, std::string_view node_name);
  void operation_is(EventId operation, std::string_view text);
  void operation_ends(EventId operation, VirtualTime now, const Status& status);
  void synced(VirtualTime begin, VirtualTime end, NodeIndex node);
  void logged(VirtualTime now, std::string_view node_name, LogLevel level, std::string_view text);

  // --- What was recorded ---
  const std::vector<std::string>& nodes() const { return nodes_; }  // by NodeIndex
  const std::vector<std::string>& texts() const { return texts_; }  // by TextId
  const std::vector<MessageEvent>& messages() const { return messages_; }
  const std::vector<MemberEvent>& members() const { return members_; }
  const std::vector<LifeEvent>& lives() const { return lives_; }
  const std::vector<FaultEvent>& faults() const { return faults_; }
  const std::vector<OperationEvent>& operations() const { return operations_; }
  const std::vector<SyncEvent>& syncs() const { return syncs_; }
  const std::vector<LogEvent>& logs() const { return logs_; }
  size_t size() const { return size_; }
  bool truncated() const { return truncated_; }

 private:
  TextId intern(std::string_view text);
  NodeIndex find(std::string_view node_name) const;
  // Keeps `event`; its id.
  template <class Event>
  EventId keep(std::vector<Event>& events, Event event);

  size_t most_events_;
  size_t size_ = 0;
  bool truncated_ = false;
  std::vector<std::string> nodes_;
  std::vector<std::string> texts_{""};
  std::map<std::string, TextId, std::less<>> text_ids_{{"", 0}};
  std::vector<MessageEvent> messages_;
  std::vector<MemberEvent> members_;
  std::vector<LifeEvent> lives_;
  std::vector<FaultEvent> faults_;
  std::vector<OperationEvent> operations_;
  std::vector<SyncEvent> syncs_;
  std::vector<LogEvent> logs_;
};

}  // namespace dogfs::sim
