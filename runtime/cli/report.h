// What a command tells its user: what was asked for, failures, and the exit code that comes of them.
#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"

namespace dogfs::cli {

// Shown by `dogfs --help`: scripts rely on these.
enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,        // an operation failed, and would fail again
  kUsage = 2,         // the command line is wrong
  kDamaged = 74,      // data is lost or damaged (EX_IOERR)
  kTryAgain = 75,     // the cluster cannot serve now: no leader, or it does not answer (EX_TEMPFAIL)
  kInterrupted = 130  // Ctrl-C
};

// To standard output.
void print(std::string_view text);

ExitCode exit_code_of(ErrorCode code);
// The one to report of two: the graver.
ExitCode worse_of(ExitCode a, ExitCode b);

// "/a/b: no such file or directory"; with the error's detail where that says more than the subject does.
std::string describe_failure(std::string_view subject, const Error& error);

// The error behind an errno of the local file system.
Error local_error(int error_number);

// Whether what comes after in a long transfer would fail in the same way: then it ends.
bool ends_transfer(ErrorCode code);

}  // namespace dogfs::cli
