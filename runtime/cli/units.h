// Sizes, times and modes as `ls` and `du` show them.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/time.h"

namespace dogfs::cli {

// "512", "1.5K", "64M", "2.0G": powers of 1024, as du -h.
std::string human_bytes(uint64_t bytes);
// Either the plain number or human_bytes.
std::string format_bytes(uint64_t bytes, bool human);
// "drwxr-xr-x"
std::string format_mode(uint32_t mode, bool directory);
// "2026-11-24 05:40", in the local time zone.
std::string format_time(int64_t unix_ms);
// "0:07", "12:30", "1:02:03"
std::string format_duration(Duration duration);

}  // namespace dogfs::cli
