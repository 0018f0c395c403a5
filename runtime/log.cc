#include "runtime/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace dogfs {
namespace {

spdlog::level::level_enum to_spdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

StderrLog::StderrLog(LogLevel level, const std::string& who)
    : level_(level), logger_(std::make_unique<spdlog::logger>(who, std::make_shared<spdlog::sinks::stderr_sink_mt>())) {
  logger_->set_level(to_spdlog(level));
  logger_->set_pattern(who.empty() ? "%Y-%m-%d %H:%M:%S.%e %L %v" : "%Y-%m-%d %H:%M:%S.%e %L %n %v");
}

StderrLog::~StderrLog() = default;

void StderrLog::write(LogLevel level, std::string_view component, std::string_view text) {
  logger_->log(to_spdlog(level), "{}: {}", component, text);
}

Result<LogLevel> parse_log_level(std::string_view name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "info") return LogLevel::kInfo;
  if (name == "warning") return LogLevel::kWarning;
  if (name == "error") return LogLevel::kError;
  return Error(ErrorCode::kInvalidArgument,
               "log level \"" + std::string(name) + "\": use debug, info, warning or error");
}

}  // namespace dogfs
