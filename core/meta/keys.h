// Where each row of the metadata lies in the KvStore.
//
// Every key begins with 'M' and the Raft group (8 bytes), so that groups share a store, then a byte for the table.
// Ids are big-endian, so that the order of keys is the order of ids:
//
//   'A'                                          applied log index, 8 bytes
//   'C'                                          CountersRow
//   'i' inode                                    InodeRow
//   'e' parent inode, name                       DirectoryEntryRow: a listing is a range scan, a rename one write
//   'b' block                                    BlockRow
//   'f' inode, offset                            FileBlockRow: the committed blocks of a file in order
//   'n' inode                                    InlineTailRow: the end of a file that is too short for a block
//   'l' inode                                    LeaseRow: the files that are being written
//   'd' inode                                    DetachedRow: the deleted trees that are being reclaimed
//   't' end (log time), inode                    TrashRow: the deleted trees that can be restored
//   'o' inode                                    QuotaRow: the directories that have one
//   'c' server                                   ChunkServerRow
//   'u' server uuid                              server id, 8 bytes
//   's' session                                  SessionRow
//   'r' session, sequence                        CommandReply
//   'g' server, block, index (4 bytes), generation   GarbageRow: a shard that is to be deleted from its server
//   'k' server, block                            ListedShardRow: the shards that a server should have
//   'q' risk (1 byte), block                     nothing: the blocks that need work, most urgent first (risk.h)
//   'p' block                                    nothing: the blocks that have repairs under way
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/ids.h"
#include "core/env/kv_store.h"
#include "core/meta/placed_shard.h"
#include "core/meta/risk.h"

namespace dogfs {

inline constexpr InodeId kRootInode{1};

// What a part of a key says. Preconditions: the key is one of the table, made by MetaKeys.
uint64_t last_id(std::string_view key);
InodeId entry_parent(std::string_view key);
std::string_view entry_name(std::string_view key);
int64_t trash_expiry(std::string_view key);
GarbageShard garbage_shard(std::string_view key);
Risk risk_in(std::string_view key);
ServerId listing_server(std::string_view key);

void append_big_endian(std::string& out, uint64_t value);
// Precondition: at least 8 bytes.
uint64_t read_big_endian(std::string_view bytes);

class MetaKeys {
 public:
  explicit MetaKeys(GroupId group);

  std::string applied() const { return table('A'); }
  std::string counters() const { return table('C'); }
  std::string inode(InodeId inode) const { return with_id('i', inode.value()); }
  std::string entry(InodeId parent, std::string_view name) const;
  std::string block(BlockId block) const { return with_id('b', block.value()); }
  std::string file_block(InodeId inode, uint64_t offset) const;
  std::string inline_tail(InodeId inode) const { return with_id('n', inode.value()); }
  std::string lease(InodeId inode) const { return with_id('l', inode.value()); }
  std::string detached(InodeId inode) const { return with_id('d', inode.value()); }
  std::string trash(int64_t expires_ms, InodeId inode) const;
  std::string quota(InodeId inode) const { return with_id('o', inode.value()); }
  std::string server(ServerId server) const { return with_id('c', server.value()); }
  std::string server_uuid(std::string_view uuid) const { return table('u').append(uuid); }
  std::string session(SessionId session) const { return with_id('s', session.value()); }
  std::string reply(SessionId session, SequenceNumber sequence) const;
  std::string garbage(const GarbageShard& shard) const;
  std::string listed(ServerId server, BlockId block) const;
  std::string at_risk(Risk risk, BlockId block) const;
  std::string reserved(BlockId block) const { return with_id('p', block.value()); }

  KeyRange all() const;
  KeyRange inodes() const { return whole('i'); }
  KeyRange all_entries() const { return whole('e'); }
  // Entries of `parent` with names greater than `after`; all of them where it is empty.
  KeyRange entries(InodeId parent, std::string_view after) const;
  KeyRange blocks() const { return whole('b'); }
  KeyRange blocks_after(BlockId after) const { return behind('b', after.value()); }
  KeyRange all_file_blocks() const { return whole('f'); }
  KeyRange all_inline_tails() const { return whole('n'); }
  // Blocks of a file that begin at `offset` or behind it.
  KeyRange file_blocks(InodeId inode, uint64_t offset) const;
  // Blocks of a file that begin at `offset` or before it.
  KeyRange file_blocks_up_to(InodeId inode, uint64_t offset) const;
  // Rows of ids greater than `after`.
  KeyRange leases(InodeId after) const { return behind('l', after.value()); }
  KeyRange detached_after(InodeId after) const { return behind('d', after.value()); }
  KeyRange all_trash() const { return whole('t'); }
  // What is to go at `now_ms` or before.
  KeyRange trash_due(int64_t now_ms) const;
  // What goes behind this one.
  KeyRange trash_after(int64_t expires_ms, InodeId inode) const;
  KeyRange all_quotas() const { return whole('o'); }
  KeyRange servers() const { return whole('c'); }
  KeyRange sessions(SessionId after) const { return behind('s', after.value()); }
  KeyRange replies(SessionId session) const;
  KeyRange all_replies() const { return whole('r'); }
  KeyRange garbage_of(ServerId server) const;
  KeyRange all_garbage() const { return whole('g'); }
  // Blocks of `server` with ids greater than `after`.
  KeyRange listed_of(ServerId server, BlockId after) const;
  KeyRange all_listed() const { return whole('k'); }
  KeyRange all_at_risk() const { return whole('q'); }
  KeyRange at_risk(Risk risk) const;
  KeyRange all_reserved() const { return whole('p'); }

 private:
  std::string table(char table) const;
  std::string with_id(char table, uint64_t id) const;
  KeyRange whole(char table_byte) const;
  KeyRange behind(char table_byte, uint64_t after) const;

  std::string prefix_;
};

}  // namespace dogfs
