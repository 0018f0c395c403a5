// Byte buffers that travel from socket to disk without being copied.
//
// MutableBuffer is memory that its one owner fills; freeze() turns it into Bytes, an immutable shared slice that may
// be cut and handed to several operations at once. The memory lives until the last slice is gone, so an operation
// that outlives its caller holds its own slice. In debug builds freed memory is overwritten first (poisoned), so that
// a use after the last slice shows as garbage instead of passing by luck (the pollution of HDFS-15240).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace dogfs {

// Buffers are aligned so that they can be written with O_DIRECT.
inline constexpr size_t kBufferAlignment = 4096;

class Bytes {
 public:
  Bytes() = default;

  // A copy of `text` in memory of its own.
  static Bytes copy_of(std::string_view text);
  static Bytes copy_of(std::span<const std::byte> bytes);
  // `size` zero bytes.
  static Bytes zeros(size_t size);
  // `span`, kept alive by `owner`. For memory that another owner manages, such as a pool's.
  Bytes(std::shared_ptr<const void> owner, std::span<const std::byte> span) : owner_(std::move(owner)), span_(span) {}

  const std::byte* data() const { return span_.data(); }
  size_t size() const { return span_.size(); }
  bool empty() const { return span_.empty(); }
  std::span<const std::byte> span() const { return span_; }
  std::string_view view() const { return {reinterpret_cast<const char*>(span_.data()), span_.size()}; }

  // The `length` bytes from `offset`, sharing this memory. Precondition: they lie within.
  Bytes slice(size_t offset, size_t length) const;

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> span_;
};

class MutableBuffer {
 public:
  MutableBuffer() = default;
  // Uninitialised memory, aligned to kBufferAlignment.
  explicit MutableBuffer(size_t size);

  std::byte* data() { return memory_.get(); }
  const std::byte* data() const { return memory_.get(); }
  size_t size() const { return size_; }
  std::span<std::byte> span() { return {memory_.get(), size_}; }

  // Gives the memory up as immutable Bytes of the first `length` bytes. This buffer is empty afterwards.
  Bytes freeze(size_t length);
  Bytes freeze() { return freeze(size_); }

 private:
  std::shared_ptr<std::byte> memory_;
  size_t size_ = 0;
};

// A payload made of several slices, written and read with scatter-gather instead of being joined.
class BytesChain {
 public:
  BytesChain() = default;
  explicit BytesChain(Bytes one) { append(std::move(one)); }

  // Empty slices are dropped.
  void append(Bytes piece);
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const std::vector<Bytes>& pieces() const { return pieces_; }

  // The `length` bytes from `offset`, sharing memory. Precondition: they lie within.
  BytesChain slice(size_t offset, size_t length) const;
  // The whole as one slice: without a copy when there is only one piece.
  Bytes flatten() const;
  // Copies everything to `out`. Precondition: out.size() == size().
  void copy_to(std::span<std::byte> out) const;

 private:
  std::vector<Bytes> pieces_;
  size_t size_ = 0;
};

}  // namespace dogfs
