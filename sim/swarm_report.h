// The report of a swarm (sim/swarm_report.proto).
#pragma once

#include <string>
#include <vector>

#include "core/base/result.h"
#include "sim/swarm.h"
#include "sim/swarm_report.pb.h"

namespace dogfs::sim {

// `expected`: the kinds of faults that some of the runs had, by their number. `mutant` is for the commands.
proto::SwarmReport swarm_report(const SwarmResult& result, const std::vector<bool>& expected,
                                const std::string& mutant);

// The report as JSON, with all its fields. kInternal if a text in it is not UTF-8.
Result<std::string> report_json(const proto::SwarmReport& report);

}  // namespace dogfs::sim
