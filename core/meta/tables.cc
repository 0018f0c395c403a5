#include "core/meta/tables.h"

#include "core/base/check.h"
#include "core/base/printable.h"

namespace dogfs {

Error corrupt_row(std::string_view key, std::string_view why) {
  return Error(ErrorCode::kCorrupt, fmt::format("metadata row \"{}\" {}", printable(key), why));
}

Error missing_row(std::string_view key) {
  return Error(ErrorCode::kInternal, fmt::format("metadata row \"{}\" is missing", printable(key)));
}

Result<LogIndex> MetaTables::applied() const {
  const std::string key = keys_.applied();
  DOGFS_TRY(const std::optional<std::string> value, reader_.get(key));
  if (!value) return LogIndex();
  if (value->size() != sizeof(uint64_t)) return corrupt_row(key, "is not an index");
  return LogIndex(read_big_endian(*value));
}

Result<std::optional<wire::CountersRow>> MetaTables::counters() const {
  return get_row<wire::CountersRow>(keys_.counters());
}

Result<std::optional<wire::InodeRow>> MetaTables::inode(InodeId inode) const {
  const std::string key = keys_.inode(inode);
  DOGFS_TRY(std::optional<wire::InodeRow> row, get_row<wire::InodeRow>(key));
  if (row && row->inode() != inode.value()) return corrupt_row(key, "is another inode's");
  return row;
}

Result<std::vector<wire::ChunkServerRow>> MetaTables::servers() const {
  std::vector<wire::ChunkServerRow> servers;
  DOGFS_TRYV(scan_rows<wire::ChunkServerRow>(reader_, keys_.servers(), [&](std::string_view, wire::ChunkServerRow row) {
    servers.push_back(std::move(row));
    return true;
  }));
  return servers;
}

Result<wire::InodeRow> MetaTables::required_inode(InodeId id) const {
  DOGFS_TRY(std::optional<wire::InodeRow> row, inode(id));
  if (!row) return missing_row(keys_.inode(id));
  return *std::move(row);
}

Result<std::optional<wire::DirectoryEntryRow>> MetaTables::entry(InodeId parent, std::string_view name) const {
  const std::string key = keys_.entry(parent, name);
  DOGFS_TRY(std::optional<wire::DirectoryEntryRow> row, get_row<wire::DirectoryEntryRow>(key));
  if (row && row->inode() == 0) return corrupt_row(key, "names no inode");
  return row;
}

Result<std::optional<wire::BlockRow>> MetaTables::block(BlockId block) const {
  const std::string key = keys_.block(block);
  DOGFS_TRY(std::optional<wire::BlockRow> row, get_row<wire::BlockRow>(key));
  if (row && row->block() != block.value()) return corrupt_row(key, "is another block's");
  return row;
}

Result<wire::BlockRow> MetaTables::required_block(BlockId id) const {
  DOGFS_TRY(std::optional<wire::BlockRow> row, block(id));
  if (!row) return missing_row(keys_.block(id));
  return *std::move(row);
}

Result<wire::InlineTailRow> MetaTables::required_inline_tail(InodeId inode) const {
  const std::string key = keys_.inline_tail(inode);
  DOGFS_TRY(std::optional<wire::InlineTailRow> row, get_row<wire::InlineTailRow>(key));
  if (!row) return missing_row(key);
  return *std::move(row);
}

Result<std::optional<wire::LeaseRow>> MetaTables::lease(InodeId inode) const {
  return get_row<wire::LeaseRow>(keys_.lease(inode));
}

Result<std::optional<wire::DetachedRow>> MetaTables::detached(InodeId inode) const {
  return get_row<wire::DetachedRow>(keys_.detached(inode));
}

Result<std::optional<wire::QuotaRow>> MetaTables::quota(InodeId inode) const {
  return get_row<wire::QuotaRow>(keys_.quota(inode));
}

Result<wire::TrashRow> MetaTables::required_trash(const wire::InodeRow& top) const {
  const std::string key = keys_.trash(top.trash_expires_ms(), InodeId(top.inode()));
  DOGFS_TRY(std::optional<wire::TrashRow> row, get_row<wire::TrashRow>(key));
  if (!row) return missing_row(key);
  return *std::move(row);
}

Result<std::optional<wire::ChunkServerRow>> MetaTables::server(ServerId server) const {
  const std::string key = keys_.server(server);
  DOGFS_TRY(std::optional<wire::ChunkServerRow> row, get_row<wire::ChunkServerRow>(key));
  if (row && row->server() != server.value()) return corrupt_row(key, "is another server's");
  return row;
}

Result<std::optional<ServerId>> MetaTables::server_by_uuid(std::string_view uuid) const {
  const std::string key = keys_.server_uuid(uuid);
  DOGFS_TRY(const std::optional<std::string> value, reader_.get(key));
  if (!value) return std::optional<ServerId>();
  if (value->size() != sizeof(uint64_t)) return corrupt_row(key, "is not a server id");
  return std::optional<ServerId>(ServerId(read_big_endian(*value)));
}

Result<std::optional<wire::SessionRow>> MetaTables::session(SessionId session) const {
  return get_row<wire::SessionRow>(keys_.session(session));
}

Result<std::optional<std::string>> MetaTables::reply(SessionId session, SequenceNumber sequence) const {
  return reader_.get(keys_.reply(session, sequence));
}

Result<std::optional<wire::GarbageRow>> MetaTables::garbage(const GarbageShard& shard) const {
  return get_row<wire::GarbageRow>(keys_.garbage(shard));
}

Result<std::optional<wire::ListedShardRow>> MetaTables::listed(ServerId server, BlockId block) const {
  return get_row<wire::ListedShardRow>(keys_.listed(server, block));
}

void MutableTables::put_applied(LogIndex index) {
  std::string value;
  append_big_endian(value, index.value());
  overlay_.put(keys().applied(), std::move(value));
}

void MutableTables::put(const wire::ChunkServerRow& row) {
  put_row(keys().server(ServerId(row.server())), row);
  std::string id;
  append_big_endian(id, row.server());
  overlay_.put(keys().server_uuid(row.uuid()), std::move(id));
}

void MutableTables::put_entry(InodeId parent, std::string_view name, const wire::DirectoryEntryRow& row) {
  put_row(keys().entry(parent, name), row);
}

void MutableTables::put_file_block(InodeId inode, uint64_t offset, const wire::FileBlockRow& row) {
  put_row(keys().file_block(inode, offset), row);
}

void MutableTables::put_reply(SessionId session, SequenceNumber sequence, std::string reply) {
  overlay_.put(keys().reply(session, sequence), std::move(reply));
}

void MutableTables::put_row(std::string key, const google::protobuf::MessageLite& row) {
  std::string value;
  DOGFS_CHECK(row.SerializeToString(&value), row.GetTypeName());
  overlay_.put(std::move(key), std::move(value));
}

}  // namespace dogfs
