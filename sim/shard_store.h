// A disk of shard files in memory that forgets, tears and rots.
//
// ShardDisk is what outlives a node. Each file has the content that programs see and the content that is durable; what
// lies between is a list of writes that no sync has covered. A power cut decides for each of them whether it reached
// the platter whole, up to some sector, or not at all, and for each file name how many of its unsynced creations and
// removals did. SimShardStore is one node's use of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/env/shard_store.h"
#include "sim/completion.h"
#include "sim/executor.h"

namespace dogfs::sim {

struct ShardSpeed {
  Duration operation_min = microseconds(20);
  Duration operation_max = microseconds(200);
  Duration sync_min = microseconds(300);
  Duration sync_max = milliseconds(4);
  uint64_t bytes_per_second = 1'000'000'000;
};

enum class CrashKind : uint8_t {
  kProcess,  // the operating system lives: what was written completely stays
  kPower,    // only what was synced is certain
};

// One file. Operations that are under way, and open handles, keep it.
struct ShardFileContent {
  struct Write {
    uint64_t id = 0;
    uint64_t offset = 0;
    BytesChain data;
    bool completed = false;
  };
  std::string seen;
  std::string durable;
  std::vector<Write> unsynced;  // in the order of the calls
};

class ShardDisk {
 public:
  explicit ShardDisk(uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  // --- What programs do ---
  Result<std::shared_ptr<ShardFileContent>> create(const std::string& name);
  Result<std::shared_ptr<ShardFileContent>> open(const std::string& name) const;
  Status remove(const std::string& name);
  std::vector<std::string> list() const;
  DiskSpace space() const;
  // Notes a write that has begun; it counts as completed from complete_write() on.
  uint64_t begin_write(ShardFileContent& file, uint64_t offset, BytesChain data);
  Status complete_write(ShardFileContent& file, uint64_t id);
  // What a sync that is called now will cover.
  static std::vector<uint64_t> completed_writes(const ShardFileContent& file);
  static void make_durable(ShardFileContent& file, const std::vector<uint64_t>& writes);
  // How often files were created and removed so far; the first so many become durable.
  uint64_t name_changes_made() const { return durable_name_changes_ + name_changes_.size(); }
  void make_names_durable(uint64_t changes);

  // --- What happens to disks ---
  void crash(CrashKind kind, RandomStream& draws);
  // The names of the files with durable content, in order.
  std::vector<std::string> stored_files() const;
  // Flips one bit of a stored file. Precondition: it is one of stored_files().
  void rot(const std::string& name, RandomStream& draws);
  // The share of reads that fail.
  void set_read_errors(uint32_t per_million) { read_errors_per_million_ = per_million; }
  uint32_t read_errors_per_million() const { return read_errors_per_million_; }
  void set_capacity(uint64_t bytes) { capacity_bytes_ = bytes; }

 private:
  using Content = std::shared_ptr<ShardFileContent>;
  using Names = std::map<std::string, Content>;
  // A creation, or a removal where `content` is null.
  struct NameChange {
    std::string name;
    Content content;
  };

  static void crash_file(ShardFileContent& file, CrashKind kind, RandomStream& draws);
  static void apply_name_change(Names& names, const NameChange& change);
  void crash_names(CrashKind kind, RandomStream& draws);

  uint64_t capacity_bytes_;
  uint64_t next_write_ = 0;
  uint32_t read_errors_per_million_ = 0;
  Names seen_;
  Names durable_;
  std::vector<NameChange> name_changes_;  // behind durable_, in order
  uint64_t durable_name_changes_ = 0;
};

class SimShardStore final : public ShardStore {
 public:
  SimShardStore(SimExecutor executor, std::shared_ptr<ShardDisk> disk, ShardSpeed speed, StreamKey key)
      : timing_(std::make_shared<Timing>(executor, std::move(disk), speed, key)) {}

  Task<Result<std::shared_ptr<ShardFile>>> create(std::string name) override;
  Task<Result<std::shared_ptr<ShardFile>>> open(std::string name) override;
  Task<Status> remove(std::string name) override;
  Task<Result<std::vector<std::string>>> list() override;
  Task<Status> sync_directory() override;
  Task<Result<DiskSpace>> space() override;

 private:
  class File;

  // When operations end. Shared by the store and the files that it opened.
  struct Timing {
    Timing(SimExecutor e, std::shared_ptr<ShardDisk> d, ShardSpeed s, StreamKey key)
        : executor(e), disk(std::move(d)), speed(s), draws(key) {}
    Duration operation(uint64_t bytes);
    void record_sync(VirtualTime begin) const;
    Duration sync() { return draws.between(speed.sync_min, speed.sync_max); }

    // Runs `work`, which returns a T, after `delay`; the caller goes on with what it returned.
    template <class T, class Work>
    Task<T> after(Duration delay, Work work) {
      auto done = std::make_shared<Completion<T>>();
      Simulator& simulator = executor.simulator();
      simulator.at(executor.incarnation(), simulator.now() + delay,
                   [&simulator, done, work = std::move(work)]() mutable { done->set_and_resume(simulator, work()); });
      return Completion<T>::wait(executor, std::move(done));
    }

    SimExecutor executor;
    std::shared_ptr<ShardDisk> disk;
    ShardSpeed speed;
    RandomStream draws;
  };

  std::shared_ptr<Timing> timing_;
};

}  // namespace dogfs::sim
