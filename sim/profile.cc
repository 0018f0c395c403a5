#include "sim/profile.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "sim/random.h"

namespace dogfs::sim {
namespace {

// A class of faults that may be on. Its times are in milliseconds.
struct Candidate {
  const char* name;   // of its stream
  const char* fault;  // as protobuf text
  uint32_t shortest;
  uint32_t longest;
  bool data = false;           // of disks and chunk servers: in the profile DATA too
  bool one_at_a_time = false;  // where several together could be more than the code can spare
  uint32_t seldom = 1;         // so many times as seldom as others
};

// What clocks part by in an election timeout of 300 ms where one is 80,000 millionths too fast and another as much too
// slow: 300 - 300 / 1.08 * 0.92, and a little more.
constexpr uint32_t kLeaseDriftBoundMs = 50;
// A disk that hangs is given up after half a minute (core/chunk/disk_watch.h), once it is asked for anything.
constexpr uint64_t kShortestHangMs = 40'000;
constexpr uint64_t kLongestHangMs = 60'000;
constexpr uint64_t kBalancedDiskBytes = 32 * kMiB;

constexpr std::array kCandidates = {
    // Networks
    Candidate{"cut leader", R"(partition { a: "leader" b: "rest" })", 50, 4000},
    Candidate{"cut one way", R"(partition { a: "random 1 all" b: "rest" one_way: true })", 50, 3000},
    Candidate{"cut minority", R"(partition { a: "minority" b: "rest" })", 50, 4000},
    Candidate{"cut servers", R"(partition { a: "random 2 chunk" b: "rest" })", 50, 4000, true},
    Candidate{"cut client", R"(partition { a: "random 1 client" b: "rest" })", 50, 6000},
    Candidate{"flap", R"(flap { a: "random 1 all" b: "rest" longest_ms: 300 })", 500, 4000},
    Candidate{"chaos", R"(network { delay_min_us: 200 delay_max_us: 20000 loss_per_million: 20000
        duplicate_per_million: 50000 reorder_per_million: 100000 reorder_max_ms: 200 })",
              500, 4000},
    // Processes
    Candidate{"crash leader", R"(crash { nodes: "leader" power: true })", 10, 2500},
    Candidate{"kill meta", R"(crash { nodes: "random 1 meta" })", 10, 3000},
    Candidate{"crash server", R"(crash { nodes: "random 1 chunk" power: true })", 10, 4000, true},
    Candidate{"kill servers", R"(crash { nodes: "random 2 chunk" })", 10, 2000, true},
    Candidate{"crash client", R"(crash { nodes: "random 1 client" power: true })", 10, 1500},
    Candidate{"power cut", R"(crash { nodes: "all" power: true })", 50, 800, true, false, 4},
    Candidate{"pause leader", R"(pause { nodes: "leader" })", 50, 2500},
    Candidate{"pause servers", R"(pause { nodes: "random 2 chunk" })", 50, 7000, true},
    Candidate{"pause client", R"(pause { nodes: "random 1 client" })", 50, 5000},
    Candidate{"slow meta", R"(slow_cpu { nodes: "random 1 meta" event_us: 300 })", 500, 3000},
    Candidate{"slow servers", R"(slow_cpu { nodes: "random 2 chunk" event_us: 2000 })", 500, 4000, true},
    // Clocks
    Candidate{"fast clocks", R"(clock_drift { nodes: "random 3 all" parts_per_million: 80000 })", 1000, 8000},
    Candidate{"slow clocks", R"(clock_drift { nodes: "random 3 all" parts_per_million: -80000 })", 1000, 8000},
    Candidate{"jump", R"(clock_jump { nodes: "random 1 all" forward_ms: 2000 wall_ms: -600000 })", 0, 0},
    // Disks
    Candidate{"rot", R"(bit_rot { nodes: "random 3 chunk" bits: 3 })", 0, 0, true},
    Candidate{"read errors", R"(disk_read_errors { nodes: "random 1 chunk" per_million: 150000 })", 300, 3000, true},
    Candidate{"write errors", R"(disk_write_errors { nodes: "random 1 chunk" per_million: 200000 })", 300, 3000, true},
    Candidate{"misdirected writes", R"(misdirected_writes { nodes: "random 2 chunk" per_million: 100000 })", 300, 3000,
              true},
    Candidate{"misdirected reads", R"(misdirected_reads { nodes: "random 1 chunk" per_million: 50000 })", 300, 3000,
              true, true},
    Candidate{"full", R"(disk_full { nodes: "random 2 chunk" })", 500, 4000, true},
    Candidate{"slow disk", R"(slow_disk { nodes: "random 1 chunk" min_us: 10000 max_us: 300000 })", 500, 4000, true},
    Candidate{"slow rows", R"(slow_disk { nodes: "random 1 meta" min_us: 3000 max_us: 100000 })", 500, 3000},
    Candidate{"meta sync fails", R"(sync_failure { nodes: "random 1 meta" })", 800, 1500},
    Candidate{"server sync fails", R"(sync_failure { nodes: "random 1 chunk" })", 800, 1500, true},
    // At the end of the list, since the place of a class in the scenario is a part of its faults' stream.
    Candidate{"cut leader from followers", R"(partition { a: "leader" b: "followers" })", 50, 2000},
    Candidate{"hand over", R"(transfer_leadership { to: "random 2 meta" })", 0, 0},
    Candidate{"cut rack", R"(partition { a: "random rack" b: "rest" })", 50, 4000, true},
    Candidate{"rack power", R"(crash { nodes: "random rack" power: true })", 10, 3000, true, false, 2},
    Candidate{"latent errors", R"(latent_errors { nodes: "random 3 chunk" shards: 2 })", 0, 0, true},
    Candidate{"bad wires", R"(network { delay_min_us: 100 delay_max_us: 1000 corrupt_per_million: 10000 })", 500, 4000},
    Candidate{"short queues", R"(network { delay_min_us: 200 delay_max_us: 20000 queued_messages: 4 })", 500, 3000},
    Candidate{"row errors", R"(disk_write_errors { nodes: "random 1 chunk" per_million: 50000 rows: true })", 300, 3000,
              true},
    Candidate{"meta row errors", R"(disk_write_errors { nodes: "random 1 meta" per_million: 20000 rows: true })", 300,
              2000},
    Candidate{"rows full", R"(disk_full { nodes: "random 1 chunk" rows: true })", 300, 3000, true, false, 2},
    Candidate{"meta rows full", R"(disk_full { nodes: "random 1 meta" rows: true })", 300, 2000, false, false, 2},
    Candidate{"meta nearly full", R"(disk_full { nodes: "random 2 meta" nearly: true })", 5500, 8000},
    Candidate{"meta row reads", R"(disk_read_errors { nodes: "random 1 meta" per_million: 10000 rows: true })", 300,
              2000},
    Candidate{"row reads", R"(disk_read_errors { nodes: "random 1 chunk" per_million: 300000 rows: true })", 300, 3000,
              true},
};

class ProfileDraw {
 public:
  ProfileDraw(const proto::Scenario& scenario, uint64_t seed)
      : key_(StreamKey(seed).with("profile")),
        only_data_(scenario.profile() == proto::DATA),
        given_cluster_(scenario.profile() == proto::EVERYTHING_BUT_CLUSTER),
        drawn_(scenario) {}

  proto::Scenario draw() {
    drawn_.clear_profile();
    if (!given_cluster_) draw_cluster();
    draw_network();
    if (!only_data_) draw_log();
    if (!only_data_) draw_log_cache();
    draw_work();
    draw_pace();
    for (const Candidate& candidate : kCandidates) {
      if (candidate.data || !only_data_) draw_class(candidate);
    }
    draw_deaths();
    if (!only_data_) draw_replacements();
    if (!only_data_) draw_lost_metadata();
    if (!only_data_) draw_looks();
    if (!only_data_) draw_shared_names();
    if (!only_data_) draw_leases();
    draw_departures();
    draw_trash();
    draw_quotas();
    draw_disks();
    draw_balancing();
    draw_hanging_disks();
    draw_upgrades();
    return std::move(drawn_);
  }

 private:
  RandomStream stream(std::string_view name) const { return RandomStream(key_.with(name)); }

  void draw_cluster() {
    RandomStream draws = stream("cluster");
    const bool wide = draws.below(2) == 0;
    drawn_.set_meta_nodes(draws.below(3) == 0 ? 5 : 3);
    drawn_.set_chunk_servers(static_cast<uint32_t>(draws.between(uint64_t{9}, 12)));
    drawn_.set_racks(static_cast<uint32_t>(draws.between(uint64_t{1}, 5)));
    drawn_.set_clients(static_cast<uint32_t>(draws.between(uint64_t{1}, 4)));
    proto::Policy& policy = *drawn_.mutable_policy();
    policy.set_data_shards(wide ? 6 : 3);
    policy.set_parity_shards(wide ? 3 : 2);
    policy.set_cell_bytes(kMinCellBytes << draws.below(2));
    policy.set_block_bytes(policy.data_shards() * policy.cell_bytes() * draws.between(uint64_t{1}, 4));
  }

  void draw_network() {
    RandomStream draws = stream("network");
    const bool poor = draws.below(3) == 0;
    proto::Network& network = *drawn_.mutable_network();
    network.set_delay_min_us(100);
    network.set_delay_max_us(static_cast<uint32_t>(draws.between(uint64_t{500}, poor ? 10'000 : 1000)));
    if (poor) {
      network.set_loss_per_million(static_cast<uint32_t>(draws.below(3000)));
      network.set_duplicate_per_million(static_cast<uint32_t>(draws.below(30'000)));
      network.set_reorder_per_million(static_cast<uint32_t>(draws.below(50'000)));
      network.set_reorder_max_ms(static_cast<uint32_t>(draws.between(uint64_t{10}, 150)));
    }
    if (draws.below(3) > 0) return;
    drawn_.mutable_meta_disk()->set_sync_min_us(1000);
    drawn_.mutable_meta_disk()->set_sync_max_us(static_cast<uint32_t>(draws.between(uint64_t{2000}, 20'000)));
  }

  // Half of the clusters keep so little of Raft's log that whoever was away for a moment is sent a snapshot, in parts
  // that are small enough for a state of a few files to have many.
  void draw_log() {
    RandomStream draws = stream("log");
    if (draws.below(2) == 0) return;
    drawn_.mutable_meta_disk()->set_log_entries(static_cast<uint32_t>(draws.between(uint64_t{2}, 40)));
    drawn_.mutable_meta_disk()->set_snapshot_part_bytes(static_cast<uint32_t>(draws.between(uint64_t{200}, 8192)));
  }

  // Half of the clusters have next to nothing of the log in memory, and read it back.
  void draw_log_cache() {
    RandomStream draws = stream("log cache");
    if (draws.below(2) == 0) return;
    drawn_.mutable_meta_disk()->set_log_cache_bytes(static_cast<uint32_t>(draws.between(uint64_t{1}, 4000)));
  }

  void draw_work() {
    RandomStream draws = stream("work");
    proto::Work& work = *drawn_.mutable_work();
    work.set_for_ms(static_cast<uint32_t>(draws.between(uint64_t{10}, 25) * 1000));
    work.set_think_max_ms(static_cast<uint32_t>(draws.between(uint64_t{50}, 800)));
    work.set_largest_file_blocks(static_cast<uint32_t>(draws.between(uint64_t{1}, 4)));
    work.set_files_before_faults(static_cast<uint32_t>(draws.below(6)));
    if (draws.below(2) == 0) return;
    work.set_appends_per_hundred(static_cast<uint32_t>(draws.below(30)));
    work.set_truncations_per_hundred(static_cast<uint32_t>(draws.below(15)));
    work.set_syncs_per_hundred(static_cast<uint32_t>(draws.below(20)));
    work.set_conversions_per_hundred(static_cast<uint32_t>(draws.below(10)));
  }

  // How far apart things happen: the same work and as many faults, in up to 128 times the time. Where they are close,
  // they meet; where they are not, leases run out, servers are declared dead and blocks are rebuilt in between. The
  // longest works last most of an hour: what happens every ten minutes (full block reports) has its turns, too.
  void draw_pace() {
    RandomStream draws = stream("pace");
    pace_ = 1U << draws.below(8);
    proto::Work& work = *drawn_.mutable_work();
    work.set_for_ms(work.for_ms() * pace_);
    work.set_think_max_ms(work.think_max_ms() * pace_);
  }

  // Each class is on in a third of the draws.
  void draw_class(const Candidate& candidate) {
    RandomStream draws = stream(candidate.name);
    if (draws.below(3) > 0) return;
    proto::FaultClass& drawn = *drawn_.add_fault_classes();
    DOGFS_CHECK(google::protobuf::TextFormat::ParseFromString(candidate.fault, drawn.mutable_fault()), candidate.name);
    const uint64_t interval = draws.between(uint64_t{1500}, 8000) * candidate.seldom * pace_;
    drawn.set_mean_interval_ms(static_cast<uint32_t>(interval));
    drawn.set_for_min_ms(candidate.shortest);
    drawn.set_for_max_ms(static_cast<uint32_t>(draws.between(candidate.shortest, candidate.longest)));
    drawn.set_one_at_a_time(candidate.one_at_a_time);
  }

  // At any time while the clients work.
  proto::Fault& add_fault(RandomStream& draws) {
    proto::Fault& fault = *drawn_.add_faults();
    fault.set_at_ms(static_cast<uint32_t>(draws.below(drawn_.work().for_ms())));
    return fault;
  }

  // Servers that never come back: no more than can be done without.
  void draw_deaths() {
    RandomStream draws = stream("deaths");
    const uint32_t needed = drawn_.policy().data_shards() + drawn_.policy().parity_shards();
    const uint32_t spare = std::min(drawn_.chunk_servers() - needed, 2U);
    for (uint64_t left = draws.below(spare + 1); left > 0; --left) {
      proto::Fault& fault = add_fault(draws);
      fault.set_for_ms(1);
      fault.mutable_crash()->set_nodes("random 1 chunk");
      fault.mutable_crash()->set_power(true);
      fault.mutable_crash()->set_forever(true);
    }
  }

  // In a third of the draws an operator replaces metadata nodes, dead or alive.
  void draw_replacements() {
    RandomStream draws = stream("replacements");
    if (draws.below(3) > 0) return;
    drawn_.set_spare_meta_nodes(static_cast<uint32_t>(draws.between(uint64_t{1}, 5)));
    for (uint64_t left = drawn_.spare_meta_nodes(); left > 0; --left) {
      proto::Fault& fault = add_fault(draws);
      fault.mutable_replace_meta()->set_nodes(draws.below(2) == 0 ? "leader" : "random 1 meta");
      fault.mutable_replace_meta()->set_dead(draws.below(3) == 0);
      fault.mutable_replace_meta()->set_at_once(draws.below(2) == 0);
    }
  }

  // In a third of those without replacements metadata nodes lose their disks: as many as can be done without, or one again.
  void draw_lost_metadata() {
    RandomStream draws = stream("lost metadata");
    if (drawn_.spare_meta_nodes() > 0 || draws.below(3) > 0) return;
    for (uint64_t left = draws.between(uint64_t{1}, 3); left > 0; --left) {
      proto::Fault& fault = add_fault(draws);
      fault.set_for_ms(static_cast<uint32_t>(draws.between(uint64_t{10}, 2000)));
      fault.mutable_meta_disk_emptied()->set_nodes(draws.below(2) == 0 ? "leader" : "random 1 meta");
    }
  }

  // Half of the draws have clients that look at each other's directories.
  void draw_looks() {
    RandomStream draws = stream("looks");
    if (draws.below(2) == 0) return;
    drawn_.mutable_work()->set_looks_at_others_max_ms(static_cast<uint32_t>(draws.between(uint64_t{20}, 500)) * pace_);
  }

  // Half of the draws have clients that race for the same names.
  void draw_shared_names() {
    RandomStream draws = stream("shared names");
    if (draws.below(2) == 0) return;
    drawn_.mutable_work()->set_shared_names_per_hundred(static_cast<uint32_t>(draws.between(uint64_t{5}, 40)));
  }

  // A third of the clusters read under leases. Their clocks keep to the bound: drifts of one class do not add up, and
  // only wall time jumps. (Pauses are no matter: clocks go on meanwhile, and a lease is looked at when a read comes.)
  void draw_leases() {
    RandomStream draws = stream("leases");
    if (draws.below(3) > 0) return;
    drawn_.set_lease_drift_bound_ms(kLeaseDriftBoundMs);
    for (proto::FaultClass& drawn : *drawn_.mutable_fault_classes()) {
      if (drawn.fault().has_clock_drift()) drawn.set_one_at_a_time(true);
      if (drawn.fault().has_clock_jump()) drawn.mutable_fault()->mutable_clock_jump()->set_forward_ms(0);
    }
  }

  // In a third of the draws an operator drains and maintains chunk servers. No more are removed than can be done without
  // beside those that die.
  void draw_departures() {
    RandomStream draws = stream("departures");
    if (draws.below(3) > 0) return;
    uint32_t removable = spare_servers();
    for (uint64_t left = draws.between(uint64_t{1}, 3); left > 0; --left) {
      proto::Fault& fault = add_fault(draws);
      const std::string server = "random 1 chunk";
      if (draws.below(2) == 0) {
        proto::MaintainServer& maintenance = *fault.mutable_maintain_server();
        maintenance.set_nodes(server);
        maintenance.set_announced_ms(static_cast<uint32_t>(draws.between(uint64_t{1000}, 10'000)));
        maintenance.set_away_ms(static_cast<uint32_t>(draws.between(uint64_t{10}, 10'000)));
        maintenance.set_runs_out(draws.below(2) == 0);
        continue;
      }
      fault.mutable_drain_server()->set_nodes(server);
      fault.mutable_drain_server()->set_stay_ms(static_cast<uint32_t>(draws.below(5000)));
      if (draws.below(2) == 0 || removable == 0) continue;
      fault.mutable_drain_server()->set_remove(true);
      --removable;
    }
  }

  // A quarter of the clusters are balanced, on disks of which a few shards are a part to speak of.
  void draw_balancing() {
    RandomStream draws = stream("balancing");
    if (draws.below(4) > 0) return;
    drawn_.set_disk_bytes(kBalancedDiskBytes);
    proto::BalanceServers& balancing = *add_fault(draws).mutable_balance_servers();
    balancing.set_nodes("random 1 chunk");
    balancing.set_threshold_percent(1);
    balancing.set_most_ms(static_cast<uint32_t>(draws.between(uint64_t{1000}, 20'000)));
  }

  // A third of the clusters keep what is deleted, for so long that some of it expires while the clients work, and some
  // does not before the end.
  void draw_trash() {
    RandomStream draws = stream("trash");
    if (draws.below(3) > 0) return;
    proto::Work& work = *drawn_.mutable_work();
    work.set_trash_period_ms(static_cast<uint32_t>(draws.between(uint64_t{500}, 20'000)) * pace_);
    work.set_trash_operations_per_hundred(static_cast<uint32_t>(draws.between(uint64_t{5}, 30)));
  }

  // A quarter of the clusters have directories with quotas.
  void draw_quotas() {
    RandomStream draws = stream("quotas");
    if (draws.below(4) > 0) return;
    drawn_.mutable_work()->set_quota_operations_per_hundred(static_cast<uint32_t>(draws.between(uint64_t{3}, 15)));
  }

  // A third of the clusters have servers of several disks, of which some become read-only and one may come up empty.
  void draw_disks() {
    RandomStream draws = stream("disks");
    if (draws.below(3) > 0) return;
    drawn_.set_disks(static_cast<uint32_t>(draws.between(uint64_t{2}, 3)));
    for (uint64_t left = draws.below(4); left > 0; --left) {
      proto::Fault& fault = add_fault(draws);
      fault.set_for_ms(static_cast<uint32_t>(draws.between(uint64_t{500}, 10'000)) * pace_);
      fault.mutable_disk_read_only()->set_nodes("random 1 chunk");
    }
    if (draws.below(2) == 0) return;
    proto::Fault& fault = add_fault(draws);
    fault.set_for_ms(static_cast<uint32_t>(draws.between(uint64_t{10}, 2000)));
    fault.mutable_disk_emptied()->set_nodes("random 1 chunk");
  }

  // In half of the clusters whose servers have several disks one or two hang: for longer than it takes their servers to
  // find out, since until then readers wait for them.
  void draw_hanging_disks() {
    RandomStream draws = stream("hanging disks");
    if (drawn_.disks() < 2 || draws.below(2) == 0) return;
    for (uint64_t left = draws.between(uint64_t{1}, 2); left > 0; --left) {
      proto::Fault& fault = add_fault(draws);
      fault.set_for_ms(static_cast<uint32_t>(draws.between(kShortestHangMs, kLongestHangMs)));
      fault.mutable_disk_hangs()->set_nodes("random 1 chunk");
    }
  }

  // In a quarter of the draws all servers of one kind are restarted, one after the other.
  void draw_upgrades() {
    RandomStream draws = stream("upgrades");
    if (draws.below(4) > 0) return;
    proto::Fault& fault = add_fault(draws);
    fault.set_for_ms(static_cast<uint32_t>(draws.between(uint64_t{1000}, drawn_.work().for_ms())));
    fault.mutable_rolling_restart()->set_nodes(only_data_ || draws.below(2) == 0 ? "chunk" : "meta");
  }

  // How many chunk servers may go for good, when those that die for good have.
  uint32_t spare_servers() const {
    const auto deaths = static_cast<uint32_t>(
        std::ranges::count_if(drawn_.faults(), [](const proto::Fault& fault) { return fault.crash().forever(); }));
    const uint32_t kept = drawn_.policy().data_shards() + drawn_.policy().parity_shards() + deaths;
    return drawn_.chunk_servers() > kept ? drawn_.chunk_servers() - kept : 0;
  }

  StreamKey key_;
  bool only_data_;
  bool given_cluster_;
  uint32_t pace_ = 1;
  proto::Scenario drawn_;
};

}  // namespace

proto::Scenario draw_profile(const proto::Scenario& scenario, uint64_t seed) {
  if (scenario.profile() == proto::NO_PROFILE) return scenario;
  return ProfileDraw(scenario, seed).draw();
}

}  // namespace dogfs::sim
