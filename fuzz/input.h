// The fuzzer's bytes, taken from front to back: numbers, choices and strings.
//
// Total: behind the end everything is zero or empty. A byte at the front decides before the bytes behind it, so cutting
// or extending an input changes the end of a schedule, never its beginning: that is what lets the fuzzer go on from
// what it has found.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dogfs::fuzz {

class Input {
 public:
  explicit Input(std::string_view bytes) : rest_(bytes) {}
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::string_view rest() const { return rest_; }

  uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto first = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return first;
  }

  // Little endian.
  uint16_t u16() {
    const uint16_t low = byte();
    return static_cast<uint16_t>(low | byte() << 8);
  }
  uint64_t u64() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 8) value |= uint64_t{byte()} << shift;
    return value;
  }

  // One byte's choice among `count`. Precondition: 0 < count <= 256.
  size_t below(size_t count) { return byte() % count; }
  bool flag() { return (byte() & 1) != 0; }

  // Mostly one of the first ids that a cluster gives out; one byte in sixteen announces any 64 bits.
  uint64_t id() {
    constexpr uint8_t kWide = 0xF0;
    constexpr uint8_t kFirstIds = 8;
    const uint8_t first = byte();
    return first < kWide ? 1 + first % kFirstIds : u64();
  }

  // Mostly small; one byte in sixteen announces any 64 bits.
  uint64_t number() {
    constexpr uint8_t kWide = 0xF0;
    const uint8_t first = byte();
    return first < kWide ? first : u64();
  }

  // As many bytes as the next two say, or as there are.
  std::string_view bytes() {
    const size_t size = std::min<size_t>(u16(), rest_.size());
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

 private:
  std::string_view rest_;
};

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace dogfs::fuzz
