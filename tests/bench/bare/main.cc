// bare_io: what any program must do at least to put a file into, and get it out of, an erasure-coded cluster on this
// machine. The rates of `dogfs` are held against it in the same run (./dev bench io).
//
// One client and nine server processes talk over loopback TCP. Put: the client encodes RS(6,3), sums the CRC-32C of
// each 64 KiB, and sends a cell to each server; servers check the sums, write one file a block, and fdatasync it at the
// end of the block. Get: servers read the data shards from the page cache, the client checks the sums. There is no
// metadata, no failure handling, no second connection, nothing that a real system could do without.
//
// The source is one block in memory, sent again for each; what is read is summed and dropped. Only whole stripes are
// moved. Prints one line for each mode and direction:
//   bare_io mode=direct op=put bytes=… seconds=… gb_per_s=… cpu_seconds=…
// where cpu_seconds is the CPU time of the client and all servers.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/bench/bare/client.h"
#include "tests/bench/bare/protocol.h"
#include "tests/bench/bare/shard_process.h"

namespace dogfs::bare {
namespace {

struct Options {
  std::string directory;
  uint64_t size_bytes = kGiB;
  size_t cell_bytes = kMiB;
  uint64_t block_bytes = 64 * kMiB;
  std::string mode = "both";
  int gets = 2;
};

struct Server {
  pid_t pid = -1;
  int socket = -1;  // connected to it
};

int listen_on_loopback(sockaddr_in& address) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0) die("socket");
  address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0) die("bind");
  if (::listen(listener, 1) != 0) die("listen");
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) die("getsockname");
  return listener;
}

Server start_server(const ShardProcessOptions& options, const std::vector<Server>& earlier) {
  std::filesystem::create_directories(options.directory);
  sockaddr_in address;
  const int listener = listen_on_loopback(address);
  Server server;
  server.pid = ::fork();
  if (server.pid < 0) die("fork");
  if (server.pid == 0) {
    // A connection ends only when no process holds it any more.
    for (const Server& other : earlier) ::close(other.socket);
    run_shard_process(listener, options);
    std::_Exit(0);
  }
  ::close(listener);
  server.socket = ::socket(AF_INET, SOCK_STREAM, 0);
  if (::connect(server.socket, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) die("connect");
  return server;
}

// Pseudo-random bytes (splitmix64): nothing on the way can compress or deduplicate them.
Bytes make_source(size_t size) {
  MutableBuffer buffer(size);
  auto* words = reinterpret_cast<uint64_t*>(buffer.data());
  for (size_t i = 0; i < size / sizeof(uint64_t); ++i) {
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ULL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    words[i] = z ^ (z >> 31);
  }
  return buffer.freeze();
}

void report(const std::string& mode, const char* operation, const Layout& layout, const Transfer& transfer) {
  std::printf("bare_io mode=%s op=%s bytes=%llu seconds=%.4f gb_per_s=%.3f cpu_seconds=%.3f\n", mode.c_str(), operation,
              static_cast<unsigned long long>(layout.bytes()), transfer.seconds,
              static_cast<double>(layout.bytes()) / transfer.seconds / 1e9, static_cast<double>(transfer.cpu_us) / 1e6);
  std::fflush(stdout);
}

void run_mode(const Options& options, const std::string& mode) {
  Layout layout;
  layout.cell_bytes = options.cell_bytes;
  layout.stripes_per_block = options.block_bytes / layout.stripe_bytes();
  layout.stripes = options.size_bytes / layout.stripe_bytes();

  ShardProcessOptions server_options{.directory = {}, .cell_bytes = options.cell_bytes, .direct_io = mode == "direct"};
  std::vector<Server> servers;
  std::vector<int> sockets;
  for (size_t i = 0; i < kShards; ++i) {
    server_options.directory = options.directory + "/bare-" + std::to_string(i);
    servers.push_back(start_server(server_options, servers));
    sockets.push_back(servers.back().socket);
  }
  BareClient client(sockets, layout, make_source(layout.stripes_per_block * layout.stripe_bytes()));
  report(mode, "put", layout, client.put());
  // What was written past the page cache is read from the disk once.
  if (mode == "direct") report(mode, "cold_get", layout, client.get());
  for (int i = 0; i < options.gets; ++i) report(mode, "get", layout, client.get());

  for (const Server& server : servers) ::close(server.socket);
  for (const Server& server : servers) {
    int status = 0;
    if (::waitpid(server.pid, &status, 0) != server.pid || status != 0) die("a server failed");
  }
}

}  // namespace
}  // namespace dogfs::bare

int main(int argc, char** argv) {
  dogfs::bare::Options options;
  CLI::App app("The least work of a put and a get of an erasure-coded file: the yardstick of ./dev bench io.");
  app.add_option("--dir", options.directory, "where the servers write")->required();
  app.add_option("--size", options.size_bytes, "bytes of the file")->transform(CLI::AsSizeValue(false));
  app.add_option("--cell", options.cell_bytes, "bytes of a cell")
      ->transform(CLI::AsSizeValue(false))
      ->check(CLI::Range(dogfs::kMinCellBytes, dogfs::kMaxCellBytes));
  app.add_option("--block", options.block_bytes, "most user bytes of a block")->transform(CLI::AsSizeValue(false));
  app.add_option("--mode", options.mode, "how servers write")->check(CLI::IsMember({"buffered", "direct", "both"}));
  app.add_option("--gets", options.gets, "how often the file is read from the page cache");
  CLI11_PARSE(app, argc, argv);
  if (options.block_bytes < options.cell_bytes * dogfs::bare::kDataShards ||
      options.size_bytes < options.cell_bytes * dogfs::bare::kDataShards) {
    std::fprintf(stderr, "bare_io: a block, and the file, must have at least one stripe\n");
    return 2;
  }
  for (const std::string mode : {"buffered", "direct"}) {
    if (options.mode == "both" || options.mode == mode) dogfs::bare::run_mode(options, mode);
  }
}
