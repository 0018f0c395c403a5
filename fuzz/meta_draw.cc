#include "fuzz/meta_draw.h"

#include <algorithm>
#include <string>

#include "core/ec/geometry.h"
#include "core/ec/policy_wire.h"

namespace dogfs::fuzz {
namespace {

constexpr size_t kMostShards = 6;
constexpr size_t kMostServers = 8;
constexpr uint32_t kShardCrc = 7;

void draw_policy(Input& input, wire::EcPolicy& policy) {
  policy.set_data_shards(1 + static_cast<uint32_t>(input.below(3)));
  policy.set_parity_shards(1 + static_cast<uint32_t>(input.below(2)));
  policy.set_cell_bytes(4096);
  policy.set_block_bytes(4096ULL * policy.data_shards() * (1 + input.below(3)));
  policy.set_matrix(1);
  // Now and then one that is wrong.
  const uint8_t spoilt = input.byte();
  if (spoilt == 1) policy.set_data_shards(static_cast<uint32_t>(input.u64()));
  if (spoilt == 2) policy.set_cell_bytes(input.u64());
  if (spoilt == 3) policy.set_block_bytes(input.u64());
  if (spoilt == 4) policy.set_parity_shards(static_cast<uint32_t>(input.u64()));
}

void draw_shard(Input& input, uint32_t index, wire::Shard& shard) {
  shard.set_index(input.byte() == 0xFF ? static_cast<uint32_t>(input.number()) : index);
  shard.set_server(input.below(kMostServers + 1));
  shard.set_generation(input.id());
  shard.set_length(input.byte() < 0x80 ? 4096 : input.number() * 512);
  shard.set_crc32c(kShardCrc);
}

// `Message` names a file that is being written.
template <class Message>
void draw_file(Input& input, Message& message) {
  message.set_inode(input.id());
  message.set_lease_epoch(1 + input.below(3));
}

void draw_commit(Input& input, wire::CommitBlock& commit) {
  draw_file(input, commit);
  commit.set_block(input.id());
  commit.set_offset(input.number() * 4096);
  commit.set_length(input.byte() < 0x80 ? 4096 * (1 + input.below(4)) : input.number());
  const size_t shards = input.below(kMostShards);
  for (uint32_t i = 0; i < shards; ++i) draw_shard(input, i, *commit.add_shards());
}

}  // namespace

void draw_mutation(Input& input, wire::Mutation& mutation) {
  switch (input.below(19)) {
    case 0: {
      wire::MakeDirectory& make = *mutation.mutable_make_directory();
      make.set_path(draw_path(input));
      make.set_parents(input.flag());
      if (input.flag()) draw_policy(input, *make.mutable_policy());
      return;
    }
    case 1: {
      wire::SetPolicy& set = *mutation.mutable_set_policy();
      set.set_path(draw_path(input));
      if (input.flag()) draw_policy(input, *set.mutable_policy());
      return;
    }
    case 2: {
      wire::CreateFile& create = *mutation.mutable_create_file();
      create.set_path(draw_path(input));
      create.set_overwrite(input.flag());
      create.set_parents(input.flag());
      return;
    }
    case 3:
      draw_file(input, *mutation.mutable_allocate_block());
      mutation.mutable_allocate_block()->set_length(input.number() * 512);
      return;
    case 4:
      draw_file(input, *mutation.mutable_replace_target());
      mutation.mutable_replace_target()->set_block(input.id());
      mutation.mutable_replace_target()->set_index(input.byte());
      return;
    case 5:
      return draw_commit(input, *mutation.mutable_commit_block());
    case 6:
      draw_file(input, *mutation.mutable_abandon_block());
      mutation.mutable_abandon_block()->set_block(input.id());
      return;
    case 7:
      draw_file(input, *mutation.mutable_close_file());
      mutation.mutable_close_file()->set_length(input.number() * 512);
      if (input.flag()) mutation.mutable_close_file()->set_tail(std::string(input.bytes()));
      return;
    case 8:
      mutation.mutable_recover_lease()->set_path(draw_path(input));
      return;
    case 9:
      mutation.mutable_rename()->set_source(draw_path(input));
      mutation.mutable_rename()->set_target(draw_path(input));
      mutation.mutable_rename()->set_replace(input.flag());
      return;
    case 10:
      mutation.mutable_delete_()->set_path(draw_path(input));
      mutation.mutable_delete_()->set_recursive(input.flag());
      mutation.mutable_delete_()->set_skip_trash(input.byte() < 0x20);
      return;
    case 11:
      mutation.mutable_append_file()->set_path(draw_path(input));
      if (input.flag()) draw_policy(input, *mutation.mutable_append_file()->mutable_policy());
      return;
    case 12:
      draw_file(input, *mutation.mutable_truncate_file());
      mutation.mutable_truncate_file()->set_length(input.number() * 512);
      return;
    case 13:
      draw_file(input, *mutation.mutable_commit_tail());
      mutation.mutable_commit_tail()->set_offset(input.number() * 512);
      mutation.mutable_commit_tail()->set_data(std::string(input.bytes()));
      return;
    case 14: {
      wire::ReplaceBlocks& replace = *mutation.mutable_replace_blocks();
      draw_file(input, replace);
      for (size_t left = input.below(3); left > 0; --left) replace.add_replaced(input.id());
      for (size_t left = input.below(3); left > 0; --left) draw_commit(input, *replace.add_blocks());
      return;
    }
    case 15:
      mutation.mutable_restore_trash()->set_inode(input.id());
      if (input.flag()) mutation.mutable_restore_trash()->set_target(draw_path(input));
      mutation.mutable_restore_trash()->set_parents(input.flag());
      return;
    case 17: {
      wire::SetQuota& quota = *mutation.mutable_set_quota();
      quota.set_path(draw_path(input));
      if (input.flag()) quota.set_max_names(input.number());
      if (input.flag()) quota.set_max_bytes(input.number() * 4096);
      quota.set_clear(input.byte() < 0x20);
      return;
    }
    case 16:
      if (input.flag()) mutation.mutable_purge_trash()->set_inode(input.id());
      mutation.mutable_purge_trash()->set_all(input.byte() < 0x20);
      return;
    default: {
      const std::string_view bytes = input.bytes();
      mutation.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()));
    }
  }
}

namespace {

template <class Shard>
void draw_shard_name(Input& input, Shard& shard) {
  shard.set_block(input.id());
  shard.set_index(static_cast<uint32_t>(input.below(kMostShards)));
}

void draw_repair_command(Input& input, wire::Command& command) {
  const size_t count = 1 + input.below(2);
  const auto draw_server_shards = [&](auto& shards) {
    for (size_t i = 0; i < count; ++i) {
      wire::ServerShard& shard = *shards.Add();
      draw_shard_name(input, shard);
      shard.set_server(input.below(kMostServers + 1));
      shard.set_generation(input.id());
      shard.set_length(4096);
      shard.set_crc32c(kShardCrc);
    }
  };
  switch (input.below(10)) {
    case 0:
      command.mutable_set_server_state()->set_server(input.below(kMostServers + 1));
      command.mutable_set_server_state()->set_incarnation(input.below(3));
      command.mutable_set_server_state()->set_state(static_cast<wire::ServerState>(input.below(6)));
      return;
    case 1:
      command.mutable_sweep_server()->set_server(input.below(kMostServers + 1));
      command.mutable_sweep_server()->set_max_rows(static_cast<uint32_t>(input.number()));
      return;
    case 2:
      for (size_t i = 0; i < count; ++i) {
        wire::StartRepairs::Repair& repair = *command.mutable_start_repairs()->add_repairs();
        draw_shard_name(input, repair);
        repair.set_target(input.below(kMostServers + 1));
        repair.set_replaced_server(input.below(kMostServers + 1));
        repair.set_replaced_generation(input.id());
        repair.set_move(input.flag());
      }
      command.mutable_start_repairs()->set_valid_ms(static_cast<int64_t>(input.number()));
      return;
    case 3: {
      wire::FinishRepair& finish = *command.mutable_finish_repair();
      draw_shard_name(input, finish);
      finish.set_target(input.below(kMostServers + 1));
      finish.set_generation(input.id());
      finish.set_length(4096);
      finish.set_crc32c(kShardCrc);
      return;
    }
    case 4: {
      wire::CancelRepairs::Repair& repair = *command.mutable_cancel_repairs()->add_repairs();
      draw_shard_name(input, repair);
      repair.set_generation(input.id());
      return;
    }
    case 5:
      return draw_server_shards(*command.mutable_mark_damaged()->mutable_shards());
    case 6:
      return draw_server_shards(*command.mutable_adopt_shards()->mutable_shards());
    case 8:
      command.mutable_set_balancing()->set_on(input.flag());
      command.mutable_set_balancing()->set_threshold_percent(input.byte());
      return;
    case 7:
      command.mutable_administer_server()->set_server(input.below(kMostServers + 1));
      command.mutable_administer_server()->set_wanted(static_cast<wire::ServerState>(input.below(6)));
      command.mutable_administer_server()->set_maintenance_ms(static_cast<int64_t>(input.number()));
      return;
    default:
      return draw_server_shards(*command.mutable_discard_shards()->mutable_shards());
  }
}

void draw_own_command(Input& input, wire::Command& command) {
  switch (input.below(16)) {
    case 0:
      command.mutable_open_session();
      return;
    case 1: {
      wire::RegisterServer& server = *command.mutable_register_server();
      server.set_uuid(std::string(16, static_cast<char>('A' + input.below(kMostServers))));
      server.set_address("server:1");
      server.set_rack("/rack");
      return;
    }
    case 2:
      command.mutable_expire_sessions()->set_idle_since_ms(static_cast<int64_t>(input.number()));
      command.mutable_expire_sessions()->add_sessions(input.id());
      return;
    case 3:
      draw_file(input, *command.mutable_expire_lease());
      return;
    case 4:
      command.mutable_reclaim_step()->set_max_rows(static_cast<uint32_t>(input.number()));
      return;
    case 5:
      for (size_t i = input.below(4); i > 0; --i) {
        wire::ConfirmDeleted::Entry& shard = *command.mutable_confirm_deleted()->add_shards();
        shard.set_server(input.below(kMostServers + 1));
        shard.set_block(input.id());
        shard.set_index(input.byte());
        shard.set_generation(input.id());
      }
      return;
    case 6:
      command.mutable_initialize_cluster()->set_uuid(std::string(16, 'X'));
      draw_policy(input, *command.mutable_initialize_cluster()->mutable_default_policy());
      return;
    case 7: {
      const std::string_view bytes = input.bytes();
      command.ParsePartialFromArray(bytes.data(), static_cast<int>(bytes.size()));
      return;
    }
    case 8:
      command.mutable_set_trash_period()->set_period_ms(static_cast<int64_t>(input.number()));
      return;
    case 9:
      command.mutable_expire_trash()->set_max_rows(static_cast<uint32_t>(input.number()));
      return;
    default:
      draw_repair_command(input, command);
  }
}

}  // namespace

wire::Command draw_command(Input& input, uint64_t& sequence) {
  wire::Command command;
  if (input.below(4) == 0) {
    draw_own_command(input, command);
  } else {
    const uint8_t numbering = input.byte();
    command.set_session(numbering < 0xF0 ? 1 : input.id());
    command.set_sequence(numbering < 0xE0 ? ++sequence : input.number());
    command.set_low_water(numbering < 0xE0 ? sequence - numbering % std::min<uint64_t>(sequence, 4) : input.number());
    draw_mutation(input, *command.mutable_mutation());
    for (size_t i = input.below(kMostShards); i > 0; --i) command.add_placed_servers(1 + input.below(kMostServers));
  }
  command.set_elapsed_ms(static_cast<int64_t>(input.number()));
  command.set_wall_ms(1000);
  return command;
}

}  // namespace dogfs::fuzz
