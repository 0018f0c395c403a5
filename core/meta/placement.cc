#include "core/meta/placement.h"

#include <algorithm>
#include <map>

#include "core/base/check.h"
#include "core/base/hash.h"

namespace dogfs {
namespace {

// The load that halves a server's weight.
constexpr uint64_t kHalvingLoad = 8;
constexpr uint64_t kMaxWeightMebibytes = 1ULL << 32;  // 4 EiB: keeps every sum of weights below 2^64

struct Eligible {
  const PlacementCandidate* candidate;
  // Shards of the block in its rack.
  uint32_t* in_rack;
};

uint64_t weight_of(const PlacementCandidate& candidate) {
  const uint64_t mebibytes = std::min(candidate.free_bytes >> 20, kMaxWeightMebibytes) + 1;
  return std::max<uint64_t>(mebibytes * kHalvingLoad / (kHalvingLoad + candidate.load), 1);
}

bool contains(std::span<const ServerId> servers, ServerId server) {
  return std::ranges::find(servers, server) != servers.end();
}

bool is_eligible(const PlacementCandidate& candidate, const PlacementRequest& request) {
  return !contains(request.used, candidate.server) && !contains(request.excluded, candidate.server) &&
         candidate.room >= request.shard_bytes;
}

// One of the servers in the racks that have the fewest shards. Precondition: there is one.
std::vector<Eligible>::iterator draw(std::vector<Eligible>& eligible, uint64_t random) {
  uint32_t fewest = *eligible.front().in_rack;
  for (const Eligible& server : eligible) fewest = std::min(fewest, *server.in_rack);
  uint64_t total = 0;
  for (const Eligible& server : eligible) {
    if (*server.in_rack == fewest) total += weight_of(*server.candidate);
  }
  uint64_t left = reduce64(random, total);
  for (auto server = eligible.begin(); server != eligible.end(); ++server) {
    if (*server->in_rack != fewest) continue;
    const uint64_t weight = weight_of(*server->candidate);
    if (left < weight) return server;
    left -= weight;
  }
  DOGFS_CHECK(false, "a draw below the total hits a server");
  return eligible.end();
}

}  // namespace

size_t count_eligible(std::span<const PlacementCandidate> candidates, const PlacementRequest& request) {
  return static_cast<size_t>(
      std::ranges::count_if(candidates, [&](const PlacementCandidate& each) { return is_eligible(each, request); }));
}

std::vector<ServerId> place_shards(std::span<const PlacementCandidate> candidates, const PlacementRequest& request) {
  std::map<std::string_view, uint32_t> shards_by_rack;
  std::vector<Eligible> eligible;
  for (const PlacementCandidate& candidate : candidates) {
    uint32_t& in_rack = shards_by_rack[candidate.rack];
    if (contains(request.used, candidate.server)) ++in_rack;
    if (is_eligible(candidate, request)) eligible.push_back({.candidate = &candidate, .in_rack = &in_rack});
  }
  // The caller's order must not matter.
  std::ranges::sort(eligible, {}, [](const Eligible& server) { return server.candidate->server; });
  std::vector<ServerId> chosen;
  while (chosen.size() < request.wanted && !eligible.empty()) {
    const auto server = draw(eligible, combine64(request.seed, chosen.size()));
    chosen.push_back(server->candidate->server);
    ++*server->in_rack;
    eligible.erase(server);
  }
  return chosen;
}

}  // namespace dogfs
