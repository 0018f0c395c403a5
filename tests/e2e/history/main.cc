// history_tool: records what clients of a running cluster are answered, and checks it.
//
//   history_tool load  --meta ADDRESSES --clients N --history FILE     until SIGTERM; then writes the history
//   history_tool log   --store DIR --after INDEX                       what a metadata node that is down has applied, to
//                                                                      standard output
//   history_tool check --history FILE --log FILE --kills FILE          the oracle (sim/linearizability.h)
//
// `check` prints what was checked, and for each line of --kills, a moment in nanoseconds of the monotonic clock, how long
// it took until a change that was begun behind it was answered.
#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/env/sync.h"
#include "core/meta/keys.h"
#include "core/raft/raft_store.h"
#include "core/wire/message_type.h"
#include "net/transport.h"
#include "runtime/clock.h"
#include "runtime/compute.h"
#include "runtime/dogfsd/stop_signals.h"
#include "runtime/kv_store.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include "sim/history.h"
#include "sim/linearizability.h"
#include "tests/e2e/history/load.h"

namespace dogfs::e2e {
namespace {

constexpr GroupId kGroup{0};

struct Options {
  std::vector<std::string> meta_nodes;
  uint64_t clients = 4;
  std::string history;
  std::string store;
  uint64_t after = 0;
  std::string log;
  std::string kills;
};

int64_t monotonic_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// --- load

Task<void> run_clients(Env& env, std::vector<std::unique_ptr<Client>>& clients, Load& load) {
  TaskGroup group(env.executor, env.clock);
  for (size_t i = 0; i < clients.size(); ++i) group.spawn(run_load(env, *clients[i], load, i + 1));
  co_await group.join();
  for (const auto& client : clients) co_await client->stop();
}

int run_load_until_stopped(const Options& options) {
  boost::asio::io_context loop{1};
  const Executor executor = loop.get_executor();
  SystemClock clock{executor};
  SystemRandom random;
  StderrLog log{LogLevel::kError, ""};
  ThreadPoolCompute compute{1};
  TcpTransport transport{executor, clock, log};
  sim::History history(monotonic_ns);
  sim::HistoryTransport recorder(transport, history);
  Env env{executor, clock, random, recorder, compute, log};
  std::vector<std::unique_ptr<Client>> clients;
  for (uint64_t i = 0; i < options.clients; ++i) {
    ClientOptions of_client;
    for (const std::string& node : options.meta_nodes) of_client.meta_nodes.push_back(Address{node});
    of_client.principal = "load";
    clients.push_back(std::make_unique<Client>(env, of_client));
  }
  Load load{"/load"};
  StopSignals signals(loop, [&load] { load.stop = true; });
  boost::asio::co_spawn(executor, run_clients(env, clients, load), [&loop](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
    loop.stop();
  });
  loop.run();
  std::ofstream file(options.history, std::ios::binary);
  file << sim::history_to_text(history.operations());
  return file.good() ? 0 : 1;
}

// --- log

// The entries that the node has applied, from behind `after`.
Result<std::vector<CommittedEntry>> applied_entries(const KvReader& store, LogIndex after) {
  DOGFS_TRY(const std::optional<std::string> row, store.get(MetaKeys(kGroup).applied()));
  const LogIndex applied(row ? read_big_endian(*row) : 0);
  std::vector<CommittedEntry> entries;
  while (after < applied) {
    const raft::LogFetch next{NodeId(), after.next(), applied, {kMaxAppendBytes, kMaxEntriesPerAppend}};
    DOGFS_TRY(const std::vector<raft::Entry> read, raft::read_entries(store, kGroup, next));
    for (const raft::Entry& entry : read) {
      const bool command = entry.type == raft::EntryType::kCommand;
      entries.push_back({entry.index, entry.term, command ? std::string(entry.text()) : std::string()});
    }
    after = entries.back().index;
  }
  return entries;
}

int print_log(const Options& options) {
  boost::asio::io_context loop{1};
  RocksKvOptions existing;
  existing.create_if_missing = false;
  const auto store = RocksKvStore::open(options.store, loop.get_executor(), existing);
  if (!store) {
    std::cerr << "history_tool: " << options.store << ": " << store.error().to_string() << '\n';
    return 1;
  }
  const Result<std::vector<CommittedEntry>> entries = applied_entries(*store.value(), LogIndex(options.after));
  if (!entries) {
    std::cerr << "history_tool: " << options.store << ": " << entries.error().to_string() << '\n';
    return 1;
  }
  std::cout << sim::log_to_text(entries.value());
  return 0;
}

// --- check

// When the first change that was begun behind `moment` was answered; none if none was.
std::optional<int64_t> next_answer(const std::vector<sim::HistoryOperation>& history, int64_t moment) {
  std::optional<int64_t> first;
  for (const sim::HistoryOperation& operation : history) {
    if (operation.type != MessageType::kMutate || operation.invoked_ns < moment || !operation.answered_ns) continue;
    if (!first || *operation.answered_ns < *first) first = operation.answered_ns;
  }
  return first;
}

int check(const Options& options) {
  const auto history = sim::history_from_text(read_file(options.history));
  const auto log = sim::log_from_text(read_file(options.log));
  if (!history || !log || history.value().empty()) {
    std::cerr << "history_tool: there is no history, or no log, that can be read\n";
    return 1;
  }
  const sim::LinearizabilityResult result = sim::check_linearizability(history.value(), log.value());
  if (result.violation) {
    std::cerr << "history_tool: " << *result.violation << '\n';
    return 1;
  }
  std::cout << "changes " << result.changes << " reads " << result.reads << " unknown " << result.unknown
            << " repeated " << result.repeated << " entries " << log.value().size() << '\n';
  std::ifstream kills(options.kills);
  for (int64_t moment = 0; kills >> moment;) {
    const std::optional<int64_t> answer = next_answer(history.value(), moment);
    if (answer) std::cout << "failover_ms " << static_cast<double>(*answer - moment) / 1e6 << '\n';
  }
  return 0;
}

}  // namespace
}  // namespace dogfs::e2e

int main(int argc, char** argv) {
  dogfs::e2e::Options options;
  CLI::App app("Records what clients of a running cluster are answered, and checks it.");
  app.require_subcommand(1);
  CLI::App* const load = app.add_subcommand("load", "changes and reads a small tree until SIGTERM");
  load->add_option("--meta", options.meta_nodes, "the metadata nodes, host:port")->required()->delimiter(',');
  load->add_option("--clients", options.clients)->check(CLI::Range(1, 64));
  load->add_option("--history", options.history, "where the history goes")->required();
  CLI::App* const log = app.add_subcommand("log", "what a metadata node that is down has applied");
  log->add_option("--store", options.store, "the node's store")->required();
  log->add_option("--after", options.after, "only what is behind this index");
  CLI::App* const check = app.add_subcommand("check", "whether the history can be explained by the log");
  check->add_option("--history", options.history)->required();
  check->add_option("--log", options.log)->required();
  check->add_option("--kills", options.kills, "moments from which to measure the fail-over");
  CLI11_PARSE(app, argc, argv);
  if (load->parsed()) return dogfs::e2e::run_load_until_stopped(options);
  return log->parsed() ? dogfs::e2e::print_log(options) : dogfs::e2e::check(options);
}
