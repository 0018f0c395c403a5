// Who this chunk server is: the uuid that it made for itself when its disks were new, and the id and cluster that it
// was given when it registered. The same on each disk, and durable before it is used.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/chunk/shard_disk.h"

namespace dogfs {

class Identity {
 public:
  // What is passed must outlive this object.
  Identity(Env& env, std::vector<std::unique_ptr<ShardDisk>>& disks) : env_(env), disks_(disks) {}

  // Reads it from the disks, or makes a new one. Disks that are new join the others. kConflict when two disks belong to
  // different servers.
  Task<Status> load();
  // Keeps what the first registration gave. kWrongCluster or kConflict if that is not what an earlier one gave.
  Task<Status> registered(ServerId server, std::string cluster_uuid);

  const std::string& uuid() const { return uuid_; }
  // None before the first registration.
  ServerId server() const { return server_; }
  // Empty before the first registration.
  const std::string& cluster_uuid() const { return cluster_uuid_; }

 private:
  Task<Result<bool>> load_from(ShardDisk* disk);
  Status adopt(const wire::ChunkIdentity& stored);
  Task<Status> store_on(ShardDisk* disk);
  Task<Status> store_on_all();
  std::string draw_uuid();

  Env& env_;
  std::vector<std::unique_ptr<ShardDisk>>& disks_;
  std::string uuid_;
  ServerId server_;
  std::string cluster_uuid_;
};

}  // namespace dogfs
