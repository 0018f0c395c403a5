#include "runtime/cli/report.h"

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "runtime/cli/names.h"

namespace dogfs::cli {
namespace {

// How much it matters, where one exit code must stand for several failures.
int gravity(ExitCode code) {
  switch (code) {
    case ExitCode::kOk:
      return 0;
    case ExitCode::kFailed:
      return 1;
    case ExitCode::kTryAgain:
      return 2;
    case ExitCode::kDamaged:
      return 3;
    case ExitCode::kUsage:
      return 4;
    case ExitCode::kInterrupted:
      return 5;
  }
  return 1;
}

}  // namespace

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

ExitCode exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOk:
      return ExitCode::kOk;
    case ErrorCode::kTimeout:
    case ErrorCode::kUnavailable:
    case ErrorCode::kRefused:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kBusy:
    case ErrorCode::kOverloaded:
    case ErrorCode::kNoLeader:
    case ErrorCode::kNotLeader:
    case ErrorCode::kShuttingDown:
      return ExitCode::kTryAgain;
    case ErrorCode::kChecksumMismatch:
    case ErrorCode::kCorrupt:
    case ErrorCode::kDataLoss:
      return ExitCode::kDamaged;
    case ErrorCode::kCancelled:
      return ExitCode::kInterrupted;
    default:
      return ExitCode::kFailed;
  }
}

ExitCode worse_of(ExitCode a, ExitCode b) {
  return gravity(a) >= gravity(b) ? a : b;
}

std::string describe_failure(std::string_view subject, const Error& error) {
  std::string text = printable(subject) + ": " + std::string(error_text(error.code));
  if (!error.detail.empty() && error.detail != subject) text += ": " + printable(error.detail);
  return text;
}

Error local_error(int error_number) {
  switch (error_number) {
    case ENOENT:
      return Error(ErrorCode::kNotFound);
    case EEXIST:
      return Error(ErrorCode::kAlreadyExists);
    case ENOTDIR:
      return Error(ErrorCode::kNotADirectory);
    case EISDIR:
      return Error(ErrorCode::kIsADirectory);
    case ENOTEMPTY:
      return Error(ErrorCode::kDirectoryNotEmpty);
    case ENAMETOOLONG:
      return Error(ErrorCode::kNameTooLong);
    case EACCES:
    case EPERM:
      return Error(ErrorCode::kPermissionDenied);
    case ENOSPC:
    case EDQUOT:
      return Error(ErrorCode::kNoSpace);
    default:
      return Error(ErrorCode::kIoError, std::generic_category().message(error_number));
  }
}

bool ends_transfer(ErrorCode code) {
  const bool cluster_is_full =
      code == ErrorCode::kInsufficientServers || code == ErrorCode::kNoSpace || code == ErrorCode::kQuotaExceeded;
  const ExitCode exit = exit_code_of(code);
  return cluster_is_full || exit == ExitCode::kTryAgain || exit == ExitCode::kInterrupted ||
         code == ErrorCode::kSessionExpired || code == ErrorCode::kWrongCluster;
}

}  // namespace dogfs::cli
