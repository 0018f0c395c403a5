// What kind of failure a run ended with: two runs fail in the same way if it is equal. Shrinking keeps it.
//
// It is the oracle, the word before the first colon, and what the oracle says in its first line, without what differs
// from run to run: numbers, names, paths, and whatever stands in brackets or quotation marks. Some oracles tell only
// where a failure showed first; of those it is the name alone. Of a process that ended it is the check that did not
// hold.
#pragma once

#include <string>

namespace dogfs::sim {

std::string failure_kind(const std::string& failure);

// The failure of a run that ended its process by `signal`, having written `log` to its standard error:
// "process: invariant broken at FILE:LINE: condition", or what a sanitizer says, or else the signal alone.
std::string process_failure(const std::string& log, int signal);

}  // namespace dogfs::sim
