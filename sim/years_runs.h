// Runs over years of many seeds, in worker processes.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/result.h"
#include "sim/years.h"

namespace dogfs::sim {

struct YearsRuns {
  uint64_t first_seed = 1;
  uint64_t last_seed = 1;
  uint32_t workers = 1;
};

// One for each seed, in their order. Fails with kInternal if a run ends its process, or is not well in the end
// (Years::heal_and_check), after what was wrong was printed.
Result<std::vector<YearsResult>> run_years(const YearsOptions& options, const YearsRuns& runs);

}  // namespace dogfs::sim
