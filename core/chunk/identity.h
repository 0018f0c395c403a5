// Who this chunk server is: the uuid that it made for itself when its disks were new, and the id and cluster that it
// was given when it registered. The same on each disk, and durable before it is used.
//
// Each disk has an id of its own, too, and every disk knows all of them. So one that is gone is missed, and an empty
// directory where a disk used to be (not mounted, or wiped) is not taken for a new disk: nothing is written there until
// the operator says so (ChunkOptions::accept_disks). A new directory under a new name simply joins.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/chunk/shard_disk.h"

namespace dogfs {

// A disk whose size differs by more than this from what it was is another one, or is not mounted where it should be.
inline constexpr uint64_t kResizedPercent = 5;

class Identity {
 public:
  // What is passed must outlive this object.
  Identity(Env& env, std::vector<std::unique_ptr<ShardDisk>>& disks) : env_(env), disks_(disks) {}

  // Reads it from the disks, or makes a new one. Disks that are new join the others; one that cannot be read, or is empty
  // in the place of another, is taken out. kConflict when two disks belong to different servers; kIoError when none can be
  // read, or none that would tell who this is. `accept`: the disks are as they should be.
  Task<Status> load(bool accept);
  // Keeps what the first registration gave. kWrongCluster or kConflict if that is not what an earlier one gave.
  Task<Status> registered(ServerId server, std::string cluster_uuid);

  const std::string& uuid() const { return uuid_; }
  // None before the first registration.
  ServerId server() const { return server_; }
  // Empty before the first registration.
  const std::string& cluster_uuid() const { return cluster_uuid_; }
  // Disks that this server had, and was not started with.
  const std::vector<wire::DiskInfo>& missing() const { return missing_; }

 private:
  using Known = std::map<std::string, wire::KnownDisk>;  // by id

  Task<Result<bool>> load_from(ShardDisk* disk);
  Status adopt(const wire::ChunkIdentity& stored);
  // A disk that does not say whose it is.
  struct Blank {
    ShardDisk* disk;
    bool has_files;
  };
  // Judges the disks by what was known of them, and notes what is so now. Whether anything is new.
  bool compare_disks(const std::vector<Blank>& blanks, bool accept);
  void judge_blank(const Blank& blank, Known& absent, bool accept);
  bool join(ShardDisk& disk, bool accept);
  void miss(const wire::KnownDisk& disk);
  Task<Status> store_on(ShardDisk* disk);
  Task<Status> store_on_all();
  std::string draw_uuid(const char* stream);

  Env& env_;
  std::vector<std::unique_ptr<ShardDisk>>& disks_;
  std::string uuid_;
  ServerId server_;
  std::string cluster_uuid_;
  Known known_;
  uint64_t known_version_ = 0;
  std::vector<wire::DiskInfo> missing_;
};

}  // namespace dogfs
