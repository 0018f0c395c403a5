#include "core/ec/gf_product.h"

#include <isa-l/erasure_code.h>

#include <algorithm>
#include <cstring>

#include "core/base/check.h"
#include "core/base/limits.h"

namespace dogfs {
namespace {

constexpr size_t kTableBytesPerElement = 32;
// ISA-L takes an int length.
constexpr size_t kMaxStride = 1 * kGiB;

using Inputs = std::span<const std::span<const std::byte>>;
using Outputs = std::span<const std::span<std::byte>>;

std::vector<unsigned char> expand(const GfMatrix& matrix) {
  std::vector<unsigned char> tables(kTableBytesPerElement * matrix.rows() * matrix.columns());
  std::vector<uint8_t> elements = matrix.elements();
  ec_init_tables(static_cast<int>(matrix.columns()), static_cast<int>(matrix.rows()), elements.data(), tables.data());
  return tables;
}

// One stretch [begin, end) in which `rows` and `columns` are those that do not end before `end`.
struct Stretch {
  size_t begin = 0;
  size_t end = 0;
  std::vector<size_t> columns;
  std::vector<size_t> rows;
};

// The product over one stretch with the tables of exactly its columns and rows.
void multiply_stretch(const Stretch& stretch, const std::vector<unsigned char>& tables, Inputs inputs,
                      Outputs outputs) {
  // ISA-L's interface lacks const; it only reads its tables and sources.
  auto* table = const_cast<unsigned char*>(tables.data());
  std::vector<unsigned char*> sources(stretch.columns.size());
  std::vector<unsigned char*> targets(stretch.rows.size());
  for (size_t at = stretch.begin; at < stretch.end;) {
    const size_t stride = std::min(stretch.end - at, kMaxStride);
    for (size_t i = 0; i < sources.size(); ++i) {
      auto* source = const_cast<std::byte*>(inputs[stretch.columns[i]].data() + at);
      sources[i] = reinterpret_cast<unsigned char*>(source);
    }
    for (size_t i = 0; i < targets.size(); ++i) {
      targets[i] = reinterpret_cast<unsigned char*>(outputs[stretch.rows[i]].data() + at);
    }
    ec_encode_data(static_cast<int>(stride), static_cast<int>(sources.size()), static_cast<int>(targets.size()), table,
                   sources.data(), targets.data());
    at += stride;
  }
}

void zero_stretch(const Stretch& stretch, Outputs outputs) {
  for (const size_t row : stretch.rows) {
    std::memset(outputs[row].data() + stretch.begin, 0, stretch.end - stretch.begin);
  }
}

// Cuts the columns where any of them ends, so that within a stretch all that are left have equal length.
std::vector<Stretch> cut(Inputs inputs, Outputs outputs) {
  std::vector<size_t> ends;
  for (const auto& input : inputs) ends.push_back(input.size());
  for (const auto& output : outputs) ends.push_back(output.size());
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  std::vector<Stretch> stretches;
  size_t begin = 0;
  for (const size_t end : ends) {
    Stretch stretch{.begin = begin, .end = end, .columns = {}, .rows = {}};
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (inputs[i].size() >= end) stretch.columns.push_back(i);
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (outputs[i].size() >= end) stretch.rows.push_back(i);
    }
    if (begin < end && !stretch.rows.empty()) stretches.push_back(std::move(stretch));
    begin = end;
  }
  return stretches;
}

GfMatrix select(const GfMatrix& matrix, const Stretch& stretch) {
  GfMatrix out(stretch.rows.size(), stretch.columns.size());
  for (size_t row = 0; row < out.rows(); ++row) {
    for (size_t column = 0; column < out.columns(); ++column) {
      out.set(row, column, matrix.at(stretch.rows[row], stretch.columns[column]));
    }
  }
  return out;
}

}  // namespace

GfProduct::GfProduct(GfMatrix matrix) : matrix_(std::move(matrix)), tables_(expand(matrix_)) {}

void GfProduct::multiply(Inputs inputs, Outputs outputs) const {
  DOGFS_CHECK(inputs.size() == matrix_.columns() && outputs.size() == matrix_.rows());
  for (const Stretch& stretch : cut(inputs, outputs)) {
    const bool whole = stretch.columns.size() == inputs.size() && stretch.rows.size() == outputs.size();
    if (whole) {
      multiply_stretch(stretch, tables_, inputs, outputs);
    } else if (stretch.columns.empty()) {
      zero_stretch(stretch, outputs);
    } else {
      multiply_stretch(stretch, expand(select(matrix_, stretch)), inputs, outputs);
    }
  }
}

}  // namespace dogfs
