// Clients that change and read one small tree at once, so that they meet each other's names all the time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/client/client.h"
#include "core/env/env.h"

namespace dogfs::e2e {

struct Load {
  std::string directory;
  bool stop = false;  // set to end it
};

// One operation after the other until `load.stop`. Errors are part of the history: they end nothing.
Task<void> run_load(Env& env, Client& client, Load& load, uint64_t seed);

}  // namespace dogfs::e2e
