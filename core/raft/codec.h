// Raft's values as protobuf messages and back. What comes from outside is validated here, so that the step machine only
// sees messages that a member could have sent.
#pragma once

#include "core/base/result.h"
#include "core/raft/configuration.h"
#include "core/raft/types.h"
#include "core/wire/raft.pb.h"

namespace dogfs::raft {

// The entry at `position` that brings `configuration` into effect.
Entry configuration_entry(LogPosition position, Configuration configuration);

void encode_entry(const Entry& entry, wire::RaftEntry& out);
// kProtocolError for an index or term of zero, an unknown type, a command beyond kMaxCommandBytes, a configuration
// that is not valid.
Result<Entry> decode_entry(wire::RaftEntry message);

void encode_configuration(const Configuration& configuration, wire::RaftConfiguration& out);
// kProtocolError unless it is valid.
Result<Configuration> decode_configuration(const wire::RaftConfiguration& message);
// The command of a configuration entry, and back.
std::string serialize_configuration(const Configuration& configuration);
Result<Configuration> parse_configuration(std::string_view text);

void encode_message(const Message& message, wire::RaftMessage& out);
// kProtocolError for what no member sends: an unknown kind, no term or nodes, entries that do not follow each other or
// exceed their limits. The rows of a part of a snapshot stay as they came (core/raft/state_rows.h).
Result<Message> decode_message(wire::RaftMessage message);

}  // namespace dogfs::raft
