// A chunk server: keeps shards on its disks, serves them to clients, and tells the metadata nodes that it lives.
// Belongs to the executor of its Env.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/env/env.h"
#include "core/env/kv_store.h"
#include "core/env/shard_store.h"

namespace dogfs {

namespace wire {
class DiskInfo;
}

// One disk: shard files, and the records of the sealed ones in a KvStore of the same disk.
struct ChunkDisk {
  ShardStore& files;
  KvStore& records;
  // For people, and to tell an empty disk in the place of another from one that is new: at most kMaxDiskNameBytes.
  std::string name = {};
  // Why it could not be opened. Then its ports fail.
  std::optional<Error> unreadable = {};
};

struct ChunkOptions {
  Address address;  // where this server can be reached
  std::string rack = "/default";
  std::vector<Address> meta_nodes;
  Duration heartbeat_interval = seconds(1);
  // A shard that was opened and neither appended to nor sealed for this long is given up by its writer.
  Duration writer_idle_limit = std::chrono::minutes(10);
  // Beyond these, requests are answered with kBusy. Of the bytes each of several disks has half at most.
  uint32_t max_open_writers = 512;
  uint64_t max_write_bytes = 64 * kMiB;  // received and not yet on disk
  uint64_t max_read_bytes = 64 * kMiB;   // asked of the disks at once
  // Shards that are rebuilt here at once.
  uint32_t max_repairs = 8;
  uint32_t max_repairs_per_disk = 4;
  // What repair reads and is read for, while clients are at work; without limit otherwise.
  uint64_t repair_bytes_per_s = 64 * kMiB;
  // Each disk is read through again and again at this rate, not more often than this.
  uint64_t scrub_bytes_per_s = 8 * kMiB;
  Duration scrub_interval = std::chrono::hours(24);
  // The disks are as their operator wants them: what is empty is new, what is not here is gone, of whatever size they are.
  bool accept_disks = false;
  // How often the leader is told which shards are here.
  Duration report_interval = std::chrono::minutes(10);
};

class ChunkServer final : public RequestHandler {
 public:
  // What is passed must outlive the server. Precondition: at least one disk. `on_fatal` is called once when no disk
  // can be trusted any more: the process must end.
  ChunkServer(Env& env, const std::vector<ChunkDisk>& disks, ChunkOptions options, std::function<void(Error)> on_fatal);
  ~ChunkServer() override;

  // Recovers from the disks, serves on the transport, and registers in the background.
  Task<Status> start();
  Task<void> stop();

  // None until the metadata nodes have registered this server.
  ServerId id() const;
  // What it tells the metadata nodes of its disks.
  std::vector<wire::DiskInfo> disks() const;

  Task<Reply> handle(Request request, MonoTime deadline) override;
  void receive(Request message) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dogfs
