#include "runtime/dogfsd/config.h"

#include <gtest/gtest.h>

namespace dogfs {
namespace {

MetaFlags good_meta() {
  MetaFlags flags;
  flags.id = 2;
  flags.peers = "1=127.0.0.1:7001,2=127.0.0.1:7002,3=[::1]:7003";
  flags.directory = "/data";
  return flags;
}

ChunkFlags good_chunk() {
  ChunkFlags flags;
  flags.meta = "127.0.0.1:7001,meta-2.example.org:7001";
  flags.directories = {"/disk-1", "/disk-2"};
  return flags;
}

// The flag that a refusal names.
template <class T>
std::string refused_flag(const Result<T>& result) {
  if (code_of(result) != ErrorCode::kInvalidArgument) return "nothing";
  return result.error().detail.substr(0, result.error().detail.find(':'));
}

std::string refused_meta(const std::function<void(MetaFlags&, CommonFlags&)>& change) {
  MetaFlags flags = good_meta();
  CommonFlags common;
  change(flags, common);
  return refused_flag(check_meta(flags, common));
}

std::string refused_chunk(const std::function<void(ChunkFlags&, CommonFlags&)>& change) {
  ChunkFlags flags = good_chunk();
  CommonFlags common;
  change(flags, common);
  return refused_flag(check_chunk(flags, common));
}

std::string refused_dev(const std::function<void(DevFlags&)>& change) {
  DevFlags flags;
  change(flags);
  return refused_flag(check_dev(flags, CommonFlags()));
}

TEST(MetaConfig, ListensWhereItsPeersCallIt) {
  const MetaConfig config = check_meta(good_meta(), CommonFlags()).value();
  EXPECT_EQ(config.listen, Address{"127.0.0.1:7002"});
  EXPECT_EQ(config.nodes.size(), 3U);
  EXPECT_EQ(config.nodes.at(NodeId(3)), Address{"[::1]:7003"});
}

TEST(MetaConfig, AnEmptyStoreIsALossUnlessTheOperatorSaysOtherwise) {
  MetaFlags flags = good_meta();
  EXPECT_EQ(check_meta(flags, CommonFlags()).value().empty_store, EmptyStore::kRefused);
  flags.form = true;
  EXPECT_EQ(check_meta(flags, CommonFlags()).value().empty_store, EmptyStore::kForms);
  flags.join = true;
  EXPECT_EQ(refused_flag(check_meta(flags, CommonFlags())), "--join");
  flags.form = false;
  EXPECT_EQ(check_meta(flags, CommonFlags()).value().empty_store, EmptyStore::kJoins);
}

TEST(MetaConfig, WrongFlagIsNamed) {
  for (const char* peers :
       {"", "1", "1=", "=127.0.0.1:1", "x=127.0.0.1:1", "0=127.0.0.1:1", "-1=127.0.0.1:1", "2=127.0.0.1:0",
        "2=127.0.0.1", "1=a:1,2=b:1,2=c:1", "1=a:1,2=a:1", "1=a:1,2=b:1,", "99999999999999999999=a:1"}) {
    EXPECT_EQ(refused_meta([&](MetaFlags& flags, CommonFlags&) { flags.peers = peers; }), "--peers") << peers;
  }
  EXPECT_EQ(refused_meta([](MetaFlags& flags, CommonFlags&) { flags.id = 4; }), "--id");
  // Writers renew every 15 seconds.
  EXPECT_EQ(refused_meta([](MetaFlags& flags, CommonFlags&) { flags.lease_limit_s = 15; }), "--lease-limit");
  for (const char* listen : {"0.0.0.0:0", "name:7001", "7001"}) {
    EXPECT_EQ(refused_meta([&](MetaFlags& flags, CommonFlags&) { flags.listen = listen; }), "--listen") << listen;
  }
  EXPECT_EQ(refused_meta([](MetaFlags&, CommonFlags& common) { common.log_level = "loud"; }), "--log-level");
  for (const std::string& name : {std::string(), std::string("a b"), std::string(65, 'x'), std::string("a\n")}) {
    EXPECT_EQ(refused_meta([&](MetaFlags&, CommonFlags& common) { common.cluster = name; }), "--cluster");
  }
}

TEST(MetaConfig, ADriftBoundMustLeaveSomethingOfALease) {
  EXPECT_EQ(refused_meta([](MetaFlags& flags, CommonFlags&) { flags.lease_drift_bound_ms = 250; }),
            "--lease-drift-bound");
  MetaFlags flags = good_meta();
  flags.lease_drift_bound_ms = 249;
  EXPECT_EQ(check_meta(flags, CommonFlags()).value().lease_drift_bound, milliseconds(249));
}

TEST(MetaConfig, LimitsOfRepairAreCheckedAndTaken) {
  for (const unsigned none_or_too_many : {0u, 10'001u}) {
    const unsigned value = none_or_too_many;
    EXPECT_EQ(refused_meta([&](MetaFlags& flags, CommonFlags&) { flags.cluster_repairs = value; }),
              "--cluster-repairs");
    EXPECT_EQ(refused_meta([&](MetaFlags& flags, CommonFlags&) { flags.repairs_per_target = value; }),
              "--repairs-per-target");
    EXPECT_EQ(refused_meta([&](MetaFlags& flags, CommonFlags&) { flags.repairs_per_source = value; }),
              "--repairs-per-source");
  }
  EXPECT_EQ(refused_meta([](MetaFlags& flags, CommonFlags&) { flags.repairs_per_target = 65; }),
            "--repairs-per-target");
  MetaFlags flags = good_meta();
  flags.cluster_repairs = 10'000;
  flags.repairs_per_target = 64;
  flags.repairs_per_source = 5;
  const MetaConfig config = check_meta(flags, CommonFlags()).value();
  EXPECT_EQ(config.cluster_repairs, 10'000u);
  EXPECT_EQ(config.repairs_per_target, 64u);
  EXPECT_EQ(config.repairs_per_source, 5u);
}

TEST(ChunkConfig, RatesAreCheckedAndTaken) {
  for (const unsigned value : {0u, 65'537u}) {
    EXPECT_EQ(refused_chunk([&](ChunkFlags& flags, CommonFlags&) { flags.repair_mib_per_s = value; }), "--repair-rate");
    EXPECT_EQ(refused_chunk([&](ChunkFlags& flags, CommonFlags&) { flags.scrub_mib_per_s = value; }), "--scrub-rate");
    EXPECT_EQ(refused_chunk([&](ChunkFlags& flags, CommonFlags&) { flags.scrub_interval_h = value; }),
              "--scrub-interval");
    EXPECT_EQ(refused_chunk([&](ChunkFlags& flags, CommonFlags&) { flags.repairs = value; }), "--repairs");
    EXPECT_EQ(refused_chunk([&](ChunkFlags& flags, CommonFlags&) { flags.repairs_per_disk = value; }),
              "--repairs-per-disk");
  }
  EXPECT_EQ(refused_chunk([](ChunkFlags& flags, CommonFlags&) { flags.repairs_per_disk = 9; }), "--repairs-per-disk")
      << "more than there are at once";
  ChunkFlags flags = good_chunk();
  flags.repair_mib_per_s = 3;
  flags.scrub_mib_per_s = 65'536;
  flags.scrub_interval_h = 2;
  flags.repairs = 64;
  flags.repairs_per_disk = 64;
  const ChunkConfig config = check_chunk(flags, CommonFlags()).value();
  EXPECT_EQ(config.repair_bytes_per_s, 3 * kMiB);
  EXPECT_EQ(config.scrub_bytes_per_s, 65'536 * kMiB);
  EXPECT_EQ(config.scrub_interval, std::chrono::hours(2));
  EXPECT_EQ(config.repairs, 64u);
  EXPECT_EQ(config.repairs_per_disk, 64u);
}

TEST(ChunkConfig, DirectoriesAreDisks) {
  const ChunkConfig config = check_chunk(good_chunk(), CommonFlags()).value();
  EXPECT_EQ(config.directories.size(), 2U);
  EXPECT_EQ(config.meta_nodes.back(), Address{"meta-2.example.org:7001"});
  EXPECT_EQ(config.listen, Address{"127.0.0.1:0"});
}

TEST(ChunkConfig, WrongFlagIsNamed) {
  for (const char* meta : {"", "a", "a:0", "a:1,", "a:1,,b:1"}) {
    EXPECT_EQ(refused_chunk([&](ChunkFlags& flags, CommonFlags&) { flags.meta = meta; }), "--meta") << meta;
  }
  for (const std::string& rack : {std::string(), std::string("r1"), std::string("/a b"), "/" + std::string(255, 'x')}) {
    EXPECT_EQ(refused_chunk([&](ChunkFlags& flags, CommonFlags&) { flags.rack = rack; }), "--rack") << rack;
  }
  EXPECT_EQ(refused_chunk([](ChunkFlags& flags, CommonFlags&) { flags.directories.assign(65, "/d"); }), "--dir");
  EXPECT_EQ(refused_chunk([](ChunkFlags& flags, CommonFlags&) { flags.listen = "name:1"; }), "--listen");
  EXPECT_EQ(refused_chunk([](ChunkFlags& flags, CommonFlags&) { flags.advertise = "name:0"; }), "--advertise");
}

// A server that tells clients to call 0.0.0.0 would never be reached.
TEST(ChunkConfig, ListeningEverywhereNeedsAnAddressForClients) {
  for (const char* listen : {"0.0.0.0:7100", "[::]:7100"}) {
    EXPECT_EQ(refused_chunk([&](ChunkFlags& flags, CommonFlags&) { flags.listen = listen; }), "--advertise");
  }
  ChunkFlags flags = good_chunk();
  flags.listen = "0.0.0.0:7100";
  flags.advertise = "chunk-1.example.org:7100";
  EXPECT_EQ(check_chunk(flags, CommonFlags()).value().advertise, Address{"chunk-1.example.org:7100"});
}

TEST(DevConfig, WrongFlagIsNamed) {
  EXPECT_EQ(refused_dev([](DevFlags&) {}), "nothing");
  EXPECT_EQ(refused_dev([](DevFlags& flags) { flags.meta_nodes = 0; }), "--meta");
  EXPECT_EQ(refused_dev([](DevFlags& flags) { flags.meta_nodes = 16; }), "--meta");
  EXPECT_EQ(refused_dev([](DevFlags& flags) { flags.chunk_servers = 0; }), "--chunks");
  EXPECT_EQ(refused_dev([](DevFlags& flags) { flags.chunk_servers = 65; }), "--chunks");
  EXPECT_EQ(refused_dev([](DevFlags& flags) { flags.base_port = 65'530; }), "--base-port");
  EXPECT_EQ(refused_dev([](DevFlags& flags) { flags.base_port = 4'000'000'000; }), "--base-port");
}

}  // namespace
}  // namespace dogfs
