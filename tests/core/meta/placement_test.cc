#include "core/meta/placement.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace dogfs {
namespace {

const std::vector<std::string> kRacks = {"/a", "/b", "/c", "/d", "/e"};

std::vector<PlacementCandidate> servers(const std::vector<int>& racks) {
  std::vector<PlacementCandidate> candidates;
  for (size_t i = 0; i < racks.size(); ++i) {
    candidates.push_back(
        {.server = ServerId(i + 1), .rack = kRacks.at(static_cast<size_t>(racks[i])), .free_bytes = 1 << 30});
  }
  return candidates;
}

std::map<std::string_view, uint32_t> count_racks(const std::vector<PlacementCandidate>& candidates,
                                                 const std::vector<ServerId>& chosen) {
  std::map<std::string_view, uint32_t> racks;
  for (const ServerId server : chosen) ++racks[candidates.at(server.value() - 1).rack];
  return racks;
}

// The least that the fullest rack can hold when `wanted` shards go to racks of these sizes: tried from 1 upwards.
uint32_t least_maximum(const std::map<std::string_view, uint32_t>& rack_sizes, uint32_t wanted) {
  for (uint32_t most = 1;; ++most) {
    uint32_t room = 0;
    for (const auto& [rack, size] : rack_sizes) room += std::min(size, most);
    if (room >= wanted) return most;
  }
}

RC_GTEST_PROP(Placement, GivesDistinctEligibleServersAndAsManyAsThereAre, ()) {
  auto candidates = servers(*rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 5)));
  for (PlacementCandidate& candidate : candidates) {
    candidate.room = *rc::gen::inRange<uint64_t>(0, 200);
    candidate.load = *rc::gen::inRange<uint64_t>(0, 50);
  }
  const auto id = rc::gen::map(rc::gen::inRange<uint64_t>(1, 20), [](uint64_t value) { return ServerId(value); });
  const auto used = *rc::gen::unique<std::vector<ServerId>>(id);
  const auto excluded = *rc::gen::container<std::vector<ServerId>>(id);
  const PlacementRequest request{.wanted = *rc::gen::inRange<uint32_t>(0, 12),
                                 .shard_bytes = 100,
                                 .used = used,
                                 .excluded = excluded,
                                 .seed = *rc::gen::arbitrary<uint64_t>()};
  const auto chosen = place_shards(candidates, request);
  size_t eligible = 0;
  const auto is_eligible = [&](const PlacementCandidate& candidate) {
    return candidate.room >= 100 && std::ranges::find(used, candidate.server) == used.end() &&
           std::ranges::find(excluded, candidate.server) == excluded.end();
  };
  for (const PlacementCandidate& candidate : candidates) eligible += is_eligible(candidate) ? 1 : 0;
  RC_ASSERT(chosen.size() == std::min<size_t>(request.wanted, eligible));
  RC_ASSERT(std::set<ServerId>(chosen.begin(), chosen.end()).size() == chosen.size());
  for (const ServerId server : chosen) RC_ASSERT(is_eligible(candidates.at(server.value() - 1)));
}

RC_GTEST_PROP(Placement, KeepsTheFullestRackAsEmptyAsCanBe, ()) {
  const auto candidates = servers(*rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 5))));
  const auto wanted = *rc::gen::inRange<uint32_t>(1, static_cast<uint32_t>(candidates.size()) + 1);
  const auto seed = *rc::gen::arbitrary<uint64_t>();
  std::map<std::string_view, uint32_t> sizes;
  for (const PlacementCandidate& candidate : candidates) ++sizes[candidate.rack];
  const auto chosen = place_shards(candidates, {.wanted = wanted, .used = {}, .excluded = {}, .seed = seed});
  uint32_t fullest = 0;
  for (const auto& [rack, count] : count_racks(candidates, chosen)) fullest = std::max(fullest, count);
  RC_ASSERT(fullest == least_maximum(sizes, wanted));
}

RC_GTEST_PROP(Placement, DependsOnNothingButItsInput, ()) {
  auto candidates = servers(*rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 5)));
  const PlacementRequest request{.wanted = 6, .used = {}, .excluded = {}, .seed = *rc::gen::arbitrary<uint64_t>()};
  const auto chosen = place_shards(candidates, request);
  RC_ASSERT(place_shards(candidates, request) == chosen);
  std::ranges::reverse(candidates);
  RC_ASSERT(place_shards(candidates, request) == chosen);
}

TEST(Placement, CountsTheRacksOfServersThatHoldShardsAlready) {
  const auto candidates = servers({0, 0, 0, 1, 1, 1});
  const std::vector<ServerId> used = {ServerId(1), ServerId(2)};
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const auto chosen = place_shards(candidates, {.wanted = 2, .used = used, .excluded = {}, .seed = seed});
    EXPECT_EQ(count_racks(candidates, chosen).at("/b"), 2u);
  }
}

TEST(Placement, PrefersFreeSpaceAndIdleServers) {
  auto candidates = servers({0, 0, 0});
  candidates[0].free_bytes = 900ULL << 30;
  candidates[1].free_bytes = 100ULL << 30;
  candidates[2].free_bytes = 900ULL << 30;
  candidates[2].load = 1000;
  std::map<ServerId, int> drawn;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    ++drawn[place_shards(candidates, {.wanted = 1, .used = {}, .excluded = {}, .seed = seed}).at(0)];
  }
  EXPECT_GT(drawn[ServerId(1)], 800);
  EXPECT_GT(drawn[ServerId(2)], 50);
  EXPECT_LT(drawn[ServerId(3)], 50);
}

TEST(Placement, BearsTheLargestNumbers) {
  auto candidates = servers({0, 0, 1});
  for (PlacementCandidate& candidate : candidates) {
    candidate.free_bytes = UINT64_MAX;
    candidate.load = UINT64_MAX / 2;
  }
  EXPECT_EQ(place_shards(candidates, {.wanted = 3, .used = {}, .excluded = {}, .seed = 1}).size(), 3u);
}

}  // namespace
}  // namespace dogfs
