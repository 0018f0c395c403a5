// What clients asked of the metadata and were answered, as a history that can be checked afterwards.
//
// HistoryTransport stands between a client and its transport and notes every request to the metadata with the moments
// at which it was sent first and answered for good. All retries of a change, under one session and sequence, are one
// operation. It changes nothing. Used by the simulator, and by the load driver of tests/e2e on real clusters: there a
// history goes through a file.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/env/transport.h"
#include "core/raft/state_machine.h"

namespace dogfs::sim {

// One operation of a client. Times are of one clock for the whole history.
struct HistoryOperation {
  MessageType type{};
  std::string principal;
  std::string request;  // serialised
  int64_t invoked_ns = 0;
  // None: its outcome is unknown; it may have happened, may yet, or never will.
  std::optional<int64_t> answered_ns;
  ErrorCode code = ErrorCode::kOk;
  std::string reply;  // serialised, where `code` is kOk
};

class History {
 public:
  // `now_ns` is the clock.
  explicit History(std::function<int64_t()> now_ns) : now_ns_(std::move(now_ns)) {}

  // Notes the attempt at a request and returns its operation's number; nullopt for what is not recorded.
  std::optional<size_t> begin(const Request& request);
  void end(size_t operation, const Result<Reply>& reply);

  const std::vector<HistoryOperation>& operations() const { return operations_; }

 private:
  std::function<int64_t()> now_ns_;
  std::vector<HistoryOperation> operations_;
  std::map<std::pair<uint64_t, uint64_t>, size_t> changes_;  // by session and sequence
};

class HistoryTransport final : public Transport {
 public:
  // What is passed must outlive this object, and the calls made through it.
  HistoryTransport(Transport& transport, History& history) : transport_(transport), history_(history) {}

  Task<Result<Reply>> call(Address to, Request request, MonoTime deadline) override;
  void send(Address to, Request message) override { transport_.send(std::move(to), std::move(message)); }
  void serve(RequestHandler& handler) override { transport_.serve(handler); }
  void stop_serving() override { transport_.stop_serving(); }

 private:
  Transport& transport_;
  History& history_;
};

// A history as a file of protobuf text (sim/history.proto), and back. kInvalidArgument for what is not one.
std::string history_to_text(const std::vector<HistoryOperation>& operations);
Result<std::vector<HistoryOperation>> history_from_text(const std::string& text);
// The same for a log. Texts of parts that follow each other may be put together.
std::string log_to_text(const std::vector<CommittedEntry>& entries);
Result<std::vector<CommittedEntry>> log_from_text(const std::string& text);

}  // namespace dogfs::sim
