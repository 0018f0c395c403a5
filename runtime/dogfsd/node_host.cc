#include "runtime/dogfsd/node_host.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "net/endpoint.h"
#include "runtime/dogfsd/broken_disk.h"
#include "runtime/dogfsd/exit_code.h"

namespace dogfs {
namespace {

constexpr size_t kComputeThreads = 2;
// Of a chunk server, whose memory is to stay under 256 MiB: what it receives, what it sends, its memtables, its cache.
constexpr size_t kChunkRequestBytes = 64 * kMiB;
constexpr size_t kChunkReplyBytes = 32 * kMiB;
constexpr size_t kChunkMemtableBytes = 4 * kMiB;
constexpr size_t kChunkCacheBytes = 16 * kMiB;
constexpr Duration kDrainLimit = seconds(2);

Error refused_as_empty(const MetaConfig& config) {
  return Error(
      ErrorCode::kConflict,
      config.directory +
          " is empty: say whose first start this is. --form: of this node and of the cluster, which forms when "
          "all its first metadata nodes have been started so. --join: of a new node with a new id, which waits "
          "for \"dogfs admin meta add\". A metadata node that lost its disk must not come back under its id: "
          "replace it by a new one (docs/operations.md)");
}

}  // namespace

MetaOptions meta_options(const MetaConfig& config) {
  MetaOptions options;
  options.self = config.id;
  options.nodes = config.nodes;
  options.check_address = [](const Address& address) -> Status {
    DOGFS_TRYV(parse_callable_address(address.value));
    return ok();
  };
  options.empty_store = config.empty_store;
  options.lease_drift_bound = config.lease_drift_bound;
  options.log.keep.max_entries = config.log_entries;
  // Leaders hold ten times as many for followers that are alive.
  constexpr size_t kHeldPerKept = 10;
  options.log.hold.max_entries = std::min(kHeldPerKept * config.log_entries, kHeldLogEntries);
  options.server_dead_limit = config.dead_after;
  options.repair_limits.grace = config.repair_grace;
  options.repair_limits.cluster = config.cluster_repairs;
  options.repair_limits.per_target = config.repairs_per_target;
  options.repair_limits.per_source = config.repairs_per_source;
  options.lease_limit = config.lease_limit;
  return options;
}

ChunkOptions chunk_options(const ChunkConfig& config, const Address& listens) {
  ChunkOptions options;
  options.address = config.advertise.value.empty() ? listens : config.advertise;
  options.rack = config.rack;
  options.meta_nodes = config.meta_nodes;
  options.accept_disks = config.accept_disks;
  options.repair_bytes_per_s = config.repair_bytes_per_s;
  options.max_repairs = config.repairs;
  options.max_repairs_per_disk = config.repairs_per_disk;
  options.scrub_bytes_per_s = config.scrub_bytes_per_s;
  options.scrub_interval = config.scrub_interval;
  return options;
}

NodePorts::NodePorts(LogLevel level, const std::string& name, size_t compute_threads, TcpOptions tcp)
    : log_(level, name), compute_(compute_threads), transport_(io_.get_executor(), clock_, log_, tcp) {}

std::unique_ptr<NodePorts> make_meta_ports(const MetaConfig& config) {
  const std::string name = "meta-" + std::to_string(config.id.value());
  return std::make_unique<NodePorts>(config.log_level, name, kComputeThreads, TcpOptions());
}

std::unique_ptr<NodePorts> make_chunk_ports(const ChunkConfig& config) {
  TcpOptions tcp;
  tcp.request_bytes = kChunkRequestBytes;
  tcp.reply_bytes = kChunkReplyBytes;
  return std::make_unique<NodePorts>(config.log_level, "chunk", kComputeThreads, tcp);
}

// --- NodeHost
// ---------------------------------------------------------------------------------------------------------

Status NodeHost::run(const std::function<void()>& on_serving) {
  boost::asio::co_spawn(io(), live(on_serving), [this](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
    io().stop();
  });
  io().run();
  if (failure_) return *failure_;
  return ok();
}

void NodeHost::request_stop() {
  boost::asio::post(io(), [this] {
    stopping_ = true;
    stop_requested_.notify_all();
  });
}

Task<void> NodeHost::live(const std::function<void()>& on_serving) {
  const Status started = co_await start_node();
  if (!started) {
    failure_ = started.error();
  } else {
    on_serving();
    while (!stopping_) co_await stop_requested_.wait();
    ports().log().info("dogfsd", "stopping");
  }
  // It stops to serve by itself, when it has told the others.
  co_await stop_node();
  co_await ports().transport().drain(ports().env().clock.now() + kDrainLimit);
}

std::function<void(Error)> NodeHost::on_fatal() {
  return [&log = ports_->log()](const Error& error) {
    const bool refused = error.code == ErrorCode::kConflict || error.code == ErrorCode::kWrongCluster;
    log.error("dogfsd", "{}, this process ends: {}",
              refused ? "the cluster does not take this node" : "storage has failed", error.to_string());
    std::fflush(stderr);
    // No orderly end: it would write to a store that has failed.
    std::_Exit(static_cast<int>(refused ? ExitCode::kRefused : ExitCode::kStorageFailed));
  };
}

// --- MetaHost
// ---------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<MetaHost>> MetaHost::open(std::unique_ptr<NodePorts> ports, const MetaConfig& config) {
  const DirectoryIdentity identity = {
      {"role", "meta"}, {"cluster", config.cluster}, {"node", std::to_string(config.id.value())}};
  DOGFS_TRY(DataDirectory directory, DataDirectory::open(config.directory, identity));
  if (!directory.formatted() && config.empty_store == EmptyStore::kRefused) return refused_as_empty(config);
  RocksKvOptions options;
  options.create_if_missing = !directory.formatted();
  DOGFS_TRY(auto store, RocksKvStore::open(directory / "store", ports->io().get_executor(), options));
  DOGFS_TRYV(directory.set_formatted());
  return std::unique_ptr<MetaHost>(new MetaHost(std::move(ports), std::move(directory), std::move(store), config));
}

MetaHost::MetaHost(std::unique_ptr<NodePorts> node_ports, DataDirectory directory, std::unique_ptr<RocksKvStore> store,
                   const MetaConfig& config)
    : NodeHost(std::move(node_ports)),
      directory_(std::move(directory)),
      store_(std::move(store)),
      node_(ports().env(), *store_, meta_options(config), on_fatal()) {}

// --- ChunkHost
// --------------------------------------------------------------------------------------------------------

Result<ChunkHost::Disk> ChunkHost::open_disk(NodePorts& ports, const ChunkConfig& config, const std::string& path) {
  DOGFS_TRY(DataDirectory directory, DataDirectory::open(path, {{"role", "chunk"}, {"cluster", config.cluster}}));
  DOGFS_TRY(auto files, FileShardStore::open(directory / "shards", FileShardOptions()));
  RocksKvOptions options;
  options.memtable_bytes = kChunkMemtableBytes;
  options.cache_bytes = kChunkCacheBytes;
  DOGFS_TRY(auto records, RocksKvStore::open(directory / "records", ports.io().get_executor(), options));
  DOGFS_TRYV(directory.set_formatted());
  return Disk{std::move(directory), std::move(files), std::move(records), path, std::nullopt};
}

ChunkHost::Disk ChunkHost::broken_disk(const std::string& path, const Error& error) {
  return Disk{std::nullopt, std::make_unique<BrokenShardStore>(error), std::make_unique<BrokenKvStore>(error), path,
              error};
}

Result<std::unique_ptr<ChunkHost>> ChunkHost::open(std::unique_ptr<NodePorts> ports, const ChunkConfig& config,
                                                   const Address& listens) {
  std::vector<Disk> disks;
  std::optional<Error> failure;
  for (const std::string& path : config.directories) {
    Result<Disk> disk = open_disk(*ports, config, path);
    if (disk) {
      disks.push_back(std::move(disk).value());
      continue;
    }
    // Another node's, or in use: what was asked for is wrong. Otherwise a broken disk keeps the others from nothing.
    if (disk.error().code == ErrorCode::kConflict || disk.error().code == ErrorCode::kUnavailable) return disk.error();
    failure = disk.error();
    disks.push_back(broken_disk(path, disk.error()));
  }
  const bool none = std::ranges::all_of(disks, [](const Disk& disk) { return disk.unreadable.has_value(); });
  if (failure && none) return *failure;
  return std::unique_ptr<ChunkHost>(new ChunkHost(std::move(ports), std::move(disks), chunk_options(config, listens)));
}

ChunkHost::ChunkHost(std::unique_ptr<NodePorts> node_ports, std::vector<Disk> disks, ChunkOptions options)
    : NodeHost(std::move(node_ports)),
      disks_(std::move(disks)),
      server_(ports().env(), refer_to(disks_), std::move(options), on_fatal()) {}

std::vector<ChunkDisk> ChunkHost::refer_to(std::vector<Disk>& disks) {
  std::vector<ChunkDisk> references;
  for (Disk& disk : disks) references.push_back(ChunkDisk{*disk.files, *disk.records, disk.path, disk.unreadable});
  return references;
}

}  // namespace dogfs
