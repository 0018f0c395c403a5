#include "core/raft/raft_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/checksum.h"
#include "core/base/mutant.h"
#include "core/raft/codec.h"

namespace dogfs::raft {

namespace {

constexpr char kBaseTag = 'B';
constexpr char kConfigTag = 'C';
constexpr char kHardStateTag = 'H';
constexpr char kInstallTag = 'I';
constexpr char kLogTag = 'L';
constexpr char kLogEndTag = kLogTag + 1;
constexpr char kPartsTag = 'P';
constexpr char kStagedTag = 'S';
constexpr size_t kChecksumBytes = 4;
constexpr size_t kIndexBytes = 8;

void append_big_endian(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

std::string group_key(GroupId group, char tag) {
  std::string key("R");
  append_big_endian(key, group.value());
  key.push_back(tag);
  return key;
}

std::string entry_key(GroupId group, LogIndex index) {
  std::string key = group_key(group, kLogTag);
  append_big_endian(key, index.value());
  return key;
}

uint32_t record_crc(std::string_view key, std::string_view body) {
  return crc32c(body, crc32c(key));
}

template <class Message>
void put_record(WriteBatch& batch, std::string key, const Message& message) {
  std::string value = message.SerializeAsString();
  const uint32_t crc = record_crc(key, value);
  for (int shift = 0; shift < 32; shift += 8) value.push_back(static_cast<char>(crc >> shift));
  batch.put(std::move(key), std::move(value));
}

Error corrupt(GroupId group, std::string_view what) {
  return Error(ErrorCode::kCorrupt, fmt::format("raft store of group {}: {}. This node may have forgotten votes or "
                                                "entries that it acknowledged, and must come back as a new node",
                                                group, what));
}

template <class Message>
Result<Message> parse_record(GroupId group, std::string_view key, std::string_view value, std::string_view name) {
  if (value.size() < kChecksumBytes) return corrupt(group, fmt::format("{} is cut short", name));
  const std::string_view body = value.substr(0, value.size() - kChecksumBytes);
  uint32_t stored = 0;
  for (size_t i = 0; i < kChecksumBytes; ++i) {
    stored |= uint32_t{static_cast<uint8_t>(value[body.size() + i])} << (8 * i);
  }
  if (stored != record_crc(key, body)) return corrupt(group, fmt::format("{} has a wrong checksum", name));
  Message message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return corrupt(group, fmt::format("{} does not parse", name));
  }
  return message;
}

template <class Message>
Result<std::optional<Message>> get_record(const KvReader& store, GroupId group, char tag, std::string_view name) {
  const std::string key = group_key(group, tag);
  DOGFS_TRY(const std::optional<std::string> value, store.get(key));
  if (!value) return std::optional<Message>();
  DOGFS_TRY(Message message, parse_record<Message>(group, key, *value, name));
  return std::optional<Message>(std::move(message));
}

// The log index in a key of the log; none where it is no such key.
LogIndex index_of_key(std::string_view key) {
  const size_t prefix = 1 + sizeof(uint64_t) + 1;
  if (key.size() != prefix + kIndexBytes) return LogIndex();
  uint64_t index = 0;
  for (const char byte : key.substr(prefix)) index = index << 8 | static_cast<uint8_t>(byte);
  return LogIndex(index);
}

Result<Entry> parse_entry(GroupId group, std::string_view key, std::string_view value) {
  const LogIndex index = index_of_key(key);
  const std::string name = fmt::format("log entry {}", index);
  DOGFS_TRY(wire::RaftEntry message, parse_record<wire::RaftEntry>(group, key, value, name));
  Result<Entry> entry = decode_entry(std::move(message));
  if (!entry || entry.value().index != index) return corrupt(group, name + " is not a valid entry");
  return entry;
}

// Calls `visit` with each entry from `first` until it returns an error or false.
Status scan_entries(const KvReader& store, GroupId group, LogIndex first,
                    const std::function<Result<bool>(Entry)>& visit) {
  Status status = ok();
  const auto visit_record = [&](std::string_view key, std::string_view value) {
    Result<Entry> entry = parse_entry(group, key, value);
    if (!entry) {
      status = std::move(entry).error();
      return false;
    }
    const Result<bool> more = visit(std::move(entry).value());
    if (!more) status = more.error();
    return more.has_value() && more.value();
  };
  DOGFS_TRYV(store.scan(entry_key(group, first), group_key(group, kLogEndTag), visit_record));
  return status;
}

Result<ConfigurationHistory> history_from(GroupId group, LogIndex index, const wire::RaftConfiguration& message) {
  Result<Configuration> configuration = decode_configuration(message);
  if (!configuration) return corrupt(group, "the configuration before the log is not valid");
  return ConfigurationHistory(ConfigurationHistory::Item{index, std::move(configuration).value()});
}

Status load_base(const KvReader& store, GroupId group, LoadedLog& loaded) {
  DOGFS_TRY(const auto base, get_record<wire::RaftLogBase>(store, group, kBaseTag, "the beginning of the log"));
  if (!base) return ok();
  loaded.terms = TermRuns(LogPosition{LogIndex(base->index()), Term(base->term())});
  loaded.sizes = LogSizes(LogIndex(base->index()));
  const LogIndex configuration_index(base->configuration_index());
  DOGFS_TRY(loaded.configurations, history_from(group, configuration_index, base->configuration()));
  return ok();
}

// Precondition: the base was loaded.
Status load_entries(const KvReader& store, GroupId group, size_t max_tail_bytes, LoadedLog& loaded) {
  size_t tail_bytes = 0;
  return scan_entries(store, group, loaded.terms.last_index().next(), [&](Entry entry) -> Result<bool> {
    if (entry.index != loaded.terms.last_index().next()) {
      return corrupt(group, fmt::format("log entries from {} to {} are missing", loaded.terms.last_index().next(),
                                        entry.index.previous()));
    }
    if (entry.term < loaded.terms.last_term()) {
      return corrupt(group, fmt::format("the term falls at log entry {}", entry.index));
    }
    loaded.terms.append(entry.term);
    loaded.sizes.append(entry.bytes());
    if (entry.configuration) loaded.configurations.append(entry.index, *entry.configuration);
    tail_bytes += entry.bytes();
    loaded.tail.push_back(std::move(entry));
    while (tail_bytes > max_tail_bytes && loaded.tail.size() > 1) {
      tail_bytes -= loaded.tail.front().bytes();
      loaded.tail.pop_front();
    }
    return true;
  });
}

Status check_identity(const StoreIdentity& identity, const wire::RaftGroupConfig& config) {
  if (config.self() == identity.self.value()) return ok();
  return Error(ErrorCode::kConflict, fmt::format("the raft store of group {} belongs to node {}, not to node {}",
                                                 identity.group, config.self(), identity.self));
}

Status check_end(GroupId group, const wire::RaftHardState& hard_state, const TermRuns& terms) {
  if (terms.last_index().value() != hard_state.last_index() || terms.last_term().value() != hard_state.last_term()) {
    return corrupt(group,
                   fmt::format("the log ends at entry {} of term {}, but was written up to entry {} of term {}",
                               terms.last_index(), terms.last_term(), hard_state.last_index(), hard_state.last_term()));
  }
  if (hard_state.commit() > hard_state.last_index() || hard_state.commit() < terms.base().index.value() ||
      hard_state.last_term() > hard_state.term()) {
    return corrupt(group, "term, commit index and log contradict each other");
  }
  return ok();
}

wire::RaftHardState encode_hard_state(const HardState& state, LogPosition last) {
  wire::RaftHardState message;
  message.set_term(state.term.value());
  message.set_voted_for(state.voted_for.value());
  message.set_commit(state.commit.value());
  message.set_last_index(last.index.value());
  message.set_last_term(last.term.value());
  return message;
}

void add_compaction(WriteBatch& batch, GroupId group, const LogCompaction& compaction) {
  batch.erase_range(entry_key(group, compaction.first), entry_key(group, compaction.base.index.next()));
  wire::RaftLogBase base;
  base.set_index(compaction.base.index.value());
  base.set_term(compaction.base.term.value());
  base.set_configuration_index(compaction.configuration.index.value());
  encode_configuration(compaction.configuration.configuration, *base.mutable_configuration());
  put_record(batch, group_key(group, kBaseTag), base);
}

}  // namespace

WriteBatch encode_new_store(const StoreIdentity& identity) {
  WriteBatch batch;
  wire::RaftGroupConfig config;
  config.set_self(identity.self.value());
  config.set_store(identity.store.value());
  encode_configuration(identity.initial, *config.mutable_initial());
  put_record(batch, group_key(identity.group, kConfigTag), config);
  put_record(batch, group_key(identity.group, kHardStateTag), encode_hard_state(HardState(), LogPosition()));
  return batch;
}

WriteBatch encode_batch(GroupId group, const PersistBatch& from) {
  WriteBatch batch;
  const bool keeps_tail =
      mutant_active(Mutant::kSnapshotKeepsTail) && from.install && from.last.index > from.install->index;
  if (from.truncate_from && !keeps_tail) {
    batch.erase_range(entry_key(group, *from.truncate_from), group_key(group, kLogEndTag));
  }
  for (const Entry& entry : from.entries) {
    wire::RaftEntry message;
    encode_entry(entry, message);
    put_record(batch, entry_key(group, entry.index), message);
  }
  put_record(batch, group_key(group, kHardStateTag), encode_hard_state(from.hard_state, from.last));
  if (from.compaction) add_compaction(batch, group, *from.compaction);
  if (from.install) {
    wire::RaftInstall install;
    install.set_index(from.install->index.value());
    install.set_term(from.install->term.value());
    put_record(batch, group_key(group, kInstallTag), install);
  }
  return batch;
}

Result<std::optional<LogPosition>> load_install(const KvReader& store, GroupId group) {
  DOGFS_TRY(const auto install, get_record<wire::RaftInstall>(store, group, kInstallTag, "the snapshot to install"));
  if (!install) return std::optional<LogPosition>();
  return std::optional(LogPosition{LogIndex(install->index()), Term(install->term())});
}

void erase_install(WriteBatch& batch, GroupId group) {
  batch.erase(group_key(group, kInstallTag));
}

Result<std::optional<StagedParts>> load_staged(const KvReader& store, GroupId group) {
  DOGFS_TRY(const auto staged, get_record<wire::RaftStaged>(store, group, kPartsTag, "what is staged of a snapshot"));
  if (!staged) return std::optional<StagedParts>();
  DOGFS_TRY(const auto hard_state, get_record<wire::RaftHardState>(store, group, kHardStateTag, "the hard state"));
  if (!hard_state) return corrupt(group, "the hard state is missing");
  // Its leader has been followed by another; or the log was brought up to it in some other way. A term that this member
  // did not have time to write down is no earlier one.
  if (staged->term() < hard_state->term() || staged->log_index() <= hard_state->commit()) {
    return std::optional<StagedParts>();
  }
  const LogPosition position{LogIndex(staged->log_index()), Term(staged->log_term())};
  const SnapshotId snapshot{NodeId(staged->leader()), Term(staged->term()), staged->snapshot(), position};
  return std::optional(StagedParts{snapshot, staged->parts()});
}

void put_staged(WriteBatch& batch, GroupId group, const StagedParts& staged) {
  wire::RaftStaged message;
  message.set_leader(staged.snapshot.leader.value());
  message.set_term(staged.snapshot.term.value());
  message.set_snapshot(staged.snapshot.number);
  message.set_log_index(staged.snapshot.position.index.value());
  message.set_log_term(staged.snapshot.position.term.value());
  message.set_parts(staged.parts);
  put_record(batch, group_key(group, kPartsTag), message);
}

void erase_staged(WriteBatch& batch, GroupId group) {
  const KeyRange rows = staged_rows(group);
  batch.erase_range(rows.begin, rows.end);
  batch.erase(group_key(group, kPartsTag));
}

KeyRange staged_rows(GroupId group) {
  return {group_key(group, kStagedTag), group_key(group, kStagedTag + 1)};
}

Result<LoadedLog> load_log(const KvReader& store, const StoreIdentity& identity, size_t max_tail_bytes) {
  const GroupId group = identity.group;
  DOGFS_TRY(const auto config, get_record<wire::RaftGroupConfig>(store, group, kConfigTag, "the group configuration"));
  DOGFS_TRY(const auto hard_state, get_record<wire::RaftHardState>(store, group, kHardStateTag, "the hard state"));
  LoadedLog loaded;
  if (config) {
    DOGFS_TRYV(check_identity(identity, *config));
    loaded.store = StoreId(config->store());
    DOGFS_TRY(loaded.configurations, history_from(group, LogIndex(), config->initial()));
  }
  DOGFS_TRYV(load_base(store, group, loaded));
  DOGFS_TRYV(load_entries(store, group, max_tail_bytes, loaded));
  if (!config && !hard_state && loaded.terms.last_index().is_none()) {
    loaded.is_new = true;
    loaded.configurations.reset(ConfigurationHistory::Item{LogIndex(), identity.initial});
    return loaded;
  }
  if (!config) return corrupt(group, "the group configuration is missing");
  if (!hard_state) return corrupt(group, "the hard state is missing");
  DOGFS_TRYV(check_end(group, *hard_state, loaded.terms));
  loaded.hard_state =
      HardState{Term(hard_state->term()), NodeId(hard_state->voted_for()), LogIndex(hard_state->commit())};
  return loaded;
}

Result<std::vector<Entry>> read_entries(const KvReader& store, GroupId group, const LogFetch& fetch) {
  std::vector<Entry> entries;
  size_t bytes = 0;
  DOGFS_TRYV(scan_entries(store, group, fetch.first, [&](Entry entry) -> Result<bool> {
    if (entry.index != LogIndex(fetch.first.value() + entries.size())) {
      return corrupt(group, fmt::format("log entry {} is missing", fetch.first.value() + entries.size()));
    }
    bytes += entry.bytes();
    if (entry.index > fetch.last) return false;
    if (!entries.empty() && (bytes > fetch.limits.max_bytes || entries.size() >= fetch.limits.max_entries)) {
      return false;
    }
    entries.push_back(std::move(entry));
    return true;
  }));
  if (entries.empty()) return corrupt(group, fmt::format("log entry {} is missing", fetch.first));
  return entries;
}

}  // namespace dogfs::raft
