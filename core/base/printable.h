// File names are any bytes, but error texts and logs are read by people and travel as UTF-8.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dogfs {

inline constexpr size_t kMaxPrintableBytes = 300;

// `bytes` as valid UTF-8 without control characters: what is neither printable ASCII nor well-formed UTF-8 becomes
// \xNN. What would be longer than `most` bytes ends in "...". Text that is printable and fits stays as it is.
std::string printable(std::string_view bytes, size_t most = kMaxPrintableBytes);

}  // namespace dogfs
