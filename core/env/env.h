// The ports that every node has. Disks are handed to the nodes that have them: a KvStore and ShardStores.
#pragma once

#include "core/env/clock.h"
#include "core/env/compute.h"
#include "core/env/log.h"
#include "core/env/random.h"
#include "core/env/task.h"
#include "core/env/transport.h"

namespace dogfs {

struct Env {
  Executor executor;
  Clock& clock;
  Random& random;
  Transport& transport;
  Compute& compute;
  Log& log;
};

}  // namespace dogfs
