// The Log port: lines on standard error, by spdlog. Safe from any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/env/log.h"

namespace spdlog {
class logger;
}

namespace dogfs {

class StderrLog final : public Log {
 public:
  // `who` stands in front of each line, where several nodes write to one terminal; may be empty.
  StderrLog(LogLevel level, const std::string& who);
  ~StderrLog() override;

  bool enabled(LogLevel level) const override { return level >= level_; }
  void write(LogLevel level, std::string_view component, std::string_view text) override;

 private:
  LogLevel level_;
  std::unique_ptr<spdlog::logger> logger_;
};

// "debug", "info", "warning" or "error". kInvalidArgument for anything else.
Result<LogLevel> parse_log_level(std::string_view name);

}  // namespace dogfs
