#include "core/chunk/piece_sums.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

#include "core/base/checksum.h"
#include "core/base/hash.h"
#include "core/base/limits.h"

namespace dogfs {
namespace {

constexpr uint64_t kPiece = kChecksumPieceBytes;
constexpr uint64_t kLimit = 1 * kMiB;

std::string random_text(uint64_t seed, size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(combine64(seed, i));
  return text;
}

std::vector<uint32_t> sums_of(std::string_view text) {
  std::vector<uint32_t> sums;
  for (; !text.empty(); text.remove_prefix(std::min<size_t>(text.size(), kPiece))) {
    sums.push_back(crc32c(text.substr(0, kPiece)));
  }
  return sums;
}

// The text cut into slices at arbitrary places, as a socket delivers it.
BytesChain sliced(std::string_view text, uint64_t seed) {
  BytesChain chain;
  while (!text.empty()) {
    const size_t take = std::min<size_t>(text.size(), 1 + reduce64(mix64(seed++), 100'000));
    chain.append(Bytes::copy_of(text.substr(0, take)));
    text.remove_prefix(take);
  }
  return chain;
}

RC_GTEST_PROP(PieceSums, CombineToTheChecksumOfTheWhole, ()) {
  const std::string text = random_text(1, *rc::gen::inRange<size_t>(0, 300'000));
  RC_ASSERT(combine_piece_crcs(sums_of(text), text.size()) == crc32c(text));
}

RC_GTEST_PROP(PieceSums, AnyFlippedBitOfAPayloadIsFound, ()) {
  std::string text = random_text(2, *rc::gen::inRange<size_t>(1, 200'000));
  const std::vector<uint32_t> sums = sums_of(text);
  RC_ASSERT(verify_pieces(sliced(text, text.size()), sums).has_value());
  const size_t at = *rc::gen::inRange<size_t>(0, text.size());
  text[at] = static_cast<char>(text[at] ^ (1 << *rc::gen::inRange(0, 8)));
  const Status status = verify_pieces(sliced(text, at), sums);
  RC_ASSERT(code_of(status) == ErrorCode::kChecksumMismatch);
  RC_ASSERT(status.error().detail == "piece " + std::to_string(at / kPiece));
}

struct Shape {
  uint64_t offset;
  uint64_t length;
  std::vector<uint32_t> sums;
  AppendShape get() const { return AppendShape{offset, length, sums}; }
};

Shape shape(uint64_t offset, const std::string& text) {
  return Shape{offset, text.size(), sums_of(text)};
}

TEST(PieceSums, AppendsInOrderGiveTheSumsOfTheWhole) {
  const std::string text = random_text(3, 5 * kPiece + 100);
  PieceSums sums(kLimit);
  for (const auto& [offset, length] :
       {std::pair{uint64_t{0}, 2 * kPiece}, {2 * kPiece, kPiece}, {3 * kPiece, 2 * kPiece + 100}}) {
    const Shape append = shape(offset, text.substr(offset, length));
    ASSERT_EQ(sums.fit(append.get()).value(), PieceSums::Fit::kNext);
    sums.extend(append.get());
  }
  EXPECT_EQ(sums.length(), text.size());
  EXPECT_EQ(sums.crc(), crc32c(text));
  EXPECT_EQ(sums.piece_crcs(), sums_of(text));
}

class PieceSumsOfAShard : public ::testing::Test {
 protected:
  PieceSumsOfAShard() { sums_.extend(shape(0, text_.substr(0, 3 * kPiece)).get()); }
  ErrorCode fit(const Shape& append) { return code_of(sums_.fit(append.get())); }

  const std::string text_ = random_text(4, 5 * kPiece);
  PieceSums sums_{kLimit};
};

TEST_F(PieceSumsOfAShard, ARetryWithinWhatIsThereFits) {
  EXPECT_EQ(sums_.fit(shape(0, text_.substr(0, 3 * kPiece)).get()).value(), PieceSums::Fit::kRepeated);
  EXPECT_EQ(sums_.fit(shape(kPiece, text_.substr(kPiece, kPiece)).get()).value(), PieceSums::Fit::kRepeated);
}

TEST_F(PieceSumsOfAShard, ARetryOfALastPieceThatIsNotWholeFits) {
  const Shape last = shape(3 * kPiece, text_.substr(3 * kPiece, 100));
  sums_.extend(last.get());
  EXPECT_EQ(sums_.fit(last.get()).value(), PieceSums::Fit::kRepeated);
  EXPECT_EQ(sums_.fit(shape(2 * kPiece, text_.substr(2 * kPiece, kPiece + 100)).get()).value(),
            PieceSums::Fit::kRepeated);
}

TEST_F(PieceSumsOfAShard, OverlapWithOtherBytesIsAConflict) {
  EXPECT_EQ(fit(shape(kPiece, text_.substr(0, kPiece))), ErrorCode::kConflict);
  // Reaches beyond what is there.
  EXPECT_EQ(fit(shape(2 * kPiece, text_.substr(2 * kPiece, 2 * kPiece))), ErrorCode::kConflict);
  // Ends within a piece.
  EXPECT_EQ(fit(shape(kPiece, text_.substr(kPiece, 100))), ErrorCode::kConflict);
}

TEST_F(PieceSumsOfAShard, NothingFollowsAPieceThatIsNotWhole) {
  sums_.extend(shape(3 * kPiece, text_.substr(3 * kPiece, 100)).get());
  EXPECT_EQ(fit(shape(4 * kPiece, text_.substr(0, kPiece))), ErrorCode::kConflict);
}

TEST_F(PieceSumsOfAShard, AppendsAheadWaitWithinTheWindowOnly) {
  PieceSums big(64 * kMiB);
  const std::string window(kAppendWindowBytes - kPiece, 'x');
  EXPECT_EQ(big.fit(shape(kPiece, window).get()).value(), PieceSums::Fit::kAhead);
  EXPECT_EQ(code_of(big.fit(shape(2 * kPiece, window).get())), ErrorCode::kLimitExceeded);
}

TEST_F(PieceSumsOfAShard, ShapesThatNoAppendHasAreRefused) {
  EXPECT_EQ(fit(Shape{3 * kPiece, 0, {}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(fit(shape(3 * kPiece + 1, "x")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(fit(Shape{3 * kPiece, kPiece, {1, 2}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(fit(Shape{3 * kPiece, kPiece + 1, {1}}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(fit(Shape{3 * kPiece, kMaxTransferBytes + 1, {1}}), ErrorCode::kLimitExceeded);
  EXPECT_EQ(fit(Shape{3 * kPiece, ~0ULL, {}}), ErrorCode::kLimitExceeded);
  EXPECT_EQ(fit(Shape{~0ULL - kPiece + 1, kPiece, {1}}), ErrorCode::kLimitExceeded);
  EXPECT_EQ(fit(shape(kLimit, "x")), ErrorCode::kLimitExceeded);
}

}  // namespace
}  // namespace dogfs
