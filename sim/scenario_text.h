// Scenarios as text for people: what sim/scenario.h reads.
#pragma once

#include <string>

#include "sim/scenario.pb.h"

namespace dogfs::sim {

// `scenario` as text that parse_scenario() takes, without what has its default, one fault a line. `comment` stands
// above it, broken into lines. Precondition: `scenario` is one that parse_scenario() gave, or a valid change of it.
std::string scenario_text(const proto::Scenario& scenario, const std::string& comment);

}  // namespace dogfs::sim
