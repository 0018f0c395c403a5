// `dogfsd`: runs a metadata node, a chunk server, or a whole cluster for trying out.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <cstdio>
#include <optional>

#include "runtime/dogfsd/config.h"
#include "runtime/dogfsd/dev_cluster.h"
#include "runtime/dogfsd/exit_code.h"
#include "runtime/dogfsd/node_host.h"
#include "runtime/dogfsd/stop_signals.h"
#include "runtime/flags.h"
#include "runtime/text_file.h"

namespace dogfs {
namespace {

constexpr char kAbout[] = R"(Runs the server side of DogFS, a distributed file system.

A cluster has metadata nodes (three, or another odd number: it works while most of them do), which hold the names and
say where data is, and chunk servers, which hold the data. To have all of it in one process, for trying out:

  dogfsd dev --dir /tmp/dogfs

Or one process for each, here on one machine:

  PEERS=1=127.0.0.1:7001,2=127.0.0.1:7002,3=127.0.0.1:7003
  dogfsd meta --form --id 1 --peers $PEERS --dir /data/meta-1
  dogfsd meta --form --id 2 --peers $PEERS --dir /data/meta-2
  dogfsd meta --form --id 3 --peers $PEERS --dir /data/meta-3
  dogfsd chunk --meta 127.0.0.1:7001,127.0.0.1:7002,127.0.0.1:7003 --listen 127.0.0.1:7100 --dir /data/chunk-1

then use it with the command dogfs.
)";

constexpr char kFooter[] = R"(
SIGTERM or Ctrl-C stops in good order; kill -9 loses nothing that was acknowledged either.
Exit codes: 0 stopped in good order, 1 could not start, 2 bad flags, 3 a disk failed, 4 the cluster does not take this
node (it was removed for good, or is another cluster's), 5 a second signal came, or 10 seconds passed, before it had
stopped in good order.
Every flag may also stand in a file given by --config, as NAME=VALUE under [meta], [chunk] or [dev], or in the
environment, as shown with each.)";

struct CommandLine {
  CommonFlags common;
  MetaFlags meta;
  ChunkFlags chunk;
  DevFlags dev;
  CLI::App app{kAbout, "dogfsd"};
  CLI::App* meta_command = nullptr;
  CLI::App* chunk_command = nullptr;
  CLI::App* dev_command = nullptr;
};

void define_meta(CLI::App& app, MetaFlags& flags) {
  app.add_option("--id", flags.id, "This node's number among the --peers")->required()->envname("DOGFS_ID");
  app.add_option("--peers", flags.peers, "All metadata nodes, this one too: 1=host:port,2=host:port,...")
      ->required()
      ->envname("DOGFS_PEERS");
  app.add_option("--dir", flags.directory, "Where this node keeps everything; made if missing")
      ->required()
      ->envname("DOGFS_DIR");
  app.add_option("--listen", flags.listen, "IP:port to listen on, where it is not this node's address in --peers")
      ->envname("DOGFS_LISTEN");
  app.add_flag("--form", flags.form,
               "The first start of a new cluster: form it, together with all other --peers. Needed at the first start "
               "only, and ignored where the directory is not empty. Never for a node that lost its disk")
      ->envname("DOGFS_FORM");
  app.add_flag("--join", flags.join,
               "The first start of a new node, with a new id, of a cluster that exists: wait to be added to it (dogfs "
               "admin meta add). Needed at the first start only, and ignored where the directory is not empty")
      ->envname("DOGFS_JOIN");
  app.add_option(
         "--lease-drift-bound", flags.lease_drift_bound_ms,
         "Answer reads from the leader's lease, trusting that clocks part by fewer than so many milliseconds in "
         "an election timeout; 0: trust no clock. The same on all metadata nodes")
      ->envname("DOGFS_LEASE_DRIFT_BOUND")
      ->capture_default_str();
  app.add_option(
         "--log-entries", flags.log_entries,
         "Keep so many entries of the Raft log behind what is applied. A node that lacks more, when it returns, is "
         "sent the whole state instead")
      ->envname("DOGFS_LOG_ENTRIES")
      ->capture_default_str();
  app.add_option("--port-file", flags.port_file, "File to write the address to, once this node serves")
      ->envname("DOGFS_PORT_FILE");
}

void define_healing(CLI::App& app, MetaFlags& flags) {
  app.add_option("--dead-after", flags.dead_after_s, "Seconds of silence after which a chunk server counts as dead")
      ->envname("DOGFS_DEAD_AFTER")
      ->capture_default_str();
  app.add_option("--repair-grace", flags.repair_grace_s,
                 "Seconds that a dead server has to come back before blocks with two spares or more are repaired")
      ->envname("DOGFS_REPAIR_GRACE")
      ->capture_default_str();
  app.add_option("--cluster-repairs", flags.cluster_repairs,
                 "Shards that are rebuilt or moved at once in the whole cluster")
      ->envname("DOGFS_CLUSTER_REPAIRS")
      ->capture_default_str();
  app.add_option("--repairs-per-target", flags.repairs_per_target, "... of them, to one chunk server")
      ->envname("DOGFS_REPAIRS_PER_TARGET")
      ->capture_default_str();
  app.add_option("--repairs-per-source", flags.repairs_per_source, "... and of those that read from one")
      ->envname("DOGFS_REPAIRS_PER_SOURCE")
      ->capture_default_str();
  app.add_option("--lease-limit", flags.lease_limit_s,
                 "Seconds after which the file of a writer that is not heard of is closed; 20 at least, since writers "
                 "renew every 15")
      ->envname("DOGFS_LEASE_LIMIT")
      ->capture_default_str();
}

void define_chunk(CLI::App& app, ChunkFlags& flags) {
  app.add_option("--meta", flags.meta, "The metadata nodes: host:port,host:port,...")
      ->required()
      ->envname("DOGFS_META");
  app.add_option("--dir", flags.directories, "Where the shards are kept; once for each disk; made if missing")
      ->required()
      ->envname("DOGFS_DIR");
  app.add_option("--listen", flags.listen, "IP:port to listen on; port 0 is any free one")
      ->envname("DOGFS_LISTEN")
      ->capture_default_str();
  app.add_option("--advertise", flags.advertise, "host:port where others find this server, if not at --listen")
      ->envname("DOGFS_ADVERTISE");
  app.add_option("--rack", flags.rack, "Where the machine stands: shards of a block are spread over racks")
      ->envname("DOGFS_RACK")
      ->capture_default_str();
  app.add_flag("--accept-disks", flags.accept_disks,
               "Take the disks as they are: what is empty is new, what is not here is gone, of whatever size they are")
      ->envname("DOGFS_ACCEPT_DISKS");
  app.add_option("--port-file", flags.port_file, "File to write the address to, once this server serves")
      ->envname("DOGFS_PORT_FILE");
}

void define_background(CLI::App& app, ChunkFlags& flags) {
  app.add_option(
         "--repair-rate", flags.repair_mib_per_s,
         "MiB/s that are read for repairs, here or of others, while clients are at work; without limit otherwise")
      ->envname("DOGFS_REPAIR_RATE")
      ->capture_default_str();
  app.add_option("--repairs", flags.repairs, "Shards that are rebuilt here at once; further ones wait")
      ->envname("DOGFS_REPAIRS")
      ->capture_default_str();
  app.add_option("--repairs-per-disk", flags.repairs_per_disk, "... of them, on one disk")
      ->envname("DOGFS_REPAIRS_PER_DISK")
      ->capture_default_str();
  app.add_option("--scrub-rate", flags.scrub_mib_per_s, "MiB/s at which each disk is read through for damage")
      ->envname("DOGFS_SCRUB_RATE")
      ->capture_default_str();
  app.add_option("--scrub-interval", flags.scrub_interval_h, "Hours from the begin of one reading to that of the next")
      ->envname("DOGFS_SCRUB_INTERVAL")
      ->capture_default_str();
}

void define_dev(CLI::App& app, DevFlags& flags) {
  app.add_option("--dir", flags.directory, "Where the cluster keeps everything; may be used again")
      ->required()
      ->envname("DOGFS_DIR");
  app.add_option("--meta", flags.meta_nodes, "Metadata nodes")->envname("DOGFS_DEV_META")->capture_default_str();
  app.add_option("--chunks", flags.chunk_servers, "Chunk servers")->envname("DOGFS_DEV_CHUNKS")->capture_default_str();
  app.add_option("--base-port", flags.base_port, "First of the ports; 0: those of last time, or any")
      ->envname("DOGFS_BASE_PORT")
      ->capture_default_str();
}

void define(CommandLine& line) {
  CLI::App& app = line.app;
  app.footer(kFooter);
  app.require_subcommand(1);
  app.fallthrough();
  app.set_config("--config", "", "File with flags")->envname("DOGFS_CONFIG");
  app.add_option("--cluster", line.common.cluster, "Name of the cluster: a directory of another one is refused")
      ->envname("DOGFS_CLUSTER_NAME")
      ->capture_default_str();
  app.add_option("--log-level", line.common.log_level, "debug, info, warning or error")
      ->envname("DOGFS_LOG_LEVEL")
      ->capture_default_str();
  line.meta_command = app.add_subcommand("meta", "Run a metadata node");
  line.chunk_command = app.add_subcommand("chunk", "Run a chunk server");
  line.dev_command = app.add_subcommand("dev", "Run a whole cluster in this process, on loopback");
  define_meta(*line.meta_command, line.meta);
  define_healing(*line.meta_command, line.meta);
  define_chunk(*line.chunk_command, line.chunk);
  define_background(*line.chunk_command, line.chunk);
  define_dev(*line.dev_command, line.dev);
  refuse_negative_numbers(app);
}

int fail(ExitCode code, const Error& error) {
  // The text of kInvalidArgument and the like says less than the detail does.
  const std::string& text = error.detail.empty() ? error.to_string() : error.detail;
  std::fprintf(stderr, "dogfsd: %s\n", text.c_str());
  return static_cast<int>(code);
}

// Runs one node on this thread until a signal stops it.
int run_host(NodeHost& host, const Address& address, const std::string& port_file) {
  StopSignals signals(host.io(), [&host] { host.request_stop(); });
  std::optional<Error> failure;
  const Status status = host.run([&] {
    std::printf("serving on %s\n", address.value.c_str());
    std::fflush(stdout);
    if (port_file.empty()) return;
    const Status written = replace_text_file(port_file, address.value + "\n");
    if (written) return;
    failure = written.error();
    host.request_stop();
  });
  if (!status) return fail(ExitCode::kCannotStart, status.error());
  if (failure) return fail(ExitCode::kCannotStart, *failure);
  return static_cast<int>(ExitCode::kStopped);
}

int run_meta(const CommandLine& line) {
  const Result<MetaConfig> config = check_meta(line.meta, line.common);
  if (!config) return fail(ExitCode::kBadUsage, config.error());
  std::unique_ptr<NodePorts> ports = make_meta_ports(config.value());
  const Result<Address> address = ports->transport().listen(config.value().listen);
  if (!address) return fail(ExitCode::kCannotStart, address.error());
  const auto host = MetaHost::open(std::move(ports), config.value());
  if (!host) return fail(ExitCode::kCannotStart, host.error());
  return run_host(*host.value(), address.value(), line.meta.port_file);
}

int run_chunk(const CommandLine& line) {
  const Result<ChunkConfig> config = check_chunk(line.chunk, line.common);
  if (!config) return fail(ExitCode::kBadUsage, config.error());
  std::unique_ptr<NodePorts> ports = make_chunk_ports(config.value());
  const Result<Address> address = ports->transport().listen(config.value().listen);
  if (!address) return fail(ExitCode::kCannotStart, address.error());
  const auto host = ChunkHost::open(std::move(ports), config.value(), address.value());
  if (!host) return fail(ExitCode::kCannotStart, host.error());
  return run_host(*host.value(), address.value(), line.chunk.port_file);
}

int run_dev(const CommandLine& line) {
  const Status checked = check_dev(line.dev, line.common);
  if (!checked) return fail(ExitCode::kBadUsage, checked.error());
  boost::asio::io_context io{1};
  std::optional<Error> failure;
  {
    const Result<std::unique_ptr<DevCluster>> opened = DevCluster::open(line.dev, line.common);
    if (!opened) return fail(ExitCode::kCannotStart, opened.error());
    DevCluster& cluster = *opened.value();
    const auto stop = [&] {
      cluster.request_stop();
      io.stop();
    };
    const StopSignals signals(io, stop);
    cluster.start(
        [&cluster] {
          std::printf("the cluster serves: --meta %s\n", cluster.meta_list().c_str());
          std::fflush(stdout);
        },
        [&](Error error) {
          boost::asio::post(io, [&, error = std::move(error)] {
            failure = error;
            stop();
          });
        });
    io.run();
  }
  if (failure) return fail(ExitCode::kCannotStart, *failure);
  return static_cast<int>(ExitCode::kStopped);
}

// Connections, open shards and the stores' tables all need file descriptors; the usual soft limit of 1,024 is for programs
// with select().
constexpr rlim_t kWantedFiles = 8192;

void raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlimit wanted{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) limit = wanted;
  if (limit.rlim_cur < kWantedFiles) {
    std::fprintf(stderr, "dogfsd: may open %llu files; with %llu it serves all the connections it may have\n",
                 static_cast<unsigned long long>(limit.rlim_cur), static_cast<unsigned long long>(kWantedFiles));
  }
}

int run(int argc, char** argv) {
  CommandLine line;
  define(line);
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_help = line.app.exit(error) == 0;
    return static_cast<int>(asked_for_help ? ExitCode::kStopped : ExitCode::kBadUsage);
  }
  raise_file_limit();
  // Whoever reads our log may end before us: its next line is lost then, and not the node.
  std::signal(SIGPIPE, SIG_IGN);
  if (line.meta_command->parsed()) return run_meta(line);
  if (line.chunk_command->parsed()) return run_chunk(line);
  return run_dev(line);
}

}  // namespace
}  // namespace dogfs

int main(int argc, char** argv) {
  return dogfs::run(argc, argv);
}
