#include "sim/shard_store.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "sim/trace_events.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kSectorBytes = 512;
constexpr uint32_t kReadsAfterOneAstray = 64;
constexpr uint64_t kMostLostSectors = 16;

// The bytes of `content` from `offset` on, as far as there are any.
std::string_view part_of(std::string_view content, uint64_t offset, uint64_t length) {
  return offset >= content.size() ? std::string_view() : content.substr(offset, length);
}

// Writes some sectors of `data`, any of them. How many bytes.
uint64_t overwrite_sectors(FileBytes& content, uint64_t offset, const BytesChain& data, RandomStream& draws) {
  uint64_t written = 0;
  for (uint64_t at = 0; at < data.size(); at += kSectorBytes) {
    const uint64_t bytes = std::min<uint64_t>(kSectorBytes, data.size() - at);
    if (!draws.chance(500'000)) continue;
    content.overwrite(offset + at, data.slice(at, bytes));
    written += bytes;
  }
  return written;
}

// How many whole sectors of `bytes` were written before the end, in bytes.
uint64_t draw_prefix(uint64_t bytes, RandomStream& draws) {
  return draws.below(bytes / kSectorBytes + 1) * kSectorBytes;
}

Status check_file_name(std::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  if (!plain || name.empty() || name.size() > kMaxShardNameBytes || name == "." || name == "..") {
    return Error(ErrorCode::kInvalidArgument, "not a plain file name");
  }
  return ok();
}

}  // namespace

Result<std::shared_ptr<ShardFileContent>> ShardDisk::create(const std::string& name) {
  DOGFS_TRYV(check_file_name(name));
  if (is_read_only()) return Error(ErrorCode::kIoError, "read-only");
  if (seen_.contains(name)) return Error(ErrorCode::kAlreadyExists, name);
  auto content = std::make_shared<ShardFileContent>();
  content->name = name;
  if (guard_ != nullptr) guard_->created(name);
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
  if (is_read_only()) return Error(ErrorCode::kIoError, "read-only");
  if (on_remove_) on_remove_(name);
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
  const uint64_t free = trouble_.full > 0 ? 0 : capacity_bytes_ - std::min(capacity_bytes_, used);
  return {capacity_bytes_, free, trouble_.read_only > 0};
}

bool ShardDisk::is_read_only() {
  if (trouble_.read_only == 0) return false;
  harms_.count(Harm::kReadOnly);
  return true;
}

void ShardDisk::wipe() {
  harms_.count(Harm::kDiskEmptied);
  seen_.clear();
  durable_.clear();
  durable_name_changes_ += name_changes_.size();
  name_changes_.clear();
}

uint64_t ShardDisk::begin_write(ShardFileContent& file, uint64_t offset, BytesChain data) {
  file.unsynced.push_back({++next_write_, offset, std::move(data), false});
  return next_write_;
}

Status ShardDisk::complete_write(ShardFileContent& file, uint64_t id) {
  const auto write = find_write(file, id);
  if (is_read_only()) {
    file.unsynced.erase(write);
    return Error(ErrorCode::kIoError, "read-only");
  }
  if (!fits(file, write->offset + write->data.size())) {
    if (trouble_.full > 0) harms_.count(Harm::kFull);
    file.unsynced.erase(write);
    return Error(ErrorCode::kNoSpace);
  }
  write->completed = true;
  file.misread.reset();
  file.seen.overwrite(write->offset, write->data);
  // The disk puts other sectors in the place of those that it cannot read.
  const uint64_t end = write->offset + write->data.size();
  std::erase_if(file.unreadable, [&](const auto& lost) { return write->offset <= lost.begin && lost.end <= end; });
  return ok();
}

ShardDisk::Writes::iterator ShardDisk::find_write(ShardFileContent& file, uint64_t id) {
  const auto write =
      std::find_if(file.unsynced.begin(), file.unsynced.end(), [id](const auto& w) { return w.id == id; });
  DOGFS_CHECK(write != file.unsynced.end());
  return write;
}

bool ShardDisk::fits(const ShardFileContent& file, uint64_t end) const {
  return end <= file.seen.size() || end - file.seen.size() <= space().free_bytes;
}

Status ShardDisk::fail_write(ShardFileContent& file, uint64_t id, RandomStream& draws) {
  harms_.count(Harm::kWriteError);
  const auto write = find_write(file, id);
  const uint64_t written = draw_prefix(write->data.size(), draws);
  if (written == 0 || !fits(file, write->offset + written)) {
    file.unsynced.erase(write);
  } else {
    write->completed = true;
    write->data = write->data.slice(0, written);
    file.seen.overwrite(write->offset, write->data, written);
  }
  return Error(ErrorCode::kIoError, "write failed");
}

// The file itself keeps what it had where the write belongs, zeros where it had nothing; what is hit has the bytes on
// the platter at once.
Status ShardDisk::misdirect_write(ShardFileContent& file, uint64_t id, RandomStream& draws) {
  const auto write = find_write(file, id);
  const uint64_t end = write->offset + write->data.size();
  if (guard_ == nullptr || !fits(file, end) || !guard_->may_damage(file.name)) return complete_write(file, id);
  const Content victim = some_file(draws);
  const uint64_t place = victim == nullptr ? 0 : draw_prefix(victim->durable.size(), draws);
  harms_.count(Harm::kMisdirectedWrite);
  guard_->damaged(file.name);
  const BytesChain astray = std::exchange(write->data, BytesChain());
  if (file.seen.size() < end) file.seen.resize(end);
  write->data = BytesChain(Bytes::copy_of(part_of(file.seen.view(), write->offset, astray.size())));
  write->completed = true;
  if (victim == nullptr || place >= victim->durable.size() || !guard_->may_damage(victim->name)) return ok();
  guard_->damaged(victim->name);
  const uint64_t hit = std::min<uint64_t>(astray.size(), victim->durable.size() - place);
  victim->durable.overwrite(place, astray, hit);
  victim->seen.overwrite(place, astray, hit);
  return ok();
}

Bytes ShardDisk::misread(ShardFileContent& file, uint64_t offset, size_t length, RandomStream& draws) {
  file.certain_reads = kReadsAfterOneAstray;
  harms_.count(Harm::kMisdirectedRead);
  const Content other = some_file(draws);
  const FileBytes& from = other == nullptr ? file.seen : other->seen;
  std::string bytes(part_of(from.view(), draw_prefix(from.size(), draws), length));
  bytes.resize(length, '\0');
  file.misread = {.offset = offset, .bytes = Bytes::copy_of(bytes)};
  return file.misread->bytes;
}

// One of the files with durable content, drawn; null if there is none.
ShardDisk::Content ShardDisk::some_file(RandomStream& draws) const {
  const std::vector<std::string> names = stored_files();
  const uint64_t choice = draws.next();
  return names.empty() ? nullptr : seen_.at(names[reduce64(choice, names.size())]);
}

bool ShardDisk::take_sync_failure() {
  if (!std::exchange(fail_next_sync_, false)) return false;
  harms_.count(Harm::kFailedSync);
  return true;
}

bool ShardDisk::hangs() {
  if (hangs_) harms_.count(Harm::kUnanswered);
  return hangs_;
}

void ShardDisk::forget_writes(ShardFileContent& file, const std::vector<uint64_t>& writes, RandomStream& draws) {
  std::erase_if(file.unsynced, [&writes](const ShardFileContent::Write& write) {
    return std::binary_search(writes.begin(), writes.end(), write.id);
  });
  if (draws.chance(500'000)) return;
  file.seen = file.durable;
  for (const ShardFileContent::Write& write : file.unsynced) {
    if (write.completed) file.seen.overwrite(write.offset, write.data);
  }
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
    if (covered(write)) file.durable.overwrite(write.offset, write.data);
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
  hangs_ = false;
  if (kind == CrashKind::kProcess) {
    for (const auto& [name, content] : seen_) stop_writes(*content, draws);
    return;
  }
  crash_names(draws);
  for (const auto& [name, content] : seen_) lose_power(*content, draws);
}

void ShardDisk::crash_names(RandomStream& draws) {
  // The changes of one name reach the disk in order; those of different names need not.
  std::map<std::string, std::vector<NameChange>> by_name;
  for (NameChange& change : name_changes_) by_name[change.name].push_back(std::move(change));
  for (const auto& [name, changes] : by_name) {
    const size_t kept = draws.below(changes.size() + 1);
    harms_.count(Harm::kNameLost, changes.size() - kept);
    for (size_t i = 0; i < kept; ++i) apply_name_change(durable_, changes[i]);
  }
  durable_name_changes_ += name_changes_.size();
  name_changes_.clear();
  seen_ = durable_;
}

// Of an unsynced write at a power cut: nothing, the first sectors, any sectors, or all. How many bytes.
uint64_t ShardDisk::write_some(FileBytes& content, const ShardFileContent::Write& write, RandomStream& draws) {
  const uint64_t bytes = write.data.size();
  switch (draws.below(4)) {
    case 1: {
      const uint64_t written = draw_prefix(bytes, draws);
      content.overwrite(write.offset, write.data, written);
      return written;
    }
    case 2:
      return overwrite_sectors(content, write.offset, write.data, draws);
    case 3:
      content.overwrite(write.offset, write.data);
      return bytes;
    default:
      return 0;
  }
}

void ShardDisk::lose_power(ShardFileContent& file, RandomStream& draws) {
  bool lost = false;
  for (const ShardFileContent::Write& write : file.unsynced) {
    const uint64_t written = write_some(file.durable, write, draws);
    if (written == 0) harms_.count(Harm::kUnsyncedLost);
    if (written > 0 && written < write.data.size()) harms_.count(Harm::kTornWrite);
    if (written > 0 && lost) harms_.count(Harm::kUnsyncedReordered);
    lost = lost || written < write.data.size();
  }
  file.unsynced.clear();
  file.misread.reset();
  file.seen = file.durable;
}

// A write that the process has not seen the end of may have come to any point.
void ShardDisk::stop_writes(ShardFileContent& file, RandomStream& draws) {
  for (ShardFileContent::Write& write : file.unsynced) {
    if (write.completed) continue;
    const uint64_t fate = draws.below(3);
    if (fate == 0) write.data = BytesChain();
    if (fate == 1) {
      const uint64_t written = draw_prefix(write.data.size(), draws);
      if (written > 0 && written < write.data.size()) harms_.count(Harm::kTornWrite);
      write.data = write.data.slice(0, written);
    }
    if (!write.data.empty()) file.seen.overwrite(write.offset, write.data);
    write.completed = true;
  }
}

const FileBytes* ShardDisk::durable_file(const std::string& name) const {
  const auto found = durable_.find(name);
  return found == durable_.end() ? nullptr : &found->second->durable;
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
  const auto bit = static_cast<uint8_t>(1U << draws.below(8));
  file.durable.flip(at, bit);
  if (at < file.seen.size()) file.seen.flip(at, bit);
  harms_.count(Harm::kBitRot);
}

void ShardDisk::lose_sectors(const std::string& name, RandomStream& draws) {
  ShardFileContent& file = *seen_.at(name);
  const uint64_t first = draws.below((file.durable.size() + kSectorBytes - 1) / kSectorBytes);
  const uint64_t sectors = draws.between(uint64_t{1}, kMostLostSectors);
  const uint64_t end = std::min<uint64_t>((first + sectors) * kSectorBytes, file.durable.size());
  file.unreadable.push_back({.begin = first * kSectorBytes, .end = end});
}

bool ShardDisk::has_lost_sectors(const std::string& name) const {
  const auto found = seen_.find(name);
  return found != seen_.end() && !found->second->unreadable.empty();
}

class SimShardStore::File final : public ShardFile {
 public:
  File(std::shared_ptr<Timing> timing, std::shared_ptr<ShardFileContent> content)
      : timing_(std::move(timing)), content_(std::move(content)) {}

  Task<Status> write(uint64_t offset, BytesChain data) override {
    const Duration delay = timing_->operation(data.size());
    const uint64_t id = timing_->disk->begin_write(*content_, offset, std::move(data));
    return timing_->after<Status>(
        delay, [timing = timing_, content = content_, id] { return timing->finish_write(*content, id); });
  }

  Task<Status> sync() override {
    return timing_->after<Status>(timing_->sync(),
                                  [timing = timing_, begin = timing_->executor.simulator().now(), content = content_,
                                   writes = ShardDisk::completed_writes(*content_)]() -> Status {
                                    timing->record_sync(begin);
                                    return timing->finish_sync(*content, writes);
                                  });
  }

  Task<Result<Bytes>> read(uint64_t offset, size_t length) override {
    const bool fails = timing_->draws.chance(timing_->disk->trouble().read_errors_per_million);
    return timing_->after<Result<Bytes>>(
        timing_->operation(length), [timing = timing_, content = content_, offset, length, fails]() -> Result<Bytes> {
          if (!fails) return timing->finish_read(*content, offset, length);
          timing->disk->harms().count(Harm::kReadError);
          return Error(ErrorCode::kIoError, "read failed");
        });
  }

  Task<Status> drop_cache() override {
    content_->misread.reset();
    co_return ok();
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
  return base + Duration(static_cast<int64_t>(bytes * 1'000'000'000 / speed.bytes_per_second)) + delay();
}

Duration SimShardStore::Timing::delay() {
  const DiskTrouble& trouble = disk->trouble();
  if (trouble.delay_max == Duration::zero()) return Duration::zero();
  disk->harms().count(Harm::kDelay);
  return trouble_draws.between(trouble.delay_min, trouble.delay_max);
}

Status SimShardStore::Timing::finish_write(ShardFileContent& file, uint64_t id) {
  if (strikes(disk->trouble().write_errors_per_million)) return disk->fail_write(file, id, trouble_draws);
  if (strikes(disk->trouble().misdirected_writes_per_million)) return disk->misdirect_write(file, id, trouble_draws);
  return disk->complete_write(file, id);
}

Status SimShardStore::Timing::finish_sync(ShardFileContent& file, const std::vector<uint64_t>& writes) {
  if (disk->take_sync_failure()) {
    ShardDisk::forget_writes(file, writes, trouble_draws);
    return Error(ErrorCode::kIoError, "sync failed");
  }
  ShardDisk::make_durable(file, writes);
  return ok();
}

Result<Bytes> SimShardStore::Timing::finish_read(ShardFileContent& file, uint64_t offset, size_t length) {
  const auto is_hit = [&](const auto& lost) { return lost.begin < offset + length && offset < lost.end; };
  if (std::ranges::any_of(file.unreadable, is_hit)) {
    disk->harms().count(Harm::kLatentError);
    return Error(ErrorCode::kIoError, "these sectors cannot be read");
  }
  if (strikes(disk->trouble().misdirected_reads_per_million) && file.certain_reads == 0) {
    return disk->misread(file, offset, length, trouble_draws);
  }
  if (file.misread && file.misread->offset <= offset &&
      offset + length <= file.misread->offset + file.misread->bytes.size()) {
    return file.misread->bytes.slice(offset - file.misread->offset, length);
  }
  if (file.certain_reads > 0) --file.certain_reads;
  const uint64_t size = file.seen.size();
  if (offset > size || length > size - offset) return Error(ErrorCode::kCorrupt, "file too short");
  return file.seen.slice(offset, length);
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
