#include "core/base/bytes.h"

#include <cstring>
#include <new>

#include "core/base/check.h"

namespace dogfs {
namespace {

struct AlignedDelete {
  size_t size;
  void operator()(std::byte* memory) const {
#ifndef NDEBUG
    constexpr int kPoison = 0xDB;
    std::memset(memory, kPoison, size);
#endif
    ::operator delete(memory, std::align_val_t{kBufferAlignment});
  }
};

}  // namespace

Bytes Bytes::copy_of(std::span<const std::byte> bytes) {
  if (bytes.empty()) return {};
  MutableBuffer buffer(bytes.size());
  std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return buffer.freeze();
}

Bytes Bytes::copy_of(std::string_view text) {
  return copy_of(std::as_bytes(std::span(text.data(), text.size())));
}

Bytes Bytes::zeros(size_t size) {
  if (size == 0) return {};
  MutableBuffer buffer(size);
  std::memset(buffer.data(), 0, size);
  return buffer.freeze();
}

Bytes Bytes::slice(size_t offset, size_t length) const {
  DOGFS_CHECK(offset <= size() && length <= size() - offset);
  return Bytes(owner_, span_.subspan(offset, length));
}

MutableBuffer::MutableBuffer(size_t size) : size_(size) {
  if (size == 0) return;
  auto* memory = static_cast<std::byte*>(::operator new(size, std::align_val_t{kBufferAlignment}));
  memory_ = std::shared_ptr<std::byte>(memory, AlignedDelete{size});
}

Bytes MutableBuffer::freeze(size_t length) {
  DOGFS_CHECK(length <= size_);
  Bytes frozen(memory_, std::span<const std::byte>(memory_.get(), length));
  memory_.reset();
  size_ = 0;
  return frozen;
}

void BytesChain::append(Bytes piece) {
  if (piece.empty()) return;
  size_ += piece.size();
  pieces_.push_back(std::move(piece));
}

BytesChain BytesChain::slice(size_t offset, size_t length) const {
  DOGFS_CHECK(offset <= size_ && length <= size_ - offset);
  BytesChain out;
  for (const Bytes& piece : pieces_) {
    if (length == 0) break;
    if (offset >= piece.size()) {
      offset -= piece.size();
      continue;
    }
    const size_t take = std::min(length, piece.size() - offset);
    out.append(piece.slice(offset, take));
    offset = 0;
    length -= take;
  }
  return out;
}

Bytes BytesChain::flatten() const {
  if (pieces_.empty()) return {};
  if (pieces_.size() == 1) return pieces_.front();
  MutableBuffer buffer(size_);
  copy_to(buffer.span());
  return buffer.freeze();
}

void BytesChain::copy_to(std::span<std::byte> out) const {
  DOGFS_CHECK(out.size() == size_);
  size_t at = 0;
  for (const Bytes& piece : pieces_) {
    std::memcpy(out.data() + at, piece.data(), piece.size());
    at += piece.size();
  }
}

}  // namespace dogfs
