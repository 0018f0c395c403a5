#include "runtime/dogfsd/dev_cluster.h"

#include <atomic>
#include <filesystem>

#include "net/endpoint.h"
#include "runtime/text_file.h"

namespace dogfs {
namespace {

std::string join(const std::vector<Address>& addresses) {
  std::string list;
  for (const Address& address : addresses) list += (list.empty() ? "" : ",") + address.value;
  return list;
}

// The cluster file holds the metadata nodes on its one line that is no comment.
Result<std::vector<Address>> read_cluster_file(const std::string& path) {
  DOGFS_TRY(const std::string text, read_text_file(path, kMaxClusterFileBytes));
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (!line.empty() && line.front() != '#') return parse_address_list(line);
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  }
  return Error(ErrorCode::kCorrupt, path + " names no metadata node");
}

// Where the metadata nodes are to listen: where they did last time, else from the base port on, else anywhere.
Result<std::vector<Address>> wanted_addresses(const DevFlags& flags) {
  const std::string path = flags.directory + "/cluster";
  Result<std::vector<Address>> known = read_cluster_file(path);
  if (!known && known.error().code != ErrorCode::kNotFound) return known;
  if (known && known.value().size() != flags.meta_nodes) {
    return Error(ErrorCode::kConflict, path + " names " + std::to_string(known.value().size()) +
                                           " metadata nodes, and --meta asks for " + std::to_string(flags.meta_nodes));
  }
  if (known && flags.base_port == 0) return known;
  std::vector<Address> addresses;
  for (unsigned i = 0; i < flags.meta_nodes; ++i) {
    const unsigned port = flags.base_port == 0 ? 0 : flags.base_port + i;
    addresses.push_back(Address{"127.0.0.1:" + std::to_string(port)});
  }
  return addresses;
}

}  // namespace

Result<std::unique_ptr<DevCluster>> DevCluster::open(const DevFlags& flags, const CommonFlags& common) {
  std::error_code made;
  std::filesystem::create_directories(flags.directory, made);
  if (made) return Error(ErrorCode::kIoError, "cannot make the directory " + flags.directory + ": " + made.message());
  std::unique_ptr<DevCluster> cluster(new DevCluster());
  DOGFS_TRYV(cluster->open_meta(flags, common));
  DOGFS_TRYV(cluster->open_chunks(flags, common));
  const std::string text = "# The metadata nodes of this cluster, for dogfs --cluster FILE or DOGFS_CLUSTER=FILE.\n" +
                           cluster->meta_list() + "\n";
  DOGFS_TRYV(replace_text_file(flags.directory + "/cluster", text));
  return cluster;
}

Status DevCluster::open_meta(const DevFlags& flags, const CommonFlags& common) {
  DOGFS_TRY(const std::vector<Address> wanted, wanted_addresses(flags));
  DOGFS_TRY(const LogLevel level, parse_log_level(common.log_level));
  std::vector<std::unique_ptr<NodePorts>> ports;
  MetaConfig config;
  config.cluster = common.cluster;
  config.log_level = level;
  config.empty_store = EmptyStore::kForms;
  for (const Address& address : wanted) {
    config.id = config.id.next();
    ports.push_back(make_meta_ports(config));
    DOGFS_TRY(Address bound, ports.back()->transport().listen(address));
    config.nodes.emplace(config.id, bound);
    meta_addresses_.push_back(std::move(bound));
  }
  config.id = NodeId();
  for (std::unique_ptr<NodePorts>& node_ports : ports) {
    config.id = config.id.next();
    config.directory = flags.directory + "/meta-" + std::to_string(config.id.value());
    DOGFS_TRY(auto host, MetaHost::open(std::move(node_ports), config));
    hosts_.push_back(std::move(host));
  }
  return ok();
}

Status DevCluster::open_chunks(const DevFlags& flags, const CommonFlags& common) {
  DOGFS_TRY(const LogLevel level, parse_log_level(common.log_level));
  for (unsigned i = 0; i < flags.chunk_servers; ++i) {
    const unsigned port = flags.base_port == 0 ? 0 : flags.base_port + flags.meta_nodes + i;
    ChunkConfig config;
    config.listen = Address{"127.0.0.1:" + std::to_string(port)};
    config.meta_nodes = meta_addresses_;
    config.directories = {flags.directory + "/chunk-" + std::to_string(i + 1)};
    config.rack = "/default";
    config.cluster = common.cluster;
    config.log_level = level;
    std::unique_ptr<NodePorts> ports = make_chunk_ports(config);
    DOGFS_TRY(const Address bound, ports->transport().listen(config.listen));
    DOGFS_TRY(auto host, ChunkHost::open(std::move(ports), config, bound));
    hosts_.push_back(std::move(host));
  }
  return ok();
}

DevCluster::~DevCluster() {
  for (std::thread& thread : threads_) thread.join();
}

void DevCluster::start(const std::function<void()>& on_serving, const std::function<void(Error)>& on_failed) {
  const auto left = std::make_shared<std::atomic<size_t>>(hosts_.size());
  const auto failed = std::make_shared<std::atomic<bool>>(false);
  for (const std::unique_ptr<NodeHost>& host : hosts_) {
    threads_.emplace_back([host = host.get(), left, failed, on_serving, on_failed] {
      const Status status = host->run([&] {
        if (--*left == 0) on_serving();
      });
      if (!status && !failed->exchange(true)) on_failed(status.error());
    });
  }
}

void DevCluster::request_stop() {
  for (const std::unique_ptr<NodeHost>& host : hosts_) host->request_stop();
}

std::string DevCluster::meta_list() const {
  return join(meta_addresses_);
}

}  // namespace dogfs
