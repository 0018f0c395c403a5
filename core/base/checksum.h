// CRC-32C (Castagnoli), the checksum of everything that DogFS stores or sends; by ISA-L, several GB/s a core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/bytes.h"

namespace dogfs {

// The CRC-32C of `bytes`, continuing from `crc`: crc32c(b, crc32c(a)) is the CRC of a followed by b.
uint32_t crc32c(std::span<const std::byte> bytes, uint32_t crc = 0);
uint32_t crc32c(std::string_view bytes, uint32_t crc = 0);
uint32_t crc32c(const BytesChain& bytes, uint32_t crc = 0);

// The CRC of a followed by b, from their CRCs and b's length alone: how the CRCs of a shard's pieces are held
// against the CRC of the whole shard without reading it again.
uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b);

}  // namespace dogfs
