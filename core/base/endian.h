// Numbers as bytes, in a fixed order whatever the machine: little endian in files and frames, big endian in keys, where
// the order of the bytes is then the order of the numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/check.h"

namespace dogfs {

// Precondition: the number lies within `out`.
template <class Int>
void store_little(std::span<std::byte> out, size_t at, Int value) {
  DOGFS_CHECK(at <= out.size() && sizeof(Int) <= out.size() - at);
  for (size_t i = 0; i < sizeof(Int); ++i) out[at + i] = static_cast<std::byte>(value >> (8 * i));
}

// Precondition: the number lies within `in`.
template <class Int>
Int load_little(std::span<const std::byte> in, size_t at) {
  DOGFS_CHECK(at <= in.size() && sizeof(Int) <= in.size() - at);
  Int value = 0;
  for (size_t i = 0; i < sizeof(Int); ++i) value |= static_cast<Int>(static_cast<Int>(in[at + i]) << (8 * i));
  return value;
}

template <class Int>
void append_big(std::string& out, Int value) {
  for (size_t i = sizeof(Int); i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

// Precondition: the number lies within `in`.
template <class Int>
Int load_big(std::string_view in, size_t at) {
  DOGFS_CHECK(at <= in.size() && sizeof(Int) <= in.size() - at);
  Int value = 0;
  for (size_t i = 0; i < sizeof(Int); ++i) {
    value = static_cast<Int>(static_cast<Int>(value << 8) | static_cast<unsigned char>(in[at + i]));
  }
  return value;
}

}  // namespace dogfs
