#include "core/raft/state_rows.h"

#include <fmt/format.h>

#include "core/raft/raft_store.h"
#include "core/wire/raft.pb.h"

namespace dogfs::raft {
namespace {

// The first key behind `key`.
std::string behind(std::string_view key) {
  return std::string(key) + '\0';
}

// Visits the rows of `range` behind `after` until they fill `bytes`. True when there are no more.
Result<bool> scan_part(const KvReader& store, const KeyRange& range, std::string_view after, size_t bytes,
                       const std::function<void(std::string_view key, std::string_view value)>& visit) {
  size_t visited_bytes = 0;
  bool full = false;
  const std::string begin = after.empty() ? range.begin : behind(after);
  DOGFS_TRYV(store.scan(begin, range.end, [&](std::string_view key, std::string_view value) {
    const size_t row_bytes = key.size() + value.size();
    full = visited_bytes > 0 && visited_bytes + row_bytes > bytes;
    if (full) return false;
    visited_bytes += row_bytes;
    visit(key, value);
    return true;
  }));
  return !full;
}

}  // namespace

Result<RowsPart> read_rows(const KvReader& view, const KeyRange& state, std::string_view after, size_t bytes) {
  RowsPart part;
  wire::RaftSnapshotRows rows;
  const auto add = [&](std::string_view key, std::string_view value) {
    wire::RaftSnapshotRows::Row& row = *rows.add_rows();
    row.set_key(std::string(key));
    row.set_value(std::string(value));
    part.last_key = key;
  };
  DOGFS_TRY(part.last, scan_part(view, state, after, bytes, add));
  part.rows = rows.SerializeAsString();
  return part;
}

Result<WriteBatch> encode_stage(GroupId group, const KeyRange& state, const SnapshotStage& stage) {
  const SnapshotChunk& chunk = *stage.chunk;
  const auto malformed = [&](std::string_view what) {
    return Error(ErrorCode::kProtocolError,
                 fmt::format("part {} of a snapshot of group {}: {}", chunk.number, group, what));
  };
  wire::RaftSnapshotRows rows;
  if (!rows.ParseFromArray(chunk.rows.data(), static_cast<int>(chunk.rows.size()))) return malformed("does not parse");
  WriteBatch batch;
  const KeyRange staged = staged_rows(group);
  if (chunk.number == 0) erase_staged(batch, group);
  // The last part makes a snapshot complete, which its rows do not say: after a restart it is asked for again.
  if (!chunk.last) put_staged(batch, group, StagedParts{stage.snapshot, chunk.number + 1});
  std::string_view previous;
  for (wire::RaftSnapshotRows::Row& row : *rows.mutable_rows()) {
    if (!state.contains(row.key())) return malformed("a row that is not of the state");
    if (row.key() <= previous) return malformed("rows that do not ascend");
    previous = row.key();
    batch.put(staged.begin + row.key(), std::move(*row.mutable_value()));
  }
  return batch;
}

Result<InstallStep> install_step(const KvReader& store, GroupId group, const KeyRange& state, std::string_view after,
                                 size_t bytes) {
  InstallStep step;
  const KeyRange staged = staged_rows(group);
  if (after.empty()) step.batch.erase_range(state.begin, state.end);
  const auto move = [&](std::string_view key, std::string_view value) {
    step.last_key = key.substr(staged.begin.size());
    step.batch.put(step.last_key, std::string(value));
  };
  const std::string staged_after = after.empty() ? std::string() : staged.begin + std::string(after);
  DOGFS_TRY(step.last, scan_part(store, staged, staged_after, bytes, move));
  if (step.last) {
    erase_staged(step.batch, group);
    erase_install(step.batch, group);
  }
  return step;
}

}  // namespace dogfs::raft
