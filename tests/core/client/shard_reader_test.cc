#include "core/client/shard_reader.h"

#include <gtest/gtest.h>

#include "core/base/checksum.h"
#include "core/base/limits.h"
#include "core/client/cell_assembler.h"
#include "core/client/file_block.h"
#include "core/ec/policy_wire.h"
#include "tests/core/client/fake_cluster.h"

namespace dogfs::test {
namespace {

// Two whole pieces and a short one.
class ShardReaderTest : public testing::Test {
 protected:
  ShardReaderTest() {
    shard_.index = ShardIndex(1);
    shard_.length = data_.size();
    shard_.crc32c = crc32c(data_);
    for (size_t at = 0; at < data_.size(); at += kChecksumPieceBytes) {
      pieces_.push_back(crc32c(std::string_view(data_).substr(at, kChecksumPieceBytes)));
    }
    reply_.set_shard_length(shard_.length);
    reply_.set_shard_crc32c(shard_.crc32c);
    reply_.set_payload_offset(kChecksumPieceBytes);
  }

  // Of a read of the last two pieces.
  ErrorCode check(size_t cut = 0) {
    const std::string_view payload = std::string_view(data_).substr(kChecksumPieceBytes);
    const ShardRange range{.offset = kChecksumPieceBytes + 5, .length = kChecksumPieceBytes};
    return code_of(check_read(shard_, range, reply_,
                              BytesChain(Bytes::copy_of(payload.substr(0, payload.size() - cut))), pieces_));
  }

  std::string data_ = pattern(2 * kChecksumPieceBytes + 100);
  std::vector<uint32_t> pieces_;
  Shard shard_;
  wire::ReadShardReply reply_;
};

TEST_F(ShardReaderTest, ARightReplyIsTaken) {
  EXPECT_EQ(check(), ErrorCode::kOk);
}

TEST_F(ShardReaderTest, AFlippedBitIsAMismatch) {
  data_[2 * kChecksumPieceBytes + 99] ^= 1;
  EXPECT_EQ(check(), ErrorCode::kChecksumMismatch);
}

TEST_F(ShardReaderTest, AnotherShardThanRaftKnowsIsCorrupt) {
  reply_.set_shard_crc32c(shard_.crc32c + 1);
  EXPECT_EQ(check(), ErrorCode::kCorrupt);
  reply_.set_shard_crc32c(shard_.crc32c);
  reply_.set_shard_length(shard_.length + 1);
  EXPECT_EQ(check(), ErrorCode::kCorrupt);
}

TEST_F(ShardReaderTest, AReplyOfAnotherShapeIsRefused) {
  EXPECT_EQ(check(1), ErrorCode::kProtocolError);
  reply_.set_payload_offset(0);
  EXPECT_EQ(check(), ErrorCode::kProtocolError);
}

TEST_F(ShardReaderTest, ChecksumsThatCombineToTheShardsAreBelieved) {
  const Result<PieceSums> sums = check_sums(shard_, pieces_);
  ASSERT_TRUE(sums.has_value());
  EXPECT_EQ(*sums.value(), pieces_);
}

TEST_F(ShardReaderTest, ChecksumsOfOtherBytesAreAMismatch) {
  for (uint32_t& piece : pieces_) {
    piece ^= 1;
    EXPECT_EQ(code_of(check_sums(shard_, pieces_)), ErrorCode::kChecksumMismatch);
    piece ^= 1;
  }
}

TEST_F(ShardReaderTest, ChecksumsOfAnotherNumberAreRefused) {
  pieces_.push_back(0);
  EXPECT_EQ(code_of(check_sums(shard_, pieces_)), ErrorCode::kProtocolError);
  pieces_.resize(2);
  EXPECT_EQ(code_of(check_sums(shard_, pieces_)), ErrorCode::kProtocolError);
  EXPECT_EQ(code_of(check_sums(shard_, {})), ErrorCode::kProtocolError);
}

TEST(CellAssembler, AWholeCellIsNotCopied) {
  CellAssembler cells(4096);
  Bytes data = Bytes::copy_of(pattern(10'000));
  const std::byte* start = data.data();
  const std::optional<Bytes> first = cells.take(data);
  const std::optional<Bytes> second = cells.take(data);
  EXPECT_TRUE(first && first->data() == start);
  EXPECT_TRUE(second && second->data() == start + 4096);
  EXPECT_FALSE(cells.take(data));
  EXPECT_TRUE(data.empty());
  EXPECT_EQ(cells.take_rest().view(), pattern(10'000).substr(8192));
  EXPECT_TRUE(cells.take_rest().empty());
}

class FileBlockTest : public testing::Test {
 protected:
  FileBlockTest() {
    location_.set_block(7);
    location_.set_length(layout_.length());
    *location_.mutable_policy() = geometry_to_wire(kGeometry);
    for (const ShardIndex index : layout_.stored_indices()) {
      wire::Shard& shard = *location_.add_shards();
      shard.set_index(index.value());
      shard.set_length(layout_.shard_length(index));
    }
  }
  ErrorCode code() const { return code_of(file_block_from_wire(location_)); }

  static constexpr Geometry kGeometry{
      .data_shards = 3, .parity_shards = 2, .cell_bytes = 4096, .block_bytes = 3 * 4096 * 4};
  BlockLayout layout_{kGeometry, 5000};
  wire::BlockLocation location_;
};

TEST_F(FileBlockTest, ARecordThatFitsItsGeometryIsTaken) {
  EXPECT_EQ(code(), ErrorCode::kOk);
}

TEST_F(FileBlockTest, ARecordThatDoesNotIsRefused) {
  const wire::BlockLocation good = location_;
  location_.mutable_shards(0)->set_index(2);
  EXPECT_EQ(code(), ErrorCode::kProtocolError);
  location_ = good;
  location_.mutable_shards()->RemoveLast();
  EXPECT_EQ(code(), ErrorCode::kProtocolError);
  location_ = good;
  location_.mutable_shards(1)->set_length(1);
  EXPECT_EQ(code(), ErrorCode::kProtocolError);
  location_ = good;
  location_.set_length(kGeometry.block_bytes + 1);
  EXPECT_EQ(code(), ErrorCode::kProtocolError);
  location_ = good;
  location_.set_length(0);
  EXPECT_EQ(code(), ErrorCode::kProtocolError);
  location_ = good;
  location_.mutable_policy()->set_cell_bytes(5);
  EXPECT_EQ(code(), ErrorCode::kInvalidArgument);
}

TEST_F(FileBlockTest, ARecordThatReachesBeyondAnyFileIsRefused) {
  const uint64_t last = kMaxFileBytes - location_.length();
  location_.set_offset(last);
  EXPECT_EQ(code(), ErrorCode::kOk);
  for (const uint64_t offset : {last + 1, UINT64_MAX}) {
    location_.set_offset(offset);
    EXPECT_EQ(code(), ErrorCode::kProtocolError) << offset;
  }
}

}  // namespace
}  // namespace dogfs::test
