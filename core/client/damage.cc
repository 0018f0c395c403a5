#include "core/client/damage.h"

#include "core/wire/meta.pb.h"

namespace dogfs {

Task<Status> report_damage(ClientContext& context, BlockId block, Shard shard) {
  wire::ReportDamageRequest message;
  message.set_server(shard.server.value());
  message.mutable_shard()->set_block(block.value());
  message.mutable_shard()->set_index(shard.index.value());
  message.mutable_shard()->set_generation(shard.generation.value());
  DOGFS_CO_TRYV(co_await context.channel.ask<wire::ReportDamageReply>(MessageType::kReportDamage, message));
  co_return ok();
}

}  // namespace dogfs
