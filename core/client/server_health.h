// Which chunk servers failed this client lately, and how fast the others answer.
//
// A server that failed is a suspect for a while: writers ask for targets elsewhere, readers ask it last. So a dead
// server costs a client one timeout in a while instead of one a block. The memory is short: a server that came back is
// used again soon.
//
// A server that is merely slow is a suspect too, but few at a time: going around a server costs a small read as many
// requests as the block has data shards, and where many are slow that would only add to their work. Belongs to the
// node's executor.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/env/clock.h"

namespace dogfs {

inline constexpr Duration kSuspicionTime = seconds(10);
inline constexpr size_t kMaxSlowServers = 2;

class ServerHealth {
 public:
  // `clock` must outlive this object.
  explicit ServerHealth(const Clock& clock) : clock_(clock) {}

  void failed(ServerId server) { suspect_until_[server] = clock_.now() + kSuspicionTime; }
  // The server has sealed a shard: it is no suspect any more for having failed before.
  void served(ServerId server) { suspect_until_.erase(server); }
  // Others overtook the server. Nothing happens while kMaxSlowServers others are suspects for that.
  void overtaken(ServerId server);
  // The server answered a read after `latency`: it is no suspect any more, unless the answer was late.
  void answered(ServerId server, Duration latency);

  bool is_suspect(ServerId server) const;
  // In ascending order.
  std::vector<ServerId> suspects() const;

  // How long a read may take before another shard is asked as well: several times what reads take of late.
  Duration hedge_delay() const;

 private:
  const Clock& clock_;
  std::map<ServerId, MonoTime> suspect_until_;
  std::map<ServerId, MonoTime> slow_until_;
  // A moving mean over the latest answers, a sixteenth of the way to each.
  Duration mean_latency_{};
};

}  // namespace dogfs
