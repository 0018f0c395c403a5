#include "sim/history_oracle.h"

#include <algorithm>
#include <limits>
#include <map>

#include "core/base/check.h"
#include "core/base/printable.h"
#include "core/meta/keys.h"
#include "core/meta/tables.h"
#include "core/raft/raft.h"
#include "core/raft/raft_store.h"

namespace dogfs::sim {
namespace {

constexpr GroupId kGroup{0};

void describe_inode(const MetaTables& tables, InodeId id, const std::string& path, std::vector<std::string>& lines) {
  const wire::InodeRow inode = tables.required_inode(id).value();
  if (inode.type() == wire::InodeRow::FILE) {
    lines.push_back(fmt::format("{} inode {}, {} bytes in {} blocks, epoch {}, writer {}, {} pending", path,
                                inode.inode(), inode.length(), inode.block_count(), inode.lease_epoch(),
                                inode.writer_session(), inode.pending_blocks_size()));
    return;
  }
  lines.push_back(fmt::format("{}/ inode {}", path, inode.inode()));
  std::vector<std::pair<std::string, InodeId>> children;
  const Status scanned = scan_rows<wire::DirectoryEntryRow>(
      tables.reader(), tables.keys().entries(id, {}), [&](std::string_view key, const wire::DirectoryEntryRow& row) {
        children.emplace_back(entry_name(key), InodeId(row.inode()));
        return true;
      });
  DOGFS_CHECK(scanned.has_value());
  for (const auto& [name, child] : children) describe_inode(tables, child, path + "/" + name, lines);
}

void describe_quotas(const MetaTables& tables, std::vector<std::string>& lines) {
  const Status scanned = scan_rows<wire::QuotaRow>(
      tables.reader(), tables.keys().all_quotas(), [&lines](std::string_view key, const wire::QuotaRow& row) {
        lines.push_back(fmt::format("quota of inode {}: {} of {} names, {} of {} bytes", last_id(key), row.names(),
                                    row.max_names(), row.bytes(), row.max_bytes()));
        return true;
      });
  DOGFS_CHECK(scanned.has_value());
}

// The first line in which the two differ.
template <class Line>
std::string first_difference(const std::vector<Line>& seen, const std::vector<Line>& expected) {
  const auto [at, model] = std::mismatch(seen.begin(), seen.end(), expected.begin(), expected.end());
  const auto text = [](const auto& line, const auto& end) {
    return line == end ? "nothing" : fmt::format("\"{}\"", *line);
  };
  return fmt::format("{} instead of {}", text(at, seen.end()), text(model, expected.end()));
}

// From `first` to what is committed, or to where those in memory begin: what is not there any more is on the disk.
std::vector<raft::Entry> committed_entries(const raft::Raft& raft, LogIndex first, const KvReader& disk) {
  const raft::EntryLimits all{std::numeric_limits<size_t>::max(), std::numeric_limits<size_t>::max()};
  const LogIndex first_cached = raft.log().first_cached();
  if (first_cached <= first) return raft.log().cached(first, raft.commit(), all);
  const LogIndex last = std::min(raft.commit(), first_cached.previous());
  Result<std::vector<raft::Entry>> entries = raft::read_entries(disk, kGroup, {NodeId(), first, last, all});
  DOGFS_CHECK(entries.has_value());
  return std::move(entries).value();
}

}  // namespace

std::vector<std::string> describe_rows(const KvReader& store) {
  std::vector<std::string> lines;
  const MetaTables tables(store, kGroup);
  describe_inode(tables, kRootInode, "", lines);
  const Status scanned =
      scan_rows<wire::TrashRow>(store, tables.keys().all_trash(), [&](std::string_view key, const wire::TrashRow& row) {
        const std::string kept = fmt::format("trash until {} {}", trash_expiry(key), printable(row.path()));
        describe_inode(tables, InodeId(last_id(key)), kept, lines);
        return true;
      });
  DOGFS_CHECK(scanned.has_value());
  describe_quotas(tables, lines);
  return lines;
}

std::vector<uint64_t> sessions_in_rows(const KvReader& store) {
  std::vector<uint64_t> sessions;
  const KeyRange range = MetaKeys(kGroup).sessions(SessionId());
  const Status scanned = store.scan(range.begin, range.end, [&](std::string_view key, std::string_view) {
    sessions.push_back(last_id(key));
    return true;
  });
  DOGFS_CHECK(scanned.has_value());
  return sessions;
}

HistoryOracle::HistoryOracle(Cluster& cluster, Verdict& verdict)
    : cluster_(cluster),
      verdict_(verdict),
      history_([&cluster] { return cluster.world().now().time_since_epoch() / std::chrono::nanoseconds(1); }) {
  cluster_.record_history(history_);
}

void HistoryOracle::after_event(const Node& node) {
  const raft::Raft* raft = cluster_.raft(node);
  if (raft == nullptr || raft->commit().value() <= log_.size()) return;
  const LogIndex next(log_.size() + 1);
  // A node that has dropped it comes by later, or another one does.
  if (raft->log().first_index() > next) return;
  for (const raft::Entry& entry : committed_entries(*raft, next, *node.kv_disks().at("state"))) {
    const bool command = entry.type == raft::EntryType::kCommand;
    log_.push_back({entry.index, entry.term, command ? std::string(entry.text()) : std::string()});
  }
}

void HistoryOracle::check() {
  const LinearizabilityResult result = check_linearizability(history_.operations(), log_);
  checked_ = result.changes + result.reads;
  if (result.violation) return verdict_.fail("linearizability", *result.violation);
  // Most nodes have applied as much as each other: the model need not go so far for each of them.
  std::map<uint64_t, std::vector<Node*>> by_applied;
  for (Node* node : cluster_.meta_nodes()) {
    const Result<std::optional<std::string>> row = node->kv_disk()->get(MetaKeys(kGroup).applied());
    DOGFS_CHECK(row.has_value());
    if (row.value()) by_applied[read_big_endian(*row.value())].push_back(node);
  }
  for (const auto& [applied, nodes] : by_applied) check_rows(applied, nodes);
}

// What the nodes that have applied so many entries hold, against the model.
void HistoryOracle::check_rows(uint64_t applied, const std::vector<Node*>& nodes) {
  if (applied > log_.size()) {
    return verdict_.fail("linearizability", nodes.front()->name() + " has applied more than was seen to be committed");
  }
  const std::vector<CommittedEntry> prefix(log_.begin(), log_.begin() + static_cast<std::ptrdiff_t>(applied));
  const MetadataModel model = replay(history_.operations(), prefix);
  const std::vector<std::string> tree = model.describe_tree();
  const std::vector<uint64_t> sessions = model.sessions();
  for (Node* node : nodes) {
    if (const auto lines = describe_rows(*node->kv_disk()); lines != tree) {
      verdict_.fail("linearizability", node->name() + " has " + first_difference(lines, tree));
    }
    if (const auto known = sessions_in_rows(*node->kv_disk()); known != sessions) {
      verdict_.fail("linearizability", node->name() + ": session " + first_difference(known, sessions));
    }
  }
}

}  // namespace dogfs::sim
