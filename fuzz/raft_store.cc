// What a Raft member reads back from its disk: whatever the rows are, it is a log that is whole or an error.
#include "core/raft/raft_store.h"

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "fuzz/input.h"
#include "tests/core/meta/memory_rows.h"

namespace dogfs::fuzz {
namespace {

// The value with the checksum that makes its row a good one.
std::string with_checksum(const std::string& key, std::string_view body) {
  const uint32_t crc = crc32c(body, crc32c(key));
  std::string value(body);
  for (int shift = 0; shift < 32; shift += 8) value.push_back(static_cast<char>(crc >> shift));
  return value;
}

// A key of group 0: of the log's beginning, the configuration, the hard state, a snapshot, or a log entry.
std::string draw_key(Input& input) {
  constexpr char kTags[] = {'B', 'C', 'H', 'I', 'L', 'L', 'L', 'M', 'P', 'S'};
  std::string key = "R" + std::string(sizeof(uint64_t), '\0');
  key += kTags[input.below(std::size(kTags))];
  if (key.back() == 'L') {
    key += std::string(sizeof(uint64_t) - 1, '\0');
    key += static_cast<char>(input.byte());
  }
  return key;
}

void run(Input input) {
  MemoryRows store;
  const raft::StoreIdentity identity{
      GroupId(), NodeId(1),
      raft::initial_configuration({{NodeId(1), {"n1"}}, {NodeId(2), {"n2"}}, {NodeId(3), {"n3"}}})};
  if (input.flag()) store.write(raft::encode_new_store(identity));
  while (!input.empty()) {
    std::string key = draw_key(input);
    const bool checked = input.byte() != 0;
    const std::string_view body = input.bytes();
    store.rows[key] = checked ? with_checksum(key, body) : std::string(body);
  }
  const Result<std::optional<raft::LogPosition>> install = raft::load_install(store, GroupId());
  DOGFS_CHECK(install.has_value() || install.error().code == ErrorCode::kCorrupt);
  const Result<std::optional<raft::StagedParts>> staged = raft::load_staged(store, GroupId());
  DOGFS_CHECK(staged.has_value() || staged.error().code == ErrorCode::kCorrupt);
  const Result<raft::LoadedLog> loaded = raft::load_log(store, identity, size_t{1} << 10);
  if (!loaded) return;
  const LogIndex base = loaded.value().terms.base().index;
  const LogIndex last = loaded.value().terms.last_index();
  if (base == last) return;
  const raft::LogFetch all{NodeId(), base.next(), last, {kMaxAppendBytes, kMaxEntriesPerAppend}};
  const Result<std::vector<raft::Entry>> entries = raft::read_entries(store, GroupId(), all);
  DOGFS_CHECK(entries.has_value() && !entries.value().empty(), "what was loaded can be read");
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dogfs::fuzz::run(dogfs::fuzz::Input(data, size));
  return 0;
}
