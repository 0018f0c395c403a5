// checked_load: clients of a running cluster that read and write at a set rate, and hold every byte against what it must
// be (sim/content.h).
//
//   checked_load fill  --meta ADDRESSES --path DIR [--files N --file-size BYTES]
//   checked_load run   --meta ADDRESSES --path DIR --records FILE [...]     until SIGTERM
//   checked_load check --meta ADDRESSES --path DIR --records FILE [...]     the data set, and the files that were written
//
// `run` writes a line for each operation to the records (load.h); `fill` and `check` print one line of the form
// `checked_load op=fill bytes=… seconds=…`. Exit code 1 when something failed or was not as it had to be.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "runtime/dogfsd/stop_signals.h"
#include "tests/bench/client/node.h"
#include "tests/bench/load/load.h"
#include "tests/bench/rate.h"

namespace dogfs::bench {
namespace {

// A session has so many operations under way at most; more clients are more like many programs, too.
constexpr uint64_t kWorkersPerClient = 4;
constexpr size_t kShownWrong = 10;

struct Options {
  std::vector<std::string> meta_nodes;
  std::string records;
  Load load{.data = {},
            .reads = {.workers = 8, .bytes = 256 * kKiB, .per_second = 8},
            .writes = {.workers = 4, .bytes = kMiB, .per_second = 2}};
};

void print_line(const char* operation, uint64_t files, uint64_t bytes, double seconds) {
  std::printf("checked_load op=%s files=%llu bytes=%llu seconds=%.4f\n", operation,
              static_cast<unsigned long long>(files), static_cast<unsigned long long>(bytes), seconds);
}

Task<Status> run_fill(Client& client, DataSet data) {
  const auto start = SteadyClock::now();
  DOGFS_CO_TRYV(co_await fill(client, data));
  print_line("fill", data.files, data.files * data.file_bytes, seconds_since(start));
  co_return ok();
}

// The files whose close was acknowledged.
std::vector<std::string> written_files(const std::string& records) {
  std::vector<std::string> names;
  std::ifstream file(records);
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string kind, due, latency, outcome, name;
    words >> kind >> due >> latency >> outcome >> name;
    if (kind == "write" && outcome == "ok") names.push_back(name);
  }
  return names;
}

Task<Status> run_check(Client& client, Options& options) {
  const auto start = SteadyClock::now();
  const CheckOutcome outcome = co_await check_all(client, options.load, written_files(options.records));
  print_line("check", outcome.files, outcome.bytes, seconds_since(start));
  for (size_t i = 0; i < std::min(outcome.wrong.size(), kShownWrong); ++i) {
    std::fprintf(stderr, "checked_load: %s\n", outcome.wrong[i].c_str());
  }
  if (outcome.wrong.empty()) co_return ok();
  co_return Error(ErrorCode::kCorrupt, fmt::format("{} files are not as they were acknowledged", outcome.wrong.size()));
}

Task<Status> run_command(Env& env, std::string command, std::vector<Client*> clients, Options& options) {
  Status status = ok();
  if (command == "fill") status = co_await run_fill(*clients.front(), options.load.data);
  if (command == "check") status = co_await run_check(*clients.front(), options);
  if (command == "run") co_await run_load(env, clients, options.load);
  for (Client* client : clients) co_await client->stop();
  co_return status;
}

int run_client(const std::string& command, Options& options) {
  Node node;
  ClientOptions of_client;
  for (const std::string& address : options.meta_nodes) of_client.meta_nodes.push_back(Address{address});
  of_client.principal = "load";
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Client*> pointers;
  const uint64_t workers = std::max(options.load.reads.workers, options.load.writes.workers);
  for (uint64_t i = 0; i < 1 + workers / kWorkersPerClient; ++i) {
    clients.push_back(std::make_unique<Client>(node.env, of_client));
    pointers.push_back(clients.back().get());
  }
  std::unique_ptr<FILE, int (*)(FILE*)> records(nullptr, &std::fclose);
  std::unique_ptr<StopSignals> signals;
  if (command == "run") {
    records.reset(std::fopen(options.records.c_str(), "w"));
    if (!records) {
      std::perror(options.records.c_str());
      return 1;
    }
    options.load.records = records.get();
    signals = std::make_unique<StopSignals>(node.loop, [&options] { options.load.stop = true; });
  }
  const Status status = run(node, run_command(node.env, command, pointers, options));
  if (status && (!records || std::fflush(records.get()) == 0)) return 0;
  std::fprintf(stderr, "checked_load %s: %s\n", command.c_str(),
               status ? "the records could not be written" : status.error().to_string().c_str());
  return 1;
}

void add_rate(CLI::App& app, const std::string& what, LoadRate& rate) {
  app.add_option("--" + what + "-workers", rate.workers, "how many at once")->check(CLI::Range(0, 256));
  app.add_option("--" + what + "-size", rate.bytes)->transform(CLI::AsSizeValue(false));
  app.add_option("--" + what + "-rate", rate.per_second, "operations a second of each")->check(CLI::Range(0.01, 1e4));
}

}  // namespace
}  // namespace dogfs::bench

int main(int argc, char** argv) {
  dogfs::bench::Options options;
  CLI::App app("Reads and writes at a set rate, and checks every byte.");
  app.require_subcommand(1);
  for (const char* name : {"fill", "run", "check"}) {
    CLI::App& command = *app.add_subcommand(name);
    command.add_option("--meta", options.meta_nodes, "the metadata nodes, host:port")->required()->delimiter(',');
    command.add_option("--path", options.load.data.directory, "the directory of it all")->required();
    command.add_option("--files", options.load.data.files, "of the data set")->check(CLI::Range(1, 10'000));
    command.add_option("--file-size", options.load.data.file_bytes)->transform(CLI::AsSizeValue(false));
    if (command.get_name() == "fill") continue;
    command.add_option("--records", options.records, "what was done")->required();
    dogfs::bench::add_rate(command, "read", options.load.reads);
    dogfs::bench::add_rate(command, "write", options.load.writes);
  }
  CLI11_PARSE(app, argc, argv);
  return dogfs::bench::run_client(app.get_subcommands().front()->get_name(), options);
}
