#include "core/meta/invariants.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "core/base/limits.h"
#include "core/base/printable.h"
#include "core/ec/policy_wire.h"
#include "core/meta/block_commands.h"
#include "core/meta/path.h"
#include "core/meta/repair_commands.h"
#include "core/meta/risk.h"
#include "core/meta/tables.h"

namespace dogfs {
namespace {

struct FileBlock {
  uint64_t offset = 0;
  wire::FileBlockRow row;
};

struct Entry {
  InodeId parent;
  std::string name;
  wire::DirectoryEntryRow row;
};

struct Kept {
  int64_t expires_ms = 0;
  wire::TrashRow row;
};

struct Rows {
  wire::CountersRow counters;
  std::map<InodeId, wire::InodeRow> inodes;
  std::vector<Entry> entries;
  std::map<InodeId, wire::DetachedRow> detached;
  std::map<InodeId, wire::QuotaRow> quotas;
  std::map<InodeId, Kept> trash;
  size_t trash_rows = 0;
  std::map<InodeId, std::vector<FileBlock>> file_blocks;
  std::map<InodeId, wire::InlineTailRow> inline_tails;
  std::map<BlockId, wire::BlockRow> blocks;
  std::map<InodeId, wire::LeaseRow> leases;
  std::map<ServerId, wire::ChunkServerRow> servers;
  std::map<SessionId, wire::SessionRow> sessions;
  std::vector<std::pair<SessionId, SequenceNumber>> replies;
  std::vector<GarbageShard> garbage;
  std::map<std::pair<ServerId, BlockId>, wire::ListedShardRow> listed;
  std::set<std::pair<Risk, BlockId>> at_risk;
  std::set<BlockId> reserved;
};

uint64_t id_before_last(std::string_view key) {
  return read_big_endian(key.substr(key.size() - 16));
}

template <class Id, class Row>
Status load_by_id(const KvReader& reader, const KeyRange& range, std::map<Id, Row>& rows) {
  return scan_rows<Row>(reader, range, [&](std::string_view key, Row row) {
    rows.emplace(Id(last_id(key)), std::move(row));
    return true;
  });
}

template <class Visit>
Status scan_keys(const KvReader& reader, const KeyRange& range, Visit visit) {
  return reader.scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
    visit(key);
    return true;
  });
}

Result<Rows> load_rows(const MetaTables& tables) {
  const KvReader& reader = tables.reader();
  const MetaKeys& keys = tables.keys();
  Rows rows;
  DOGFS_TRY(const std::optional<wire::CountersRow> counters, tables.counters());
  if (counters) rows.counters = *counters;
  DOGFS_TRYV(load_by_id(reader, keys.inodes(), rows.inodes));
  DOGFS_TRYV(load_by_id(reader, keys.blocks(), rows.blocks));
  DOGFS_TRYV(load_by_id(reader, keys.all_inline_tails(), rows.inline_tails));
  DOGFS_TRYV(load_by_id(reader, keys.leases(InodeId()), rows.leases));
  DOGFS_TRYV(load_by_id(reader, keys.servers(), rows.servers));
  DOGFS_TRYV(load_by_id(reader, keys.sessions(SessionId()), rows.sessions));
  DOGFS_TRYV(scan_rows<wire::DirectoryEntryRow>(
      reader, keys.all_entries(), [&](std::string_view key, wire::DirectoryEntryRow row) {
        rows.entries.push_back({entry_parent(key), std::string(entry_name(key)), std::move(row)});
        return true;
      }));
  DOGFS_TRYV(
      scan_rows<wire::FileBlockRow>(reader, keys.all_file_blocks(), [&](std::string_view key, wire::FileBlockRow row) {
        rows.file_blocks[InodeId(id_before_last(key))].push_back({last_id(key), std::move(row)});
        return true;
      }));
  DOGFS_TRYV(load_by_id(reader, keys.detached_after(InodeId()), rows.detached));
  DOGFS_TRYV(load_by_id(reader, keys.all_quotas(), rows.quotas));
  DOGFS_TRYV(scan_rows<wire::TrashRow>(reader, keys.all_trash(), [&](std::string_view key, wire::TrashRow row) {
    ++rows.trash_rows;
    rows.trash[InodeId(last_id(key))] = {trash_expiry(key), std::move(row)};
    return true;
  }));
  DOGFS_TRYV(scan_keys(reader, keys.all_replies(), [&](std::string_view key) {
    rows.replies.emplace_back(SessionId(id_before_last(key)), SequenceNumber(last_id(key)));
  }));
  DOGFS_TRYV(
      scan_keys(reader, keys.all_garbage(), [&](std::string_view key) { rows.garbage.push_back(garbage_shard(key)); }));
  DOGFS_TRYV(
      scan_rows<wire::ListedShardRow>(reader, keys.all_listed(), [&](std::string_view key, wire::ListedShardRow row) {
        rows.listed.emplace(std::pair(listing_server(key), BlockId(last_id(key))), std::move(row));
        return true;
      }));
  DOGFS_TRYV(scan_keys(reader, keys.all_at_risk(),
                       [&](std::string_view key) { rows.at_risk.emplace(risk_in(key), last_id(key)); }));
  DOGFS_TRYV(
      scan_keys(reader, keys.all_reserved(), [&](std::string_view key) { rows.reserved.emplace(last_id(key)); }));
  return rows;
}

class Checker {
 public:
  explicit Checker(const Rows& rows) : rows_(rows) {}

  std::vector<std::string> check() {
    check_entries();
    check_directories();
    check_attachment();
    check_trash();
    check_quotas();
    for (const auto& [id, inode] : rows_.inodes) {
      if (inode.type() == wire::InodeRow::FILE) check_file(id, inode);
    }
    for (const auto& [id, block] : rows_.blocks) check_block(id, block);
    check_inline_tails();
    check_leases();
    check_generations();
    check_counters();
    check_replies();
    check_derived();
    check_servers();
    return std::move(violations_);
  }

 private:
  template <class... Args>
  void expect(bool holds, fmt::format_string<Args...> format, Args&&... args) {
    if (!holds) violations_.push_back(fmt::format(format, std::forward<Args>(args)...));
  }

  const wire::InodeRow* inode(InodeId id) const {
    const auto found = rows_.inodes.find(id);
    return found == rows_.inodes.end() ? nullptr : &found->second;
  }

  // Whether it is the top of a tree that was cut off.
  bool is_cut_off(InodeId id) const { return rows_.detached.contains(id) || rows_.trash.contains(id); }

  void check_entries() {
    std::map<InodeId, int> named;
    for (const Entry& entry : rows_.entries) {
      const InodeId id(entry.row.inode());
      const wire::InodeRow* named_inode = inode(id);
      const wire::InodeRow* parent = inode(entry.parent);
      ++named[id];
      expect(parent != nullptr && parent->type() == wire::InodeRow::DIRECTORY,
             "I1: entry \"{}\" is in inode {}, which is no directory", printable(entry.name), entry.parent);
      expect(named_inode != nullptr && named_inode->parent() == entry.parent.value() &&
                 named_inode->entry_name() == entry.name && named_inode->type() == entry.row.type() &&
                 named_inode->has_policy() == entry.row.own_policy(),
             "I1: entry \"{}\" of inode {} and inode {} do not agree", printable(entry.name), entry.parent, id);
      if (named_inode == nullptr || parent == nullptr) continue;
      expect(named_inode->height() < parent->height(), "I2: inode {} is {} levels high, and \"{}\" in it {}",
             entry.parent, parent->height(), printable(entry.name), named_inode->height());
    }
    const wire::InodeRow* root = inode(kRootInode);
    expect(root != nullptr && root->type() == wire::InodeRow::DIRECTORY, "I1: there is no root directory");
    for (const auto& [id, row] : rows_.inodes) {
      if (id == kRootInode) continue;
      const bool cut_off = is_cut_off(id);
      expect(named[id] == (cut_off ? 0 : 1), "I1: inode {} has {} entries and is {}", id, named[id],
             cut_off ? "cut off" : "attached");
      expect(cut_off == (row.parent() == 0), "I1: inode {} is {}cut off, with parent {}", id, cut_off ? "" : "not ",
             row.parent());
    }
    for (const auto& [id, row] : rows_.detached) {
      expect(inode(id) != nullptr, "I1: detached inode {} is missing", id);
    }
  }

  void check_directories() {
    std::map<InodeId, uint64_t> entries;
    for (const Entry& entry : rows_.entries) ++entries[entry.parent];
    for (const auto& [id, row] : rows_.inodes) {
      if (row.type() != wire::InodeRow::DIRECTORY || rows_.detached.contains(id)) continue;
      expect(row.entries() == entries[id], "I2: directory {} counts {} entries and has {}", id, row.entries(),
             entries[id]);
    }
  }

  void check_attachment() {
    for (const auto& [id, row] : rows_.inodes) {
      InodeId at = id;
      size_t steps = 0;
      while (at != kRootInode && !is_cut_off(at) && steps++ <= rows_.inodes.size()) {
        const wire::InodeRow* here = inode(at);
        if (here == nullptr) break;
        at = InodeId(here->parent());
      }
      expect(at == kRootInode || is_cut_off(at), "I2: inode {} does not lead to the root", id);
      expect(at != kRootInode || steps <= kMaxPathDepth, "I2: inode {} is {} levels deep", id, steps);
    }
  }

  void check_trash() {
    for (const auto& [id, kept] : rows_.trash) {
      const wire::InodeRow* top = inode(id);
      expect(top != nullptr && top->trash_expires_ms() == kept.expires_ms && !rows_.detached.contains(id) &&
                 kept.expires_ms > kept.row.deleted_ms(),
             "I13: inode {} and its row in the trash do not agree", id);
      const Result<Path> path = Path::parse(kept.row.path());
      expect(path.has_value() && !path.value().is_root(), "I13: inode {} in the trash has had no path", id);
    }
    for (const auto& [id, row] : rows_.inodes) {
      expect((row.trash_expires_ms() != 0) == rows_.trash.contains(id), "I13: inode {} has no row in the trash", id);
    }
    expect(rows_.trash_rows == rows_.trash.size(), "I13: an inode is in the trash twice");
    expect(rows_.counters.trash_entries() == rows_.trash_rows, "I8: {} trees in the trash are counted and {} are there",
           rows_.counters.trash_entries(), rows_.trash_rows);
  }

  // All quotas that an inode is charged to, those that are gone too.
  std::set<std::pair<InodeId, uint64_t>> charges_of(InodeId id) const {
    std::set<std::pair<InodeId, uint64_t>> charges;
    const auto add = [&charges](const auto& kept) {
      for (const wire::QuotaCharge& charge : kept) charges.emplace(charge.inode(), charge.id());
    };
    const wire::InodeRow* at = inode(id);
    for (size_t steps = 0; at != nullptr && steps <= rows_.inodes.size(); ++steps) {
      if (at->quota() != 0) charges.emplace(at->inode(), at->quota());
      id = InodeId(at->inode());
      at = inode(InodeId(at->parent()));
    }
    if (const auto kept = rows_.trash.find(id); kept != rows_.trash.end()) add(kept->second.row.charges());
    if (const auto kept = rows_.detached.find(id); kept != rows_.detached.end()) add(kept->second.charges());
    return charges;
  }

  void check_quotas() {
    std::map<std::pair<InodeId, uint64_t>, std::pair<uint64_t, uint64_t>> used;
    if (!rows_.quotas.empty()) {
      for (const auto& [id, row] : rows_.inodes) {
        for (const auto& charge : charges_of(id)) {
          ++used[charge].first;
          used[charge].second += row.stored_bytes();
        }
      }
    }
    for (const auto& [id, row] : rows_.quotas) {
      const auto& [names, bytes] = used[{id, row.id()}];
      expect(row.names() == names && row.bytes() == bytes,
             "I14: the quota of inode {} is charged with {} names and {} bytes, and there are {} and {}", id,
             row.names(), row.bytes(), names, bytes);
    }
    for (const auto& [id, row] : rows_.inodes) {
      const auto quota = rows_.quotas.find(id);
      expect(row.quota() == (quota == rows_.quotas.end() ? 0 : quota->second.id()), "I14: inode {} has another quota",
             id);
    }
    expect(rows_.counters.quotas() == rows_.quotas.size(), "I8: {} quotas are counted and {} are there",
           rows_.counters.quotas(), rows_.quotas.size());
  }

  // What a file's blocks and its tail count for.
  void check_stored_bytes(InodeId id, const wire::InodeRow& file, const std::vector<FileBlock>& blocks) {
    uint64_t bytes = file.tail_bytes();
    const auto add = [&](uint64_t block) {
      const auto row = rows_.blocks.find(BlockId(block));
      if (row == rows_.blocks.end()) return;
      bytes += row->second.reserved_bytes();
      if (row->second.state() != wire::BlockRow::COMMITTED) return;
      for (const wire::Shard& shard : row->second.shards()) bytes += shard.length();
    };
    for (const FileBlock& each : blocks) add(each.row.block());
    for (const uint64_t pending : file.pending_blocks()) add(pending);
    expect(file.stored_bytes() == bytes, "I14: file {} counts {} stored bytes and has {}", id, file.stored_bytes(),
           bytes);
  }

  void check_file(InodeId id, const wire::InodeRow& file) {
    static const std::vector<FileBlock> kNone;
    const auto found = rows_.file_blocks.find(id);
    const std::vector<FileBlock>& blocks = found == rows_.file_blocks.end() ? kNone : found->second;
    const bool detached = rows_.detached.contains(id);
    uint64_t end = detached && !blocks.empty() ? blocks.front().offset : 0;
    for (const FileBlock& each : blocks) {
      expect(each.offset == end, "I3: file {} has a gap or an overlap at {}", id, end);
      end = each.offset + each.row.length();
      const auto block = rows_.blocks.find(BlockId(each.row.block()));
      expect(block != rows_.blocks.end() && block->second.state() == wire::BlockRow::COMMITTED &&
                 block->second.inode() == id.value() && block->second.offset() == each.offset &&
                 each.row.length() > 0 && each.row.length() <= block->second.length(),
             "I3: block {} at {} of file {} does not agree", each.row.block(), each.offset, id);
    }
    if (!detached) {
      expect(end + file.tail_bytes() == file.length(),
             "I3: file {} is {} long and has blocks up to {} and a tail of {}", id, file.length(), end,
             file.tail_bytes());
      expect(blocks.size() == file.block_count(), "I3: file {} counts {} blocks and has {}", id, file.block_count(),
             blocks.size());
    }
    check_stored_bytes(id, file, blocks);
    for (const uint64_t pending : file.pending_blocks()) {
      const auto block = rows_.blocks.find(BlockId(pending));
      expect(block != rows_.blocks.end() && block->second.state() == wire::BlockRow::ALLOCATED &&
                 block->second.inode() == id.value() && block->second.lease_epoch() == file.lease_epoch(),
             "I3: pending block {} of file {} does not agree", pending, id);
    }
  }

  void check_inline_tails() {
    for (const auto& [id, tail] : rows_.inline_tails) {
      const wire::InodeRow* file = inode(id);
      expect(file != nullptr && file->tail_bytes() == tail.data().size(),
             "I3: a tail of {} bytes is not that of file {}", tail.data().size(), id);
      expect(!tail.data().empty() && tail.data().size() <= kMaxInlineTailBytes, "I3: file {} has a tail of {} bytes",
             id, tail.data().size());
    }
    for (const auto& [id, file] : rows_.inodes) {
      expect(file.tail_bytes() == 0 || rows_.inline_tails.contains(id), "I3: the tail of file {} is missing", id);
    }
  }

  bool is_listed(BlockId id, const wire::BlockRow& block) const {
    const wire::InodeRow* file = inode(InodeId(block.inode()));
    if (file == nullptr) return false;
    if (block.state() == wire::BlockRow::ALLOCATED) {
      return std::ranges::find(file->pending_blocks(), id.value()) != file->pending_blocks().end();
    }
    const auto blocks = rows_.file_blocks.find(InodeId(block.inode()));
    return blocks != rows_.file_blocks.end() && std::ranges::any_of(blocks->second, [&](const FileBlock& each) {
             return each.row.block() == id.value() && each.offset == block.offset();
           });
  }

  void check_block(BlockId id, const wire::BlockRow& block) {
    expect(is_listed(id, block), "I3: block {} is not listed by inode {}", id, block.inode());
    if (block.state() == wire::BlockRow::ALLOCATED) {
      std::set<uint64_t> servers;
      for (const wire::Shard& target : current_targets(block)) {
        expect(servers.insert(target.server()).second, "I5: block {} has two targets on server {}", id,
               target.server());
      }
      return;
    }
    const Result<Geometry> geometry = geometry_from_wire(block.policy());
    expect(geometry.has_value(), "I4: block {} has no valid geometry", id);
    if (geometry) check_shards(id, block, BlockLayout(geometry.value(), block.length()));
  }

  void check_shards(BlockId id, const wire::BlockRow& block, const BlockLayout& layout) {
    const std::vector<ShardIndex> indices = layout.stored_indices();
    expect(block.shards_size() == static_cast<int>(indices.size()), "I4: block {} has {} shards and not {}", id,
           block.shards_size(), indices.size());
    std::set<uint64_t> servers;
    for (int i = 0; i < std::min(block.shards_size(), static_cast<int>(indices.size())); ++i) {
      const wire::Shard& shard = block.shards(i);
      const ShardIndex index = indices[static_cast<size_t>(i)];
      expect(shard.index() == index.value() && shard.length() == layout.shard_length(index),
             "I4: shard {} of block {} does not fit its geometry", i, id);
      if (shard.server() == 0) continue;
      expect(servers.insert(shard.server()).second, "I4: block {} has two shards on server {}", id, shard.server());
      expect(rows_.servers.contains(ServerId(shard.server())), "I4: block {} is on unknown server {}", id,
             shard.server());
    }
    expect(servers.size() > layout.stored_data_shards(), "I4: block {} is durable on {} servers only", id,
           servers.size());
  }

  void check_leases() {
    for (const auto& [id, lease] : rows_.leases) {
      const wire::InodeRow* file = inode(id);
      expect(file != nullptr && file->writer_session() != 0 && file->writer_session() == lease.session() &&
                 file->lease_epoch() == lease.lease_epoch(),
             "I6: the lease of inode {} does not agree", id);
    }
    for (const auto& [id, row] : rows_.inodes) {
      expect((row.writer_session() != 0) == rows_.leases.contains(id), "I6: inode {} is open without a lease", id);
      expect(row.pending_blocks_size() == 0 || row.writer_session() != 0, "I6: closed file {} has pending blocks", id);
    }
  }

  void check_generations() {
    std::set<uint64_t> generations;
    const auto name = [&](uint64_t generation) {
      expect(generations.insert(generation).second, "I7: generation {} is named twice", generation);
      expect(generation < rows_.counters.next_generation(), "I8: generation {} was never given out", generation);
    };
    for (const auto& [id, block] : rows_.blocks) {
      for (const wire::Shard& shard : block.shards()) {
        if (shard.server() != 0) name(shard.generation());
      }
      for (const wire::RepairReservation& reservation : block.reservations()) name(reservation.generation());
    }
    for (const GarbageShard& shard : rows_.garbage) name(shard.generation.value());
  }

  void check_counters() {
    const auto equal = [&](std::string_view what, uint64_t counted, uint64_t there) {
      expect(counted == there, "I8: {} {} are counted and {} are there", counted, what, there);
    };
    uint64_t files = 0, committed = 0, bytes = 0;
    for (const auto& [id, row] : rows_.inodes) files += row.type() == wire::InodeRow::FILE ? 1 : 0;
    for (const auto& [id, block] : rows_.blocks) {
      if (block.state() != wire::BlockRow::COMMITTED) continue;
      ++committed;
    }
    for (const auto& [id, blocks] : rows_.file_blocks) {
      for (const FileBlock& each : blocks) bytes += each.row.length();
    }
    for (const auto& [id, tail] : rows_.inline_tails) bytes += tail.data().size();
    const wire::CountersRow& counters = rows_.counters;
    equal("files", counters.files(), files);
    equal("directories", counters.directories(), rows_.inodes.size() - files);
    equal("blocks", counters.blocks(), committed);
    equal("bytes", counters.bytes(), bytes);
    equal("garbage shards", counters.garbage_shards(), rows_.garbage.size());
    equal("servers", counters.servers(), rows_.servers.size());
    equal("sessions", counters.sessions(), rows_.sessions.size());
    check_mark("inode", rows_.inodes, counters.next_inode());
    check_mark("block", rows_.blocks, counters.next_block());
    check_mark("server", rows_.servers, counters.next_server());
    check_mark("session", rows_.sessions, counters.next_session());
  }

  template <class Id, class Row>
  void check_mark(std::string_view what, const std::map<Id, Row>& rows, uint64_t next) {
    expect(rows.empty() || rows.rbegin()->first.value() < next, "I8: {} ids at {} and above are in use", what, next);
  }

  void check_replies() {
    for (const auto& [session, sequence] : rows_.replies) {
      const auto row = rows_.sessions.find(session);
      expect(row != rows_.sessions.end() && sequence.value() >= row->second.low_water() &&
                 sequence.value() - row->second.low_water() < kMaxRequestsInFlightPerSession,
             "I9: reply {} of session {} is kept beyond its window", sequence, session);
    }
  }

  void check_derived() {
    size_t listed = 0, at_risk = 0, reserved = 0;
    uint64_t reservations = 0;
    std::map<Risk, uint64_t> by_risk;
    for (const auto& [id, block] : rows_.blocks) {
      if (block.state() != wire::BlockRow::COMMITTED) continue;
      for (const wire::Shard& shard : block.shards()) {
        if (shard.server() == 0) continue;
        ++listed;
        const auto row = rows_.listed.find({ServerId(shard.server()), id});
        expect(row != rows_.listed.end() && row->second.index() == shard.index() &&
                   row->second.generation() == shard.generation() && row->second.crc32c() == shard.crc32c(),
               "I10: shard {} of block {} is not among those of server {}", shard.index(), id, shard.server());
      }
      const Risk risk = risk_of(block);
      ++by_risk[risk];
      if (risk != Risk::kWhole) ++at_risk;
      expect(rows_.at_risk.contains({risk, id}) == (risk != Risk::kWhole), "I10: block {} is not listed by its risk",
             id);
      if (block.reservations_size() > 0) ++reserved;
      reservations += static_cast<uint64_t>(block.reservations_size());
      expect(rows_.reserved.contains(id) == (block.reservations_size() > 0),
             "I10: block {} is not listed by its reservations", id);
      check_reservations(id, block);
    }
    expect(rows_.listed.size() == listed && rows_.at_risk.size() == at_risk && rows_.reserved.size() == reserved,
           "I10: derived rows of blocks that are gone");
    check_risk_counters(by_risk, reservations);
  }

  void check_risk_counters(std::map<Risk, uint64_t>& by_risk, uint64_t reservations) {
    const wire::CountersRow& counters = rows_.counters;
    for (int spares = 0; spares < counters.blocks_with_spares_size(); ++spares) {
      const Risk risk = risk_of_spares(static_cast<uint32_t>(spares));
      expect(counters.blocks_with_spares(spares) == by_risk[risk], "I10: blocks with {} spares are miscounted", spares);
      by_risk.erase(risk);
    }
    expect(counters.blocks_leaving() == by_risk[Risk::kLeaving] && counters.blocks_lost() == by_risk[Risk::kLost] &&
               counters.reservations() == reservations && (by_risk.empty() || !is_short(by_risk.begin()->first)),
           "I10: blocks that need work are miscounted");
  }

  void check_reservations(BlockId id, const wire::BlockRow& block) {
    std::set<uint32_t> indices;
    for (const wire::RepairReservation& reservation : block.reservations()) {
      const wire::Shard* shard = find_shard(block, reservation.index());
      expect(indices.insert(reservation.index()).second && shard != nullptr,
             "I11: block {} has no place for reservation of shard {}", id, reservation.index());
      // An older shard of the same index may have been found again on the target: the reservation is then in vain.
      const bool found_again = shard != nullptr && shard->server() == reservation.target();
      expect(found_again || may_host(block, reservation.index(), reservation.target(), reservation.move()),
             "I11: server {} gets a second shard of block {}", reservation.target(), id);
    }
  }

  bool is_removed(uint64_t server) const {
    const auto row = rows_.servers.find(ServerId(server));
    return row != rows_.servers.end() && row->second.state() == wire::REMOVED;
  }

  void check_servers() {
    for (const auto& [id, row] : rows_.servers) {
      expect(row.state() == row.wanted() || row.state() == wire::DEAD, "I12: server {} is not what it should be", id);
    }
    for (const auto& [id, block] : rows_.blocks) {
      for (const wire::Shard& shard : block.shards()) {
        expect(!is_removed(shard.server()), "I12: block {} has a shard on removed server {}", id, shard.server());
      }
      for (const wire::RepairReservation& reservation : block.reservations()) {
        expect(!is_removed(reservation.target()), "I12: block {} is rebuilt on removed server {}", id,
               reservation.target());
      }
    }
    for (const GarbageShard& shard : rows_.garbage) {
      expect(!is_removed(shard.server.value()) || rows_.servers.at(shard.server).sweeping(),
             "I12: removed server {} keeps garbage of block {}", shard.server, shard.block);
    }
  }

  const Rows& rows_;
  std::vector<std::string> violations_;
};

}  // namespace

Result<std::vector<std::string>> check_meta_invariants(const KvReader& reader, GroupId group) {
  const MetaTables tables(reader, group);
  DOGFS_TRY(const LogIndex applied, tables.applied());
  if (applied.is_none()) return std::vector<std::string>();
  DOGFS_TRY(const Rows rows, load_rows(tables));
  return Checker(rows).check();
}

}  // namespace dogfs
