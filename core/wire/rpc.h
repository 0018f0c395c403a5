// Typed calls over the Transport: a protobuf message goes in, one comes out.
#pragma once

#include <google/protobuf/message_lite.h>

#include <string>
#include <utility>

#include "core/env/transport.h"
#include "core/wire/message_type.h"

namespace dogfs {

// Fails with kProtocolError when the bytes are not such a message.
template <class Message>
Result<Message> parse_message(std::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return Error(ErrorCode::kProtocolError, "message does not parse as " + message.GetTypeName());
  }
  return message;
}

template <class Message>
Request make_request(MessageType type, GroupId group, const Message& message, BytesChain payload = {}) {
  Request request;
  request.type = type;
  request.group = group;
  request.body = message.SerializeAsString();
  request.payload = std::move(payload);
  return request;
}

inline Reply error_reply(Error error) {
  Reply reply;
  reply.error = std::move(error);
  return reply;
}

template <class Message>
Reply make_reply(const Message& message, BytesChain payload = {}) {
  Reply reply;
  reply.body = message.SerializeAsString();
  reply.payload = std::move(payload);
  return reply;
}

template <class Message>
struct TypedReply {
  Message message;
  BytesChain payload;
};

// The reply's message, or the error that it carries.
template <class Message>
Result<TypedReply<Message>> parse_reply(Reply reply) {
  if (reply.error.code != ErrorCode::kOk) return std::move(reply.error);
  DOGFS_TRY(Message message, parse_message<Message>(reply.body));
  return TypedReply<Message>{std::move(message), std::move(reply.payload)};
}

}  // namespace dogfs
