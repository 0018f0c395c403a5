#include "core/meta/parts.h"

#include <algorithm>
#include <utility>

#include "core/base/coverage_mark.h"
#include "core/base/hash.h"
#include "core/base/limits.h"
#include "core/raft/raft.h"
#include "core/wire/rpc.h"

namespace dogfs {

Error StoreReader::judge(Error error) {
  if (is_store_error(error)) {
    DOGFS_COVERAGE_MARK("meta: a read that the store fails ends the node");
    replica_.store_failed(std::move(error));
    return Error(ErrorCode::kShuttingDown, "the store of this node has failed");
  }
  if (is_missing_row(error) && missing_rows_.size() < kMaxMissingRowsLogged &&
      missing_rows_.insert(error.detail).second) {
    env_.log.error("meta", "the metadata contradicts itself: {}", error.to_string());
  }
  return error;
}

Task<Result<wire::CommandReply>> Proposer::propose(wire::Command command, MonoTime deadline) {
  if (in_flight_ >= most_) {
    DOGFS_COVERAGE_MARK("meta: a change refused, since too many are under way");
    co_return Error(ErrorCode::kOverloaded, fmt::format("{} changes are under way", in_flight_));
  }
  // What a peer has added that means nothing here would be kept with the rows, and may be as large as a frame.
  command.DiscardUnknownFields();
  stamp(command);
  const milliseconds elapsed(command.elapsed_ms());
  const uint64_t leadership = leaderships_;
  ++in_flight_;
  Result<std::string> reply = co_await replica_.propose(command.SerializeAsString(), deadline);
  --in_flight_;
  if (!reply) {
    // It never comes into the log, and the next one adds its time: where all that come are refused, the log's time must
    // not stand still.
    const bool refused = reply.error().code != ErrorCode::kOutcomeUnknown;
    if (refused && leadership == leaderships_) last_stamp_ -= elapsed;
    co_return std::move(reply).error();
  }
  co_return parse_message<wire::CommandReply>(reply.value());
}

Task<bool> Proposer::propose_own(wire::Command command) {
  const Result<wire::CommandReply> reply = co_await propose(std::move(command), env_.clock.now() + kProposalLimit);
  if (!reply) co_return false;
  if (reply.value().error() == 0) co_return true;
  // Others may have changed meanwhile what it was made for.
  const ErrorCode code = error_code_from_wire(reply.value().error());
  if (code == ErrorCode::kConflict || code == ErrorCode::kNotFound) {
    env_.log.info("meta", "a command of the leader's own came too late: {}", reply.value().detail());
  } else {
    env_.log.error("meta", "a command of the leader's own was refused: {}", reply.value().detail());
  }
  co_return false;
}

int64_t Proposer::unstamped_ms() const {
  return std::max<int64_t>(std::chrono::floor<milliseconds>(env_.clock.now() - last_stamp_).count(), 0);
}

void Proposer::stamp(wire::Command& command) {
  command.set_elapsed_ms(unstamped_ms());
  last_stamp_ += milliseconds(command.elapsed_ms());
  command.set_wall_ms(std::chrono::floor<milliseconds>(env_.clock.wall().time_since_epoch()).count());
}

Reply MetaParts::refuse(Error error) const {
  if (error.code == ErrorCode::kOutcomeUnknown) {
    // Of the proposal, not of the session: the same request may be sent again and takes effect once.
    return error_reply(Error(ErrorCode::kTimeout, "the change is under way still: " + error.detail));
  }
  if (error.code != ErrorCode::kNotLeader) return error_reply(std::move(error));
  Address address = whom_to_ask();
  if (address.value.empty()) return error_reply(Error(ErrorCode::kNoLeader));
  Reply reply = error_reply(std::move(error));
  reply.leader = std::move(address);
  return reply;
}

Address MetaParts::whom_to_ask() const {
  const raft::Raft& raft = *replica.raft();
  const raft::Configuration& configuration = raft.configuration();
  const bool removed = raft.is_configuration_committed() && !configuration.is_member(options.self);
  if (removed && !configuration.voters.empty()) {
    // Any: the one that led when this node left may be gone, too.
    const uint64_t any = reduce64(env.random.draw("meta.referral"), configuration.voters.size());
    return replica.address_of(configuration.voters[any]);
  }
  const NodeId leader = replica.leader();
  return leader == options.self ? Address() : replica.address_of(leader);
}

Reply MetaParts::answer(Result<wire::CommandReply> outcome) const {
  if (!outcome) return refuse(std::move(outcome).error());
  wire::CommandReply& applied = outcome.value();
  if (applied.error() != 0) {
    return error_reply(Error(error_code_from_wire(applied.error()), std::move(*applied.mutable_detail())));
  }
  Reply reply;
  reply.body = std::move(*applied.mutable_body());
  return reply;
}

}  // namespace dogfs
