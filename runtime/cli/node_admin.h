// `dogfs admin node …` and `dogfs admin balance …`: the chunk servers, what the operator wants of them, and whether shards
// are moved so that they are equally full.
#pragma once

#include <string>
#include <vector>

#include "core/env/task.h"
#include "runtime/cli/session.h"

namespace dogfs::cli {

struct NodeOptions {
  std::vector<std::string> servers;  // ids or addresses
  uint64_t period_seconds = 3600;    // maintenance: how long
  bool force = false;                // drain, maintenance: whatever becomes of the blocks
  bool wait = false;                 // drain: until the server is empty
  bool json = false;
};

struct BalanceOptions {
  uint32_t threshold_percent = 10;
  bool json = false;
};

Task<void> list_servers(Session& session, NodeOptions options);
Task<void> drain_servers(Session& session, NodeOptions options);
Task<void> maintain_servers(Session& session, NodeOptions options);
Task<void> return_servers(Session& session, NodeOptions options);
Task<void> remove_servers(Session& session, NodeOptions options);

Task<void> start_balancing(Session& session, BalanceOptions options);
Task<void> stop_balancing(Session& session, BalanceOptions options);
Task<void> show_balancing(Session& session, BalanceOptions options);

}  // namespace dogfs::cli
