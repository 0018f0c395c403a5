// Raft's values as text for people: logs, transcripts of tests, traces of the simulator.
#pragma once

#include <string>
#include <string_view>

#include "core/raft/progress.h"
#include "core/raft/types.h"

namespace dogfs {

// "follower", "pre-candidate", "candidate", "leader"
std::string_view role_name(RaftRole role);

namespace raft {

// "Append", "VoteReply"
std::string_view message_kind_name(MessageKind kind);
// "probe", "replicate", "snapshot"
std::string_view progress_state_name(Progress::State state);
// "3/2" for index 3 of term 2
std::string describe(LogPosition position);
// "voters (1 2 4) outgoing (1 2 3) learners (5)"
std::string describe(const Configuration& configuration);
// "3/2 \"command\"", "3/2 noop", "3/2 voters (1 2 3)"
std::string describe(const Entry& entry);
// "1->2 Append t2 after 3/2 commit 3 [4/2 \"x\"]"
std::string describe(const Message& message);

}  // namespace raft
}  // namespace dogfs
