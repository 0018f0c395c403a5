// What the MetadataModel says about reads, and about the state as a whole.
#include <fmt/format.h>

#include <algorithm>

#include "core/base/limits.h"
#include "core/base/printable.h"
#include "sim/metadata_model.h"

namespace dogfs::sim {
namespace {

MetadataModel::Mismatch wrong_code(ErrorCode seen, ErrorCode expected) {
  if (seen == expected) return std::nullopt;
  return fmt::format("{} instead of {}", error_name(seen), error_name(expected));
}

}  // namespace

Result<uint64_t> MetadataModel::find_existing(std::string_view path) const {
  const Lookup lookup = look_up(path);
  if (lookup.code != ErrorCode::kOk) return Error(lookup.code);
  if (lookup.missing() > 0) return Error(ErrorCode::kNotFound);
  return lookup.names.empty() ? kRootId : lookup.inode;
}

wire::FileStatus MetadataModel::status_of(const Inode& inode) const {
  wire::FileStatus status;
  status.set_inode(inode.id);
  status.set_name(inode.name);
  status.set_directory(inode.directory);
  status.set_length(inode.length);
  status.set_mtime_ms(inode.mtime_ms);
  status.set_mode(inode.mode);
  status.set_owner(inode.owner);
  status.set_blocks(inode.blocks.size());
  status.set_tail_bytes(static_cast<uint32_t>(inode.tail.size()));
  status.set_entries(inode.children.size());
  status.set_being_written(inode.writer != 0);
  *status.mutable_policy() = policy_at(inode);
  return status;
}

MetadataModel::Mismatch MetadataModel::check_status(const Inode& inode, const wire::FileStatus& seen) const {
  wire::FileStatus expected = status_of(inode);
  expected.set_group(seen.group());
  // It has no maps, so equal ones have equal bytes.
  if (seen.SerializeAsString() == expected.SerializeAsString()) return std::nullopt;
  return fmt::format("{{{}}} instead of {{{}}}", seen.ShortDebugString(), expected.ShortDebugString());
}

MetadataModel::Mismatch MetadataModel::check_stat(const wire::StatRequest& request, ErrorCode code,
                                                  const wire::StatReply& reply) const {
  const Result<uint64_t> found = find_existing(request.path());
  if (!found || code != ErrorCode::kOk) return wrong_code(code, code_of(found));
  return check_status(inodes_.at(found.value()), reply.status());
}

MetadataModel::Mismatch MetadataModel::check_list(const wire::ListRequest& request, ErrorCode code,
                                                  const wire::ListReply& reply) const {
  const Result<uint64_t> found = find_existing(request.path());
  if (!found) return wrong_code(code, code_of(found));
  const Inode& directory = inodes_.at(found.value());
  if (!directory.directory) return wrong_code(code, ErrorCode::kNotADirectory);
  if (code != ErrorCode::kOk) return wrong_code(code, ErrorCode::kOk);
  const size_t page =
      request.limit() == 0 ? kMaxListPageEntries : std::min<size_t>(request.limit(), kMaxListPageEntries);
  auto child = directory.children.upper_bound(request.after());
  for (const wire::FileStatus& entry : reply.entries()) {
    if (child == directory.children.end()) return "an entry too many: " + printable(entry.name());
    if (Mismatch mismatch = check_status(inodes_.at(child->second), entry)) return mismatch;
    ++child;
  }
  const bool more = child != directory.children.end();
  if (more && static_cast<size_t>(reply.entries_size()) < page)
    return "an entry is missing: " + printable(child->first);
  if (reply.more() != more) return more ? "it says that there is no more" : "it says that there is more";
  return std::nullopt;
}

MetadataModel::Mismatch MetadataModel::check_block_list(const Inode& file, const wire::GetBlocksRequest& request,
                                                        const wire::GetBlocksReply& reply) const {
  if (reply.file_length() != file.length)
    return fmt::format("{} bytes instead of {}", reply.file_length(), file.length);
  if (request.offset() >= file.length) return reply.blocks_size() == 0 ? Mismatch() : "blocks behind the end";
  const uint64_t left = file.length - request.offset();
  const uint64_t end = request.offset() + (request.length() == 0 ? left : std::min(request.length(), left));
  int next = 0;
  for (const CommittedBlock& block : file.blocks) {
    if (block.offset + block.visible <= request.offset() || block.offset >= end) continue;
    if (next == reply.blocks_size())
      return reply.more() && reply.tail().empty() ? Mismatch() : fmt::format("block {} is missing", block.block);
    const wire::BlockLocation& seen = reply.blocks(next++);
    const uint64_t visible = seen.visible_length() == 0 ? seen.length() : seen.visible_length();
    if (seen.block() != block.block || seen.offset() != block.offset || seen.length() != block.length ||
        visible != block.visible) {
      return fmt::format("block {} at {} shows {} of {} bytes, instead of block {} at {} {} of {}", seen.block(),
                         seen.offset(), visible, seen.length(), block.block, block.offset, block.visible, block.length);
    }
  }
  if (next < reply.blocks_size()) return "a block too many";
  if (reply.more()) return "it says that there is more";
  const bool reaches_tail = end > file.length - file.tail.size();
  return reply.tail() == (reaches_tail ? file.tail : std::string()) ? Mismatch() : "another inline tail";
}

MetadataModel::Mismatch MetadataModel::check_blocks(const wire::GetBlocksRequest& request, ErrorCode code,
                                                    const wire::GetBlocksReply& reply) const {
  uint64_t id = request.inode();
  if (id == 0) {
    const Result<uint64_t> found = find_existing(request.path());
    if (!found) return wrong_code(code, code_of(found));
    id = found.value();
  }
  const auto file = inodes_.find(id);
  if (file == inodes_.end()) return wrong_code(code, ErrorCode::kNotFound);
  // Its blocks go one after the other, and then itself. What is in the trash can be read to its end.
  if (is_going(file->second)) return std::nullopt;
  if (file->second.directory) return wrong_code(code, ErrorCode::kIsADirectory);
  if (code != ErrorCode::kOk) return wrong_code(code, ErrorCode::kOk);
  if (reply.inode() != id) return fmt::format("inode {} instead of {}", reply.inode(), id);
  return check_block_list(file->second, request, reply);
}

void MetadataModel::add_up(const Inode& top, wire::SummaryReply& sum) const {
  if (top.directory) {
    sum.set_directories(sum.directories() + 1);
  } else {
    sum.set_files(sum.files() + 1);
    sum.set_bytes(sum.bytes() + top.length);
    sum.set_blocks(sum.blocks() + top.blocks.size());
    sum.set_stored_bytes(sum.stored_bytes() + top.tail.size());
    for (const CommittedBlock& block : top.blocks) sum.set_stored_bytes(sum.stored_bytes() + block.stored_bytes);
  }
  for (const auto& [name, child] : top.children) add_up(inodes_.at(child), sum);
}

MetadataModel::Mismatch MetadataModel::check_summary(const wire::SummaryRequest& request, ErrorCode code,
                                                     const wire::SummaryReply& reply) const {
  const Result<uint64_t> found = find_existing(request.path());
  if (!found || code != ErrorCode::kOk) return wrong_code(code, code_of(found));
  wire::SummaryReply expected;
  add_up(inodes_.at(found.value()), expected);
  if (reply.files() == expected.files() && reply.directories() == expected.directories() &&
      reply.bytes() == expected.bytes() && reply.blocks() == expected.blocks() &&
      reply.stored_bytes() <= expected.stored_bytes() && reply.blocks_short() <= expected.blocks()) {
    return std::nullopt;
  }
  return fmt::format("{{{}}} instead of {{{}}}", reply.ShortDebugString(), expected.ShortDebugString());
}

MetadataModel::Mismatch MetadataModel::check_leases(const wire::RenewLeasesRequest& request, ErrorCode code,
                                                    const wire::RenewLeasesReply& reply) const {
  if (code != ErrorCode::kOk) return wrong_code(code, ErrorCode::kOk);
  auto lost = reply.lost().begin();
  for (const uint64_t id : request.inodes()) {
    const bool said_lost = lost != reply.lost().end() && *lost == id;
    if (said_lost) ++lost;
    const auto file = inodes_.find(id);
    const bool held = file != inodes_.end() && file->second.writer != 0 && file->second.writer == request.session();
    // The lease of a deleted file goes when the file is taken apart.
    if (held && is_going(file->second)) continue;
    if (held == said_lost) return fmt::format("the lease of inode {} is {}held", id, held ? "" : "not ");
  }
  return lost == reply.lost().end() ? Mismatch() : "a lease that was not asked for";
}

// --- The state as a whole --------------------------------------------------------------------------------------------

void MetadataModel::describe(const Inode& inode, const std::string& path, std::vector<std::string>& lines) const {
  lines.push_back(inode.directory ? fmt::format("{}/ inode {}", path, inode.id)
                                  : fmt::format("{} inode {}, {} bytes in {} blocks, epoch {}, writer {}, {} pending",
                                                path, inode.id, inode.length, inode.blocks.size(), inode.lease_epoch,
                                                inode.writer, inode.pending.size()));
  for (const auto& [name, child] : inode.children) describe(inodes_.at(child), path + "/" + name, lines);
}

std::vector<std::string> MetadataModel::describe_tree() const {
  std::vector<std::string> lines;
  describe(inodes_.at(kRootId), "", lines);
  for (const auto& [expires_ms, id] : trash_) {
    const Kept& kept = *inodes_.at(id).kept;
    describe(inodes_.at(id), fmt::format("trash until {} {}", expires_ms, printable(kept.path)), lines);
  }
  for (const auto& [id, inode] : inodes_) {
    if (!inode.quota) continue;
    const Amount used = used_of(inode);
    lines.push_back(fmt::format("quota of inode {}: {} of {} names, {} of {} bytes", id, used.names,
                                inode.quota->max_names, used.bytes, inode.quota->max_bytes));
  }
  return lines;
}

std::vector<uint64_t> MetadataModel::sessions() const {
  std::vector<uint64_t> ids;
  for (const auto& [id, session] : sessions_) ids.push_back(id);
  return ids;
}

}  // namespace dogfs::sim
