// A whole DogFS in a World: the real MetaNode, ChunkServer and Client classes on simulated ports.
//
// Disks belong to the nodes of the World, so a node that crashed comes back with what its disks kept. Each start makes
// the node's program anew.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/chunk/chunk_server.h"
#include "core/client/client.h"
#include "core/meta/meta_node.h"
#include "sim/history.h"
#include "sim/verdict.h"
#include "sim/world.h"

namespace dogfs::sim {

inline constexpr Duration kReportInterval = std::chrono::seconds(8);

struct ClusterOptions {
  uint32_t meta_nodes = 3;
  uint32_t spare_meta_nodes = 0;
  uint32_t chunk_servers = 9;
  uint32_t clients = 1;
  uint32_t racks = 0;  // none: every server says that it is in the default one
  uint32_t disks = 1;  // of each chunk server
  Duration report_interval = kReportInterval;
  // A block of the policy that the clients' directories have: it sizes their buffers.
  uint64_t block_bytes = 96 * kKiB;
  // Of Raft's log that metadata nodes keep; 0: as many as by default.
  uint32_t log_entries = 0;
  // And of those in memory; 0: as many as by default.
  uint32_t log_cache_bytes = 0;
  // Of a snapshot of a metadata node's state; 0: as large as by default.
  uint32_t snapshot_part_bytes = 0;
  std::optional<Duration> lease_drift_bound = std::nullopt;  // MetaOptions::lease_drift_bound
  // What a metadata leader has under way at most; 0: as much as by default.
  uint32_t max_changes_under_way = 0;
  uint32_t max_uncommitted_bytes = 0;
};

class Cluster {
 public:
  // Nobody is started. What is passed must outlive the cluster.
  Cluster(World& world, Verdict& verdict, const ClusterOptions& options);

  World& world() { return world_; }
  const ClusterOptions& options() const { return options_; }
  // What each disk of a chunk server is called, for Node's ports: the first as that of a node with only one.
  struct DiskNames {
    std::string files;
    std::string records;
  };
  std::vector<DiskNames> disk_names() const;
  // Those that the cluster begins with, then the spare ones.
  const std::vector<Node*>& meta_nodes() const { return meta_nodes_; }
  const std::vector<Node*>& chunk_nodes() const { return chunk_nodes_; }
  const std::vector<Node*>& client_nodes() const { return client_nodes_; }
  // The chunk server that the metadata knows by `address`; null where there is none.
  Node* chunk_node_at(std::string_view address) const;
  std::vector<Node*> all_nodes() const;

  // The programs of the present lives; null for a node that is down.
  MetaNode* meta(const Node& node);
  ChunkServer* chunk(const Node& node);
  Client* client(const Node& node);
  // The step machine of a metadata node; null also before its log was read.
  const raft::Raft* raft(const Node& node);

  // Boots the node, if it is down, and starts its program.
  void start(Node& node);
  // What to do when a client node's program is new.
  void on_client_start(std::function<void(Node&)> begin) { on_client_start_ = std::move(begin); }
  void crash(Node& node, CrashKind kind);
  // Who is told when a node ends by itself, since its store has failed, and when it was started again a while later (as
  // its service manager does).
  struct Lapses {
    std::function<void(Node&)> begin;
    std::function<void(Node&)> end;
  };
  void on_lapse(Lapses lapses) { lapses_ = std::move(lapses); }
  // Clients that are started from now on note in it what they ask of the metadata. It must outlive them.
  void record_history(History& history) { history_ = &history; }
  // The node is gone for good.
  void retire(Node& node);
  bool is_retired(const Node& node) const { return retired_.contains(node.index()); }
  // The operator is about to have this chunk server removed: when it hears of that it must end, and is gone for good.
  void expect_removal(const Node& node) { leaving_.insert(node.index()); }
  // Whether it is a spare metadata node that nobody has started yet.
  bool is_spare(const Node& node) const { return spares_.contains(node.index()); }

  // --- The metadata group ---
  NodeId meta_id(const Node& node) const;
  // Who is in the group: by the configuration in effect at the highest commit index of those that are up. Empty where
  // nobody knows.
  std::vector<Node*> members();
  // Chunk servers, clients and spare metadata nodes that are started from now on are told of this one, or are not.
  void announce(const Node& node) { announced_.push_back(&node); }
  void renounce(const Node& node) { std::erase(announced_, &node); }
  // A metadata node's disk is replaced by an empty one; what it was goes on. Precondition: it is down.
  void lose_disk(Node& node);
  bool has_lost_disk(const Node& node) const { return lost_disks_.contains(node.index()); }
  // Whether most of the metadata nodes would still have theirs.
  bool may_lose_disk(const Node& node) const;
  // Whether the leader knows all of them, and none of them takes itself for what it was.
  bool lost_disks_are_known();
  // What clients are started with now.
  ClientOptions client_options() const;
  // Whether no metadata node that this client was started with is in the group any more.
  bool is_out_of_touch(const Node& client);

  // The metadata node that leads: of several that think so, the one of the highest term. Null if none does.
  Node* leader();
  // Whether all metadata nodes and chunk servers but spare ones and those that are gone for good are up, one leads, and
  // every server is registered.
  bool servers_ready();
  // Asks the leader to hand over to the first of `successors` that is another metadata node, as an operator does, and
  // does not wait for it. That node; null where none is, or nobody leads.
  Node* hand_leadership_over(const std::vector<Node*>& successors);

 private:
  struct Programs {
    MetaNode* meta = nullptr;
    ChunkServer* chunk = nullptr;
    Client* client = nullptr;
  };

  Node& add_node(const std::string& name);
  const std::map<NodeId, Address>& peers_of(const Node& node);
  void start_meta(Node& node);
  void start_chunk(Node& node);
  void start_client(Node& node);
  Task<void> expect_started(Node& node, std::function<void(Error)> end, Task<Status> start);
  std::function<void(Error)> end_by_itself(Node& node);
  Task<void> hand_over(Node& leader, NodeId successor);
  void restart_later(Node& node);
  std::vector<Address> meta_addresses() const;

  World& world_;
  Verdict& verdict_;
  ClusterOptions options_;
  std::vector<Node*> meta_nodes_;
  std::vector<Node*> chunk_nodes_;
  std::vector<Node*> client_nodes_;
  std::vector<Programs> programs_;  // by node index
  std::set<NodeIndex> retired_;
  std::set<NodeIndex> leaving_;
  std::set<NodeIndex> spares_;
  std::set<NodeIndex> lost_disks_;
  std::vector<const Node*> announced_;  // metadata nodes
  // What each metadata node was first started with: as the group was then, which its own log knows better.
  std::map<NodeIndex, std::map<NodeId, Address>> peers_;
  std::map<NodeIndex, std::vector<Address>> told_;  // clients of metadata nodes
  std::function<void(Node&)> on_client_start_;
  History* history_ = nullptr;
  Lapses lapses_;
};

}  // namespace dogfs::sim
