// Where two runs that ought to be equal part ways: the first line in which their event logs differ.
//
// An event log is what a run traces with Run::trace_events(): a line for each message, fault, log line and event of the
// simulator, with the digest so far. Whatever differs first is the cause; what follows is only its effect.
#pragma once

#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

namespace dogfs::sim {

struct Divergence {
  uint64_t line = 0;                // counted from 1
  std::vector<std::string> before;  // the last lines that are equal
  std::vector<std::string> first;   // what follows in each; empty where a log has ended
  std::vector<std::string> second;
};

// Nothing if the logs are equal.
std::optional<Divergence> first_divergence(std::istream& first, std::istream& second);

// For a person, with the names of the two.
std::string describe_divergence(const Divergence& divergence, const std::string& first, const std::string& second);

}  // namespace dogfs::sim
