#include "runtime/cli/session.h"

#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <exception>

#include "core/wire/message_type.h"
#include "net/transport.h"
#include "runtime/cli/names.h"
#include "runtime/clock.h"
#include "runtime/compute.h"
#include "runtime/log.h"
#include "runtime/random.h"

namespace dogfs::cli {
namespace {

// Enough for the codec on both sides of a transfer and for local reads that wait for a disk.
constexpr size_t kComputeThreads = 6;

// The first Ctrl-C lets transfers tidy up; the second does not wait for that.
void watch_signals(boost::asio::signal_set& signals, Session& session) {
  signals.async_wait([&signals, &session](const boost::system::error_code& error, int) {
    if (error) return;
    if (session.interrupted()) ::_exit(static_cast<int>(ExitCode::kInterrupted));
    session.interrupt();
    watch_signals(signals, session);
  });
}

// When the command is over, nobody waits for shards any more: neither for reads that others overtook or that were made
// ahead, nor for writers, all of which have closed their files or given them up. A server that hangs would keep the
// process with them until their time is out. What the metadata is still to be told goes on to its end, and so does the
// word to a server that it may forget a shard (core/client/shard_sender.h), for which nobody waits long.
Task<void> run_to_end(Session& session, TcpTransport& transport, const Command& command,
                      boost::asio::signal_set& signals) {
  co_await command(session);
  transport.give_up(
      {MessageType::kReadShard, MessageType::kOpenShard, MessageType::kAppendShard, MessageType::kSealShard});
  co_await session.client().stop();
  signals.cancel();
}

std::string user_name() {
  const char* name = std::getenv("USER");
  return name != nullptr ? name : std::to_string(::getuid());
}

}  // namespace

Session::Session(Env& env, Client& client, bool verbose)
    : env_(env),
      client_(client),
      verbose_(verbose),
      output_is_terminal_(::isatty(STDOUT_FILENO) == 1),
      errors_to_terminal_(::isatty(STDERR_FILENO) == 1),
      progress_(env.clock, errors_to_terminal_) {}

std::string Session::shown_name(std::string_view name) const {
  return output_is_terminal_ ? quote_for_shell(name) : std::string(name);
}

void Session::fail(std::string_view subject, const Error& error) {
  exit_code_ = worse_of(exit_code_, exit_code_of(error.code));
  // Who pressed Ctrl-C knows it.
  if (error.code != ErrorCode::kCancelled) warn(describe_failure(subject, error));
}

void Session::warn(std::string_view text) {
  progress_.clear();
  std::fprintf(stderr, "dogfs: %.*s\n", static_cast<int>(text.size()), text.data());
}

void Session::interrupt() {
  interrupted_ = true;
  exit_code_ = ExitCode::kInterrupted;
}

ExitCode run_session(const SessionOptions& options, const Command& command) {
  boost::asio::io_context context(1);
  const Executor executor = context.get_executor();
  ThreadPoolCompute compute(kComputeThreads);
  SystemClock clock(executor);
  SystemRandom random;
  StderrLog log(options.verbose ? LogLevel::kInfo : LogLevel::kError, "dogfs");
  TcpTransport transport(executor, clock, log);
  Env env{executor, clock, random, transport, compute, log};
  ClientOptions client_options;
  client_options.meta_nodes = options.meta_nodes;
  client_options.principal = user_name();
  Client client(env, client_options);
  Session session(env, client, options.verbose);

  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  watch_signals(signals, session);
  boost::asio::co_spawn(executor, run_to_end(session, transport, command, signals),
                        [&context](const std::exception_ptr& thrown) {
                          if (thrown) std::rethrow_exception(thrown);
                          context.stop();
                        });
  context.run();
  session.progress().clear();
  return session.exit_code();
}

}  // namespace dogfs::cli
