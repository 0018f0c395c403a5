// Which nodes a fault means (the language is described in sim/scenario.proto).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "sim/cluster.h"
#include "sim/random.h"

namespace dogfs::sim {

// How many nodes of each class there are.
struct ClassSizes {
  uint32_t meta = 0;  // that the cluster begins with
  uint32_t chunk = 0;
  uint32_t client = 0;
  uint32_t spare_meta = 0;  // numbered behind the other metadata nodes
  uint32_t racks = 0;       // of the chunk servers, in turn; 0: all stand in one
};

// Whether `text` is a selector; kInvalidArgument says what is wrong with it. A name is checked for its class only.
Status validate_selector(std::string_view text);

// The nodes that `text` names at this moment, in the order of the cluster; empty if there is none such (no leader,
// say). Precondition: it is valid, and not "rest".
std::vector<Node*> select_nodes(std::string_view text, Cluster& cluster, RandomStream& draws);

// `text` with what it leaves to chance ("random N CLASS", "random rack", "minority") drawn: the names of the nodes, in their order.
// Precondition: it is valid.
std::string draw_selector(const std::string& text, const ClassSizes& sizes, RandomStream& draws);

// Everybody in the cluster who is not among `others`.
std::vector<Node*> rest_of(Cluster& cluster, const std::vector<Node*>& others);

}  // namespace dogfs::sim
