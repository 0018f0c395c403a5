// Histories made by hand: each operation really runs on a state machine in memory, in the order of the calls, and gets
// the times that the test gives it. What the test then falsifies is what the checker must find.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/hash.h"
#include "core/meta/queries.h"
#include "core/wire/message_type.h"
#include "sim/history.h"
#include "sim/linearizability.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs::sim {

// When an operation began and was answered.
struct Times {
  int64_t invoked = 0;
  std::optional<int64_t> answered;
};

class HistoryHarness {
 public:
  HistoryHarness() { machine.add_servers(6); }

  // The number of the operation.
  size_t change(wire::Mutation mutation, Times times, std::vector<uint64_t> placed = {}) {
    wire::Command command = machine.next_request(std::move(mutation));
    // Replies are kept for long, so that requests can be repeated.
    constexpr uint64_t kKept = 100;
    command.set_low_water(std::max(command.sequence(), kKept) - kKept + 1);
    command.mutable_placed_servers()->Add(placed.begin(), placed.end());
    wire::MutateRequest request;
    request.set_session(command.session());
    request.set_sequence(command.sequence());
    request.set_low_water(command.low_water());
    *request.mutable_mutation() = command.mutation();
    const wire::CommandReply reply = machine.apply(command);
    return add(MessageType::kMutate, request, error_code_from_wire(reply.error()), reply.body(), times);
  }

  size_t make_directory(const std::string& path, Times times) {
    wire::Mutation mutation;
    mutation.mutable_make_directory()->set_path(path);
    return change(std::move(mutation), times);
  }
  size_t create(const std::string& path, Times times) {
    wire::Mutation mutation;
    mutation.mutable_create_file()->set_path(path);
    return change(std::move(mutation), times);
  }
  size_t rename(const std::string& source, const std::string& target, Times times) {
    wire::Mutation mutation;
    mutation.mutable_rename()->set_source(source);
    mutation.mutable_rename()->set_target(target);
    return change(std::move(mutation), times);
  }
  size_t remove(const std::string& path, Times times) {
    wire::Mutation mutation;
    mutation.mutable_delete_()->set_path(path);
    mutation.mutable_delete_()->set_recursive(true);
    return change(std::move(mutation), times);
  }

  size_t stat(const std::string& path, Times times) {
    wire::StatRequest request;
    request.set_path(path);
    return read(MessageType::kStat, request, query_stat(tables(), request), times);
  }
  size_t list(const std::string& path, Times times) {
    wire::ListRequest request;
    request.set_path(path);
    return read(MessageType::kList, request, query_list(tables(), request), times);
  }
  size_t list_trash(Times times) {
    const wire::ListTrashRequest request;
    return read(MessageType::kListTrash, request, query_trash(tables(), request), times);
  }
  size_t quotas(const std::string& path, Times times) {
    wire::GetQuotasRequest request;
    request.set_path(path);
    return read(MessageType::kGetQuotas, request, query_quotas(tables(), request), times);
  }
  size_t summary(const std::string& path, Times times) {
    wire::SummaryRequest request;
    request.set_path(path);
    SummaryWalk walk(machine.rows, GroupId());
    const Status started = walk.start(request);
    while (started && !walk.step(100).value()) {
    }
    return read(MessageType::kSummary, request, started ? Result<wire::SummaryReply>(walk.sum()) : started.error(),
                times);
  }
  size_t blocks(const std::string& path, Times times) {
    wire::GetBlocksRequest request;
    request.set_path(path);
    return read(MessageType::kGetBlocks, request, query_blocks(tables(), request), times);
  }

  // Violation of the history as it is; empty: none.
  std::string violation() const { return check_linearizability(history, machine.log).violation.value_or(""); }

  MachineHarness machine;
  std::vector<HistoryOperation> history;

 private:
  MetaTables tables() const { return MetaTables(machine.rows, GroupId()); }

  template <class Request, class Reply>
  size_t read(MessageType type, const Request& request, const Result<Reply>& reply, Times times) {
    return add(type, request, code_of(reply), reply ? reply.value().SerializeAsString() : "", times);
  }

  template <class Request>
  size_t add(MessageType type, const Request& request, ErrorCode code, std::string reply, Times times) {
    HistoryOperation& operation = history.emplace_back();
    operation.type = type;
    operation.request = request.SerializeAsString();
    operation.invoked_ns = times.invoked;
    operation.answered_ns = times.answered;
    operation.code = code;
    operation.reply = std::move(reply);
    return history.size() - 1;
  }
};

// A history of `count` operations, which must be a multiple of 5: two in five are reads, each overlaps with some others.
inline void run_overlapping_operations(HistoryHarness& harness, size_t count) {
  for (size_t i = 0; i < count; i += 5) {
    const std::string name = "/d" + std::to_string(combine64(1, i) % 100);
    const int64_t at = 10 * static_cast<int64_t>(i);
    harness.make_directory(name, {at, at + 25});
    harness.stat(name, {at + 1, at + 30});
    harness.rename(name, name + "x", {at + 2, at + 28});
    harness.list("/", {at + 3, at + 27});
    harness.remove(name + "x", {at + 4, at + 29});
  }
}

}  // namespace dogfs::sim
