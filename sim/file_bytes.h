// The bytes of a simulated file. What was read of it, and copies, share its memory; a change that comes later leaves
// them as they were.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace dogfs::sim {

class FileBytes {
 public:
  std::string_view view() const { return bytes_ ? std::string_view(*bytes_) : std::string_view(); }
  size_t size() const { return view().size(); }
  bool empty() const { return view().empty(); }

  // Precondition: the bytes lie within.
  Bytes slice(uint64_t offset, size_t length) const;

  // Writes the first `length` bytes of `data` at `offset`, behind zeros where the file ends before.
  void overwrite(uint64_t offset, const BytesChain& data, uint64_t length);
  void overwrite(uint64_t offset, const BytesChain& data) { overwrite(offset, data, data.size()); }
  // Cuts off what is beyond `size`, or appends zeros.
  void resize(uint64_t size);
  // Inverts the bits of `mask` in the byte at `offset`. Precondition: there is one.
  void flip(uint64_t offset, uint8_t mask);

 private:
  std::string& own();

  std::shared_ptr<std::string> bytes_;
};

}  // namespace dogfs::sim
