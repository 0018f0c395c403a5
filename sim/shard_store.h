// A disk of shard files in memory that forgets, tears and rots.
//
// ShardDisk is what outlives a node. Each file has the content that programs see and the content that is durable; what
// lies between is a list of writes that no sync has covered. A power cut decides for each of them, whatever their
// order, whether it reached the platter whole, in some of its sectors, or not at all, and for each file name how many
// of its unsynced creations and removals did. The death of the process alone loses what was being written; the rest
// stays as it was: seen, and no more durable than before. SimShardStore is one node's use of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/env/shard_store.h"
#include "sim/completion.h"
#include "sim/disk_trouble.h"
#include "sim/executor.h"
#include "sim/file_bytes.h"
#include "sim/harms.h"

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
  std::string name;  // at its creation
  FileBytes seen;
  FileBytes durable;
  std::vector<Write> unsynced;  // in the order of the calls
  // Reads that go where they should, whatever the trouble: reads go astray for once, not the same one over and over.
  uint32_t certain_reads = 0;
  // What one gave stays in the operating system's cache, and is what reads of it give until the cache is dropped.
  struct Misread {
    uint64_t offset = 0;
    Bytes bytes;
  };
  std::optional<Misread> misread;
  // Cannot be read, whatever the trouble, until a write covers all of it.
  struct Extent {
    uint64_t begin = 0;
    uint64_t end = 0;
  };
  std::vector<Extent> unreadable;
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
  // Ends a write with an error; some of its first sectors may have been written.
  Status fail_write(ShardFileContent& file, uint64_t id, RandomStream& draws);
  // Ends a write as if it were complete, but somewhere else. As complete_write() where nothing may be damaged.
  Status misdirect_write(ShardFileContent& file, uint64_t id, RandomStream& draws);
  // What a read of `length` bytes gives that went to some other place.
  Bytes misread(ShardFileContent& file, uint64_t offset, size_t length, RandomStream& draws);
  // What a sync that is called now will cover.
  static std::vector<uint64_t> completed_writes(const ShardFileContent& file);
  static void make_durable(ShardFileContent& file, const std::vector<uint64_t>& writes);
  // The sync of `writes` failed, and the pages with them count as clean: no later sync writes them. They are seen until
  // they are evicted, which may be at once.
  static void forget_writes(ShardFileContent& file, const std::vector<uint64_t>& writes, RandomStream& draws);
  // How often files were created and removed so far; the first so many become durable.
  uint64_t name_changes_made() const { return durable_name_changes_ + name_changes_.size(); }
  void make_names_durable(uint64_t changes);

  // --- What happens to disks ---
  void crash(CrashKind kind, RandomStream& draws);
  // What a power cut now would leave of a file, if nothing unsynced came through; null where there would be none.
  const FileBytes* durable_file(const std::string& name) const;
  // The names of the files with durable content, in order.
  std::vector<std::string> stored_files() const;
  // Flips one bit of a stored file. Precondition: it is one of stored_files().
  void rot(const std::string& name, RandomStream& draws);
  // Makes some sectors of a stored file unreadable. Precondition: as above.
  void lose_sectors(const std::string& name, RandomStream& draws);
  // Whether some of the file cannot be read.
  bool has_lost_sectors(const std::string& name) const;
  void begin_trouble(const DiskTrouble& trouble) { trouble_ += trouble; }
  void end_trouble(const DiskTrouble& trouble) { trouble_ -= trouble; }
  const DiskTrouble& trouble() const { return trouble_; }
  // Whether the next sync of a file is to fail.
  void set_sync_failure(bool fail) { fail_next_sync_ = fail; }
  bool take_sync_failure();
  // From now on, until its program ends, operations are neither done nor answered.
  void begin_to_hang() { hangs_ = true; }
  bool is_hanging() const { return hangs_; }
  // The same, for an operation, which it counts as struck.
  bool hangs();
  Harms& harms() { return harms_; }
  // Asked before a write is misdirected; without one no write is. `guard` must outlive the disk.
  void set_guard(DamageGuard* guard) { guard_ = guard; }
  // Calls `removing` with the name of each file before a program removes it.
  void on_remove(std::function<void(const std::string&)> removing) { on_remove_ = std::move(removing); }
  void set_capacity(uint64_t bytes) { capacity_bytes_ = bytes; }
  // Another, empty disk is in its place. Precondition: no program uses it.
  void wipe();

 private:
  using Content = std::shared_ptr<ShardFileContent>;
  using Names = std::map<std::string, Content>;
  // A creation, or a removal where `content` is null.
  struct NameChange {
    std::string name;
    Content content;
  };

  using Writes = std::vector<ShardFileContent::Write>;

  static Writes::iterator find_write(ShardFileContent& file, uint64_t id);
  static uint64_t write_some(FileBytes& content, const ShardFileContent::Write& write, RandomStream& draws);
  void lose_power(ShardFileContent& file, RandomStream& draws);
  void stop_writes(ShardFileContent& file, RandomStream& draws);
  bool fits(const ShardFileContent& file, uint64_t end) const;
  // Counts the write that it strikes.
  bool is_read_only();
  Content some_file(RandomStream& draws) const;
  static void apply_name_change(Names& names, const NameChange& change);
  void crash_names(RandomStream& draws);

  uint64_t capacity_bytes_;
  uint64_t next_write_ = 0;
  DiskTrouble trouble_;
  bool fail_next_sync_ = false;
  bool hangs_ = false;
  Harms harms_;
  DamageGuard* guard_ = nullptr;
  std::function<void(const std::string&)> on_remove_;
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
  void give_up() override { timing_->give_up(); }

 private:
  class File;

  // When operations end. Shared by the store and the files that it opened.
  struct Timing {
    Timing(SimExecutor e, std::shared_ptr<ShardDisk> d, ShardSpeed s, StreamKey key)
        : executor(e), disk(std::move(d)), speed(s), draws(key), trouble_draws(key.with("trouble")) {}
    Duration operation(uint64_t bytes);
    void record_sync(VirtualTime begin) const;
    Duration sync() { return draws.between(speed.sync_min, speed.sync_max) + delay(); }
    // What the disk's trouble adds.
    Duration delay();
    // Whether a trouble of that rate strikes. Draws only where there is one.
    bool strikes(uint32_t per_million) { return per_million > 0 && trouble_draws.chance(per_million); }
    Status finish_write(ShardFileContent& file, uint64_t id);
    Status finish_sync(ShardFileContent& file, const std::vector<uint64_t>& writes);
    Result<Bytes> finish_read(ShardFileContent& file, uint64_t offset, size_t length);

    // Runs `work`, which returns a T, after `delay`; the caller goes on with what it returned.
    template <class T, class Work>
    Task<T> after(Duration delay, Work work) {
      auto done = std::make_shared<Completion<T>>();
      Simulator& simulator = executor.simulator();
      simulator.at(
          executor.incarnation(), simulator.now() + delay, [this, &simulator, done, work = std::move(work)]() mutable {
            if (!disk->hangs()) return done->set_and_resume(simulator, work());
            stuck.push_back([&simulator, done] { done->set(simulator, Error(ErrorCode::kIoError, "given up")); });
            if (given_up) give_up();
          });
      return Completion<T>::wait(executor, std::move(done));
    }
    void give_up() {
      given_up = true;
      for (const auto& answer : std::exchange(stuck, {})) answer();
    }

    SimExecutor executor;
    std::shared_ptr<ShardDisk> disk;
    ShardSpeed speed;
    RandomStream draws;
    RandomStream trouble_draws;                // apart, so that troubles shift nothing else
    std::vector<std::function<void()>> stuck;  // how each operation that hangs is given up
    bool given_up = false;
  };

  std::shared_ptr<Timing> timing_;
};

}  // namespace dogfs::sim
