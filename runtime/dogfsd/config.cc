#include "runtime/dogfsd/config.h"

#include <algorithm>
#include <charconv>

#include "core/base/limits.h"
#include "net/endpoint.h"
#include "runtime/log.h"

namespace dogfs {
namespace {

constexpr size_t kMaxClusterNameBytes = 64;
constexpr unsigned kMaxDevServers = 64;
constexpr unsigned kMaxPatienceSeconds = 86'400;
// Writers renew every 15 seconds (core/client/lease_keeper.h): a limit near that would take files from the living.
constexpr unsigned kLeastLeaseSeconds = 20;
// As many as a leader reads in a round, and as it orders of one server in a heartbeat (core/meta/repairs.cc).
constexpr unsigned kMaxRepairs = 10'000;
constexpr unsigned kMaxRepairsPerTarget = 64;
constexpr unsigned kMaxMiBPerSecond = 65'536;
constexpr unsigned kMaxScrubHours = 8'760;

Error bad_flag(std::string_view flag, std::string_view why) {
  return Error(ErrorCode::kInvalidArgument, std::string(flag) + ": " + std::string(why));
}

// The flag's value, if it is from 1 to `most`.
Result<unsigned> up_to(std::string_view flag, unsigned value, unsigned most, std::string_view unit) {
  if (value == 0 || value > most) return bad_flag(flag, fmt::format("1 to {} {}", most, unit));
  return value;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

// An address that others can call.
Result<Address> callable_address(std::string_view text) {
  DOGFS_TRYV(parse_callable_address(text));
  return Address{std::string(text)};
}

Result<HostPort> listen_address(std::string_view text) {
  Result<HostPort> parsed = parse_address(text);
  if (!parsed) return bad_flag("--listen", parsed.error().detail);
  if (!numeric_endpoint(parsed.value())) return bad_flag("--listen", "give an IP address, not a name");
  return parsed;
}

bool is_any_host(const HostPort& address) {
  return numeric_endpoint(address).value().address().is_unspecified();
}

Status check_cluster_name(std::string_view name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  if (name.empty() || name.size() > kMaxClusterNameBytes || !std::all_of(name.begin(), name.end(), allowed)) {
    return bad_flag("--cluster", "a name of 1 to 64 letters, digits, '-', '_' and '.'");
  }
  return ok();
}

Status check_rack(std::string_view rack) {
  const bool printable = std::all_of(rack.begin(), rack.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!rack.starts_with('/') || rack.size() > kMaxRackBytes || !printable) {
    return bad_flag("--rack", "a path such as /hall-1/rack-7, of at most 255 printable characters");
  }
  return ok();
}

Result<LogLevel> check_log_level(const CommonFlags& common) {
  Result<LogLevel> level = parse_log_level(common.log_level);
  if (!level) return bad_flag("--log-level", level.error().detail);
  return level;
}

Status check_repairs(const MetaFlags& flags, MetaConfig& config) {
  DOGFS_TRY(config.cluster_repairs, up_to("--cluster-repairs", flags.cluster_repairs, kMaxRepairs, "shards"));
  DOGFS_TRY(config.repairs_per_target,
            up_to("--repairs-per-target", flags.repairs_per_target, kMaxRepairsPerTarget, "shards"));
  DOGFS_TRY(config.repairs_per_source, up_to("--repairs-per-source", flags.repairs_per_source, kMaxRepairs, "shards"));
  return ok();
}

Status check_rates(const ChunkFlags& flags, ChunkConfig& config) {
  DOGFS_TRY(const uint64_t repair, up_to("--repair-rate", flags.repair_mib_per_s, kMaxMiBPerSecond, "MiB/s"));
  DOGFS_TRY(const uint64_t scrub, up_to("--scrub-rate", flags.scrub_mib_per_s, kMaxMiBPerSecond, "MiB/s"));
  DOGFS_TRY(const unsigned interval, up_to("--scrub-interval", flags.scrub_interval_h, kMaxScrubHours, "hours"));
  config.repair_bytes_per_s = repair * kMiB;
  config.scrub_bytes_per_s = scrub * kMiB;
  config.scrub_interval = std::chrono::hours(interval);
  DOGFS_TRY(config.repairs, up_to("--repairs", flags.repairs, kMaxRepairsPerTarget, "shards"));
  DOGFS_TRY(config.repairs_per_disk,
            up_to("--repairs-per-disk", flags.repairs_per_disk, flags.repairs, "shards, as many as --repairs"));
  return ok();
}

}  // namespace

Result<std::map<NodeId, Address>> parse_peers(std::string_view text) {
  std::map<NodeId, Address> nodes;
  for (const std::string_view part : split(text, ',')) {
    const size_t equals = part.find('=');
    uint64_t id = 0;
    const auto digits = part.substr(0, equals);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    if (equals == std::string_view::npos || error != std::errc() || end != digits.data() + digits.size() || id == 0) {
      return Error(
          ErrorCode::kInvalidArgument,
          "\"" + std::string(part) + "\" is not ID=host:port (IDs count from 1): write 1=host:port,2=host:port");
    }
    DOGFS_TRY(Address address, callable_address(part.substr(equals + 1)));
    for (const auto& [other, taken] : nodes) {
      if (other == NodeId(id)) return Error(ErrorCode::kInvalidArgument, "node " + std::to_string(id) + " comes twice");
      if (taken == address) return Error(ErrorCode::kInvalidArgument, address.value + " comes twice");
    }
    nodes.emplace(NodeId(id), std::move(address));
  }
  if (nodes.size() > kMaxRaftVoters)
    return Error(ErrorCode::kInvalidArgument, fmt::format("more than {} metadata nodes", kMaxRaftVoters));
  return nodes;
}

Result<std::vector<Address>> parse_address_list(std::string_view text) {
  std::vector<Address> addresses;
  for (const std::string_view part : split(text, ',')) {
    DOGFS_TRY(Address address, callable_address(part));
    addresses.push_back(std::move(address));
  }
  if (addresses.size() > kMaxRaftVoters)
    return Error(ErrorCode::kInvalidArgument, fmt::format("more than {} addresses", kMaxRaftVoters));
  return addresses;
}

Result<MetaConfig> check_meta(const MetaFlags& flags, const CommonFlags& common) {
  MetaConfig config;
  DOGFS_TRYV(check_cluster_name(common.cluster));
  DOGFS_TRY(config.log_level, check_log_level(common));
  Result<std::map<NodeId, Address>> nodes = parse_peers(flags.peers);
  if (!nodes) return bad_flag("--peers", nodes.error().detail);
  config.id = NodeId(flags.id);
  const auto self = nodes.value().find(config.id);
  if (self == nodes.value().end()) {
    return bad_flag("--id", "node " + std::to_string(flags.id) + " is not among the --peers");
  }
  config.listen = flags.listen.empty() ? self->second : Address{flags.listen};
  DOGFS_TRY(const HostPort listen, listen_address(config.listen.value));
  if (listen.port == 0) return bad_flag("--listen", "the other nodes must know the port: it cannot be 0");
  config.nodes = std::move(nodes).value();
  if (flags.form && flags.join)
    return bad_flag("--join", "a node either forms a cluster or joins one: not with --form");
  if (flags.form) config.empty_store = EmptyStore::kForms;
  if (flags.join) config.empty_store = EmptyStore::kJoins;
  const ReplicaOptions raft;
  if (milliseconds(flags.lease_drift_bound_ms) >= raft.election_timeout - raft.heartbeat_interval) {
    return bad_flag("--lease-drift-bound", "less than the 250 ms that a lease has at most");
  }
  if (flags.lease_drift_bound_ms > 0) config.lease_drift_bound = milliseconds(flags.lease_drift_bound_ms);
  if (flags.dead_after_s == 0 || flags.dead_after_s > kMaxPatienceSeconds) {
    return bad_flag("--dead-after", "1 to 86400 seconds");
  }
  if (flags.repair_grace_s > kMaxPatienceSeconds) return bad_flag("--repair-grace", "at most 86400 seconds");
  DOGFS_TRYV(check_repairs(flags, config));
  if (flags.lease_limit_s < kLeastLeaseSeconds || flags.lease_limit_s > kMaxPatienceSeconds) {
    return bad_flag("--lease-limit", fmt::format("{} to {} seconds", kLeastLeaseSeconds, kMaxPatienceSeconds));
  }
  if (flags.log_entries == 0 || flags.log_entries > kHeldLogEntries) {
    return bad_flag("--log-entries", fmt::format("1 to {}", kHeldLogEntries));
  }
  config.log_entries = flags.log_entries;
  config.dead_after = seconds(flags.dead_after_s);
  config.repair_grace = seconds(flags.repair_grace_s);
  config.lease_limit = seconds(flags.lease_limit_s);
  config.directory = flags.directory;
  config.cluster = common.cluster;
  return config;
}

Result<ChunkConfig> check_chunk(const ChunkFlags& flags, const CommonFlags& common) {
  ChunkConfig config;
  DOGFS_TRYV(check_cluster_name(common.cluster));
  DOGFS_TRY(config.log_level, check_log_level(common));
  DOGFS_TRYV(check_rack(flags.rack));
  DOGFS_TRY(const HostPort listen, listen_address(flags.listen));
  if (flags.advertise.empty() && is_any_host(listen)) {
    return bad_flag("--advertise", "clients cannot call " + listen.host + ": say where they find this server");
  }
  if (!flags.advertise.empty()) {
    Result<Address> advertise = callable_address(flags.advertise);
    if (!advertise) return bad_flag("--advertise", advertise.error().detail);
    config.advertise = std::move(advertise).value();
  }
  Result<std::vector<Address>> meta = parse_address_list(flags.meta);
  if (!meta) return bad_flag("--meta", meta.error().detail);
  if (flags.directories.size() > kMaxDisksPerServer) {
    return bad_flag("--dir", fmt::format("more than {} disks", kMaxDisksPerServer));
  }
  DOGFS_TRYV(check_rates(flags, config));
  config.listen = Address{flags.listen};
  config.meta_nodes = std::move(meta).value();
  config.directories = flags.directories;
  config.rack = flags.rack;
  config.accept_disks = flags.accept_disks;
  config.cluster = common.cluster;
  return config;
}

Status check_dev(const DevFlags& flags, const CommonFlags& common) {
  DOGFS_TRYV(check_cluster_name(common.cluster));
  DOGFS_TRYV(check_log_level(common));
  if (flags.meta_nodes == 0 || flags.meta_nodes > kMaxRaftVoters)
    return bad_flag("--meta", fmt::format("from 1 to {}", kMaxRaftVoters));
  if (flags.chunk_servers == 0 || flags.chunk_servers > kMaxDevServers) return bad_flag("--chunks", "from 1 to 64");
  constexpr unsigned kLastPort = 65535;
  if (flags.base_port > kLastPort - flags.meta_nodes - flags.chunk_servers) {
    return bad_flag("--base-port", "there are not that many ports");
  }
  return ok();
}

}  // namespace dogfs
