// What a message says, in a few words for a person.
#pragma once

#include <string>

#include "sim/network.h"

namespace dogfs::sim {

struct MessageText {
  std::string label;   // its kind: "Append", "VoteReply", "SealShard"
  std::string detail;  // "term 3, 2 entries after 12 (term 3), commit 11"
};

// Precondition: `envelope` has its frame, unless it is a refusal or a reset.
MessageText describe_message(const Envelope& envelope);

}  // namespace dogfs::sim
