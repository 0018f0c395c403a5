// Cuts what a user writes into cells. A cell that lies whole in one write is a slice of it, without a copy; only cells
// that span writes are put together in memory of their own.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "core/base/bytes.h"

namespace dogfs {

class CellAssembler {
 public:
  explicit CellAssembler(size_t cell_bytes) : cell_bytes_(cell_bytes) {}

  // Takes what the present cell still needs from the front of `data`. The cell, once it is full.
  std::optional<Bytes> take(Bytes& data) {
    const size_t length = std::min(cell_bytes_ - filled_, data.size());
    Bytes front = data.slice(0, length);
    data = data.slice(length, data.size() - length);
    if (length == cell_bytes_) return front;
    if (filled_ == 0) partial_ = MutableBuffer(cell_bytes_);
    std::memcpy(partial_.data() + filled_, front.data(), length);
    filled_ += length;
    if (filled_ < cell_bytes_) return std::nullopt;
    filled_ = 0;
    return partial_.freeze();
  }

  // The bytes of the cell that is not full yet.
  size_t filled() const { return filled_; }
  Bytes copy_of_rest() const { return Bytes::copy_of({reinterpret_cast<const char*>(partial_.data()), filled_}); }

  // What is left at the end of the file: a short cell, or empty.
  Bytes take_rest() { return partial_.freeze(std::exchange(filled_, 0)); }

 private:
  size_t cell_bytes_;
  MutableBuffer partial_;
  size_t filled_ = 0;
};

}  // namespace dogfs
