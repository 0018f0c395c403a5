#include "core/meta/queries.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "core/base/limits.h"
#include "core/base/printable.h"
#include "core/ec/policy_wire.h"
#include "core/meta/inline_tail.h"
#include "core/meta/resolve.h"
#include "core/meta/risk.h"
#include "core/meta/trash.h"

namespace dogfs {
namespace {

// Entries or blocks that a summary reads at a time.
constexpr size_t kSummaryReadAhead = 256;

// `inherited` is the policy that holds where the inode is.
void fill_status(const wire::InodeRow& inode, std::string name, const wire::EcPolicy& inherited,
                 wire::FileStatus& status) {
  status.set_inode(inode.inode());
  status.set_name(std::move(name));
  status.set_directory(inode.type() == wire::InodeRow::DIRECTORY);
  status.set_length(inode.length());
  status.set_mtime_ms(inode.mtime_ms());
  status.set_mode(inode.mode());
  status.set_owner(inode.owner());
  status.set_group(inode.group());
  status.set_blocks(inode.block_count());
  status.set_tail_bytes(inode.tail_bytes());
  status.set_entries(inode.entries());
  status.set_being_written(inode.writer_session() != 0);
  if (inode.type() == wire::InodeRow::FILE) {
    *status.mutable_policy() = inode.file_policy();
  } else {
    *status.mutable_policy() = inode.has_policy() ? inode.policy() : inherited;
  }
}

struct DirectoryToList {
  InodeId inode;
  wire::EcPolicy policy;  // that what is in it inherits; none where it is not known by its path
};

Result<DirectoryToList> directory_to_list(const MetaTables& tables, const wire::ListRequest& request) {
  DirectoryToList directory{.inode = InodeId(request.inode()), .policy = {}};
  if (!directory.inode.is_none()) {
    DOGFS_TRY(const std::optional<wire::InodeRow> row, tables.inode(directory.inode));
    if (!row) return Error(ErrorCode::kNotFound, fmt::format("inode {}", directory.inode));
    if (row->type() == wire::InodeRow::DIRECTORY) return directory;
    return Error(ErrorCode::kNotADirectory, fmt::format("inode {}", directory.inode));
  }
  DOGFS_TRY(const Path path, Path::parse(request.path()));
  DOGFS_TRY(const Resolution resolution, resolve_existing(tables, path));
  if (!resolution.is_directory()) return path_error(ErrorCode::kNotADirectory, path.text());
  DOGFS_TRY(directory.policy, effective_policy(tables, resolution));
  directory.inode = resolution.inode();
  return directory;
}

struct NamedEntry {
  std::string name;
  wire::DirectoryEntryRow row;
};

Result<std::vector<NamedEntry>> entries_after(const MetaTables& tables, InodeId directory, std::string_view after,
                                              size_t limit) {
  std::vector<NamedEntry> entries;
  DOGFS_TRYV(scan_rows<wire::DirectoryEntryRow>(tables.reader(), tables.keys().entries(directory, after),
                                                [&](std::string_view key, wire::DirectoryEntryRow row) {
                                                  entries.push_back({std::string(entry_name(key)), std::move(row)});
                                                  return entries.size() < limit;
                                                }));
  return entries;
}

// Finds the addresses of servers, each once a page.
class AddressBook {
 public:
  explicit AddressBook(const MetaTables& tables) : tables_(tables) {}

  Status fill(wire::Shard& shard) {
    const ServerId server(shard.server());
    if (server.is_none()) return ok();
    auto known = addresses_.find(server);
    if (known == addresses_.end()) {
      DOGFS_TRY(const std::optional<wire::ChunkServerRow> row, tables_.server(server));
      known = addresses_.emplace(server, row ? row->address() : std::string()).first;
    }
    shard.set_server_address(known->second);
    return ok();
  }

 private:
  const MetaTables& tables_;
  std::map<ServerId, std::string> addresses_;
};

Result<wire::InodeRow> file_to_read(const MetaTables& tables, const wire::GetBlocksRequest& request) {
  InodeId id(request.inode());
  if (id.is_none()) {
    DOGFS_TRY(const Path path, Path::parse(request.path()));
    DOGFS_TRY(const Resolution resolution, resolve_existing(tables, path));
    id = resolution.inode();
  }
  DOGFS_TRY(std::optional<wire::InodeRow> file, tables.inode(id));
  if (!file) return Error(ErrorCode::kNotFound, fmt::format("inode {}", id));
  if (file->type() != wire::InodeRow::FILE) return path_error(ErrorCode::kIsADirectory, request.path());
  return *std::move(file);
}

// The offset of the block that holds byte `offset`. Precondition: the file has that byte.
Result<uint64_t> offset_of_block_at(const MetaTables& tables, InodeId file, uint64_t offset) {
  uint64_t found = 0;
  const KeyRange range = tables.keys().file_blocks_up_to(file, offset);
  DOGFS_TRYV(tables.reader().scan_backward(range.begin, range.end, [&](std::string_view key, std::string_view) {
    found = last_id(key);
    return false;
  }));
  return found;
}

// The blocks of `file` that begin in [from, end), one more than a page at most.
Result<std::vector<wire::FileBlockRow>> file_blocks(const MetaTables& tables, InodeId file, uint64_t from,
                                                    uint64_t end) {
  std::vector<wire::FileBlockRow> blocks;
  const KeyRange range{tables.keys().file_block(file, from), tables.keys().file_block(file, end)};
  DOGFS_TRYV(scan_rows<wire::FileBlockRow>(tables.reader(), range, [&](std::string_view, wire::FileBlockRow row) {
    blocks.push_back(std::move(row));
    return blocks.size() <= kMaxBlocksPerPage;
  }));
  return blocks;
}

Status fill_location(AddressBook& addresses, wire::BlockRow block, uint64_t visible, wire::BlockLocation& location) {
  location.set_block(block.block());
  location.set_offset(block.offset());
  location.set_length(block.length());
  if (visible < block.length()) location.set_visible_length(visible);
  *location.mutable_policy() = block.policy();
  location.mutable_shards()->Swap(block.mutable_shards());
  for (wire::Shard& shard : *location.mutable_shards()) {
    DOGFS_TRYV(addresses.fill(shard));
  }
  return ok();
}

// The locations of the blocks of `file` that overlap [offset, end).
Status fill_blocks(const MetaTables& tables, InodeId file, uint64_t offset, uint64_t end, wire::GetBlocksReply& reply) {
  DOGFS_TRY(const uint64_t from, offset_of_block_at(tables, file, offset));
  DOGFS_TRY(const std::vector<wire::FileBlockRow> blocks, file_blocks(tables, file, from, end));
  AddressBook addresses(tables);
  size_t bytes = 0;
  for (const wire::FileBlockRow& block : blocks) {
    if (reply.blocks_size() == kMaxBlocksPerPage || bytes > kMaxBlockPageBytes) {
      reply.set_more(true);
      break;
    }
    DOGFS_TRY(wire::BlockRow row, tables.required_block(BlockId(block.block())));
    wire::BlockLocation& location = *reply.add_blocks();
    DOGFS_TRYV(fill_location(addresses, std::move(row), block.length(), location));
    bytes += location.ByteSizeLong();
  }
  return ok();
}

Status add_quota(const MetaTables& tables, InodeId directory, std::string_view path, wire::GetQuotasReply& reply) {
  DOGFS_TRY(const std::optional<wire::QuotaRow> row, tables.quota(directory));
  if (!row) return ok();
  wire::GetQuotasReply::Quota& quota = *reply.add_quotas();
  quota.set_path(std::string(path));
  quota.set_max_names(row->max_names());
  quota.set_max_bytes(row->max_bytes());
  quota.set_names(row->names());
  quota.set_bytes(row->bytes());
  return ok();
}

void fill_trash_entry(Trashed trashed, wire::TrashEntry& entry) {
  const wire::InodeRow& top = trashed.top;
  entry.set_inode(top.inode());
  entry.set_path(std::move(*trashed.row.mutable_path()));
  entry.set_directory(top.type() == wire::InodeRow::DIRECTORY);
  entry.set_length(top.length());
  entry.set_entries(top.entries());
  entry.set_deleted_by(std::move(*trashed.row.mutable_deleted_by()));
  entry.set_deleted_wall_ms(trashed.row.deleted_wall_ms());
  entry.set_deleted_ms(trashed.row.deleted_ms());
  entry.set_expires_ms(top.trash_expires_ms());
}

}  // namespace

Result<wire::StatReply> query_stat(const MetaTables& tables, const wire::StatRequest& request) {
  DOGFS_TRY(const Path path, Path::parse(request.path()));
  DOGFS_TRY(const Resolution resolution, resolve_existing(tables, path));
  DOGFS_TRY(const wire::InodeRow inode, tables.required_inode(resolution.inode()));
  wire::EcPolicy policy;
  if (inode.type() == wire::InodeRow::DIRECTORY) {
    DOGFS_TRY(policy, effective_policy(tables, resolution));
  }
  wire::StatReply reply;
  fill_status(inode, inode.entry_name(), policy, *reply.mutable_status());
  return reply;
}

Result<wire::ListReply> query_list(const MetaTables& tables, const wire::ListRequest& request) {
  DOGFS_TRY(const DirectoryToList directory, directory_to_list(tables, request));
  const wire::EcPolicy& policy = directory.policy;
  const size_t page =
      request.limit() == 0 ? kMaxListPageEntries : std::min<size_t>(request.limit(), kMaxListPageEntries);
  DOGFS_TRY(std::vector<NamedEntry> entries, entries_after(tables, directory.inode, request.after(), page + 1));
  wire::ListReply reply;
  reply.set_more(entries.size() > page);
  if (reply.more()) entries.pop_back();
  for (NamedEntry& entry : entries) {
    DOGFS_TRY(const wire::InodeRow inode, tables.required_inode(InodeId(entry.row.inode())));
    fill_status(inode, std::move(entry.name), policy, *reply.add_entries());
  }
  return reply;
}

Result<wire::GetBlocksReply> query_blocks(const MetaTables& tables, const wire::GetBlocksRequest& request) {
  DOGFS_TRY(const wire::InodeRow file, file_to_read(tables, request));
  wire::GetBlocksReply reply;
  reply.set_inode(file.inode());
  reply.set_file_length(file.length());
  if (request.offset() >= file.length()) return reply;
  const uint64_t left = file.length() - request.offset();
  const uint64_t end = request.offset() + (request.length() == 0 ? left : std::min(request.length(), left));
  const InodeId id(file.inode());
  const uint64_t in_blocks = blocks_end(file);
  if (request.offset() < in_blocks) {
    DOGFS_TRYV(fill_blocks(tables, id, request.offset(), std::min(end, in_blocks), reply));
  }
  if (end > in_blocks && !reply.more()) {
    DOGFS_TRY(wire::InlineTailRow tail, tables.required_inline_tail(id));
    *reply.mutable_tail() = std::move(*tail.mutable_data());
  }
  return reply;
}

Result<wire::GetQuotasReply> query_quotas(const MetaTables& tables, const wire::GetQuotasRequest& request) {
  DOGFS_TRY(const Path path, Path::parse(request.path()));
  DOGFS_TRY(const Resolution resolution, resolve_existing(tables, path));
  wire::GetQuotasReply reply;
  for (size_t depth = 0; depth < resolution.directories.size(); ++depth) {
    DOGFS_TRYV(add_quota(tables, resolution.directories[depth], path.prefix(depth), reply));
  }
  DOGFS_TRYV(add_quota(tables, resolution.inode(), path.text(), reply));
  return reply;
}

Result<wire::ListTrashReply> query_trash(const MetaTables& tables, const wire::ListTrashRequest& request) {
  wire::ListTrashReply reply;
  DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
  if (counters) reply.set_log_time_ms(counters->log_time_ms());
  if (request.inode() != 0) {
    DOGFS_TRY(Trashed trashed, find_trashed(tables, InodeId(request.inode())));
    fill_trash_entry(std::move(trashed), *reply.add_entries());
    return reply;
  }
  const size_t page = request.limit() == 0 ? kMaxTrashPageEntries : std::min(request.limit(), kMaxTrashPageEntries);
  std::vector<std::pair<InodeId, wire::TrashRow>> rows;
  size_t bytes = 0;
  const KeyRange range =
      tables.keys().trash_after(std::max<int64_t>(request.after_expires_ms(), 0), InodeId(request.after_inode()));
  DOGFS_TRYV(scan_rows<wire::TrashRow>(tables.reader(), range, [&](std::string_view key, wire::TrashRow row) {
    reply.set_more(rows.size() == page || bytes > kMaxTrashPageBytes);
    if (reply.more()) return false;
    bytes += row.ByteSizeLong();
    rows.emplace_back(last_id(key), std::move(row));
    return true;
  }));
  for (auto& [id, row] : rows) {
    DOGFS_TRY(wire::InodeRow top, tables.required_inode(id));
    fill_trash_entry({.top = std::move(top), .row = std::move(row)}, *reply.add_entries());
  }
  return reply;
}

Status SummaryWalk::start(const wire::SummaryRequest& request) {
  DOGFS_TRY(const Path path, Path::parse(request.path()));
  DOGFS_TRY(const Resolution resolution, resolve_existing(tables_, path));
  sum_.set_least_spares(std::numeric_limits<uint32_t>::max());
  return enter(resolution.inode());
}

Status SummaryWalk::enter(InodeId id) {
  DOGFS_TRY(const wire::InodeRow inode, tables_.required_inode(id));
  const bool directory = inode.type() == wire::InodeRow::DIRECTORY;
  if (directory) {
    sum_.set_directories(sum_.directories() + 1);
  } else {
    sum_.set_files(sum_.files() + 1);
    sum_.set_bytes(sum_.bytes() + inode.length());
    sum_.set_stored_bytes(sum_.stored_bytes() + inode.tail_bytes());
  }
  if (directory ? inode.entries() > 0 : inode.block_count() > 0) {
    Level& level = levels_.emplace_back();
    level.inode = id;
    level.directory = directory;
  }
  return ok();
}

Result<bool> SummaryWalk::step(size_t max_rows) {
  for (size_t visited = 0; !levels_.empty() && visited < max_rows; ++visited) {
    if (levels_.back().directory) {
      DOGFS_TRYV(walk_directory());
    } else {
      DOGFS_TRY(const size_t blocks, walk_file());
      visited += blocks;
    }
  }
  if (!levels_.empty()) return false;
  if (sum_.blocks() == 0) sum_.set_least_spares(0);
  return true;
}

// Visits one entry.
Status SummaryWalk::walk_directory() {
  Level& directory = levels_.back();
  if (directory.unvisited.empty()) {
    DOGFS_TRY(const std::vector<NamedEntry> entries,
              entries_after(tables_, directory.inode, directory.after, kSummaryReadAhead));
    if (entries.empty()) {
      levels_.pop_back();
      return ok();
    }
    directory.after = entries.back().name;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      directory.unvisited.emplace_back(entry->row.inode());
    }
  }
  const InodeId next = directory.unvisited.back();
  directory.unvisited.pop_back();
  return enter(next);
}

// Visits the next blocks.
Result<size_t> SummaryWalk::walk_file() {
  Level& file = levels_.back();
  std::vector<std::pair<uint64_t, BlockId>> blocks;
  DOGFS_TRYV(scan_rows<wire::FileBlockRow>(tables_.reader(), tables_.keys().file_blocks(file.inode, file.next_offset),
                                           [&](std::string_view key, const wire::FileBlockRow& row) {
                                             blocks.emplace_back(last_id(key) + row.length(), row.block());
                                             return blocks.size() < kSummaryReadAhead;
                                           }));
  for (const auto& [end, id] : blocks) {
    DOGFS_TRY(const wire::BlockRow block, tables_.required_block(id));
    add_block(block);
    file.next_offset = end;
  }
  if (blocks.size() < kSummaryReadAhead) levels_.pop_back();
  return blocks.size();
}

void SummaryWalk::add_block(const wire::BlockRow& block) {
  uint32_t durable = 0;
  for (const wire::Shard& shard : block.shards()) {
    if (!is_intact(shard)) continue;
    ++durable;
    sum_.set_stored_bytes(sum_.stored_bytes() + shard.length());
  }
  const auto stored = static_cast<uint32_t>(block.shards_size());
  const uint32_t needed = stored - block.policy().parity_shards();
  sum_.set_blocks(sum_.blocks() + 1);
  if (durable < stored) sum_.set_blocks_short(sum_.blocks_short() + 1);
  sum_.set_least_spares(std::min(sum_.least_spares(), durable - std::min(needed, durable)));
}

}  // namespace dogfs
