// Products of a matrix over GF(2^8) with columns of bytes: the one bulk operation of Reed-Solomon coding. Encoding is
// the product with the generator's parity rows, decoding the product with rows of an inverse.
//
// The field is GF(2)[x] / (x^8 + x^4 + x^3 + x^2 + 1), 0x11d, in which Jerasure and ISA-L agree.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dogfs {

// A rows x columns matrix of field elements.
class GfMatrix {
 public:
  GfMatrix(size_t rows, size_t columns) : rows_(rows), columns_(columns), elements_(rows * columns) {}

  size_t rows() const { return rows_; }
  size_t columns() const { return columns_; }
  uint8_t at(size_t row, size_t column) const { return elements_[row * columns_ + column]; }
  void set(size_t row, size_t column, uint8_t element) { elements_[row * columns_ + column] = element; }
  const std::vector<uint8_t>& elements() const { return elements_; }

 private:
  size_t rows_;
  size_t columns_;
  std::vector<uint8_t> elements_;  // row by row
};

// A matrix made ready for ISA-L's kernels. Immutable: safe for use from many threads at once.
class GfProduct {
 public:
  explicit GfProduct(GfMatrix matrix);

  // output[r][x] = sum over c of matrix(r, c) * input[c][x]. Columns differ in length: an input that ends early is
  // continued by zeros, an output is computed as far as it goes. Preconditions: one span for each column and row;
  // outputs overlap nothing.
  void multiply(std::span<const std::span<const std::byte>> inputs,
                std::span<const std::span<std::byte>> outputs) const;

 private:
  GfMatrix matrix_;
  // ISA-L's expansion of the whole matrix: 32 bytes of multiplication table an element.
  std::vector<unsigned char> tables_;
};

}  // namespace dogfs
