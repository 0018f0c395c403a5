// The rows of the metadata, typed, over any reader of the KvStore: the store itself, a snapshot of it, or the overlay
// of a batch that is being applied.
//
// A row that does not parse, or that is not the row its key says, is kCorrupt with the key in the text: the store of this
// node has failed, as with kIoError, and other nodes' have not (is_store_error). A row that is missing, although another
// one speaks of it, is kInternal: others lack it too (is_missing_row). Neither is ever the answer to a command.
#pragma once

#include <fmt/format.h>
#include <google/protobuf/message_lite.h>

#include <functional>
#include <optional>
#include <string>

#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/env/kv_store.h"
#include "core/meta/keys.h"
#include "core/wire/state.pb.h"

namespace dogfs {

// Whether `error` means that the store of this node has failed, as opposed to a command or a query that was refused.
inline bool is_store_error(const Error& error) {
  return error.code == ErrorCode::kIoError || error.code == ErrorCode::kCorrupt;
}

// Whether `error` means that the rows contradict each other.
inline bool is_missing_row(const Error& error) {
  return error.code == ErrorCode::kInternal;
}

// The kCorrupt error of the row at `key`.
Error corrupt_row(std::string_view key, std::string_view why);
// The kInternal error of the row at `key`, which another row speaks of.
Error missing_row(std::string_view key);

template <class Row>
Result<Row> parse_row(std::string_view key, std::string_view value) {
  Row row;
  if (!row.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return corrupt_row(key, "does not parse as " + row.GetTypeName());
  }
  return row;
}

// Calls `visit(key, row)` for the rows of `range` in order until it returns false.
template <class Row, class Visit>
Status scan_rows(const KvReader& reader, const KeyRange& range, Visit visit) {
  Status parsed = ok();
  DOGFS_TRYV(reader.scan(range.begin, range.end, [&](std::string_view key, std::string_view value) {
    Result<Row> row = parse_row<Row>(key, value);
    if (!row) {
      parsed = std::move(row).error();
      return false;
    }
    return static_cast<bool>(visit(key, std::move(row).value()));
  }));
  return parsed;
}

class MetaTables {
 public:
  // `reader` must outlive this object.
  MetaTables(const KvReader& reader, GroupId group) : reader_(reader), keys_(group) {}

  const KvReader& reader() const { return reader_; }
  const MetaKeys& keys() const { return keys_; }

  // Zero where nothing was ever applied.
  Result<LogIndex> applied() const;
  Result<std::optional<wire::CountersRow>> counters() const;
  Result<std::optional<wire::InodeRow>> inode(InodeId inode) const;
  // The inode that some other row speaks of: is_missing_row where there is none.
  Result<wire::InodeRow> required_inode(InodeId inode) const;
  // All that ever registered.
  Result<std::vector<wire::ChunkServerRow>> servers() const;
  Result<std::optional<wire::DirectoryEntryRow>> entry(InodeId parent, std::string_view name) const;
  Result<std::optional<wire::BlockRow>> block(BlockId block) const;
  Result<wire::BlockRow> required_block(BlockId block) const;
  // Of the top of a tree that is in the trash.
  Result<wire::TrashRow> required_trash(const wire::InodeRow& top) const;
  // Of a file that has one.
  Result<wire::InlineTailRow> required_inline_tail(InodeId inode) const;
  Result<std::optional<wire::LeaseRow>> lease(InodeId inode) const;
  Result<std::optional<wire::DetachedRow>> detached(InodeId inode) const;
  Result<std::optional<wire::QuotaRow>> quota(InodeId inode) const;
  Result<std::optional<wire::ChunkServerRow>> server(ServerId server) const;
  Result<std::optional<ServerId>> server_by_uuid(std::string_view uuid) const;
  Result<std::optional<wire::SessionRow>> session(SessionId session) const;
  // The serialised CommandReply that is kept for a request.
  Result<std::optional<std::string>> reply(SessionId session, SequenceNumber sequence) const;
  Result<std::optional<wire::GarbageRow>> garbage(const GarbageShard& shard) const;
  Result<std::optional<wire::ListedShardRow>> listed(ServerId server, BlockId block) const;

 protected:
  template <class Row>
  Result<std::optional<Row>> get_row(const std::string& key) const {
    DOGFS_TRY(const std::optional<std::string> value, reader_.get(key));
    if (!value) return std::optional<Row>();
    DOGFS_TRY(Row row, parse_row<Row>(key, *value));
    return std::optional<Row>(std::move(row));
  }

 private:
  const KvReader& reader_;
  MetaKeys keys_;
};

// What a command writes to. Reads see what was written.
class MutableTables final : public MetaTables {
 public:
  // `overlay` must outlive this object.
  MutableTables(KvOverlay& overlay, GroupId group) : MetaTables(overlay, group), overlay_(overlay) {}

  void put_applied(LogIndex index);
  void put(const wire::CountersRow& row) { put_row(keys().counters(), row); }
  void put(const wire::InodeRow& row) { put_row(keys().inode(InodeId(row.inode())), row); }
  void put(const wire::BlockRow& row) { put_row(keys().block(BlockId(row.block())), row); }
  void put(const wire::ChunkServerRow& row);
  void put(const wire::SessionRow& row) { put_row(keys().session(SessionId(row.session())), row); }
  void put_entry(InodeId parent, std::string_view name, const wire::DirectoryEntryRow& row);
  void put_file_block(InodeId inode, uint64_t offset, const wire::FileBlockRow& row);
  void put_inline_tail(InodeId inode, const wire::InlineTailRow& row) { put_row(keys().inline_tail(inode), row); }
  void put_lease(InodeId inode, const wire::LeaseRow& row) { put_row(keys().lease(inode), row); }
  void put_detached(InodeId inode, const wire::DetachedRow& row) { put_row(keys().detached(inode), row); }
  void put_trash(int64_t expires_ms, InodeId inode, const wire::TrashRow& row) {
    put_row(keys().trash(expires_ms, inode), row);
  }
  void put_quota(InodeId inode, const wire::QuotaRow& row) { put_row(keys().quota(inode), row); }
  void put_reply(SessionId session, SequenceNumber sequence, std::string reply);
  void put_garbage(const GarbageShard& shard, const wire::GarbageRow& row) { put_row(keys().garbage(shard), row); }
  void put_listed(ServerId server, BlockId block, const wire::ListedShardRow& row) {
    put_row(keys().listed(server, block), row);
  }
  void put_at_risk(Risk risk, BlockId block) { overlay_.put(keys().at_risk(risk, block), {}); }
  void put_reserved(BlockId block) { overlay_.put(keys().reserved(block), {}); }

  void erase(std::string key) { overlay_.erase(std::move(key)); }

 private:
  void put_row(std::string key, const google::protobuf::MessageLite& row);

  KvOverlay& overlay_;
};

}  // namespace dogfs
