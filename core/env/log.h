// What a node tells people about itself. In the simulator each line is an event of the trace.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string_view>

namespace dogfs {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

class Log {
 public:
  virtual ~Log() = default;

  virtual bool enabled(LogLevel level) const = 0;
  // `component` is a fixed name: "raft", "meta", "chunk", "client", "net".
  virtual void write(LogLevel level, std::string_view component, std::string_view text) = 0;

  template <class... Args>
  void debug(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    format_and_write(LogLevel::kDebug, component, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void info(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    format_and_write(LogLevel::kInfo, component, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void warning(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    format_and_write(LogLevel::kWarning, component, format, std::forward<Args>(args)...);
  }
  template <class... Args>
  void error(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
    format_and_write(LogLevel::kError, component, format, std::forward<Args>(args)...);
  }

 private:
  template <class... Args>
  void format_and_write(LogLevel level, std::string_view component, fmt::format_string<Args...> format,
                        Args&&... args) {
    if (enabled(level)) write(level, component, fmt::format(format, std::forward<Args>(args)...));
  }
};

}  // namespace dogfs
