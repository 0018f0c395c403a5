// A node with everything that it stands on: event loop, ports, disks. One thread runs it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/chunk/chunk_server.h"
#include "core/env/env.h"
#include "core/env/sync.h"
#include "core/meta/meta_node.h"
#include "net/transport.h"
#include "runtime/clock.h"
#include "runtime/compute.h"
#include "runtime/dogfsd/config.h"
#include "runtime/dogfsd/data_directory.h"
#include "runtime/kv_store.h"
#include "runtime/log.h"
#include "runtime/random.h"
#include "runtime/shard_store.h"

namespace dogfs {

// The event loop and the ports that every node has.
class NodePorts {
 public:
  NodePorts(LogLevel level, const std::string& name, size_t compute_threads, TcpOptions tcp);

  boost::asio::io_context& io() { return io_; }
  Env& env() { return env_; }
  TcpTransport& transport() { return transport_; }
  Log& log() { return log_; }

 private:
  // The loop goes last: threads that end may still post to it.
  boost::asio::io_context io_{1};
  SystemClock clock_{io_.get_executor()};
  SystemRandom random_;
  StderrLog log_;
  ThreadPoolCompute compute_;
  TcpTransport transport_;
  Env env_{io_.get_executor(), clock_, random_, transport_, compute_, log_};
};

class NodeHost {
 public:
  explicit NodeHost(std::unique_ptr<NodePorts> ports)
      : ports_(std::move(ports)), stop_requested_(ports_->env().clock) {}
  virtual ~NodeHost() = default;

  // Starts the node, calls `on_serving` once it serves, and returns when it has been stopped in good order, or could
  // not start. The thread that calls this is the node's.
  Status run(const std::function<void()>& on_serving);
  // From any thread.
  void request_stop();

  boost::asio::io_context& io() { return ports_->io(); }

 protected:
  virtual Task<Status> start_node() = 0;
  virtual Task<void> stop_node() = 0;

  NodePorts& ports() { return *ports_; }
  // What a node calls when its storage has failed: nothing that it says from now on could be trusted.
  std::function<void(Error)> on_fatal();

 private:
  Task<void> live(const std::function<void()>& on_serving);

  std::unique_ptr<NodePorts> ports_;
  Notifier stop_requested_;
  bool stopping_ = false;
  std::optional<Error> failure_;
};

class MetaHost final : public NodeHost {
 public:
  // `ports` listens already.
  static Result<std::unique_ptr<MetaHost>> open(std::unique_ptr<NodePorts> ports, const MetaConfig& config);

 private:
  MetaHost(std::unique_ptr<NodePorts> ports, DataDirectory directory, std::unique_ptr<RocksKvStore> store,
           const MetaConfig& config);
  Task<Status> start_node() override { return node_.start(); }
  Task<void> stop_node() override { return node_.stop(); }

  DataDirectory directory_;
  std::unique_ptr<RocksKvStore> store_;
  MetaNode node_;
};

class ChunkHost final : public NodeHost {
 public:
  // `ports` listens already, at `listens`.
  static Result<std::unique_ptr<ChunkHost>> open(std::unique_ptr<NodePorts> ports, const ChunkConfig& config,
                                                 const Address& listens);

 private:
  struct Disk {
    std::optional<DataDirectory> directory;
    std::unique_ptr<ShardStore> files;
    std::unique_ptr<KvStore> records;
    std::string path;
    std::optional<Error> unreadable;
  };

  static Result<Disk> open_disk(NodePorts& ports, const ChunkConfig& config, const std::string& path);
  static Disk broken_disk(const std::string& path, const Error& error);
  ChunkHost(std::unique_ptr<NodePorts> ports, std::vector<Disk> disks, ChunkOptions options);
  static std::vector<ChunkDisk> refer_to(std::vector<Disk>& disks);
  Task<Status> start_node() override { return server_.start(); }
  Task<void> stop_node() override { return server_.stop(); }

  std::vector<Disk> disks_;
  ChunkServer server_;
};

// What the flags come to. A chunk server that is to be found where it listens, listens at `listens`.
MetaOptions meta_options(const MetaConfig& config);
ChunkOptions chunk_options(const ChunkConfig& config, const Address& listens);

// The ports of each role, with the memory that it may use.
std::unique_ptr<NodePorts> make_meta_ports(const MetaConfig& config);
std::unique_ptr<NodePorts> make_chunk_ports(const ChunkConfig& config);

}  // namespace dogfs
