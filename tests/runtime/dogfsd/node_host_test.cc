// What a node makes of its flags.
#include "runtime/dogfsd/node_host.h"

#include <gtest/gtest.h>

namespace dogfs {
namespace {

TEST(MetaOptions, LimitsOfRepairAreThoseOfTheFlags) {
  MetaConfig config;
  EXPECT_EQ(meta_options(config).repair_limits.cluster, RepairLimits().cluster);
  EXPECT_EQ(meta_options(config).repair_limits.per_target, RepairLimits().per_target);
  EXPECT_EQ(meta_options(config).repair_limits.per_source, RepairLimits().per_source);
  EXPECT_EQ(meta_options(config).repair_limits.grace, RepairLimits().grace);
  config.cluster_repairs = 11;
  config.repairs_per_target = 12;
  config.repairs_per_source = 13;
  config.repair_grace = seconds(14);
  const RepairLimits limits = meta_options(config).repair_limits;
  EXPECT_EQ(limits.cluster, 11u);
  EXPECT_EQ(limits.per_target, 12u);
  EXPECT_EQ(limits.per_source, 13u);
  EXPECT_EQ(limits.grace, seconds(14));
}

TEST(ChunkOptions, RatesAreThoseOfTheFlags) {
  ChunkConfig config;
  const ChunkOptions unchanged = chunk_options(config, Address{"here:1"});
  EXPECT_EQ(unchanged.repair_bytes_per_s, ChunkOptions().repair_bytes_per_s);
  EXPECT_EQ(unchanged.max_repairs, ChunkOptions().max_repairs);
  EXPECT_EQ(unchanged.max_repairs_per_disk, ChunkOptions().max_repairs_per_disk);
  EXPECT_EQ(unchanged.scrub_bytes_per_s, ChunkOptions().scrub_bytes_per_s);
  EXPECT_EQ(unchanged.scrub_interval, ChunkOptions().scrub_interval);
  config.repair_bytes_per_s = 21;
  config.repairs = 22;
  config.repairs_per_disk = 23;
  config.scrub_bytes_per_s = 24;
  config.scrub_interval = seconds(25);
  const ChunkOptions options = chunk_options(config, Address{"here:1"});
  EXPECT_EQ(options.repair_bytes_per_s, 21u);
  EXPECT_EQ(options.max_repairs, 22u);
  EXPECT_EQ(options.max_repairs_per_disk, 23u);
  EXPECT_EQ(options.scrub_bytes_per_s, 24u);
  EXPECT_EQ(options.scrub_interval, seconds(25));
}

TEST(ChunkOptions, AServerIsFoundWhereItListensUnlessItIsToldOtherwise) {
  ChunkConfig config;
  EXPECT_EQ(chunk_options(config, Address{"here:1"}).address, Address{"here:1"});
  config.advertise = Address{"there:2"};
  EXPECT_EQ(chunk_options(config, Address{"here:1"}).address, Address{"there:2"});
}

}  // namespace
}  // namespace dogfs
