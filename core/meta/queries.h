// The reads: pure functions of a snapshot of the rows. Run in Compute jobs; each is bounded by its page.
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/meta/tables.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

// A page of GetBlocks ends at the first of these that it passes.
inline constexpr int kMaxBlocksPerPage = 1000;
inline constexpr size_t kMaxBlockPageBytes = 1 << 20;

// Errors of Path::parse and resolve_existing.
Result<wire::StatReply> query_stat(const MetaTables& tables, const wire::StatRequest& request);

// kNotADirectory for a file; kNotFound by inode once the directory was reclaimed.
Result<wire::ListReply> query_list(const MetaTables& tables, const wire::ListRequest& request);

// kIsADirectory for a directory; kNotFound by inode once the file was reclaimed. A file that was deleted can be read by
// its inode until then.
Result<wire::GetBlocksReply> query_blocks(const MetaTables& tables, const wire::GetBlocksRequest& request);

Result<wire::GetQuotasReply> query_quotas(const MetaTables& tables, const wire::GetQuotasRequest& request);

// kNotFound for an inode that is not in the trash.
Result<wire::ListTrashReply> query_trash(const MetaTables& tables, const wire::ListTrashRequest& request);

// Adds up what is under a path, in steps of bounded work over one snapshot. Memory grows with the depth of the tree.
class SummaryWalk {
 public:
  // `snapshot` must outlive the walk.
  SummaryWalk(const KvReader& snapshot, GroupId group) : tables_(snapshot, group) {}

  // Call once, first.
  Status start(const wire::SummaryRequest& request);
  // Visits about `max_rows` entries and blocks (a few hundred more at most). True when the walk is done.
  Result<bool> step(size_t max_rows);
  const wire::SummaryReply& sum() const { return sum_; }

 private:
  // A directory that is being walked, or a file: where to go on.
  struct Level {
    InodeId inode;
    bool directory = false;
    // Directories: entries that were read and not visited yet, the next one last, and the last that was read.
    std::vector<InodeId> unvisited;
    std::string after;
    uint64_t next_offset = 0;  // files
  };

  Status enter(InodeId inode);
  Status walk_directory();
  Result<size_t> walk_file();
  void add_block(const wire::BlockRow& block);

  MetaTables tables_;
  std::vector<Level> levels_;
  wire::SummaryReply sum_;
};

}  // namespace dogfs
