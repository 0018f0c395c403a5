#include "runtime/cli/admin_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dogfs::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kGiB = 1ULL << 30;

wire::ChunkServerInfo server(uint64_t id, wire::ServerState state, int64_t heard_ms) {
  wire::ChunkServerInfo out;
  out.set_server(id);
  out.set_address("host:" + std::to_string(id));
  out.set_rack("/r");
  out.set_state(state);
  out.set_last_heartbeat_ms(heard_ms);
  out.set_last_scrub_ms(-1);
  out.set_alive(heard_ms >= 0 && heard_ms < 3000);
  out.set_total_bytes(heard_ms < 0 ? 0 : 100 * kGiB);
  out.set_free_bytes(heard_ms < 0 ? 0 : 75 * kGiB);
  out.set_shards(heard_ms < 0 ? 0 : 40 + id);
  out.set_blocks(state == wire::LIVE ? -1 : 17);
  return out;
}

wire::AdminReport report() {
  wire::ClusterStatusReply status;
  *status.add_servers() = server(1, wire::LIVE, 300);
  *status.add_servers() = server(2, wire::LIVE, 9000);
  *status.add_servers() = server(3, wire::DEAD, -1);
  *status.add_servers() = server(4, wire::DRAINING, 200);
  *status.add_servers() = server(5, wire::MAINTENANCE, 100'000);
  *status.add_servers() = server(6, wire::REMOVED, -1);
  status.set_blocks(100);
  for (const uint64_t blocks : {2, 3, 0}) status.add_blocks_with_spares(blocks);
  status.set_blocks_leaving(4);
  status.set_blocks_lost(1);
  status.set_open_files(6);
  status.set_sessions(8);
  status.set_trash_entries(9);
  status.set_quotas(3);
  status.set_trash_ms(3'600'000);
  wire::MembershipReply group;
  group.set_leader(2);
  group.set_answered_by(2);
  group.set_from_leader(true);
  for (const uint64_t id : {1, 2}) {
    group.add_members()->set_node(id);
    group.mutable_members(static_cast<int>(id) - 1)->set_address("meta:" + std::to_string(id));
  }
  return sum_up(status, group);
}

TEST(AdminReport, SpaceIsThatOfTheServersAlive) {
  EXPECT_EQ(report().capacity_bytes(), 200 * kGiB);
  EXPECT_EQ(report().used_bytes(), 50 * kGiB);
  EXPECT_EQ(report().free_bytes(), 150 * kGiB);
  EXPECT_THAT(describe_report(report()),
              HasSubstr("200G in all, 50G used (25.0 %), 150G free, on the 2 servers alive"));
}

TEST(AdminReport, ServersAreCountedByStateAndShownButForTheRemoved) {
  const wire::AdminReport sum = report();
  EXPECT_EQ(sum.live(), 2u);
  EXPECT_EQ(sum.silent(), 3u);
  const std::string text = describe_report(sum);
  EXPECT_THAT(text, HasSubstr("2 live, 1 dead, 1 draining, 1 in maintenance, 1 removed; 3 silent now\n"));
  EXPECT_THAT(text, HasSubstr("live, SILENT"));
  EXPECT_THAT(text, HasSubstr("1:40 ago"));
  EXPECT_THAT(text, Not(HasSubstr("host:6")));
}

TEST(AdminReport, OfADeadServerTheBlocksAreThoseOfTheMap) {
  const std::string text = describe_report(report());
  const size_t begin = text.find("host:3");
  EXPECT_THAT(text.substr(begin, text.find('\n', begin) - begin), HasSubstr(" 17 "));
}

TEST(AdminReport, DisksAreShownAndTheirAlarmsCounted) {
  wire::ClusterStatusReply status;
  wire::ChunkServerInfo& of = *status.add_servers() = server(7, wire::LIVE, 300);
  for (const char* name : {"/disk/a", "/disk/b", "/disk/c"}) of.add_disks()->set_name(name);
  of.mutable_disks(0)->set_shards(1234);
  of.mutable_disks(1)->set_state(wire::DiskInfo::READ_ONLY);
  of.mutable_disks(1)->set_alarm("its file system is read-only");
  of.mutable_disks(1)->set_total_bytes(10);
  of.mutable_disks(1)->set_free_bytes(20);
  of.mutable_disks(2)->set_state(wire::DiskInfo::EMPTY);
  of.mutable_disks(2)->set_alarm("came up empty\n");
  const wire::AdminReport sum = sum_up(status, wire::MembershipReply());
  EXPECT_EQ(sum.disk_alarms(), 2u);
  const std::string text = describe_report(sum);
  EXPECT_THAT(text, HasSubstr("3 of the servers that were heard of, 2 with an alarm\n"));
  EXPECT_THAT(text, testing::ContainsRegex("/disk/a +working +1234 "));
  EXPECT_THAT(text, testing::ContainsRegex("/disk/b +READ-ONLY .*ALARM: its file system is read-only"));
  EXPECT_THAT(text, Not(HasSubstr("empty\n\n")));
}

TEST(AdminReport, DisksSayWhenTheyWereReadThrough) {
  wire::ClusterStatusReply status;
  wire::ChunkServerInfo& of = *status.add_servers() = server(7, wire::LIVE, 300);
  for (const char* name : {"/disk/a", "/disk/b"}) of.add_disks()->set_name(name);
  of.mutable_disks(0)->set_last_scrub_ms(100'000);
  of.mutable_disks(0)->set_all_read_ms(3'700'000);
  of.mutable_disks(1)->set_last_scrub_ms(-1);
  of.mutable_disks(1)->set_all_read_ms(-1);
  const std::string text = describe_report(sum_up(status, wire::MembershipReply()));
  EXPECT_THAT(text, testing::ContainsRegex("USED % +SCRUBBED +OLDEST"));
  EXPECT_THAT(text, testing::ContainsRegex("/disk/a .* 1:40 ago 1:01:40 ago"));
  EXPECT_THAT(text, testing::ContainsRegex("/disk/b .* - +-"));
}

TEST(AdminReport, BlocksAreCountedByWhatTheyCanBear) {
  EXPECT_EQ(report().blocks_whole(), 90u);
  EXPECT_THAT(describe_report(report()),
              HasSubstr("90 as they should be, 0 short with 2 spares, 3 short with 1 spares, 2 short with 0 spares, "
                        "4 to move, 1 not readable now\n"));
}

TEST(AdminReport, WhatHoldsRepairUpIsSaid) {
  wire::ClusterStatusReply status;
  wire::RepairHindrance& hindrance = *status.add_hindrances();
  hindrance.set_reason(wire::RepairHindrance::TOO_FEW_SERVERS);
  hindrance.set_shards(12);
  hindrance.set_block(7);
  EXPECT_THAT(describe_report(sum_up(status, {})),
              HasSubstr("  held up    12 shards, as of block 7: every server that takes shards has one of the block "
                        "already: add servers\n"));
}

TEST(AdminReport, BlocksThatLieCrowdedInARackAreSpokenOf) {
  wire::ClusterStatusReply status;
  EXPECT_THAT(describe_report(sum_up(status, {})), Not(HasSubstr("racks  "))) << "only the leader knows";
  wire::RackRepair& racks = *status.mutable_rack_repair();
  racks.set_moving(3);
  racks.set_waiting(12);
  racks.set_moves(40);
  racks.set_estimate_ms(90'000);
  EXPECT_THAT(
      describe_report(sum_up(status, {})),
      HasSubstr("racks        3 shards are moving to other racks, 12 blocks wait for their turn; 40 shards moved "
                "so far, about 1:30 at the rate of late\n"));
  racks.set_passing(true);
  racks.set_estimate_ms(-1);
  racks.set_blocks_seen(5000);
  wire::RepairHindrance& hindrance = *racks.add_hindrances();
  hindrance.set_reason(wire::RepairHindrance::TOO_FEW_RACKS);
  hindrance.set_shards(2);
  hindrance.set_block(9);
  EXPECT_THAT(describe_report(sum_up(status, {})),
              HasSubstr("so far, for how long is not known yet; 5000 blocks seen in a pass over all\n  held up    2 "
                        "shards, as of block 9: no other rack "
                        "has a server that could take them: add racks\n"));
}

// A server of a single disk that was not mounted begins as a new one.
TEST(AdminReport, AServerThatBeganWithEmptyDisksAtTheAddressOfAnotherIsAnAlarm) {
  wire::ClusterStatusReply status;
  wire::ChunkServerInfo& server = *status.add_servers();
  server.set_server(3);
  server.set_state(wire::DEAD);
  EXPECT_EQ(sum_up(status, {}).disk_alarms(), 0u);
  server.set_supplanted_by(12);
  EXPECT_EQ(sum_up(status, {}).disk_alarms(), 1u);
  EXPECT_THAT(describe_report(sum_up(status, {})), HasSubstr("ALARM: server 12 began at its address"));
}

TEST(AdminReport, TheRepairQueueIsEstimated) {
  wire::ClusterStatusReply status;
  status.set_estimate_ms(-1);
  EXPECT_THAT(describe_report(sum_up(status, {})), Not(HasSubstr("to go"))) << "nothing is";
  status.set_shards_to_go(500);
  EXPECT_THAT(describe_report(sum_up(status, {})), HasSubstr("500 shards, for how long is not known yet\n"));
  status.set_estimate_ms(80'000);
  status.set_shards_per_hour(22'500);
  EXPECT_THAT(describe_report(sum_up(status, {})),
              HasSubstr("  to go      500 shards, about 1:20 at the rate of late, 22500 an hour\n"));
}

TEST(AdminReport, QuotasAreCounted) {
  EXPECT_THAT(describe_report(report()), HasSubstr("quotas       3 directories have one\n"));
}

TEST(AdminReport, WhatNobodyAsksForIsCountedAndWhatWasNeverIssuedIsAnAlarm) {
  wire::ClusterStatusReply status;
  status.set_garbage_shards(4);
  status.set_unlisted_shards(3);
  EXPECT_THAT(describe_report(sum_up(status, {})), HasSubstr("4 shards to be deleted, 3 that nothing lists\n"));
  EXPECT_THAT(describe_report(sum_up(status, {})), Not(HasSubstr("ALARM")));
  EXPECT_THAT(describe_report(sum_up(status, {})), Not(HasSubstr("not of this cluster")));
  status.set_impossible_shards(2);
  status.set_foreign_files(5);
  EXPECT_THAT(describe_report(sum_up(status, {})), HasSubstr("ALARM: 2 shards were never issued\n"));
  EXPECT_THAT(describe_report(sum_up(status, {})), HasSubstr("5 files on the disks are not of this cluster\n"));
}

TEST(AdminReport, AMetadataNodeWithoutRoomIsAnAlarm) {
  wire::ClusterStatusReply status;
  status.set_answered_by(2);
  status.set_metadata_free_bytes(100 << 20);
  EXPECT_THAT(describe_report(sum_up(status, {})), Not(HasSubstr("ALARM")));
  status.set_metadata_room_low(true);
  EXPECT_THAT(describe_report(sum_up(status, {})), HasSubstr("             ALARM: node 2 has 100M left on its disk"));
}

TEST(AdminReport, TheTrashIsShown) {
  EXPECT_THAT(describe_report(report()), HasSubstr("9 deleted paths are kept; what is deleted stays for 1:00:00\n"));
  EXPECT_THAT(describe_report(sum_up({}, {})), HasSubstr("0 deleted paths are kept; off\n"));
}

TEST(AdminReport, MembersAndTheirLeaderAreNamed) {
  const std::string text = describe_report(report());
  EXPECT_THAT(text, HasSubstr("2 members, 2 leads"));
  EXPECT_THAT(text, HasSubstr("meta:1"));
}

}  // namespace
}  // namespace dogfs::cli
