// Scenarios as files of protobuf text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "sim/scenario.pb.h"

namespace dogfs::sim {

// What `text` says, with what it leaves open filled in. kInvalidArgument says what is wrong with it, and where.
Result<proto::Scenario> parse_scenario(const std::string& text);

// The same for the file of that name in `directory`, or at that path. kNotFound.
Result<proto::Scenario> load_scenario(const std::string& directory, const std::string& name);

// The names of the scenarios in `directory`, sorted.
std::vector<std::string> list_scenarios(const std::string& directory);

}  // namespace dogfs::sim
