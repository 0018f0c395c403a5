#include "core/chunk/identity.h"

#include <fmt/format.h>

#include "core/base/endian.h"
#include "core/base/limits.h"
#include "core/wire/rpc.h"

namespace dogfs {
namespace {

constexpr std::string_view kIdentityKey = "identity";

}  // namespace

Task<Status> Identity::load() {
  std::vector<ShardDisk*> new_disks;
  for (const auto& disk : disks_) {
    if (disk->bad()) continue;
    DOGFS_CO_TRY(const bool found, co_await load_from(disk.get()));
    if (!found) new_disks.push_back(disk.get());
  }
  if (uuid_.empty()) uuid_ = draw_uuid();
  for (ShardDisk* disk : new_disks) {
    DOGFS_CO_TRYV(co_await store_on(disk));
  }
  co_return ok();
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
  co_return true;
}

Status Identity::adopt(const wire::ChunkIdentity& stored) {
  const bool first = uuid_.empty();
  const bool other_server = server_ != ServerId(0) && stored.server() != 0 && server_ != ServerId(stored.server());
  if (!first && (uuid_ != stored.uuid() || other_server)) {
    return Error(ErrorCode::kConflict, "the disks belong to different chunk servers");
  }
  uuid_ = stored.uuid();
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
  WriteBatch batch;
  batch.put(std::string(kIdentityKey), identity.SerializeAsString());
  co_return co_await disk->write_records(std::move(batch));
}

Task<Status> Identity::store_on_all() {
  for (const auto& disk : disks_) {
    if (disk->bad()) continue;
    DOGFS_CO_TRYV(co_await store_on(disk.get()));
  }
  co_return ok();
}

std::string Identity::draw_uuid() {
  std::string uuid;
  append_big(uuid, env_.random.draw("chunk.uuid"));
  append_big(uuid, env_.random.draw("chunk.uuid"));
  return uuid;
}

}  // namespace dogfs
