#include "runtime/cli/units.h"

#include <fmt/format.h>

#include <ctime>

namespace dogfs::cli {

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes);
  constexpr std::string_view kUnits = "KMGTPE";
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 and more would be shown as 1024.0 of the unit before.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return value < 9.95 ? fmt::format("{:.1f}{}", value, kUnits[unit]) : fmt::format("{:.0f}{}", value, kUnits[unit]);
}

std::string format_bytes(uint64_t bytes, bool human) {
  return human ? human_bytes(bytes) : std::to_string(bytes);
}

std::string format_mode(uint32_t mode, bool directory) {
  std::string text(1, directory ? 'd' : '-');
  constexpr std::string_view kBits = "rwxrwxrwx";
  for (size_t bit = 0; bit < kBits.size(); ++bit) {
    text += (mode >> (kBits.size() - 1 - bit) & 1) != 0 ? kBits[bit] : '-';
  }
  return text;
}

std::string format_time(int64_t unix_ms) {
  const time_t time = unix_ms / 1000;
  std::tm local{};
  if (localtime_r(&time, &local) == nullptr) return "?";
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &local)};
}

std::string format_duration(Duration duration) {
  const auto total = std::chrono::duration_cast<seconds>(duration).count();
  if (total >= 3600) return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
  return fmt::format("{}:{:02}", total / 60, total % 60);
}

}  // namespace dogfs::cli
