// Many small operations on the metadata at once: how many a second, and how long each takes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/client/client.h"
#include "core/env/env.h"
#include "tests/bench/rate.h"

namespace dogfs::bench {

struct MetadataLoad {
  std::string directory;  // made anew for each load
  size_t in_flight = 1;
  double seconds = 1;  // how long files are created; the other phases take as many operations as files came of it
};

struct MetadataResult {
  RateResult create;  // one command through the log each
  RateResult close;   // another one each
  RateResult stat;    // a linearizable read each
};

// Creates empty files from `in_flight` coroutines, closes them, and stats them. Each coroutine has one operation under
// way; they share `clients`, each of which has its own session and connections.
Task<Result<MetadataResult>> run_metadata_load(Env& env, std::vector<Client*> clients, MetadataLoad load);

}  // namespace dogfs::bench
