// File contents that need no copy to be checked against: each byte is a function of the file's key and its offset.
#pragma once

#include <cstdint>

#include "core/base/bytes.h"

namespace dogfs::sim {

// The bytes of [offset, offset + length) of the content named by `key`.
Bytes make_content(uint64_t key, uint64_t offset, size_t length);

// Whether `bytes` are what the content named by `key` has at `offset`.
bool is_content(uint64_t key, uint64_t offset, const BytesChain& bytes);

}  // namespace dogfs::sim
