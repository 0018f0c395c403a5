// What the flows of one client share. The client owns it; it outlives every flow.
#pragma once

#include <map>
#include <memory>
#include <utility>

#include "core/base/limits.h"
#include "core/base/printable.h"
#include "core/client/client.h"
#include "core/client/hedge_budget.h"
#include "core/client/meta_channel.h"
#include "core/client/server_health.h"
#include "core/client/session.h"
#include "core/ec/codec.h"
#include "core/ec/geometry.h"
#include "core/env/env.h"
#include "core/env/sync.h"

namespace dogfs {

// One codec for each (k, m) in use: its tables and decoding plans are shared by all files.
class CodecCache {
 public:
  std::shared_ptr<Codec> get(const Geometry& geometry) {
    std::shared_ptr<Codec>& codec = codecs_[{geometry.data_shards, geometry.parity_shards}];
    if (!codec) codec = std::make_shared<Codec>(geometry.data_shards, geometry.parity_shards);
    return codec;
  }

 private:
  std::map<std::pair<uint32_t, uint32_t>, std::shared_ptr<Codec>> codecs_;
};

// Names are any bytes where they come from, and travel as text.
inline ClientOptions in_limits(ClientOptions options) {
  options.principal = printable(options.principal, kMaxPrincipalBytes);
  return options;
}

struct ClientContext {
  ClientContext(Env& client_env, ClientOptions client_options)
      : env(client_env),
        options(in_limits(std::move(client_options))),
        channel(env, MetaChannelOptions{.nodes = options.meta_nodes,
                                        .principal = options.principal,
                                        .timeout = options.metadata_timeout,
                                        .leaderless_patience = options.leaderless_patience}),
        session(env, channel),
        health(env.clock),
        tasks(env.executor, env.clock) {}

  Env& env;
  const ClientOptions options;
  MetaChannel channel;
  Session session;
  ServerHealth health;
  HedgeBudget hedges;
  CodecCache codecs;
  // What may outlive the operation that started it: requests that a hung server has not answered yet, late seals, the
  // renewal of leases. Joined when the client stops.
  TaskGroup tasks;
};

}  // namespace dogfs
