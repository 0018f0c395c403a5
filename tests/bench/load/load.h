// A load of checked reads and writes at a set rate, and its ends: the files that it reads, and the proof of what it wrote.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/client/client.h"
#include "core/env/env.h"

namespace dogfs::bench {

// Files that are there before the load begins: <directory>/data/0 and so on.
struct DataSet {
  std::string directory;
  uint64_t files = 16;
  uint64_t file_bytes = 256ULL << 20;
};

struct LoadRate {
  uint64_t workers = 0;
  uint64_t bytes = 0;     // of an operation
  double per_second = 1;  // operations of each worker
};

struct Load {
  DataSet data;
  // Of stretches at random places of the data set.
  LoadRate reads;
  // Each a file of its own: created, written, and closed, below <directory>/written.
  LoadRate writes;
  // Operations are written here as they end.
  FILE* records = nullptr;
  bool stop = false;
};

Task<Status> fill(Client& client, DataSet data);

// Works until `load.stop`. An operation is due at a set time, whether or not the one before has ended; what it waited
// for its predecessor counts as its own time, so that a stall is seen by all whom it would have met. A line for each:
//   <read|write> <when it was due, seconds of the monotonic clock> <latency, ms> <ok|what went wrong> <name>
Task<void> run_load(Env& env, std::vector<Client*> clients, Load& load);

struct CheckOutcome {
  uint64_t files = 0;
  uint64_t bytes = 0;
  std::vector<std::string> wrong;  // what is not as it was acknowledged, a few words on each
};

// Reads the data set and the files of `written` from start to end.
Task<CheckOutcome> check_all(Client& client, Load& load, std::vector<std::string> written);

}  // namespace dogfs::bench
