// Raft's wire format: what is accepted encodes to the same value again, and keeps the limits of the step machine.
#include <google/protobuf/util/message_differencer.h>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/raft/codec.h"
#include "core/wire/rpc.h"
#include "fuzz/input.h"

namespace dogfs::fuzz {
namespace {

using google::protobuf::util::MessageDifferencer;

wire::RaftMessage encoded(const raft::Message& message) {
  wire::RaftMessage out;
  raft::encode_message(message, out);
  return out;
}

void check_messages(std::string_view bytes) {
  Result<wire::RaftMessages> parsed = parse_message<wire::RaftMessages>(bytes);
  if (!parsed) return;
  for (wire::RaftMessage& wire_message : *parsed.value().mutable_messages()) {
    const Result<raft::Message> message = raft::decode_message(std::move(wire_message));
    if (!message) continue;
    DOGFS_CHECK(!message.value().from.is_none() && !message.value().to.is_none() && !message.value().term.is_none());
    DOGFS_CHECK(message.value().entries.size() <= kMaxEntriesPerAppend);
    const wire::RaftMessage once = encoded(message.value());
    const Result<raft::Message> again = raft::decode_message(once);
    DOGFS_CHECK(again.has_value(), "what was decoded encodes to something that decodes");
    DOGFS_CHECK(MessageDifferencer::Equals(once, encoded(again.value())), "and to the same");
  }
}

void check_configuration(std::string_view bytes) {
  const Result<raft::Configuration> parsed = raft::parse_configuration(bytes);
  if (!parsed) return;
  const std::string text = raft::serialize_configuration(parsed.value());
  const Result<raft::Configuration> again = raft::parse_configuration(text);
  DOGFS_CHECK(again.has_value() && raft::serialize_configuration(again.value()) == text);
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const dogfs::fuzz::Input input(data, size);
  dogfs::fuzz::check_messages(input.rest());
  dogfs::fuzz::check_configuration(input.rest());
  return 0;
}
