// A run as a picture: one page of HTML that needs nothing else, with a lane for each node.
#pragma once

#include <string>

#include "sim/run.h"
#include "sim/trace_events.h"

namespace dogfs::sim {

// What the page says about the run as a whole.
struct RunTitle {
  std::string scenario;
  std::string shows;
  uint64_t seed = 0;
  std::string mutant;   // empty: none
  std::string command;  // that makes the run again
};

// The page. The recorded events stand in it as one JSON object of columns (sim/html/page.js reads it).
std::string html_page(const RunTitle& title, const RunResult& result, const Recording& recording);

}  // namespace dogfs::sim
