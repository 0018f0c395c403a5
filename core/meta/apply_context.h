// What applying one command reads and writes, and nothing else: no clock, no setting of this node, no soft state. Two
// nodes that apply the same log must get the same bytes.
#pragma once

#include <cstdint>
#include <limits>

#include "core/base/ids.h"
#include "core/meta/tables.h"
#include "core/wire/command.pb.h"
#include "core/wire/state.pb.h"

namespace dogfs {

// Log time stops here, a hundred million years on, whatever a command claims: what is added to it never overflows.
inline constexpr int64_t kMaxLogTimeMs = std::numeric_limits<int64_t>::max() / 2;

struct ApplyContext {
  MutableTables& tables;
  // Written back by the caller; restored by it when the command is refused.
  wire::CountersRow& counters;
  const wire::Command& command;
  LogIndex log_index;  // of the command

  int64_t wall_ms() const { return command.wall_ms(); }
  int64_t log_time_ms() const { return counters.log_time_ms(); }
  SessionId session() const { return SessionId(command.session()); }

  InodeId new_inode() { return InodeId(take(&wire::CountersRow::next_inode, &wire::CountersRow::set_next_inode)); }
  BlockId new_block() { return BlockId(take(&wire::CountersRow::next_block, &wire::CountersRow::set_next_block)); }
  ShardGeneration new_generation() {
    return ShardGeneration(take(&wire::CountersRow::next_generation, &wire::CountersRow::set_next_generation));
  }
  ServerId new_server() { return ServerId(take(&wire::CountersRow::next_server, &wire::CountersRow::set_next_server)); }
  SessionId new_session() {
    return SessionId(take(&wire::CountersRow::next_session, &wire::CountersRow::set_next_session));
  }

 private:
  using Get = uint64_t (wire::CountersRow::*)() const;
  using Set = void (wire::CountersRow::*)(uint64_t);
  // Ids are handed out once and never again.
  uint64_t take(Get get, Set set) {
    const uint64_t id = (counters.*get)();
    (counters.*set)(id + 1);
    return id;
  }
};

}  // namespace dogfs
