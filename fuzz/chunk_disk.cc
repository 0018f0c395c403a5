// A chunk server that starts on a disk full of anything: files of any name and content, records and identity of any
// bytes. It starts or says why not, goes on to answer, and what it serves has the checksums that it says.
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "fuzz/input.h"
#include "fuzz/requests.h"
#include "tests/core/chunk/chunk_world.h"

namespace dogfs::fuzz {
namespace {

constexpr size_t kMostFiles = 12;
constexpr char kDisk[] = "disk0";
// Shards have multiples of this many bytes: up to two checksum pieces and a part of a third.
constexpr size_t kStep = 600;

ShardKey draw_key(Input& input) {
  return ChunkWorld::key(input.id(), static_cast<uint32_t>(input.below(3)), 1 + input.below(2));
}

void put_file(sim::ShardDisk& disk, const std::string& name, const std::string& content) {
  const auto file = disk.create(name);
  if (!file) return;
  const uint64_t write = disk.begin_write(*file.value(), 0, BytesChain(Bytes::copy_of(content)));
  DOGFS_CHECK(disk.complete_write(*file.value(), write).has_value());
  sim::ShardDisk::make_durable(*file.value(), sim::ShardDisk::completed_writes(*file.value()));
  disk.make_names_durable(disk.name_changes_made());
}

// A whole shard file, of which the fuzzer then spoils what it likes.
std::string draw_shard_file(Input& input, const ShardKey& key, const std::string& cluster_uuid) {
  const std::string data = ChunkWorld::data(1, size_t{input.byte()} * kStep);
  const ShardHeader header{cluster_uuid, key, kDefaultGeometry};
  std::string file(encode_shard_header(header).view());
  file += data;
  file.resize(shard_footer_offset(data.size()));
  const wire::AppendShardRequest sums = ChunkWorld::append_request(key, 0, data);
  const ShardFooter footer{key, data.size(), crc32c(data), {sums.piece_crc32c().begin(), sums.piece_crc32c().end()}};
  std::string end(shard_footer_bytes(data.size()), '\0');
  encode_shard_footer(footer, std::as_writable_bytes(std::span(end.data(), end.size())));
  file += end;
  for (size_t flips = input.below(3); flips > 0; --flips) {
    file[input.u16() % file.size()] ^= static_cast<char>(input.byte());
  }
  if (input.byte() > 0xC0) file.resize(file.size() - std::min<size_t>(file.size(), input.u16()));
  return file;
}

void put_record(sim::Node& node, const std::string& key, std::string value) {
  WriteBatch batch;
  batch.put(key, std::move(value));
  node.kv_disk(kDisk)->apply(batch);
  node.kv_disk(kDisk)->mark_durable(node.kv_disk(kDisk)->sequence());
}

void spoil(ChunkWorld& world, Input& input) {
  sim::ShardDisk& disk = *world.node.shard_disk(kDisk);
  const ShardKey key = draw_key(input);
  switch (input.below(6)) {
    case 0:
      return put_file(disk, std::string(input.bytes()), std::string(input.bytes()));
    case 1:
      return put_file(disk, shard_file_name(key), std::string(input.bytes()));
    case 2:
      return put_file(disk, shard_file_name(key), draw_shard_file(input, draw_key(input), world.meta.cluster_uuid));
    case 3:
      return put_file(disk, shard_file_name(key), draw_shard_file(input, key, world.meta.cluster_uuid));
    case 4: {
      wire::ShardRecord record;
      const size_t length = size_t{input.byte()} * kStep;
      record.set_length(input.byte() < 0xE0 ? length : input.number());
      record.set_crc32c(crc32c(ChunkWorld::data(1, length)));
      record.set_deleting(input.byte() > 0xC0);
      return put_record(world.node, shard_record_key(key), record.SerializeAsString());
    }
    default: {
      constexpr const char* kKeys[] = {"identity", "shard/", "shard/x", "x"};
      const bool of_shard = input.flag();
      const std::string name = of_shard ? shard_record_key(key) : kKeys[input.below(std::size(kKeys))];
      return put_record(world.node, name, std::string(input.bytes()));
    }
  }
}

void check_read(ChunkWorld& world, const ShardKey& key) {
  Request request = make_request(MessageType::kReadShard, GroupId(), ChunkWorld::read_request(key, 0, 1000));
  Result<Reply> reply = ask(world.world, world.client, world.node, std::move(request));
  if (!reply || reply.value().error.code != ErrorCode::kOk) return;
  const auto read = parse_message<wire::ReadShardReply>(reply.value().body);
  DOGFS_CHECK(read.has_value());
  const std::string payload(reply.value().payload.flatten().view());
  const wire::AppendShardRequest sums = ChunkWorld::append_request(key, 0, payload);
  DOGFS_CHECK(sums.piece_crc32c_size() == read.value().piece_crc32c_size(), "each piece has a checksum");
}

void run(Input input) {
  ChunkWorld world;
  DOGFS_CHECK(world.wait_registered());
  world.crash(sim::CrashKind::kProcess);
  for (size_t i = 0; i < kMostFiles && !input.empty(); ++i) spoil(world, input);
  world.node.boot();
  world.boot_server();
  DOGFS_CHECK(world.started.has_value() || !world.node.up(), "a start ends, well or not");
  if (!world.node.up() || !world.started->has_value() || !world.wait_registered()) return;
  world.world.run_for(seconds(5));
  for (uint64_t block = 1; block <= 8; ++block) {
    for (uint32_t index = 0; index < 3; ++index) check_read(world, ChunkWorld::key(block, index, 1 + block % 2));
  }
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dogfs::fuzz::run(dogfs::fuzz::Input(data, size));
  return 0;
}
