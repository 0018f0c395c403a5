#include "core/meta/trash_requests.h"

#include <utility>

#include "core/meta/queries.h"
#include "core/wire/rpc.h"

namespace dogfs {

Task<Reply> TrashRequests::list(Request request, MonoTime deadline) {
  const Result<wire::ListTrashRequest> parsed = parse_message<wire::ListTrashRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  const Result<LogIndex> current = co_await parts_.replica.read_barrier(deadline);
  if (!current) co_return parts_.refuse(current.error());
  Result<wire::ListTrashReply> reply = co_await parts_.reader.read<wire::ListTrashReply>(
      [&parsed](const MetaTables& tables) { return query_trash(tables, parsed.value()); });
  if (!reply) co_return error_reply(std::move(reply).error());
  // The next command of this leader would bring the log's time to now.
  reply.value().set_log_time_ms(reply.value().log_time_ms() + parts_.proposer.unstamped_ms());
  co_return make_reply(reply.value());
}

Task<Reply> TrashRequests::administer(Request request, MonoTime deadline) {
  const Result<wire::AdministerTrashRequest> parsed = parse_message<wire::AdministerTrashRequest>(request.body);
  if (!parsed) co_return error_reply(parsed.error());
  if (parsed.value().set()) {
    wire::Command command;
    command.mutable_set_trash_period()->set_period_ms(parsed.value().period_ms());
    Result<wire::CommandReply> outcome = co_await parts_.proposer.propose(std::move(command), deadline);
    if (!outcome || outcome.value().error() != 0) co_return parts_.answer(std::move(outcome));
  } else {
    const Result<LogIndex> current = co_await parts_.replica.read_barrier(deadline);
    if (!current) co_return parts_.refuse(current.error());
  }
  const Result<wire::CountersRow> counters =
      co_await parts_.reader.read<wire::CountersRow>([](const MetaTables& tables) -> Result<wire::CountersRow> {
        DOGFS_TRY(const std::optional<wire::CountersRow> row, tables.counters());
        return row.value_or(wire::CountersRow());
      });
  if (!counters) co_return error_reply(counters.error());
  wire::AdministerTrashReply reply;
  reply.set_period_ms(counters.value().trash_ms());
  reply.set_entries(counters.value().trash_entries());
  co_return make_reply(reply);
}

}  // namespace dogfs
