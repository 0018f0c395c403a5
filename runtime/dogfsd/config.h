// What `dogfsd` is told by flags, file and environment, checked before anything is touched.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/base/limits.h"
#include "core/base/result.h"
#include "core/base/time.h"
#include "core/env/log.h"
#include "core/env/transport.h"
#include "core/raft/replica.h"

namespace dogfs {

// As they were given.
struct CommonFlags {
  std::string cluster = "default";
  std::string log_level = "info";
};

struct MetaFlags {
  uint64_t id = 0;
  std::string listen;  // empty: this node's address among the peers
  std::string peers;
  std::string directory;
  std::string port_file;
  bool form = false;
  bool join = false;
  unsigned lease_drift_bound_ms = 0;  // 0: no leases
  unsigned dead_after_s = 30;
  unsigned repair_grace_s = 300;
  unsigned cluster_repairs = 256;
  unsigned repairs_per_target = 8;
  unsigned repairs_per_source = 32;
  unsigned lease_limit_s = 60;
  uint64_t log_entries = kKeptLogEntries;
};

struct ChunkFlags {
  std::string listen = "127.0.0.1:0";
  std::string advertise;  // empty: where it listens
  std::string meta;
  std::vector<std::string> directories;
  std::string rack = "/default";
  std::string port_file;
  bool accept_disks = false;
  unsigned repair_mib_per_s = 64;
  unsigned repairs = 8;
  unsigned repairs_per_disk = 4;
  unsigned scrub_mib_per_s = 8;
  unsigned scrub_interval_h = 24;
};

struct DevFlags {
  std::string directory;
  unsigned meta_nodes = 3;
  unsigned chunk_servers = 9;
  unsigned base_port = 0;
};

// As they are meant.
struct MetaConfig {
  NodeId id;
  Address listen;
  std::map<NodeId, Address> nodes;
  EmptyStore empty_store = EmptyStore::kRefused;
  std::optional<Duration> lease_drift_bound;
  std::string directory;
  Duration dead_after = seconds(30);
  milliseconds repair_grace = seconds(300);
  // Repairs under way: in the cluster, to one chunk server, and reading from one.
  uint32_t cluster_repairs = 256;
  uint32_t repairs_per_target = 8;
  uint32_t repairs_per_source = 32;
  milliseconds lease_limit = seconds(60);
  size_t log_entries = kKeptLogEntries;
  std::string cluster;
  LogLevel log_level = LogLevel::kInfo;
};

struct ChunkConfig {
  Address listen;
  Address advertise;  // empty: where it listens
  std::vector<Address> meta_nodes;
  std::vector<std::string> directories;  // one a disk
  std::string rack;
  bool accept_disks = false;
  uint64_t repair_bytes_per_s = 64 * kMiB;  // read for repairs while clients are at work
  uint32_t repairs = 8;                     // at once
  uint32_t repairs_per_disk = 4;
  uint64_t scrub_bytes_per_s = 8 * kMiB;  // of each disk
  Duration scrub_interval = std::chrono::hours(24);
  std::string cluster;
  LogLevel log_level = LogLevel::kInfo;
};

// kInvalidArgument, with the flag and what is wrong about it.
Result<MetaConfig> check_meta(const MetaFlags& flags, const CommonFlags& common);
Result<ChunkConfig> check_chunk(const ChunkFlags& flags, const CommonFlags& common);
Status check_dev(const DevFlags& flags, const CommonFlags& common);

// "1=host:port,2=host:port,…"
Result<std::map<NodeId, Address>> parse_peers(std::string_view text);
// "host:port,host:port,…"
Result<std::vector<Address>> parse_address_list(std::string_view text);

}  // namespace dogfs
