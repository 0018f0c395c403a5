// What the metadata must answer, as a person would explain it: a tree of plain objects, changed by the commands of the
// log in their order. Independent of core/meta (it shares with it the syntax of paths and the layout of blocks, which
// have models of their own), and kept simple rather than quick.
//
// The model leaves two things open. Where shards lie once a block is committed is not followed: repair moves them, and
// the ShardOracle checks them. And what is asked by its inode about a file that is being taken apart may be answered
// either way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/ids.h"
#include "core/base/result.h"
#include "core/wire/command.pb.h"
#include "core/wire/meta.pb.h"

namespace dogfs::sim {

// What a command answers.
struct ModelAnswer {
  ErrorCode code = ErrorCode::kOk;
  wire::MutationResult result;
  // The file was deleted, and may be forgotten by now: kGone is as right as `code`.
  bool or_gone = false;
  // Of shard generations nothing is known but what was observed.
  bool generations_open = false;
};

inline ModelAnswer refused(ErrorCode code) {
  ModelAnswer answer;
  answer.code = code;
  return answer;
}

class MetadataModel {
 public:
  MetadataModel();

  struct Applied {
    ModelAnswer answer;
    // It ran, and its answer is final. Otherwise it changed nothing: it had run before, or was refused for now.
    bool took_effect = false;
    uint64_t opened_session = 0;  // by OpenSession
  };
  // `observed`: what the client was answered, if it was. The generations of new shards are taken from there, since
  // repairs draw from the same numbers.
  Applied apply(const wire::Command& command, const wire::MutationResult* observed);

  // --- What may be read now. Empty: that answer is right; otherwise what is wrong with it.
  using Mismatch = std::optional<std::string>;
  Mismatch check_stat(const wire::StatRequest& request, ErrorCode code, const wire::StatReply& reply) const;
  Mismatch check_list(const wire::ListRequest& request, ErrorCode code, const wire::ListReply& reply) const;
  Mismatch check_blocks(const wire::GetBlocksRequest& request, ErrorCode code, const wire::GetBlocksReply& reply) const;
  Mismatch check_quotas(const wire::GetQuotasRequest& request, ErrorCode code, const wire::GetQuotasReply& reply) const;
  // Which shards are there is not followed: of what is stored, the most that it can be.
  Mismatch check_summary(const wire::SummaryRequest& request, ErrorCode code, const wire::SummaryReply& reply) const;
  Mismatch check_trash(const wire::ListTrashRequest& request, ErrorCode code, const wire::ListTrashReply& reply) const;
  Mismatch check_leases(const wire::RenewLeasesRequest& request, ErrorCode code,
                        const wire::RenewLeasesReply& reply) const;

  // --- For the comparison with the rows of a node
  // "/a/b directory 7", "/a/c file 8 length 12 epoch 1 writer 3", …: all that can be reached, in order, then all that
  // is in the trash, and the quotas.
  std::vector<std::string> describe_tree() const;
  std::vector<uint64_t> sessions() const;

 private:
  static constexpr uint64_t kRootId = 1;

  struct Attempt {
    uint32_t index = 0;
    uint64_t server = 0;
    uint64_t generation = 0;  // 0: not known, for nobody was told
  };
  struct PendingBlock {
    wire::EcPolicy policy;
    std::vector<Attempt> attempts;
    uint64_t stored_bytes = 0;
  };
  struct CommittedBlock {
    uint64_t block = 0;
    uint64_t stored_bytes = 0;
    uint64_t offset = 0;
    uint64_t length = 0;   // as it was committed
    uint64_t visible = 0;  // what truncation left of that
  };
  // Of what can be restored.
  struct Kept {
    std::string path;
    std::string deleted_by;
    int64_t deleted_ms = 0;  // log time
    int64_t deleted_wall_ms = 0;
    int64_t expires_ms = 0;  // log time
  };
  struct Quota {
    uint64_t id = 0;
    uint64_t max_names = 0;
    uint64_t max_bytes = 0;
  };
  // (inode, quota) of those that something is charged to, whether they are still there or not.
  using Charges = std::set<std::pair<uint64_t, uint64_t>>;
  struct Amount {
    uint64_t names = 0;
    uint64_t bytes = 0;
  };
  struct Inode {
    uint64_t id = 0;
    bool directory = false;
    uint64_t parent = 0;       // 0: deleted, or the root
    std::optional<Kept> kept;  // in the trash, as the top of what was deleted
    std::optional<Quota> quota;
    Charges charges;  // of the directories above it, when it was cut off
    std::string name;
    uint32_t mode = 0;
    std::string owner;
    int64_t mtime_ms = 0;
    std::optional<wire::EcPolicy> policy;  // a directory's own, or the one that a file was created with
    std::map<std::string, uint64_t, std::less<>> children;
    uint64_t length = 0;
    std::string tail;  // the last bytes of that, where they are not in a block
    uint64_t lease_epoch = 0;
    uint64_t writer = 0;  // the session; 0: nobody
    std::map<uint64_t, PendingBlock> pending;
    std::vector<CommittedBlock> blocks;
  };
  struct ModelSession {
    uint64_t low_water = 1;
    int64_t last_active_ms = 0;
    std::map<uint64_t, ModelAnswer> answers;
  };
  struct Server {
    std::string uuid;
    uint64_t incarnation = 0;
    wire::ServerState state = wire::LIVE;
    wire::ServerState wanted = wire::LIVE;
    int64_t maintenance_until_ms = 0;  // log time; in MAINTENANCE
  };
  struct Lookup {
    ErrorCode code = ErrorCode::kOk;  // of the path itself, or of the way
    std::vector<uint64_t> directories;
    std::vector<std::string> names;
    uint64_t inode = 0;  // 0: not there

    size_t missing() const { return names.size() - found; }
    size_t found = 0;
  };

  Applied apply_request(const wire::Command& command, const wire::MutationResult* observed);
  ModelAnswer run(const wire::Command& command, const wire::MutationResult* observed);
  void apply_own(const wire::Command& command, Applied& applied);
  void register_server(const wire::RegisterServer& operation);
  void set_server_state(const wire::SetServerState& operation);
  void administer_server(const wire::AdministerServer& operation);
  void expire_sessions(const wire::ExpireSessions& operation);

  ModelAnswer make_directory(const wire::Command& command, const wire::MakeDirectory& operation);
  ModelAnswer set_policy(const wire::SetPolicy& operation);
  ModelAnswer create_file(const wire::Command& command, const wire::CreateFile& operation);
  ModelAnswer rename(const wire::Command& command, const wire::Rename& operation);
  ModelAnswer remove(const wire::Command& command, const wire::Delete& operation);
  ModelAnswer restore_trash(const wire::Command& command, const wire::RestoreTrash& operation);
  ModelAnswer purge_trash(const wire::PurgeTrash& operation);
  void expire_trash(const wire::ExpireTrash& operation);
  void end_keeping(Inode& inode);
  ModelAnswer recover_lease(const wire::RecoverLease& operation);
  ModelAnswer append_file(const wire::Command& command, const wire::AppendFile& operation);
  ModelAnswer truncate_file(const wire::Command& command, const wire::TruncateFile& operation);
  ModelAnswer close_file(const wire::Command& command, const wire::CloseFile& operation);
  ModelAnswer allocate_block(const wire::Command& command, const wire::AllocateBlock& operation,
                             const wire::MutationResult* observed);
  ModelAnswer replace_target(const wire::Command& command, const wire::ReplaceTarget& operation,
                             const wire::MutationResult* observed);
  ModelAnswer commit_block(const wire::Command& command, const wire::CommitBlock& operation);
  ModelAnswer commit_tail(const wire::Command& command, const wire::CommitTail& operation);
  ModelAnswer replace_blocks(const wire::ReplaceBlocks& operation);
  ModelAnswer abandon_block(const wire::AbandonBlock& operation);

  Lookup look_up(std::string_view path) const;
  const wire::EcPolicy& policy_at(const Inode& inode) const;
  Inode& add_child(const wire::Command& command, uint64_t parent, const std::string& name, bool directory,
                   uint32_t mode);
  uint64_t make_parents(const wire::Command& command, const Lookup& lookup, uint32_t mode);
  void cut_off(const wire::Command& command, uint64_t inode);
  void detach(const wire::Command& command, uint64_t inode);
  void give_to_reclaim(Inode& inode);
  void reclaim(const wire::ReclaimStep& operation);
  uint32_t take_apart_directory(uint64_t id, uint32_t budget);
  uint32_t take_apart_file(uint64_t id, uint32_t budget);
  ModelAnswer set_quota(const wire::SetQuota& operation);
  Charges charges_of(const Inode& inode) const;
  Amount amount_of(const Inode& inode) const;
  Amount amount_below(const Inode& top) const;
  Amount used_of(const Inode& directory) const;
  // Whether all quotas among `charges` that are there have room for so much more.
  bool has_room(const Charges& charges, Amount more) const;
  // Whether a tree may come to be charged to others than before, and `beside` to all of these.
  bool has_room_for(const Inode& top, const Charges& from, const Charges& to, Amount beside) const;
  bool has_room_for(const Inode& top, const Charges& from, const Charges& to) const {
    return has_room_for(top, from, to, Amount());
  }
  // The inode at the path, or why there is none.
  Result<uint64_t> find_existing(std::string_view path) const;
  // The inode of the file at the path, or what is wrong with that.
  Result<uint64_t> find_file(std::string_view path) const;
  void revoke(Inode& file);
  // The inode itself, or the one above it that has no parent.
  const Inode& top_of(const Inode& inode) const;
  bool is_attached(const Inode& inode) const { return top_of(inode).id == kRootId; }
  // It may be there by its number, or not.
  bool is_going(const Inode& inode) const { return !is_attached(inode) && !top_of(inode).kept; }
  // What is wrong with the lease; nullopt if it holds.
  std::optional<ModelAnswer> check_lease(uint64_t inode, uint64_t epoch) const;
  ErrorCode check_takes_shards(uint64_t server) const;
  // `file`: one of the model, or a copy of it.
  ErrorCode put_tail(Inode& file, uint64_t offset, const std::string& data) const;
  // The pending block becomes a committed one, which is yet to be put into the file; or what forbids that.
  ErrorCode take_pending(Inode& file, const wire::CommitBlock& operation, CommittedBlock& block) const;
  ErrorCode check_shards(const std::vector<Attempt>& attempts, const wire::EcPolicy& policy,
                         const wire::CommitBlock& operation) const;

  wire::FileStatus status_of(const Inode& inode) const;
  Mismatch check_status(const Inode& inode, const wire::FileStatus& seen) const;
  Mismatch check_trash_entry(const Inode& inode, const wire::TrashEntry& seen) const;
  Mismatch check_block_list(const Inode& file, const wire::GetBlocksRequest& request,
                            const wire::GetBlocksReply& reply) const;
  void add_up(const Inode& top, wire::SummaryReply& sum) const;
  void describe(const Inode& inode, const std::string& path, std::vector<std::string>& lines) const;

  std::map<uint64_t, Inode> inodes_;
  std::set<std::pair<int64_t, uint64_t>> trash_;  // (end, inode)
  int64_t trash_ms_ = 0;
  std::set<uint64_t> reclaiming_;
  uint64_t quotas_ = 0;  // that are there
  uint64_t next_quota_ = 1;
  std::map<uint64_t, ModelSession> sessions_;
  std::map<uint64_t, Server> servers_;
  std::string cluster_uuid_;
  int64_t log_time_ms_ = 0;
  uint64_t next_inode_ = 2;
  uint64_t next_block_ = 1;
  uint64_t next_server_ = 1;
  uint64_t next_session_ = 1;
};

}  // namespace dogfs::sim
