// Why a run stands still, for the text of its failure: who of the cluster is behind, and on what the others wait. Looked
// up everywhere at once, which no node could do.
//
// A list names its first few (sim/few.h); so the text stays short however large the cluster is.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/atlas.h"
#include "sim/cluster.h"
#include "sim/workload.h"

namespace dogfs::sim {

struct StandstillView {
  Cluster& cluster;
  const Atlas& atlas;
  const std::map<std::string, ClientState>& clients;  // by node name
  std::vector<std::string> faults;                    // that are under way, in words
};

// The longest text, in bytes.
inline constexpr size_t kMostStandstillBytes = 4000;

// Lines, each behind a line feed and two blanks:
//   the faults under way and the links that are cut
//   the metadata group: who leads, and of each member its term, its log, and how far it is
//   chunk servers that are down, not registered, or not live by the map
//   what each client is at, since when, and which answers it waits for
//   blocks that lack shards, the leader's reasons why that is so, and which servers could take one
//   leases, sessions, blocks that are not committed, and shards that are to be deleted
std::string explain_standstill(const StandstillView& view);

}  // namespace dogfs::sim
