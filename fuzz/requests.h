// A simulated node that asks another one, for targets that send requests from the fuzzer's bytes to a real server.
#pragma once

#include "core/base/check.h"
#include "core/wire/rpc.h"
#include "sim/world.h"

namespace dogfs::fuzz {

// Longer than any deadline of the requests.
inline constexpr Duration kRequestTimeout = seconds(2);

inline Task<Result<Reply>> call(Env& env, Address to, Request request) {
  co_return co_await env.transport.call(std::move(to), std::move(request), env.clock.now() + kRequestTimeout);
}

// The server's answer. Ends the process where the server dies of the request, or answers neither it nor its deadline.
inline Result<Reply> ask(sim::World& world, sim::Node& client, sim::Node& server, Request request) {
  auto answer = world.run(client, call(client.env(), server.address(), std::move(request)), 2 * kRequestTimeout);
  DOGFS_CHECK(server.up(), "no request ends a server");
  DOGFS_CHECK(answer.has_value(), "every call ends by its deadline");
  return *std::move(answer);
}

}  // namespace dogfs::fuzz
