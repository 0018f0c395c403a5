#include "core/chunk/identity.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/endian.h"
#include "core/base/limits.h"
#include "core/base/printable.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

constexpr std::string_view kIdentityKey = "identity";

}  // namespace

Task<Status> Identity::load(bool accept) {
  std::vector<Blank> blanks;
  bool unreadable = false;
  for (const auto& disk : disks_) {
    Result<bool> found = Error(ErrorCode::kIoError);
    if (disk->unreadable()) {
      found = *disk->unreadable();
    } else {
      found = co_await load_from(disk.get());
    }
    if (found.has_value() && !found.value()) {
      const Result<std::vector<std::string>> files = co_await disk->files().list();
      if (files.has_value()) {
        blanks.push_back({disk.get(), !files.value().empty()});
      } else {
        found = files.error();
      }
    }
    if (found.has_value()) {
      co_await disk->refresh_space();
      continue;
    }
    if (found.error().code == ErrorCode::kConflict) co_return found.error();
    unreadable = true;
    disk->take_out(wire::DiskInfo::UNREADABLE, "cannot be read: " + found.error().to_string());
  }
  if (uuid_.empty() && unreadable) {
    // It would begin as a new server, and forget what it has on the disks that may be readable again tomorrow.
    co_return Error(ErrorCode::kIoError, "no disk that can be read says which server this is");
  }
  if (uuid_.empty()) uuid_ = draw_uuid("chunk.uuid");
  if (!compare_disks(blanks, accept)) co_return ok();
  ++known_version_;
  co_return co_await store_on_all();
}

Task<Result<bool>> Identity::load_from(ShardDisk* disk) {
  const std::shared_ptr<const KvReader> store = disk->records().snapshot();
  Result<std::optional<std::string>> bytes = std::optional<std::string>();
  co_await env_.compute.run([&] { bytes = store->get(kIdentityKey); });
  if (!bytes.has_value()) co_return bytes.error();
  if (!bytes.value()) co_return false;
  const Result<wire::ChunkIdentity> stored = parse_message<wire::ChunkIdentity>(*bytes.value());
  if (!stored.has_value() || stored.value().uuid().size() != kUuidBytes) {
    co_return Error(ErrorCode::kCorrupt, fmt::format("the server's identity on disk {}", disk->number()));
  }
  DOGFS_CO_TRYV(adopt(stored.value()));
  // One of an earlier release has none yet.
  disk->set_id(stored.value().disk().empty() ? draw_uuid("chunk.disk_id") : stored.value().disk());
  co_return true;
}

bool Identity::compare_disks(const std::vector<Blank>& blanks, bool accept) {
  Known absent = known_;
  for (const auto& disk : disks_) absent.erase(disk->id());
  for (const Blank& blank : blanks) judge_blank(blank, absent, accept);
  bool changed = false;
  for (const auto& disk : disks_) {
    if (!disk->bad() && join(*disk, accept)) changed = true;
  }
  for (const auto& [id, disk] : absent) {
    const auto here = std::ranges::find(disks_, disk.name(), &ShardDisk::name);
    // The alarm is that of the disk in its place.
    if (here != disks_.end() && (*here)->bad()) continue;
    if (accept) {
      known_.erase(id);
      changed = true;
    } else {
      miss(disk);
    }
  }
  return changed;
}

void Identity::judge_blank(const Blank& blank, Known& absent, bool accept) {
  ShardDisk& disk = *blank.disk;
  const auto expected =
      std::ranges::find_if(absent, [&](const auto& known) { return known.second.name() == disk.name(); });
  if (expected == absent.end() || (accept && !blank.has_files)) {
    disk.set_id(draw_uuid("chunk.disk_id"));
  } else if (blank.has_files) {
    disk.set_id(expected->first);
    absent.erase(expected);
    if (!accept) disk.raise_alarm("lost its records; they are made anew from its files");
  } else {
    disk.take_out(wire::DiskInfo::EMPTY, "came up empty, and is not written to: is it mounted?");
  }
}

// Whether anything about it is new.
bool Identity::join(ShardDisk& disk, bool accept) {
  wire::KnownDisk& known = known_[disk.id()];
  const uint64_t was = known.total_bytes();
  const uint64_t is = disk.total_bytes();
  const bool resized = was > 0 && is > 0 && std::max(was, is) - std::min(was, is) > was / 100 * kResizedPercent;
  if (resized && !accept) {
    disk.raise_alarm(fmt::format("has another size: {} bytes, and had {}", is, was));
  }
  const bool measured = is > 0 && (was == 0 || (resized && accept));
  const bool changed = known.id().empty() || known.name() != disk.name() || measured;
  known.set_id(disk.id());
  known.set_name(disk.name());
  if (measured) known.set_total_bytes(is);
  return changed;
}

void Identity::miss(const wire::KnownDisk& disk) {
  wire::DiskInfo& info = missing_.emplace_back();
  info.set_id(disk.id());
  info.set_name(printable(disk.name(), kMaxDiskNameBytes));
  info.set_state(wire::DiskInfo::MISSING);
  info.set_total_bytes(disk.total_bytes());
  info.set_alarm("missing: the server was started without it");
  info.set_last_scrub_ms(-1);
  info.set_all_read_ms(-1);
  env_.log.error("chunk", "disk {} is missing: the server was started without it", disk.name());
}

Status Identity::adopt(const wire::ChunkIdentity& stored) {
  const bool first = uuid_.empty();
  const bool other_server = server_ != ServerId(0) && stored.server() != 0 && server_ != ServerId(stored.server());
  if (!first && (uuid_ != stored.uuid() || other_server)) {
    return Error(ErrorCode::kConflict, "the disks belong to different chunk servers");
  }
  uuid_ = stored.uuid();
  // A crash between two disks leaves the older list on one of them.
  if (stored.disks_version() > known_version_) {
    known_version_ = stored.disks_version();
    known_.clear();
    for (const wire::KnownDisk& disk : stored.disks()) known_[disk.id()] = disk;
  }
  // A crash between two disks leaves the registration on one of them only.
  if (stored.server() != 0) {
    server_ = ServerId(stored.server());
    cluster_uuid_ = stored.cluster_uuid();
  }
  return ok();
}

Task<Status> Identity::registered(ServerId server, std::string cluster_uuid) {
  if (server_ == server && cluster_uuid_ == cluster_uuid) co_return ok();
  if (!cluster_uuid_.empty() && cluster_uuid_ != cluster_uuid) {
    co_return Error(ErrorCode::kWrongCluster, "the metadata nodes are of another cluster than the shards here");
  }
  if (!server_.is_none()) {
    co_return Error(ErrorCode::kConflict, fmt::format("registered as server {} and now as {}", server_, server));
  }
  Identity stored = *this;
  stored.server_ = server;
  stored.cluster_uuid_ = cluster_uuid;
  DOGFS_CO_TRYV(co_await stored.store_on_all());
  server_ = server;
  cluster_uuid_ = std::move(cluster_uuid);
  co_return ok();
}

Task<Status> Identity::store_on(ShardDisk* disk) {
  wire::ChunkIdentity identity;
  identity.set_uuid(uuid_);
  identity.set_server(server_.value());
  identity.set_cluster_uuid(cluster_uuid_);
  identity.set_disk(disk->id());
  for (const auto& [id, known] : known_) *identity.add_disks() = known;
  identity.set_disks_version(known_version_);
  WriteBatch batch;
  batch.put(std::string(kIdentityKey), identity.SerializeAsString());
  co_return co_await disk->write_records(std::move(batch));
}

Task<Status> Identity::store_on_all() {
  Status failure = Error(ErrorCode::kIoError, "no disk takes writes");
  bool stored = false;
  for (const auto& disk : disks_) {
    if (disk->bad()) continue;
    const Status status = co_await store_on(disk.get());
    if (status.has_value()) stored = true;
    // A disk that fails has taken itself out by now.
    if (!status.has_value()) failure = status;
  }
  if (stored) co_return ok();
  co_return failure;
}

std::string Identity::draw_uuid(const char* stream) {
  std::string uuid;
  append_big(uuid, env_.random.draw(stream));
  append_big(uuid, env_.random.draw(stream));
  return uuid;
}

}  // namespace dogfs
