#include "core/meta/reclaim.h"

#include <string>
#include <utility>
#include <vector>

#include "core/meta/block_commands.h"
#include "core/meta/file_commands.h"
#include "core/meta/quota.h"

namespace dogfs {
namespace {

struct DetachedInode {
  InodeId id;
  wire::DetachedRow row;
};

Result<std::optional<DetachedInode>> first_detached(const MetaTables& tables) {
  std::optional<DetachedInode> found;
  DOGFS_TRYV(scan_rows<wire::DetachedRow>(tables.reader(), tables.keys().detached_after(InodeId()),
                                          [&](std::string_view key, wire::DetachedRow row) {
                                            found = DetachedInode{InodeId(last_id(key)), std::move(row)};
                                            return false;
                                          }));
  return found;
}

template <class Row>
using Rows = std::vector<std::pair<std::string, Row>>;

// At most `limit` rows of `range`, from behind `cursor` if there is one.
template <class Row>
Result<Rows<Row>> next_rows(const MetaTables& tables, KeyRange range, const std::string& cursor, uint32_t limit) {
  if (!cursor.empty()) range.begin = cursor + '\0';
  Rows<Row> rows;
  DOGFS_TRYV(scan_rows<Row>(tables.reader(), range, [&](std::string_view key, Row row) {
    rows.emplace_back(key, std::move(row));
    return rows.size() < limit;
  }));
  return rows;
}

Status finish_inode(ApplyContext& context, const wire::InodeRow& inode) {
  DOGFS_TRY(const Charges charges, charges_of(context, inode));
  DOGFS_TRYV(release(context, charges, {.names = 1}));
  const InodeId id(inode.inode());
  if (inode.quota() != 0) {
    context.tables.erase(context.tables.keys().quota(id));
    context.counters.set_quotas(context.counters.quotas() - 1);
  }
  context.tables.erase(context.tables.keys().inode(id));
  context.tables.erase(context.tables.keys().detached(id));
  return ok();
}

// Ends with fewer rows than `budget` when the directory is empty and gone.
Result<uint32_t> reclaim_directory(ApplyContext& context, DetachedInode& directory, const wire::InodeRow& inode,
                                   uint32_t budget) {
  const KeyRange entries = context.tables.keys().entries(directory.id, {});
  DOGFS_TRY(const auto rows,
            next_rows<wire::DirectoryEntryRow>(context.tables, entries, directory.row.cursor(), budget));
  wire::DetachedRow inherited;
  DOGFS_TRY(*inherited.mutable_charges(), charges_of(context, inode));
  for (const auto& [key, entry] : rows) {
    const InodeId child_id(entry.inode());
    DOGFS_TRY(wire::InodeRow child, context.tables.required_inode(child_id));
    child.set_parent(0);
    child.clear_entry_name();
    context.tables.put(child);
    context.tables.put_detached(child_id, inherited);
    context.tables.erase(key);
  }
  if (rows.size() == budget) {
    directory.row.set_cursor(rows.back().first);
    context.tables.put_detached(directory.id, directory.row);
    return budget;
  }
  DOGFS_TRYV(finish_inode(context, inode));
  context.counters.set_directories(context.counters.directories() - 1);
  return static_cast<uint32_t>(rows.size()) + 1;
}

Result<uint32_t> reclaim_file(ApplyContext& context, DetachedInode& file, wire::InodeRow& inode, uint32_t budget) {
  const KeyRange blocks = context.tables.keys().file_blocks(file.id, 0);
  DOGFS_TRY(const auto rows, next_rows<wire::FileBlockRow>(context.tables, blocks, file.row.cursor(), budget));
  uint64_t freed = 0;
  for (const auto& [key, row] : rows) {
    DOGFS_TRY(const uint64_t bytes, forget_block(context, BlockId(row.block())));
    freed += bytes;
    context.counters.set_bytes(context.counters.bytes() - row.length());
    context.tables.erase(key);
  }
  if (rows.size() == budget) {
    DOGFS_TRYV(drop_stored_bytes(context, inode, freed));
    context.tables.put(inode);
    file.row.set_cursor(rows.back().first);
    context.tables.put_detached(file.id, file.row);
    return budget;
  }
  for (const uint64_t pending : inode.pending_blocks()) {
    DOGFS_TRY(const uint64_t bytes, forget_block(context, BlockId(pending)));
    freed += bytes;
  }
  freed += inode.tail_bytes();
  context.tables.erase(context.tables.keys().inline_tail(file.id));
  context.counters.set_bytes(context.counters.bytes() - inode.tail_bytes());
  DOGFS_TRYV(drop_stored_bytes(context, inode, freed));
  if (inode.writer_session() != 0) context.tables.erase(context.tables.keys().lease(file.id));
  DOGFS_TRYV(finish_inode(context, inode));
  context.counters.set_files(context.counters.files() - 1);
  return static_cast<uint32_t>(rows.size()) + 1;
}

}  // namespace

Status reclaim_step(ApplyContext& context, const wire::ReclaimStep& operation) {
  if (operation.max_rows() == 0 || operation.max_rows() > kMaxReclaimRows) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("a reclaim step takes 1 to {} rows", kMaxReclaimRows));
  }
  for (uint32_t budget = operation.max_rows(); budget > 0;) {
    DOGFS_TRY(std::optional<DetachedInode> detached, first_detached(context.tables));
    if (!detached) return ok();
    DOGFS_TRY(wire::InodeRow inode, context.tables.required_inode(detached->id));
    DOGFS_TRY(const uint32_t used, inode.type() == wire::InodeRow::DIRECTORY
                                       ? reclaim_directory(context, *detached, inode, budget)
                                       : reclaim_file(context, *detached, inode, budget));
    budget -= used;
  }
  return ok();
}

}  // namespace dogfs
