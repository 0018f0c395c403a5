#include "sim/file_bytes.h"

#include <algorithm>

#include "core/base/check.h"

namespace dogfs::sim {

// What somebody else shares is not changed, but copied.
std::string& FileBytes::own() {
  if (!bytes_ || bytes_.use_count() > 1) bytes_ = std::make_shared<std::string>(view());
  return *bytes_;
}

Bytes FileBytes::slice(uint64_t offset, size_t length) const {
  DOGFS_CHECK(offset <= size() && length <= size() - offset);
  return {bytes_, std::as_bytes(std::span(view().substr(offset, length)))};
}

void FileBytes::overwrite(uint64_t offset, const BytesChain& data, uint64_t length) {
  if (length == 0) return;
  std::string& bytes = own();
  if (bytes.size() < offset) bytes.resize(offset, '\0');
  for (const Bytes& piece : data.pieces()) {
    const std::string_view part = piece.view().substr(0, length);
    const size_t within = std::min<size_t>(part.size(), bytes.size() - offset);
    std::copy_n(part.begin(), within, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    bytes.append(part.substr(within));
    offset += part.size();
    length -= part.size();
  }
}

void FileBytes::resize(uint64_t size) {
  if (this->size() != size) own().resize(size, '\0');
}

void FileBytes::flip(uint64_t offset, uint8_t mask) {
  char& byte = own().at(offset);
  byte = static_cast<char>(byte ^ mask);
}

}  // namespace dogfs::sim
