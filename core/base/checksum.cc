#include "core/base/checksum.h"

#include <isa-l/crc.h>

#include <array>
#include <climits>

namespace dogfs {
namespace {

constexpr uint32_t kReversedPolynomial = 0x82F63B78;

// A linear map over GF(2)^32: row i is the image of bit i.
using Matrix = std::array<uint32_t, 32>;

uint32_t apply(const Matrix& matrix, uint32_t vector) {
  uint32_t sum = 0;
  for (size_t bit = 0; vector != 0; vector >>= 1, ++bit) {
    if (vector & 1U) sum ^= matrix[bit];
  }
  return sum;
}

Matrix square(const Matrix& matrix) {
  Matrix out;
  for (size_t bit = 0; bit < out.size(); ++bit) out[bit] = apply(matrix, matrix[bit]);
  return out;
}

// powers[i] advances a CRC register over 2^i zero bytes.
std::array<Matrix, 64> zero_byte_powers() {
  Matrix one_bit;
  one_bit[0] = kReversedPolynomial;
  for (size_t bit = 1; bit < one_bit.size(); ++bit) one_bit[bit] = 1U << (bit - 1);
  std::array<Matrix, 64> powers;
  powers[0] = square(square(square(one_bit)));
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = square(powers[i - 1]);
  return powers;
}

}  // namespace

uint32_t crc32c(std::span<const std::byte> bytes, uint32_t crc) {
  // ISA-L takes an int length and leaves the inversions to its caller.
  uint32_t state = ~crc;
  while (!bytes.empty()) {
    const size_t take = std::min<size_t>(bytes.size(), INT_MAX);
    auto* data = const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
    state = crc32_iscsi(data, static_cast<int>(take), state);
    bytes = bytes.subspan(take);
  }
  return ~state;
}

uint32_t crc32c(std::string_view bytes, uint32_t crc) {
  return crc32c(std::as_bytes(std::span(bytes.data(), bytes.size())), crc);
}

uint32_t crc32c(const BytesChain& bytes, uint32_t crc) {
  for (const Bytes& piece : bytes.pieces()) crc = crc32c(piece.span(), crc);
  return crc;
}

uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b) {
  static const std::array<Matrix, 64> powers = zero_byte_powers();
  for (size_t i = 0; length_b != 0; length_b >>= 1, ++i) {
    if (length_b & 1U) crc_a = apply(powers[i], crc_a);
  }
  return crc_a ^ crc_b;
}

}  // namespace dogfs
