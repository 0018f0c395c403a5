#include "sim/trace.h"

#include "core/base/hash.h"
#include "sim/trace_events.h"

namespace dogfs::sim {

void Trace::line(std::string_view who, std::string_view text) {
  note(combine64(hash64(who), hash64(text)));
  print(who, text);
}

void Trace::record(std::string_view who, LogLevel level, std::string_view text) {
  if (Recording* recording = simulator_.recording()) recording->logged(simulator_.now(), who, level, text);
}

void Trace::print(std::string_view who, std::string_view text) {
  if (out_ == nullptr) return;
  const int64_t ns = simulator_.now().time_since_epoch().count();
  *out_ << fmt::format("{:>4}.{:09} {:<9} {}\n", ns / 1'000'000'000, ns % 1'000'000'000, who, text);
}

void SimLog::write(LogLevel level, std::string_view component, std::string_view text) {
  constexpr std::string_view kLetters = "DIWE";
  if (level == LogLevel::kDebug) {
    if (trace_.printing()) trace_.print(who_, fmt::format("D {}: {}", component, text));
    return;
  }
  trace_.record(who_, level, fmt::format("{}: {}", component, text));
  trace_.line(who_, fmt::format("{} {}: {}", kLetters[static_cast<size_t>(level)], component, text));
}

}  // namespace dogfs::sim
