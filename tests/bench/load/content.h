// Content that follows from a file's name alone, so that any stretch of any file can be held against what it must be.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/bytes.h"

namespace dogfs::bench {

// Offsets and lengths of stretches are multiples of this.
inline constexpr uint64_t kContentUnit = sizeof(uint64_t);

// Bytes [offset, offset + length) of the file.
Bytes content_of(std::string_view name, uint64_t offset, uint64_t length);

bool is_content_of(std::string_view name, uint64_t offset, const BytesChain& bytes);

}  // namespace dogfs::bench
