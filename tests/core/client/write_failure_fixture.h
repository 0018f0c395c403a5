// A cluster of chunk servers that hang, or are slow, while a client writes to them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "tests/core/client/client_fixture.h"

namespace dogfs::test {

// A shard of a full block takes three appends.
inline constexpr Geometry kGeometry{
    .data_shards = 3, .parity_shards = 2, .cell_bytes = 64 * kKiB, .block_bytes = uint64_t{40} * 3 * 64 * kKiB};
inline constexpr uint64_t kBlock = kGeometry.block_bytes;

class WriteFailureTest : public ClientFixture {
 protected:
  explicit WriteFailureTest(size_t servers = 7) : ClientFixture(servers, kGeometry) {}

  // Requests to these servers get no answer.
  void hang(std::set<uint64_t> servers) { hung_.merge(servers); }
  bool is_hung(const Address& to) const {
    return std::ranges::any_of(hung_, [&](uint64_t id) { return cluster_.server_address(id) == to; });
  }
  // Once the `nth` request of `type` comes to the first of `servers`, all of them hang.
  void hang_at(const std::set<uint64_t>& servers, MessageType type, int nth) {
    world_.transport.fate = [this, servers, type, nth](const Address& to, const Request& request) mutable {
      if (request.type == type && to == cluster_.server_address(*servers.begin()) && --nth == 0) hang(servers);
      return is_hung(to) ? Fate::kLoseRequest : Fate::kDeliver;
    };
  }

  // These servers take one append in nine seconds, and so never stall.
  void slow_down(std::set<uint64_t> servers) {
    slow_.merge(servers);
    world_.transport.delay = [this](const Address& to, const Request& request) {
      const auto slow = std::ranges::find_if(slow_, [&](uint64_t id) { return cluster_.server_address(id) == to; });
      if (slow == slow_.end() || request.type != MessageType::kAppendShard) return Duration(microseconds(200));
      MonoTime& until = busy_until_[*slow];
      until = std::max(until, world_.clock.now()) + seconds(9);
      return Duration(until - world_.clock.now());
    };
  }

  Duration elapsed() const { return world_.clock.now() - MonoTime(seconds(1000)); }
  // For a test that fails rather than never ends.
  bool is_too_late() const { return elapsed() > 2 * options_.write_patience; }
  void expect_reads_back(const std::string& path, const std::string& data) {
    const Result<std::string> got = read(path);
    ASSERT_TRUE(got.has_value()) << got.error().to_string();
    EXPECT_TRUE(got.value() == data);
  }
  static bool asks_for(const Request& request, wire::Mutation::OperationCase operation) {
    return request.type == MessageType::kMutate &&
           parse_message<wire::MutateRequest>(request.body).value().mutation().operation_case() == operation;
  }
  void delay_second_allocation(Duration delay) {
    world_.transport.delay = [this, delay](const Address&, const Request& request) {
      const bool is_second = cluster_.allocations.size() == 1 && asks_for(request, wire::Mutation::kAllocateBlock);
      return is_second ? delay : Duration(microseconds(200));
    };
  }
  void expect_nothing_visible(const std::string& path) {
    EXPECT_TRUE(cluster_.file(path).blocks.empty());
    EXPECT_TRUE(cluster_.file(path).pending.empty());
    EXPECT_TRUE(cluster_.file(path).closed);
    EXPECT_EQ(cluster_.file(path).length, 0u);
  }

  const ClientOptions options_ = cluster_.client_options();
  std::set<uint64_t> hung_;
  std::set<uint64_t> slow_;
  std::map<uint64_t, MonoTime> busy_until_;
};

}  // namespace dogfs::test
