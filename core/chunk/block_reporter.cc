#include "core/chunk/block_reporter.h"

#include <utility>

#include "core/wire/rpc.h"

namespace dogfs {
namespace {

// Shards that are summed up before others get their turn.
constexpr size_t kShardsPerStep = 20'000;
constexpr Duration kReportTimeout = seconds(10);
// A difference is looked at again after this part of the interval: it counts when it is seen twice.
constexpr int kSoonerWhenDifferent = 4;

}  // namespace

void BlockReporter::heard(const Address& leader, uint64_t incarnation, uint64_t applied_index) {
  leader_ = leader;
  incarnation_ = incarnation;
  heard_index_ = applied_index;
}

Task<void> BlockReporter::run() {
  Duration wait = options_.report_interval / kSoonerWhenDifferent;
  while (co_await stop_.sleep(wait)) {
    if (leader_.value.empty()) continue;
    const Result<bool> same = co_await report();
    if (!same.has_value()) env_.log.debug("chunk", "the block report ended: {}", same.error().to_string());
    const bool sooner = !same.has_value() || !same.value();
    wait = sooner ? options_.report_interval / kSoonerWhenDifferent : options_.report_interval;
  }
}

Task<BlockReporter::Summary> BlockReporter::sum_up() {
  Summary summary;
  ShardKey at;
  for (bool more = true; more && !stop_.stopping();) {
    size_t steps = 0;
    auto entry = table_.entries().lower_bound(at);
    for (; entry != table_.entries().end() && steps < kShardsPerStep; ++entry, ++steps) {
      const ShardKey& key = entry->first;
      if (is_damaged(entry->second.state)) summary.damaged.insert(report_bucket(key.block));
      if (entry->second.state != ShardState::kSealed) continue;
      summary.digests[report_bucket(key.block)].add(key.block, key.index, key.generation, entry->second.crc);
    }
    more = entry != table_.entries().end();
    if (more) {
      at = entry->first;
      co_await stop_.sleep(milliseconds(1));
    }
  }
  co_return summary;
}

Task<Result<bool>> BlockReporter::report() {
  const uint64_t heard_index = heard_index_;
  const Address leader = leader_;
  ++sequence_;
  Summary summary = co_await sum_up();
  wire::ReportDigestsRequest message;
  message.set_server(identity_.server().value());
  message.set_incarnation(incarnation_);
  message.set_sequence(sequence_);
  for (const auto& [bucket, digest] : summary.digests) {
    wire::ReportDigestsRequest::Bucket& sum = *message.add_buckets();
    sum.set_bucket(bucket);
    sum.set_low(digest.low);
    sum.set_high(digest.high);
    sum.set_shards(digest.shards);
  }
  Request request = make_request(MessageType::kReportDigests, GroupId(0), message);
  DOGFS_CO_TRY(Reply raw, co_await env_.transport.call(leader, std::move(request), env_.clock.now() + kReportTimeout));
  DOGFS_CO_TRY(const TypedReply<wire::ReportDigestsReply> reply, parse_reply<wire::ReportDigestsReply>(std::move(raw)));
  // No digest has what is damaged: what of that is listed nowhere either would be asked for never.
  std::set<uint64_t> buckets = std::move(summary.damaged);
  buckets.insert(reply.message.differing().begin(), reply.message.differing().end());
  for (const uint64_t bucket : buckets) {
    if (stop_.stopping()) co_return Error(ErrorCode::kShuttingDown);
    DOGFS_CO_TRYV(co_await report_bucket_of(bucket, heard_index, leader));
  }
  co_return reply.message.differing().empty();
}

Task<Status> BlockReporter::report_bucket_of(uint64_t bucket, uint64_t heard_index, Address leader) {
  wire::ReportShardsRequest message;
  message.set_server(identity_.server().value());
  message.set_incarnation(incarnation_);
  message.set_sequence(sequence_);
  message.set_bucket(bucket);
  message.set_heard_index(heard_index);
  message.set_incomplete(env_.clock.now() < incomplete_until_);
  const MonoTime lately = env_.clock.now() - options_.report_interval;
  auto entry =
      table_.entries().lower_bound(ShardKey{BlockId(bucket * kBlocksPerReportBucket), ShardIndex(), ShardGeneration()});
  for (; entry != table_.entries().end() && report_bucket(entry->first.block) == bucket; ++entry) {
    // Nobody is to count on one that is about to go.
    if (entry->second.state == ShardState::kDeleting || remover_.is_requested(entry->first)) continue;
    wire::ReportedShard& shard = *message.add_shards();
    *shard.mutable_shard() = shard_name_to_wire(entry->first);
    shard.set_length(entry->second.length);
    shard.set_crc32c(entry->second.crc);
    shard.set_damaged(is_damaged(entry->second.state));
    shard.set_unverified(entry->second.state == ShardState::kUnverified);
    shard.set_read_lately(entry->second.read_through && *entry->second.read_through >= lately);
  }
  Request request = make_request(MessageType::kReportShards, GroupId(0), message);
  DOGFS_CO_TRY(Reply raw, co_await env_.transport.call(leader, std::move(request), env_.clock.now() + kReportTimeout));
  DOGFS_CO_TRYV(parse_reply<wire::ReportShardsReply>(std::move(raw)));
  co_return ok();
}

}  // namespace dogfs
