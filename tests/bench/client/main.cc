// bench_client: a DogFS client that does one thing to a running cluster and says how fast it went.
//
//   bench_client put      --meta ADDRESSES --path P --size BYTES
//   bench_client get      --meta ADDRESSES --path P [--sum]
//   bench_client remove   --meta ADDRESSES --path P
//   bench_client metadata --meta ADDRESSES --path P --in-flight N --seconds S
//
// Prints lines of the form `bench_client op=put bytes=… seconds=…`, for bench_io.py and bench_meta.py to read.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/client/io.h"
#include "tests/bench/client/metadata.h"
#include "tests/bench/client/node.h"

namespace dogfs::bench {
namespace {

struct Options {
  std::vector<std::string> meta_nodes;
  std::string path;
  uint64_t size_bytes = kGiB;
  bool sum = false;
  MetadataLoad load;
};

rusage usage() {
  rusage out{};
  ::getrusage(RUSAGE_SELF, &out);
  return out;
}

double cpu_seconds() {
  const rusage now = usage();
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(now.ru_utime) + seconds(now.ru_stime);
}

void report(const char* operation, const IoResult& result) {
  constexpr long kKib = 1024;
  std::printf("bench_client op=%s bytes=%llu seconds=%.4f gb_per_s=%.3f cpu_seconds=%.3f peak_bytes=%ld crc32c=%u\n",
              operation, static_cast<unsigned long long>(result.bytes), result.seconds,
              static_cast<double>(result.bytes) / result.seconds / 1e9, cpu_seconds(), usage().ru_maxrss * kKib,
              result.crc32c);
}

void report(const char* operation, const RateResult& result) {
  print_rate("bench_client", operation, result);
}

ClientOptions client_options(const Options& options) {
  ClientOptions out;
  for (const std::string& node : options.meta_nodes) out.meta_nodes.push_back(Address{node});
  out.principal = "bench";
  return out;
}

Task<Status> run_put(Client& client, Options options) {
  DOGFS_CO_TRY(const IoResult result, co_await put_file(client, options.path, options.size_bytes));
  report("put", result);
  co_return ok();
}

Task<Status> run_get(Client& client, Options options) {
  DOGFS_CO_TRY(const IoResult result, co_await get_file(client, options.path, options.sum));
  report("get", result);
  co_return ok();
}

Task<Status> run_metadata(Env& env, std::vector<Client*> clients, Options options) {
  options.load.directory = options.path;
  DOGFS_CO_TRY(const MetadataResult result, co_await run_metadata_load(env, clients, options.load));
  report("create", result.create);
  report("close", result.close);
  report("stat", result.stat);
  co_return ok();
}

Task<void> stop_all(std::vector<Client*> clients) {
  for (Client* client : clients) co_await client->stop();
}

Task<Status> run_command(Env& env, std::string command, std::vector<Client*> clients, Options options) {
  Client& client = *clients.front();
  Status status = ok();
  if (command == "put") status = co_await run_put(client, options);
  if (command == "get") status = co_await run_get(client, options);
  if (command == "remove") {
    const Result<wire::DeleteResult> removed = co_await client.remove(options.path, {});
    if (!removed) status = removed.error();
  }
  if (command == "metadata") status = co_await run_metadata(env, clients, options);
  co_await stop_all(clients);
  co_return status;
}

int run_client(const std::string& command, const Options& options) {
  // No session may have more operations under way than this.
  const size_t count = 1 + (options.load.in_flight - 1) / kMaxRequestsInFlightPerSession;
  Node node;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Client*> pointers;
  for (size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<Client>(node.env, client_options(options)));
    pointers.push_back(clients.back().get());
  }
  const Status status = run(node, run_command(node.env, command, pointers, options));
  if (status) return 0;
  std::fprintf(stderr, "bench_client %s %s: %s\n", command.c_str(), options.path.c_str(),
               status.error().to_string().c_str());
  return 1;
}

}  // namespace
}  // namespace dogfs::bench

int main(int argc, char** argv) {
  dogfs::bench::Options options;
  CLI::App app("Does one thing to a running cluster and says how fast it went.");
  app.require_subcommand(1);
  for (const char* name : {"put", "get", "remove", "metadata"}) {
    CLI::App* command = app.add_subcommand(name);
    command->add_option("--meta", options.meta_nodes, "the metadata nodes, host:port")->required()->delimiter(',');
    command->add_option("--path", options.path, "file, or directory for metadata")->required();
  }
  app.get_subcommand("put")->add_option("--size", options.size_bytes)->transform(CLI::AsSizeValue(false));
  app.get_subcommand("get")->add_flag("--sum", options.sum, "print the CRC-32C of what was read");
  app.get_subcommand("metadata")->add_option("--in-flight", options.load.in_flight)->check(CLI::Range(1, 4096));
  app.get_subcommand("metadata")->add_option("--seconds", options.load.seconds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  return dogfs::bench::run_client(app.get_subcommands().front()->get_name(), options);
}
