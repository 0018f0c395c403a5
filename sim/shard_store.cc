#include "sim/shard_store.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "sim/trace_events.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kSectorBytes = 512;
constexpr size_t kMaxFileNameBytes = 200;

void overwrite(std::string& content, uint64_t offset, const BytesChain& data, uint64_t length) {
  if (content.size() < offset + length) content.resize(offset + length, '\0');
  uint64_t at = offset;
  for (const Bytes& piece : data.pieces()) {
    if (at >= offset + length) return;
    const uint64_t bytes = std::min<uint64_t>(piece.size(), offset + length - at);
    content.replace(at, bytes, piece.view().substr(0, bytes));
    at += bytes;
  }
}

Status check_file_name(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  if (!plain || name.empty() || name.size() > kMaxFileNameBytes || name == "." || name == "..") {
    return Error(ErrorCode::kInvalidArgument, "not a plain file name");
  }
  return ok();
}

}  // namespace

Result<std::shared_ptr<ShardFileContent>> ShardDisk::create(const std::string& name) {
  DOGFS_TRYV(check_file_name(name));
  if (seen_.contains(name)) return Error(ErrorCode::kAlreadyExists, name);
  auto content = std::make_shared<ShardFileContent>();
  name_changes_.push_back({name, content});
  apply_name_change(seen_, name_changes_.back());
  return content;
}

Result<std::shared_ptr<ShardFileContent>> ShardDisk::open(const std::string& name) const {
  DOGFS_TRYV(check_file_name(name));
  const auto found = seen_.find(name);
  if (found == seen_.end()) return Error(ErrorCode::kNotFound, name);
  return found->second;
}

Status ShardDisk::remove(const std::string& name) {
  DOGFS_TRYV(check_file_name(name));
  if (!seen_.contains(name)) return Error(ErrorCode::kNotFound, name);
  name_changes_.push_back({name, nullptr});
  apply_name_change(seen_, name_changes_.back());
  return ok();
}

std::vector<std::string> ShardDisk::list() const {
  std::vector<std::string> names;
  for (const auto& [name, content] : seen_) names.push_back(name);
  return names;
}

DiskSpace ShardDisk::space() const {
  uint64_t used = 0;
  for (const auto& [name, content] : seen_) used += content->seen.size();
  return {capacity_bytes_, capacity_bytes_ - std::min(capacity_bytes_, used)};
}

uint64_t ShardDisk::begin_write(ShardFileContent& file, uint64_t offset, BytesChain data) {
  file.unsynced.push_back({++next_write_, offset, std::move(data), false});
  return next_write_;
}

Status ShardDisk::complete_write(ShardFileContent& file, uint64_t id) {
  const auto write =
      std::find_if(file.unsynced.begin(), file.unsynced.end(), [id](const auto& w) { return w.id == id; });
  DOGFS_CHECK(write != file.unsynced.end());
  const uint64_t end = write->offset + write->data.size();
  if (end > file.seen.size() && end - file.seen.size() > space().free_bytes) {
    file.unsynced.erase(write);
    return Error(ErrorCode::kNoSpace);
  }
  write->completed = true;
  overwrite(file.seen, write->offset, write->data, write->data.size());
  return ok();
}

std::vector<uint64_t> ShardDisk::completed_writes(const ShardFileContent& file) {
  std::vector<uint64_t> ids;
  for (const ShardFileContent::Write& write : file.unsynced) {
    if (write.completed) ids.push_back(write.id);
  }
  return ids;
}

void ShardDisk::make_durable(ShardFileContent& file, const std::vector<uint64_t>& writes) {
  const auto covered = [&writes](const ShardFileContent::Write& write) {
    return std::binary_search(writes.begin(), writes.end(), write.id);
  };
  for (const ShardFileContent::Write& write : file.unsynced) {
    if (covered(write)) overwrite(file.durable, write.offset, write.data, write.data.size());
  }
  std::erase_if(file.unsynced, covered);
}

void ShardDisk::apply_name_change(Names& names, const NameChange& change) {
  if (change.content) {
    names[change.name] = change.content;
  } else {
    names.erase(change.name);
  }
}

void ShardDisk::make_names_durable(uint64_t changes) {
  // Several syncs may be under way: one of a later call may have made all of these durable already.
  if (changes <= durable_name_changes_) return;
  const auto first = name_changes_.begin();
  const auto last = first + static_cast<ptrdiff_t>(changes - durable_name_changes_);
  for (auto change = first; change != last; ++change) apply_name_change(durable_, *change);
  name_changes_.erase(first, last);
  durable_name_changes_ = changes;
}

void ShardDisk::crash(CrashKind kind, RandomStream& draws) {
  crash_names(kind, draws);
  for (const auto& [name, content] : seen_) crash_file(*content, kind, draws);
}

void ShardDisk::crash_names(CrashKind kind, RandomStream& draws) {
  // The changes of one name reach the disk in order; those of different names need not.
  std::map<std::string, std::vector<NameChange>> by_name;
  for (NameChange& change : name_changes_) by_name[change.name].push_back(std::move(change));
  for (const auto& [name, changes] : by_name) {
    const size_t kept = kind == CrashKind::kProcess ? changes.size() : draws.below(changes.size() + 1);
    for (size_t i = 0; i < kept; ++i) apply_name_change(durable_, changes[i]);
  }
  durable_name_changes_ += name_changes_.size();
  name_changes_.clear();
  seen_ = durable_;
}

void ShardDisk::crash_file(ShardFileContent& file, CrashKind kind, RandomStream& draws) {
  for (const ShardFileContent::Write& write : file.unsynced) {
    uint64_t kept = write.data.size();
    if (kind == CrashKind::kPower || !write.completed) {
      const uint64_t fate = draws.below(3);
      if (fate == 0) kept = 0;
      if (fate == 1) kept = draws.below(kept / kSectorBytes + 1) * kSectorBytes;
    }
    if (kept > 0) overwrite(file.durable, write.offset, write.data, kept);
  }
  file.unsynced.clear();
  file.seen = file.durable;
}

std::vector<std::string> ShardDisk::stored_files() const {
  std::vector<std::string> names;
  for (const auto& [name, content] : seen_) {
    if (!content->durable.empty()) names.push_back(name);
  }
  return names;
}

void ShardDisk::rot(const std::string& name, RandomStream& draws) {
  ShardFileContent& file = *seen_.at(name);
  const uint64_t at = draws.below(file.durable.size());
  const char flip = static_cast<char>(1U << draws.below(8));
  file.durable[at] = static_cast<char>(file.durable[at] ^ flip);
  if (at < file.seen.size()) file.seen[at] = static_cast<char>(file.seen[at] ^ flip);
}

class SimShardStore::File final : public ShardFile {
 public:
  File(std::shared_ptr<Timing> timing, std::shared_ptr<ShardFileContent> content)
      : timing_(std::move(timing)), content_(std::move(content)) {}

  Task<Status> write(uint64_t offset, BytesChain data) override {
    const Duration delay = timing_->operation(data.size());
    const uint64_t id = timing_->disk->begin_write(*content_, offset, std::move(data));
    return timing_->after<Status>(
        delay, [disk = timing_->disk, content = content_, id] { return disk->complete_write(*content, id); });
  }

  Task<Status> sync() override {
    return timing_->after<Status>(timing_->sync(),
                                  [timing = timing_, begin = timing_->executor.simulator().now(), content = content_,
                                   writes = ShardDisk::completed_writes(*content_)]() -> Status {
                                    timing->record_sync(begin);
                                    ShardDisk::make_durable(*content, writes);
                                    return ok();
                                  });
  }

  Task<Result<Bytes>> read(uint64_t offset, size_t length) override {
    const bool fails = timing_->draws.chance(timing_->disk->read_errors_per_million());
    return timing_->after<Result<Bytes>>(timing_->operation(length),
                                         [content = content_, offset, length, fails]() -> Result<Bytes> {
                                           if (fails) return Error(ErrorCode::kIoError, "read failed");
                                           const std::string_view seen = content->seen;
                                           if (offset > seen.size() || length > seen.size() - offset)
                                             return Error(ErrorCode::kCorrupt, "file too short");
                                           return Bytes::copy_of(seen.substr(offset, length));
                                         });
  }

  Task<Result<uint64_t>> size() override {
    return timing_->after<Result<uint64_t>>(
        timing_->operation(0), [content = content_]() -> Result<uint64_t> { return content->seen.size(); });
  }

 private:
  std::shared_ptr<Timing> timing_;
  std::shared_ptr<ShardFileContent> content_;
};

Duration SimShardStore::Timing::operation(uint64_t bytes) {
  const Duration base = draws.between(speed.operation_min, speed.operation_max);
  return base + Duration(static_cast<int64_t>(bytes * 1'000'000'000 / speed.bytes_per_second));
}

void SimShardStore::Timing::record_sync(VirtualTime begin) const {
  const Simulator& simulator = executor.simulator();
  if (Recording* recording = simulator.recording()) {
    recording->synced(begin, simulator.now(), executor.incarnation().node);
  }
}

Task<Result<std::shared_ptr<ShardFile>>> SimShardStore::create(std::string name) {
  using Made = Result<std::shared_ptr<ShardFile>>;
  return timing_->after<Made>(timing_->operation(0), [timing = timing_, name = std::move(name)]() -> Made {
    DOGFS_TRY(auto content, timing->disk->create(name));
    return std::shared_ptr<ShardFile>(std::make_shared<File>(timing, std::move(content)));
  });
}

Task<Result<std::shared_ptr<ShardFile>>> SimShardStore::open(std::string name) {
  using Opened = Result<std::shared_ptr<ShardFile>>;
  return timing_->after<Opened>(timing_->operation(0), [timing = timing_, name = std::move(name)]() -> Opened {
    DOGFS_TRY(auto content, timing->disk->open(name));
    return std::shared_ptr<ShardFile>(std::make_shared<File>(timing, std::move(content)));
  });
}

Task<Status> SimShardStore::remove(std::string name) {
  return timing_->after<Status>(timing_->operation(0),
                                [disk = timing_->disk, name = std::move(name)] { return disk->remove(name); });
}

Task<Result<std::vector<std::string>>> SimShardStore::list() {
  using Listed = Result<std::vector<std::string>>;
  return timing_->after<Listed>(timing_->operation(0), [disk = timing_->disk]() -> Listed { return disk->list(); });
}

Task<Status> SimShardStore::sync_directory() {
  return timing_->after<Status>(timing_->sync(),
                                [disk = timing_->disk, upto = timing_->disk->name_changes_made()]() -> Status {
                                  disk->make_names_durable(upto);
                                  return ok();
                                });
}

Task<Result<DiskSpace>> SimShardStore::space() {
  using Space = Result<DiskSpace>;
  return timing_->after<Space>(timing_->operation(0), [disk = timing_->disk]() -> Space { return disk->space(); });
}

}  // namespace dogfs::sim
