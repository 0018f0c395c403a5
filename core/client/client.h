// The file-system client: finds the leader, retries what may be retried exactly once, writes files block by block to
// the chunk servers and reads them back around what is missing. Belongs to one executor.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/env/env.h"
#include "core/wire/common.pb.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

struct ClientOptions {
  std::vector<Address> meta_nodes;
  std::string principal;  // cut to kMaxPrincipalBytes, and told as printable() shows it
  // How long one operation on the metadata is retried, over redirects and elections.
  Duration metadata_timeout = seconds(15);
  // An operation gives up with kNoLeader once no node has known a leader for this long: the cluster has no majority.
  Duration leaderless_patience = seconds(4);
  // One request of a reader to a chunk server.
  Duration shard_timeout = seconds(10);
  // A chunk server that takes nothing of a shard for so long counts as failed, and is replaced while there is another.
  Duration stall_timeout = seconds(10);
  // Once d + 1 shards of a block are sealed, a server that does not have its own sealed after this long is replaced while
  // there is another: long enough to find that a server hangs, and to send its shard to another.
  Duration straggler_timeout = seconds(15);
  // A block that can have d + 1 shards on no servers that there are is given up after this long: they may only be
  // restarting.
  Duration stuck_timeout = seconds(5);
  // A block that gets no further towards d + 1 shards for so long is given up, however many servers may be tried yet. So
  // a write that cannot succeed ends within stall_timeout + write_patience and what the metadata takes. One that has them
  // for so long is committed with what it has.
  Duration write_patience = seconds(60);
  // User bytes that a writer may hold which are not committed yet; at least one block.
  uint64_t write_buffer_bytes = 192ULL << 20;
  // A file whose end would be a block of no more bytes has them in its inode instead (core/meta/inline_tail.h), within
  // kMaxInlineTailBytes and less than a cell; 0: never.
  size_t most_inline_bytes = kMaxInlineTailBytes;
  // User bytes that a sequential reader fetches ahead.
  uint64_t read_ahead_bytes = 32ULL << 20;
};

struct CreateOptions {
  bool overwrite = false;
  bool parents = false;
  uint32_t mode = 0644;
  uint64_t expected_bytes = 0;  // 0: unknown
};

struct MakeDirectoryOptions {
  bool parents = false;
  uint32_t mode = 0755;
  const wire::EcPolicy* policy = nullptr;  // none: inherit
};

// The file that is being written, and the right to.
struct WriteLease {
  InodeId inode;
  LeaseEpoch epoch;
};

struct DeleteOptions {
  bool recursive = false;
  bool skip_trash = false;  // gone for good, although the cluster keeps what is deleted
  // Only if what is there is the file that was written under this lease (kGone), and nobody has had a lease of it since,
  // nor was it taken away (kLeaseLost).
  std::optional<WriteLease> written_under = std::nullopt;
};

struct RestoreOptions {
  std::string target;    // empty: the path that it had
  bool parents = false;  // make the directories that are missing above it
};

// What was reached for the blocks of a file that was written.
struct WriteOutcome {
  uint64_t bytes = 0;
  uint64_t blocks = 0;
  uint64_t blocks_short = 0;  // committed with fewer than d + m shards
  uint32_t least_spares = 0;  // shards beyond d of the weakest block; 0 without blocks
};

// Writes one file from where it was opened to its end. One call at a time.
class FileWriter {
 public:
  virtual ~FileWriter() = default;
  // Takes the bytes; suspends while the buffer is full. An error is final: the file keeps its committed blocks.
  virtual Task<Status> write(Bytes data) = 0;
  // Resumes when all that was written is durable and part of the file, for whoever opens it from then on. The block that
  // was being filled ends there, and the next one begins: each sync costs a block, unless what is behind the last one is
  // small enough to be kept with the inode. So it is for records, not for bytes.
  virtual Task<Status> sync() = 0;
  // Under which it writes, or wrote.
  virtual WriteLease lease() const = 0;
  // What was reached for the blocks that were committed so far. `bytes` are those in blocks.
  virtual WriteOutcome committed() const = 0;
  // Commits what is left, waits for all blocks, and ends the lease.
  virtual Task<Result<WriteOutcome>> close() = 0;
  // Gives the file up: what was not committed is abandoned. Called instead of close().
  virtual Task<void> abort() = 0;
};

// Bytes [offset, offset + length) of a file.
struct FileRange {
  uint64_t offset = 0;
  size_t length = 0;
};

class FileReader {
 public:
  virtual ~FileReader() = default;
  virtual uint64_t size() const = 0;
  // The bytes of [offset, offset + length), fewer only at the end of the file. Damaged or missing shards are decoded
  // around; kDataLoss when fewer than d are intact. Sequential calls read ahead.
  virtual Task<Result<BytesChain>> read(uint64_t offset, size_t length) = 0;
  // As many reads at once: the bytes of each range, in the order of the ranges, which may overlap and need not ascend.
  // They are fetched side by side, about read_ahead_bytes at a time, and do not disturb sequential reads.
  virtual Task<Result<std::vector<BytesChain>>> read_ranges(std::vector<FileRange> ranges) = 0;
};

// What reading a stored shard to its end gave.
struct ShardFinding {
  enum class Kind : uint8_t {
    kIntact,
    kDamaged,      // its bytes are not those that were committed
    kMissing,      // its server does not have it
    kUnreachable,  // nothing can be said of it: it could not be read
    kNotStored     // the metadata lists it nowhere
  };
  Kind kind = Kind::kNotStored;
  wire::Shard shard;               // as the metadata located it last
  Error error{ErrorCode::kOk};     // why it is not intact
  Status reported = Status(ok());  // of a damaged one: whether the metadata has heard
};

// What converting a file did.
struct ConvertOutcome {
  uint64_t blocks_before = 0;
  uint64_t blocks = 0;   // that it has now
  WriteOutcome written;  // of those, what was written anew
};

struct VerifyRequest {
  uint64_t inode = 0;
  wire::BlockLocation block;               // of that file
  std::function<void(uint64_t)> on_bytes;  // called as bytes are read, with how many
};

class Client {
 public:
  Client(Env& env, ClientOptions options);
  ~Client();

  Task<Status> make_directory(std::string path, MakeDirectoryOptions options);
  Task<Result<std::unique_ptr<FileWriter>>> create(std::string path, CreateOptions options);
  // Writes on behind the end of a closed file. kLeaseHeld while somebody else writes it.
  Task<Result<std::unique_ptr<FileWriter>>> append(std::string path);
  // Cuts a closed file to `length`. kInvalidArgument where it is shorter already. After any other error the file may
  // have any length from `length` to the one it had.
  Task<Status> truncate(std::string path, uint64_t length);
  // Writes those blocks of a closed file anew that have another policy than it is to have from now on (none: than it
  // has), and joins short neighbours. Its bytes stay as they are, and readers go on. kLeaseHeld while somebody writes it.
  Task<Result<ConvertOutcome>> convert(std::string path, std::optional<wire::EcPolicy> policy);
  Task<Result<std::unique_ptr<FileReader>>> open(std::string path);
  Task<Result<wire::FileStatus>> stat(std::string path);
  // One page of entries with names greater than `after`.
  Task<Result<wire::ListReply>> list(std::string path, std::string after, uint32_t limit);
  Task<Result<wire::ListReply>> list(wire::ListRequest request);
  Task<Status> rename(std::string source, std::string target, bool replace);
  // The result says whether it is in the trash.
  Task<Result<wire::DeleteResult>> remove(std::string path, DeleteOptions options);
  // Takes the tree whose top is `inode` out of the trash. kNotFound where it is not there (any more).
  Task<Status> restore_trash(uint64_t inode, RestoreOptions options);
  // Ends the keeping of one tree in the trash, or of all that are there.
  Task<Status> purge_trash(uint64_t inode);
  Task<Status> empty_trash();
  // One page of what is in the trash, what goes first at the front.
  Task<Result<wire::ListTrashReply>> list_trash(wire::ListTrashRequest request);
  // For how long what is deleted is kept: sets it, or only tells.
  Task<Result<wire::AdministerTrashReply>> administer_trash(wire::AdministerTrashRequest request);
  // Of the files that are made in this directory, and below it, from now on. None: the parent's.
  Task<Status> set_policy(std::string path, std::optional<wire::EcPolicy> policy);
  // Sets, changes or clears how much there may be in a directory and below it.
  Task<Status> set_quota(wire::SetQuota quota);
  // The quotas that bind a path, with what is used of them, the root's first.
  Task<Result<wire::GetQuotasReply>> quotas(std::string path);
  Task<Status> recover_lease(std::string path);
  Task<Result<wire::GetBlocksReply>> blocks(std::string path, uint64_t offset, uint64_t length);
  Task<Result<wire::GetBlocksReply>> blocks(wire::GetBlocksRequest request);
  // Reads every stored shard of a block, all at once and a MiB of each at a time, at the pace of background work. One
  // finding for each shard of the location, in its order. Damage is reported, so that it is repaired. kGone: the file
  // does not have the block any more.
  Task<Result<std::vector<ShardFinding>>> verify_block(VerifyRequest request);
  Task<Result<wire::SummaryReply>> summary(std::string path);
  // As the leader knows it, or else whichever node answers. `count_blocks`: of the servers that are not LIVE, and the
  // files that are being written.
  Task<Result<wire::ClusterStatusReply>> status(bool count_blocks = false);

  // Who is in the metadata group. As the leader knows it, or else whichever node answers.
  Task<Result<wire::MembershipReply>> membership();
  // Resumes when the change is complete. It may be repeated. kConflict: not now, for the reason that the text says.
  Task<Result<wire::MembershipReply>> change_membership(wire::ChangeMembershipRequest change);
  // 0: to the voter with the most of the log.
  Task<Result<wire::MembershipReply>> transfer_leadership(uint64_t target);
  // What the operator wants of a chunk server. Resumes when it is committed. kConflict, kNoSpace: its blocks cannot bear
  // that, for the reason that the text says.
  Task<Result<wire::AdministerServerReply>> administer_server(wire::AdministerServerRequest request);
  // Starts or stops the moving of shards to servers that are less full, or only tells how it is.
  Task<Result<wire::BalanceReply>> balance(wire::BalanceRequest request);

  // Ends what runs in the background (lease renewal). Precondition: no operation is under way.
  Task<void> stop();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dogfs
