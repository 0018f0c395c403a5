// What every command works with: the client, the ports, and the ways to speak to the user. Belongs to one executor.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/client/client.h"
#include "core/env/env.h"
#include "runtime/cli/progress.h"
#include "runtime/cli/report.h"

namespace dogfs::cli {

struct SessionOptions {
  std::vector<Address> meta_nodes;
  bool verbose = false;
};

class Session {
 public:
  // What is passed must outlive the session.
  Session(Env& env, Client& client, bool verbose);

  Env& env() { return env_; }
  Client& client() { return client_; }
  Progress& progress() { return progress_; }
  bool verbose() const { return verbose_; }
  // For what the user sees of long transfers.
  bool errors_to_terminal() const { return errors_to_terminal_; }

  // A name for standard output: quoted for a terminal, raw for a program.
  std::string shown_name(std::string_view name) const;

  // "dogfs: SUBJECT: what went wrong" on standard error; the exit code remembers it.
  void fail(std::string_view subject, const Error& error);
  // "dogfs: TEXT" on standard error, without a failure.
  void warn(std::string_view text);
  ExitCode exit_code() const { return exit_code_; }

  // Set by Ctrl-C: transfers end at their next step.
  const std::atomic<bool>& interrupted() const { return interrupted_; }
  void interrupt();

 private:
  Env& env_;
  Client& client_;
  bool verbose_;
  bool output_is_terminal_;
  bool errors_to_terminal_;
  Progress progress_;
  std::atomic<bool> interrupted_ = false;
  ExitCode exit_code_ = ExitCode::kOk;
};

// Runs `job`, which may block, on a thread of Compute, and returns its result.
template <class Job>
Task<std::invoke_result_t<Job>> run_blocking(Compute& compute, Job job) {
  std::optional<std::invoke_result_t<Job>> result;
  co_await compute.run([&job, &result] { result.emplace(job()); });
  co_return std::move(*result);
}

// Builds the real ports and a client, runs `command` to its end, and returns the exit code.
using Command = std::function<Task<void>(Session&)>;
ExitCode run_session(const SessionOptions& options, const Command& command);

}  // namespace dogfs::cli
