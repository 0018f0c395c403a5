// What a chunk server makes of its disks when it starts. It deletes nothing here.
//
// The records and the names of the files are compared at once, which is quick; then, while the server is already at
// work, each file is looked at:
//   record and file        served; if the file is too short it is damaged: kept, reported, not served. If the record says
//                            that it was damaged before, it is reported so until the scrubber has read all of it
//   record without a file  lost, which is a damage: reported, not served, on record until the metadata deletes it
//   file without a record  - with footer: its seal was cut off, or the records were lost. Every byte is held against
//   the
//                            checksums; if all is well it is synced and recorded again, otherwise it is damaged
//                          - without: its writer may still come back; it goes when that has been idle for too long
//   file of another name, or whose header is of another shard or cluster: not ours, left alone
//   record marked as going: its removal is finished, as the metadata decided
//
// A shard may be on two disks: a seal that failed on one leaves its file there, and maybe its record, and the writer is
// sent to another. Where both have a record, both files are looked at as if neither had. The first of which all could be
// read is served, and what the other disk has of the shard goes as an idle writer's file does. Where none is whole both
// stay, and go when the metadata has the shard deleted.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/chunk/key_turns.h"
#include "core/chunk/shard_disk.h"
#include "core/chunk/shard_format.h"
#include "core/chunk/shard_remover.h"
#include "core/chunk/shard_table.h"
#include "core/chunk/shard_writers.h"
#include "core/chunk/stop_signal.h"

namespace dogfs {

// What was found, for the log and the tests.
struct RecoveryCounts {
  uint64_t recorded = 0;
  uint64_t lost = 0;      // record without file
  uint64_t damaged = 0;   // kept, not served
  uint64_t rebuilt = 0;   // recorded again
  uint64_t unsealed = 0;  // without footer
  uint64_t foreign = 0;   // left alone, and second files of which nothing is known to be whole
  bool operator==(const RecoveryCounts&) const = default;
};

// One disk's records against its file names.
struct RecoveryPlan {
  std::vector<std::pair<ShardKey, wire::ShardRecord>> served;
  std::vector<ShardKey> lost;
  std::vector<ShardKey> going;
  std::vector<ShardKey> unrecorded;
  uint64_t foreign = 0;
};
RecoveryPlan plan_recovery(const std::map<ShardKey, wire::ShardRecord>& records, const std::vector<std::string>& names);

class DiskRecovery {
 public:
  // What is passed must outlive this object.
  DiskRecovery(Env& env, const std::vector<std::unique_ptr<ShardDisk>>& disks, ShardTable& table, KeyTurns& turns,
               ShardWriters& writers, ShardRemover& remover, StopSignal& stop)
      : env_(env), disks_(disks), table_(table), turns_(turns), writers_(writers), remover_(remover), stop_(stop) {}

  // Fills the table from the records of one disk. An error means that nothing is known of the disk.
  Task<Status> load(ShardDisk* disk);
  // Fills it with the files that have no record. To be called once, when all disks were loaded: a shard that was not
  // sealed on a disk that failed may have been written anew to another.
  void take_unrecorded();
  // Looks at the files of all disks that were loaded. `cluster_uuid` is whose shards are ours.
  Task<void> inspect(std::string cluster_uuid);

  const RecoveryCounts& counts() const { return counts_; }

 private:
  struct Pending {
    ShardDisk* disk;
    ShardKey key;
    bool recorded = false;
    bool second = false;  // the shard is on another disk, too
  };
  enum class Finding : uint8_t { kWhole, kUnsealed, kDamaged, kForeign, kUnreadable };
  struct Inspection {
    Finding finding = Finding::kUnreadable;
    uint64_t length = 0;
    uint32_t crc = 0;
    std::string detail;
  };

  void take_plan(ShardDisk* disk, const RecoveryPlan& plan);
  void take_served(ShardDisk* disk, const ShardKey& key, const wire::ShardRecord& record);
  // False, and it is to go, if the shard is on another disk, too.
  bool take_without_file(ShardDisk* disk, const ShardKey& key, ShardState state);
  Task<void> check_size(Pending pending);
  Task<bool> is_whole(ShardKey key);
  Task<void> inspect_second(Pending second, std::string cluster_uuid);
  Task<void> inspect_unrecorded(Pending pending, std::string cluster_uuid);
  Task<Inspection> examine_twice(Pending pending, std::string cluster_uuid);
  Task<Inspection> examine(Pending pending, std::string cluster_uuid);
  Task<Inspection> examine_sealed(Pending pending, std::shared_ptr<ShardFile> file, Bytes head, uint64_t length);
  Task<Status> verify_data(Pending pending, std::shared_ptr<ShardFile> file, ShardFooter footer);
  Task<Status> write_anew(Pending pending, std::shared_ptr<ShardFile> file, uint64_t offset, Bytes bytes);
  Task<bool> record_again(Pending pending, Inspection found);
  Task<void> settle(Pending pending, Inspection found);

  Env& env_;
  const std::vector<std::unique_ptr<ShardDisk>>& disks_;
  ShardTable& table_;
  KeyTurns& turns_;
  ShardWriters& writers_;
  ShardRemover& remover_;
  StopSignal& stop_;
  RecoveryCounts counts_;
  std::vector<Pending> recorded_;
  std::vector<Pending> unrecorded_;  // from the last to the first
};

}  // namespace dogfs
