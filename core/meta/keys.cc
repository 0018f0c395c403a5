#include "core/meta/keys.h"

#include <limits>

#include "core/base/check.h"

namespace dogfs {
namespace {

constexpr size_t kIdBytes = 8;
constexpr size_t kTableOffset = 1 + kIdBytes;
constexpr size_t kFirstIdOffset = kTableOffset + 1;
constexpr size_t kReservedBytes = 40;

// The least key greater than every key that begins with `prefix`. Precondition: its last byte is not 0xff.
std::string end_of(std::string prefix) {
  const auto last = static_cast<unsigned char>(prefix.back());
  DOGFS_CHECK(last != 0xff);
  prefix.back() = static_cast<char>(last + 1);
  return prefix;
}

}  // namespace

void append_big_endian(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

uint64_t read_big_endian(std::string_view bytes) {
  DOGFS_CHECK(bytes.size() >= kIdBytes);
  uint64_t value = 0;
  for (size_t i = 0; i < kIdBytes; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

uint64_t last_id(std::string_view key) {
  return read_big_endian(key.substr(key.size() - kIdBytes));
}

InodeId entry_parent(std::string_view key) {
  return InodeId(read_big_endian(key.substr(kFirstIdOffset)));
}

std::string_view entry_name(std::string_view key) {
  return key.substr(kFirstIdOffset + kIdBytes);
}

GarbageShard garbage_shard(std::string_view key) {
  const std::string_view ids = key.substr(kFirstIdOffset);
  DOGFS_CHECK(ids.size() == 3 * kIdBytes + 4);
  // The index has 4 bytes: the 8 that end where it ends hold it in their lower half.
  const uint64_t index = read_big_endian(ids.substr(2 * kIdBytes - 4)) & std::numeric_limits<uint32_t>::max();
  return {.server = ServerId(read_big_endian(ids)),
          .block = BlockId(read_big_endian(ids.substr(kIdBytes))),
          .index = ShardIndex(static_cast<uint32_t>(index)),
          .generation = ShardGeneration(read_big_endian(ids.substr(2 * kIdBytes + 4)))};
}

int64_t trash_expiry(std::string_view key) {
  return static_cast<int64_t>(read_big_endian(key.substr(kFirstIdOffset)));
}

Risk risk_in(std::string_view key) {
  return static_cast<Risk>(key.at(kFirstIdOffset));
}

ServerId listing_server(std::string_view key) {
  return ServerId(read_big_endian(key.substr(kFirstIdOffset)));
}

MetaKeys::MetaKeys(GroupId group) : prefix_(1, 'M') {
  append_big_endian(prefix_, group.value());
}

std::string MetaKeys::table(char table) const {
  std::string key;
  key.reserve(kReservedBytes);
  key.append(prefix_).push_back(table);
  return key;
}

std::string MetaKeys::with_id(char table_byte, uint64_t id) const {
  std::string key = table(table_byte);
  append_big_endian(key, id);
  return key;
}

KeyRange MetaKeys::whole(char table_byte) const {
  return {table(table_byte), end_of(table(table_byte))};
}

KeyRange MetaKeys::behind(char table_byte, uint64_t after) const {
  return {with_id(table_byte, after).append(1, '\0'), end_of(table(table_byte))};
}

KeyRange MetaKeys::all() const {
  return {prefix_, table('\xff')};
}

std::string MetaKeys::entry(InodeId parent, std::string_view name) const {
  return with_id('e', parent.value()).append(name);
}

KeyRange MetaKeys::entries(InodeId parent, std::string_view after) const {
  std::string begin = entry(parent, after);
  if (!after.empty()) begin.push_back('\0');
  return {std::move(begin), with_id('e', parent.next().value())};
}

// Log times are never negative, so that their order is that of their bytes.
std::string MetaKeys::trash(int64_t expires_ms, InodeId inode) const {
  std::string key = with_id('t', static_cast<uint64_t>(expires_ms));
  append_big_endian(key, inode.value());
  return key;
}

KeyRange MetaKeys::trash_due(int64_t now_ms) const {
  return {table('t'), with_id('t', static_cast<uint64_t>(now_ms) + 1)};
}

KeyRange MetaKeys::trash_after(int64_t expires_ms, InodeId inode) const {
  return {trash(expires_ms, inode).append(1, '\0'), end_of(table('t'))};
}

std::string MetaKeys::file_block(InodeId inode, uint64_t offset) const {
  std::string key = with_id('f', inode.value());
  append_big_endian(key, offset);
  return key;
}

KeyRange MetaKeys::file_blocks(InodeId inode, uint64_t offset) const {
  return {file_block(inode, offset), with_id('f', inode.next().value())};
}

KeyRange MetaKeys::file_blocks_up_to(InodeId inode, uint64_t offset) const {
  return {with_id('f', inode.value()), file_block(inode, offset).append(1, '\0')};
}

std::string MetaKeys::reply(SessionId session, SequenceNumber sequence) const {
  std::string key = with_id('r', session.value());
  append_big_endian(key, sequence.value());
  return key;
}

KeyRange MetaKeys::replies(SessionId session) const {
  return {with_id('r', session.value()), with_id('r', session.next().value())};
}

std::string MetaKeys::garbage(const GarbageShard& shard) const {
  std::string key = with_id('g', shard.server.value());
  append_big_endian(key, shard.block.value());
  const uint32_t index = shard.index.value();
  for (int shift = 24; shift >= 0; shift -= 8) key.push_back(static_cast<char>(index >> shift));
  append_big_endian(key, shard.generation.value());
  return key;
}

std::string MetaKeys::listed(ServerId server, BlockId block) const {
  std::string key = with_id('k', server.value());
  append_big_endian(key, block.value());
  return key;
}

KeyRange MetaKeys::listed_of(ServerId server, BlockId after) const {
  return {listed(server, after).append(1, '\0'), with_id('k', server.next().value())};
}

std::string MetaKeys::at_risk(Risk risk, BlockId block) const {
  std::string key = table('q').append(1, static_cast<char>(risk));
  append_big_endian(key, block.value());
  return key;
}

KeyRange MetaKeys::at_risk(Risk risk) const {
  const std::string begin = table('q').append(1, static_cast<char>(risk));
  return {begin, end_of(begin)};
}

KeyRange MetaKeys::garbage_of(ServerId server) const {
  return {with_id('g', server.value()), with_id('g', server.next().value())};
}

}  // namespace dogfs
