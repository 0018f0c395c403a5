#include "core/client/block_encoder.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "core/base/checksum.h"
#include "core/client/block_content.h"
#include "tests/core/client/fake_cluster.h"
#include "tests/core/client/test_world.h"

namespace dogfs::test {
namespace {

// The obviously right way: whole shards, byte by byte, from the layout.
std::vector<std::string> model_shards(const Geometry& geometry, const std::string& data) {
  const BlockLayout layout(geometry, data.size());
  std::vector<std::string> shards(geometry.total_shards());
  for (size_t at = 0; at < data.size(); ++at) {
    shards[at / geometry.cell_bytes % geometry.data_shards].push_back(data[at]);
  }
  const size_t parity_length = shards[0].size();
  std::vector<std::span<const std::byte>> inputs;
  for (uint32_t i = 0; i < geometry.data_shards; ++i) inputs.push_back(std::as_bytes(std::span(shards[i])));
  std::vector<std::span<std::byte>> outputs;
  for (uint32_t i = geometry.data_shards; i < geometry.total_shards(); ++i) {
    shards[i].resize(parity_length);
    outputs.push_back(std::as_writable_bytes(std::span(shards[i])));
  }
  if (parity_length > 0) Codec(geometry.data_shards, geometry.parity_shards).encode(inputs, outputs);
  for (uint32_t i = 0; i < geometry.total_shards(); ++i) {
    EXPECT_EQ(shards[i].size(), layout.shard_length(ShardIndex(i)));
  }
  return shards;
}

RC_GTEST_PROP(BlockContent, GivesTheShardsOfTheModelHoweverTheBytesCome, ()) {
  const uint64_t cell = *rc::gen::element<uint64_t>(4 * kKiB, 64 * kKiB, 320 * kKiB);
  const auto k = *rc::gen::inRange<uint32_t>(1, 5);
  const auto m = *rc::gen::inRange<uint32_t>(1, 4);
  const Geometry geometry{
      .data_shards = k, .parity_shards = m, .cell_bytes = cell, .block_bytes = k * cell * (5 * kMiB / 2 / cell)};
  const std::string data = pattern(*rc::gen::inRange<size_t>(1, geometry.block_bytes + 1));

  World world;
  BlockContent content(geometry, std::make_shared<Codec>(k, m));
  for (size_t at = 0; at < data.size(); at += cell) {
    content.add(Bytes::copy_of(std::string_view(data).substr(at, cell)));
    if (content.finished()) break;
    if (*rc::gen::inRange(0, 8) == 0 && content.has_work()) world.run(content.encode(world.compute));
    // What can be sent already ends with a whole piece, or an append could not follow it.
    for (uint32_t i = 0; i < k + m; ++i) {
      RC_ASSERT(content.shard(ShardIndex(i)).bytes.size() % kChecksumPieceBytes == 0);
    }
  }
  content.finish();
  while (content.has_work()) world.run(content.encode(world.compute));
  RC_ASSERT(content.complete());
  const std::vector<std::string> expected = model_shards(geometry, data);
  for (uint32_t i = 0; i < k + m; ++i) {
    const ShardContent& shard = content.shard(ShardIndex(i));
    RC_ASSERT(shard.bytes.flatten().view() == expected[i]);
    RC_ASSERT(shard.crc32c == crc32c(expected[i]));
    size_t piece = 0;
    for (size_t at = 0; at < expected[i].size(); at += kChecksumPieceBytes, ++piece) {
      RC_ASSERT(shard.piece_crc32c.at(piece) == crc32c(std::string_view(expected[i]).substr(at, kChecksumPieceBytes)));
    }
    RC_ASSERT(shard.piece_crc32c.size() == piece);
  }
}

}  // namespace
}  // namespace dogfs::test
