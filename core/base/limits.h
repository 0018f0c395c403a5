// Every limit that crosses a module has its name here, and those that depend on each other are tied together.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace dogfs {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;
inline constexpr size_t kGiB = 1024 * kMiB;

// --- Namespace -----------------------------------------------------------------------------------------------------
inline constexpr size_t kMaxNameBytes = 255;
inline constexpr size_t kMaxPathDepth = 128;
inline constexpr size_t kMaxPathBytes = kMaxPathDepth * (kMaxNameBytes + 1);
inline constexpr uint64_t kMaxDirectoryEntries = 16'000'000;
inline constexpr uint64_t kMaxBlocksPerFile = 1'048'576;
inline constexpr uint64_t kMaxFileBytes = 1ULL << 46;  // 64 TiB
inline constexpr size_t kMaxListPageEntries = 1000;
// Blocks of one file that may be allocated and not committed.
inline constexpr int kMaxPendingBlocks = 16;
// Blocks that others take the place of in one command.
inline constexpr int kMaxReplacedBlocks = 64;
// The end of a file that lies in the metadata itself.
inline constexpr size_t kMaxInlineTailBytes = 4 * kKiB;

// --- Erasure coding ------------------------------------------------------------------------------------------------
inline constexpr uint32_t kMaxDataShards = 32;
inline constexpr uint32_t kMaxParityShards = 16;
inline constexpr uint32_t kMaxShards = kMaxDataShards + kMaxParityShards;
static_assert(kMaxShards <= 255, "GF(2^8) has no more distinct evaluation points");
inline constexpr size_t kMinCellBytes = 4 * kKiB;
static_assert(kMaxInlineTailBytes <= kMinCellBytes, "a writer holds back a tail as a cell that is not full");
inline constexpr size_t kMaxCellBytes = 4 * kMiB;
inline constexpr uint64_t kMaxBlockBytes = 1 * kGiB;

// --- Chunk servers -------------------------------------------------------------------------------------------------
// A shard is checksummed in pieces of this size; the last may be shorter.
inline constexpr size_t kChecksumPieceBytes = 64 * kKiB;
static_assert(kMaxCellBytes % kChecksumPieceBytes == 0);
// The most payload of one append or of one reply to a read.
inline constexpr size_t kMaxTransferBytes = 4 * kMiB;
static_assert(kMaxTransferBytes % kChecksumPieceBytes == 0);
// Most bytes of one shard that a writer has on their way and a server holds until those before them have come.
inline constexpr size_t kAppendWindowBytes = 4 * kMiB;
static_assert(kAppendWindowBytes >= kMaxTransferBytes, "the window must let any one append through");
// The identity of a cluster, and of a chunk server.
inline constexpr size_t kUuidBytes = 16;
// Most shards that one heartbeat confirms as deleted, or one reply to it asks to delete.
inline constexpr int kMaxShardsPerHeartbeat = 2'000;
// Disks of one chunk server, and what is said of each.
inline constexpr int kMaxDisksPerServer = 64;
inline constexpr size_t kMaxDiskNameBytes = 255;
inline constexpr size_t kMaxDiskAlarmBytes = 255;
// A disk with less free is full: it takes no shards, and gives away some of those that it has.
constexpr uint64_t full_below(uint64_t total_bytes) {
  return std::min<uint64_t>(256 * kMiB, total_bytes / 100);
}
// How many times that much is free when it has given enough away, and at least where they go to: nothing that is moved
// for room has another disk give something away for it.
inline constexpr uint64_t kRelievedTimes = 2;
inline constexpr uint64_t kRoomyTimes = 3;
static_assert(kRoomyTimes > kRelievedTimes);
// What the file of a shard takes of its disk at most, with its header and its checksums.
constexpr uint64_t shard_file_bound(uint64_t length) {
  return length + length / 8192 + 16 * kKiB;
}
inline constexpr uint32_t kMaxRackBytes = 255;
inline constexpr uint32_t kMaxAddressBytes = 255;

// --- Wire ----------------------------------------------------------------------------------------------------------
inline constexpr size_t kMaxFrameHeadBytes = 4 * kKiB;
inline constexpr size_t kMaxPrincipalBytes = 255;
inline constexpr size_t kMaxFrameBodyBytes = 8 * kMiB;
inline constexpr size_t kMaxFramePayloadBytes = kMaxTransferBytes;
static_assert(kMaxFramePayloadBytes >= kMaxCellBytes);
inline constexpr size_t kMaxErrorDetailBytes = 1 * kKiB;
static_assert(kMaxErrorDetailBytes < kMaxFrameHeadBytes);

// --- Raft ----------------------------------------------------------------------------------------------------------
inline constexpr size_t kMaxCommandBytes = 1 * kMiB;
inline constexpr size_t kMaxAppendBytes = 2 * kMiB;
static_assert(kMaxCommandBytes <= kMaxAppendBytes, "an append must be able to carry any one command");
static_assert(kMaxAppendBytes + kMaxCommandBytes < kMaxFrameBodyBytes, "an append must fit a frame");
inline constexpr size_t kMaxEntriesPerAppend = 4096;
// Appends that one follower has not answered yet.
inline constexpr size_t kMaxInflightAppends = 256;
inline constexpr size_t kMaxInflightAppendBytes = 16 * kMiB;
static_assert(kMaxInflightAppendBytes >= kMaxAppendBytes);
// A leader takes no more proposals while as much is uncommitted.
inline constexpr size_t kMaxUncommittedBytes = 64 * kMiB;
static_assert(kMaxUncommittedBytes >= kMaxCommandBytes);
// Log entries that a member keeps in memory after they are durable.
inline constexpr size_t kMaxLogCacheBytes = 32 * kMiB;
// The tail of the log that a member keeps behind what it has applied durably.
inline constexpr size_t kKeptLogBytes = 64 * kMiB;
inline constexpr size_t kKeptLogEntries = 100'000;
// What a leader keeps at most for followers that are alive but behind; they are then sent a snapshot.
inline constexpr size_t kHeldLogBytes = 512 * kMiB;
inline constexpr size_t kHeldLogEntries = 1'000'000;
static_assert(kHeldLogBytes >= kKeptLogBytes && kHeldLogEntries >= kKeptLogEntries);
// Rows in one part of a snapshot, or a single larger one; and the most of a part, with what the encoding adds to rows.
inline constexpr size_t kSnapshotChunkBytes = 1 * kMiB;
inline constexpr size_t kMaxSnapshotChunkBytes = 4 * kMiB;
static_assert(2 * kSnapshotChunkBytes < kMaxSnapshotChunkBytes);
static_assert(kMaxSnapshotChunkBytes + kMaxCommandBytes < kMaxFrameBodyBytes, "a part of a snapshot must fit a frame");
// Committed entries that are applied as one batch.
inline constexpr size_t kMaxApplyBytes = 4 * kMiB;
static_assert(kMaxApplyBytes >= kMaxCommandBytes);
inline constexpr size_t kMaxEntriesPerApply = 4096;
// Messages from the network that wait to be stepped; more are dropped, as a network may.
inline constexpr size_t kMaxRaftInboxMessages = 8192;
inline constexpr size_t kMaxRaftInboxBytes = 64 * kMiB;
inline constexpr size_t kMaxRaftVoters = 15;
// Entries of all messages in one frame.
inline constexpr size_t kMaxRaftFrameEntries = 64 * kMaxEntriesPerAppend;
// No group gets that far. What is above is refused where it comes in, so that no arithmetic on it overflows; and a node id
// that no other can exceed would end the growth of its group.
inline constexpr uint64_t kMaxTerm = 1ULL << 48;
inline constexpr uint64_t kMaxLogIndex = 1ULL << 56;
inline constexpr uint64_t kMaxNodeId = 1ULL << 32;
// With learners, and with both halves of a joint configuration.
inline constexpr size_t kMaxRaftMembers = 32;
static_assert(kMaxRaftMembers >= 2 * kMaxRaftVoters, "any change of voters must fit");
// A session keeps the replies of its latest requests, each of at most so many bytes: 1 MiB in all.
inline constexpr uint32_t kMaxRequestsInFlightPerSession = 256;
inline constexpr size_t kMaxKeptReplyBytes = 4 * kKiB;
static_assert(kMaxErrorDetailBytes < kMaxKeptReplyBytes);
static_assert(size_t{64} * kMaxShards < kMaxKeptReplyBytes, "the largest reply names a target for each shard");

}  // namespace dogfs
