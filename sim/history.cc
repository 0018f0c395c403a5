#include "sim/history.h"

#include <google/protobuf/text_format.h>

#include "core/wire/message_type.h"
#include "core/wire/meta.pb.h"
#include "core/wire/rpc.h"
#include "sim/history.pb.h"

namespace dogfs::sim {
namespace {

bool is_recorded(MessageType type) {
  switch (type) {
    case MessageType::kOpenSession:
    case MessageType::kMutate:
    case MessageType::kStat:
    case MessageType::kList:
    case MessageType::kGetBlocks:
    case MessageType::kRenewLeases:
    case MessageType::kListTrash:
    case MessageType::kGetQuotas:
    case MessageType::kSummary:
      return true;
    default:
      return false;
  }
}

// Whether the caller knows by this answer how its operation ended. (What it does about all others is to ask again.)
bool is_final(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOk:
      return true;
    // What these say is of one attempt: an earlier one may have had, or may yet have, its effect.
    case ErrorCode::kOutcomeUnknown:
    case ErrorCode::kNoSpace:
    case ErrorCode::kSessionExpired:
      return false;
    default:
      return error_class(code) == ErrorClass::kFail;
  }
}

}  // namespace

std::optional<size_t> History::begin(const Request& request) {
  if (!is_recorded(request.type)) return std::nullopt;
  std::pair<uint64_t, uint64_t> name;
  if (request.type == MessageType::kMutate) {
    const Result<wire::MutateRequest> change = parse_message<wire::MutateRequest>(request.body);
    if (!change) return std::nullopt;
    name = {change.value().session(), change.value().sequence()};
    if (const auto known = changes_.find(name); known != changes_.end()) return known->second;
    changes_[name] = operations_.size();
  }
  HistoryOperation& operation = operations_.emplace_back();
  operation.type = request.type;
  operation.principal = request.principal;
  operation.request = request.body;
  operation.invoked_ns = now_ns_();
  return operations_.size() - 1;
}

void History::end(size_t number, const Result<Reply>& reply) {
  HistoryOperation& operation = operations_[number];
  if (!reply || operation.answered_ns || !is_final(reply.value().error.code)) return;
  operation.answered_ns = now_ns_();
  operation.code = reply.value().error.code;
  operation.reply = reply.value().body;
}

Task<Result<Reply>> HistoryTransport::call(Address to, Request request, MonoTime deadline) {
  const std::optional<size_t> operation = history_.begin(request);
  Result<Reply> reply = co_await transport_.call(std::move(to), std::move(request), deadline);
  if (operation) history_.end(*operation, reply);
  co_return reply;
}

std::string history_to_text(const std::vector<HistoryOperation>& operations) {
  proto::History history;
  for (const HistoryOperation& operation : operations) {
    proto::HistoryOperation& out = *history.add_operations();
    out.set_type(static_cast<uint32_t>(operation.type));
    out.set_principal(operation.principal);
    out.set_request(operation.request);
    out.set_invoked_ns(operation.invoked_ns);
    out.set_answered(operation.answered_ns.has_value());
    out.set_answered_ns(operation.answered_ns.value_or(0));
    out.set_error(static_cast<uint32_t>(operation.code));
    out.set_reply(operation.reply);
  }
  std::string text;
  google::protobuf::TextFormat::PrintToString(history, &text);
  return text;
}

Result<std::vector<HistoryOperation>> history_from_text(const std::string& text) {
  proto::History history;
  if (!google::protobuf::TextFormat::ParseFromString(text, &history)) {
    return Error(ErrorCode::kInvalidArgument, "the history does not parse");
  }
  std::vector<HistoryOperation> operations;
  for (const proto::HistoryOperation& in : history.operations()) {
    HistoryOperation& operation = operations.emplace_back();
    operation.type = static_cast<MessageType>(in.type());
    operation.principal = in.principal();
    operation.request = in.request();
    operation.invoked_ns = in.invoked_ns();
    if (in.answered()) operation.answered_ns = in.answered_ns();
    operation.code = error_code_from_wire(in.error());
    operation.reply = in.reply();
  }
  return operations;
}

std::string log_to_text(const std::vector<CommittedEntry>& entries) {
  proto::Log log;
  for (const CommittedEntry& entry : entries) {
    proto::LogEntry& out = *log.add_entries();
    out.set_index(entry.index.value());
    out.set_term(entry.term.value());
    out.set_command(entry.command);
  }
  std::string text;
  google::protobuf::TextFormat::PrintToString(log, &text);
  return text;
}

Result<std::vector<CommittedEntry>> log_from_text(const std::string& text) {
  proto::Log log;
  if (!google::protobuf::TextFormat::ParseFromString(text, &log)) {
    return Error(ErrorCode::kInvalidArgument, "the log does not parse");
  }
  std::vector<CommittedEntry> entries;
  for (const proto::LogEntry& in : log.entries()) {
    entries.push_back({LogIndex(in.index()), Term(in.term()), in.command()});
  }
  return entries;
}

}  // namespace dogfs::sim
