#include "sim/faults.h"

#include <algorithm>
#include <utility>

#include "sim/trace_events.h"

namespace dogfs::sim {
namespace {

// How many files are tried for each that is to be damaged, where the block of the first ones has nothing to spare.
constexpr uint32_t kDamageAttempts = 4;

std::string names_of(const std::vector<Node*>& nodes) {
  std::string names;
  for (const Node* node : nodes) names += (names.empty() ? "" : " ") + node->name();
  return names.empty() ? "nobody" : names;
}

// What an operator is asked to do: it ends when that is done.
bool is_order(const proto::Fault& fault) {
  return fault.has_replace_meta() || fault.has_drain_server() || fault.has_maintain_server() ||
         fault.has_balance_servers();
}

}  // namespace

std::string describe_fault(const proto::Fault& fault) {
  const std::string when = fmt::format("at {} ms for {} ms: ", fault.at_ms(), fault.for_ms());
  switch (fault.kind_case()) {
    case proto::Fault::kPartition:
      return when + fmt::format("partition {} {} {}", fault.partition().a(), fault.partition().one_way() ? "->" : "|",
                                fault.partition().b());
    case proto::Fault::kFlap:
      return when + fmt::format("flapping link {} | {}", fault.flap().a(), fault.flap().b());
    case proto::Fault::kCrash:
      return when + fmt::format("{} {}{}", fault.crash().power() ? "power cut of" : "kill", fault.crash().nodes(),
                                fault.crash().forever() ? " for ever" : "");
    case proto::Fault::kNetwork:
      return when + fmt::format("network: {} lost, {} doubled, {} overtaken, {} damaged in a million, up to {} us",
                                fault.network().loss_per_million(), fault.network().duplicate_per_million(),
                                fault.network().reorder_per_million(), fault.network().corrupt_per_million(),
                                fault.network().delay_max_us());
    case proto::Fault::kDiskReadErrors:
      return when + fmt::format("{} reads{} in a million fail on {}", fault.disk_read_errors().per_million(),
                                fault.disk_read_errors().rows() ? " of rows" : "", fault.disk_read_errors().nodes());
    case proto::Fault::kBitRot:
      return when + fmt::format("{} bits rot on {}", fault.bit_rot().bits(), fault.bit_rot().nodes());
    case proto::Fault::kLatentErrors:
      return when + fmt::format("sectors of {} shards cannot be read on {}", fault.latent_errors().shards(),
                                fault.latent_errors().nodes());
    case proto::Fault::kDiskWriteErrors:
      return when + fmt::format("{} writes{} in a million fail on {}", fault.disk_write_errors().per_million(),
                                fault.disk_write_errors().rows() ? " of rows" : "", fault.disk_write_errors().nodes());
    case proto::Fault::kMisdirectedWrites:
      return when + fmt::format("{} writes in a million go astray on {}", fault.misdirected_writes().per_million(),
                                fault.misdirected_writes().nodes());
    case proto::Fault::kMisdirectedReads:
      return when + fmt::format("{} reads in a million go astray on {}", fault.misdirected_reads().per_million(),
                                fault.misdirected_reads().nodes());
    case proto::Fault::kDiskFull:
      if (fault.disk_full().nearly()) return when + "little room for rows of " + fault.disk_full().nodes();
      return when + (fault.disk_full().rows() ? "no room for rows of " : "full disk of ") + fault.disk_full().nodes();
    case proto::Fault::kDiskReadOnly:
      return when + "read-only disk of " + fault.disk_read_only().nodes();
    case proto::Fault::kDiskHangs:
      return when + "hanging disk of " + fault.disk_hangs().nodes();
    case proto::Fault::kDiskEmptied:
      return when + "empty disk in the place of one of " + fault.disk_emptied().nodes();
    case proto::Fault::kMetaDiskEmptied:
      return when + "empty disk in the place of that of " + fault.meta_disk_emptied().nodes();
    case proto::Fault::kSlowDisk:
      return when + fmt::format("disk of {} slower by {} to {} us", fault.slow_disk().nodes(),
                                fault.slow_disk().min_us(), fault.slow_disk().max_us());
    case proto::Fault::kSyncFailure:
      return when + "the next sync fails on " + fault.sync_failure().nodes();
    case proto::Fault::kPause:
      return when + "pause of " + fault.pause().nodes();
    case proto::Fault::kSlowCpu:
      return when + fmt::format("each event takes {} us on {}", fault.slow_cpu().event_us(), fault.slow_cpu().nodes());
    case proto::Fault::kClockDrift:
      return when + fmt::format("the clock of {} is off by {} parts in a million", fault.clock_drift().nodes(),
                                fault.clock_drift().parts_per_million());
    case proto::Fault::kClockJump:
      return when + fmt::format("the clock of {} jumps by {} ms, wall time by {} ms", fault.clock_jump().nodes(),
                                fault.clock_jump().forward_ms(), fault.clock_jump().wall_ms());
    case proto::Fault::kReplaceMeta:
      return when + fmt::format("replacement of {}{}{}", fault.replace_meta().dead() ? "dead " : "",
                                fault.replace_meta().nodes(), fault.replace_meta().at_once() ? " at once" : "");
    case proto::Fault::kDrainServer:
      return when + fmt::format("drain of {}, {}", fault.drain_server().nodes(),
                                fault.drain_server().remove() ? "which is removed" : "which returns");
    case proto::Fault::kMaintainServer:
      return when + fmt::format("maintenance of {} for {} ms, away for {} ms{}", fault.maintain_server().nodes(),
                                fault.maintain_server().announced_ms(), fault.maintain_server().away_ms(),
                                fault.maintain_server().runs_out() ? ", which runs out" : "");
    case proto::Fault::kBalanceServers:
      return when + fmt::format("balancing to {} per cent, for {} ms at most",
                                fault.balance_servers().threshold_percent(), fault.balance_servers().most_ms());
    case proto::Fault::kRollingRestart:
      return when + "rolling restart of " + fault.rolling_restart().nodes();
    case proto::Fault::kTransferLeadership:
      return when + "transfer of leadership to " + fault.transfer_leadership().to();
    case proto::Fault::KIND_NOT_SET:
      break;
  }
  return when + "nothing";
}

LinkQuality link_quality(const proto::Network& network) {
  LinkQuality quality;
  if (network.delay_max_us() > 0) {
    quality.delay_min = microseconds(network.delay_min_us());
    quality.delay_max = microseconds(network.delay_max_us());
  }
  quality.loss_per_million = network.loss_per_million();
  quality.duplicate_per_million = network.duplicate_per_million();
  quality.reorder_per_million = network.reorder_per_million();
  quality.corrupt_per_million = network.corrupt_per_million();
  if (network.queued_messages() > 0) quality.queued_messages = network.queued_messages();
  if (network.reorder_max_ms() > 0) quality.reorder_max = milliseconds(network.reorder_max_ms());
  return quality;
}

FaultInjector::FaultInjector(Cluster& cluster, Atlas& atlas, const proto::Scenario& scenario)
    : cluster_(cluster), atlas_(atlas), scenario_(scenario) {
  for (Node* node : cluster.chunk_nodes()) {
    guards_.push_back(std::make_unique<AtlasGuard>(atlas, *node, scenario.expect_data_loss_reported()));
    for (const auto& [name, disk] : node->shard_disks()) disk->set_guard(guards_.back().get());
  }
}

void FaultInjector::trace(const std::string& what) {
  cluster_.world().trace().line("fault", what);
}

void FaultInjector::after(Duration delay, std::function<void()> what) {
  Simulator& simulator = cluster_.world().simulator();
  simulator.at(simulator.world(), simulator.now() + delay, std::move(what));
}

void FaultInjector::start(const std::vector<PlannedFault>& faults) {
  for (const PlannedFault& planned : faults) {
    auto strike =
        std::make_shared<Strike>(Strike{.planned = planned, .draws = RandomStream(StreamKey(planned.stream))});
    ++active_;
    after(milliseconds(planned.fault.at_ms()), [this, strike] { begin(strike); });
  }
}

void FaultInjector::begin(const StrikePtr& strike) {
  const proto::Fault& fault = strike->planned.fault;
  strike->end = cluster_.world().now() + milliseconds(fault.for_ms());
  ++struck_;
  switch (fault.kind_case()) {
    case proto::Fault::kPartition:
      begin_partition(*strike, fault.partition().a(), fault.partition().b(), fault.partition().one_way());
      disturb(*strike, cluster_.chunk_nodes());
      break;
    case proto::Fault::kFlap:
      flap(strike);
      disturb(*strike, cluster_.chunk_nodes());
      break;
    case proto::Fault::kCrash:
      begin_crash(*strike);
      break;
    case proto::Fault::kRollingRestart:
      begin_rolling_restart(strike);
      break;
    case proto::Fault::kDiskEmptied:
      empty_disks(*strike);
      break;
    case proto::Fault::kMetaDiskEmptied:
      empty_meta_disks(*strike);
      break;
    case proto::Fault::kNetwork:
      set_network(fault.network());
      disturb(*strike, cluster_.chunk_nodes());
      break;
    case proto::Fault::kBitRot:
    case proto::Fault::kLatentErrors:
      begin_damage(*strike);
      break;
    case proto::Fault::kTransferLeadership:
      transfer_leadership(*strike);
      break;
    case proto::Fault::kPause:
    case proto::Fault::kSlowCpu:
    case proto::Fault::kClockDrift:
    case proto::Fault::kClockJump:
      begin_hold_up(*strike);
      break;
    case proto::Fault::kReplaceMeta:
    case proto::Fault::kDrainServer:
    case proto::Fault::kMaintainServer:
    case proto::Fault::kBalanceServers:
      strike->nodes = nodes_of(*strike);
      strike->who = names_of(strike->nodes);
      break;
    default:
      if (!disk_harms_of(fault).empty()) begin_disk_trouble(*strike);
      break;
  }
  count(*strike);
  trace(fmt::format("begins {}: {}", describe_fault(fault), strike->who));
  record_begin(*strike);
  if (is_order(fault)) return order(strike);
  after(milliseconds(fault.for_ms()), [this, strike] { end(strike); });
}

void FaultInjector::end(const StrikePtr& strike) {
  const proto::Fault& fault = strike->planned.fault;
  end_partition(*strike);
  if (fault.has_crash() || fault.has_disk_emptied() || fault.has_meta_disk_emptied()) end_crash(*strike);
  if (fault.has_network()) set_network(scenario_.network());
  if (!disk_harms_of(fault).empty()) end_disk_trouble(*strike);
  end_hold_up(*strike);
  for (const Node* node : strike->disturbed) atlas_.calm(*node);
  trace("ends " + describe_fault(fault));
  if (Recording* recording = cluster_.world().simulator().recording()) {
    recording->fault_ends(strike->recorded, cluster_.world().now());
  }
  --active_;
}

// A fault that found nobody (no leader, say, or only nodes that were down already) has not struck.
void FaultInjector::count(const Strike& strike) {
  const proto::Fault& fault = strike.planned.fault;
  if (!disk_harms_of(fault).empty()) return;  // it strikes with an operation of the disk: end_disk_trouble()
  if (is_order(fault)) return;                // when it is done: order()
  if (fault.has_rolling_restart()) return;    // with the first that is restarted: restart_one()
  const bool cuts = fault.has_partition() || fault.has_flap();
  const bool hit = fault.has_network() || (cuts ? !strike.blocked.empty() : !strike.nodes.empty());
  if (hit) ++struck_by_kind_[fault_kind_of(fault)];
}

void FaultInjector::record_begin(Strike& strike) {
  Recording* recording = cluster_.world().simulator().recording();
  if (recording == nullptr) return;
  std::vector<NodeIndex> nodes;
  for (const Node* node : strike.nodes) nodes.push_back(node->index());
  const std::string text = describe_fault(strike.planned.fault);
  strike.recorded = recording->fault_begins(cluster_.world().now(), text, strike.who, std::move(nodes));
}

void FaultInjector::begin_partition(Strike& strike, const std::string& a, const std::string& b, bool one_way) {
  const std::vector<Node*> first = a == "rest" ? rest_of(cluster_, select_nodes(b, cluster_, strike.draws))
                                               : select_nodes(a, cluster_, strike.draws);
  const std::vector<Node*> second = b == "rest" ? rest_of(cluster_, first) : select_nodes(b, cluster_, strike.draws);
  Network& network = cluster_.world().network();
  const auto block = [&](const Node* from, const Node* to) {
    network.block(from->index(), to->index());
    strike.blocked.emplace_back(from->index(), to->index());
  };
  for (const Node* one : first) {
    for (const Node* other : second) {
      if (one == other) continue;
      block(one, other);
      if (!one_way) block(other, one);
    }
  }
  strike.nodes = first.size() <= second.size() ? first : second;
  strike.who = names_of(first) + (one_way ? " -> " : " | ") + names_of(second);
}

void FaultInjector::end_partition(Strike& strike) {
  for (const auto& [from, to] : strike.blocked) cluster_.world().network().unblock(from, to);
  strike.blocked.clear();
}

// Turns the partition on or off, and does so again after a drawn time until the fault ends.
void FaultInjector::flap(const StrikePtr& strike) {
  if (cluster_.world().now() >= strike->end) return;
  const proto::Flap& flapping = strike->planned.fault.flap();
  if (strike->blocked.empty()) {
    begin_partition(*strike, flapping.a(), flapping.b(), false);
  } else {
    end_partition(*strike);
  }
  const uint64_t longest = std::max<uint64_t>(1, flapping.longest_ms());
  after(milliseconds(strike->draws.between(uint64_t{1}, longest)), [this, strike] { flap(strike); });
}

void FaultInjector::begin_crash(Strike& strike) {
  const proto::Crash& crash = strike.planned.fault.crash();
  for (Node* node : select_nodes(crash.nodes(), cluster_, strike.draws)) {
    // Who is down already is somebody else's to start again.
    if (!node->up()) continue;
    // What a server takes with it for ever must be spare.
    if (crash.forever() && !scenario_.expect_data_loss_reported() && !atlas_.may_lose(*node)) continue;
    strike.nodes.push_back(node);
  }
  strike.who = names_of(strike.nodes);
  disturb(strike, strike.nodes);
  for (Node* node : strike.nodes) {
    cluster_.crash(*node, crash.power() ? CrashKind::kPower : CrashKind::kProcess);
    if (crash.forever()) cluster_.retire(*node);
  }
}

// Each server's last disk, while its power is off.
void FaultInjector::empty_disks(Strike& strike) {
  const Cluster::DiskNames names = cluster_.disk_names().back();
  for (Node* node : select_nodes(strike.planned.fault.disk_emptied().nodes(), cluster_, strike.draws)) {
    if (!node->up()) continue;
    ShardDisk& disk = *node->shard_disk(names.files);
    if (!scenario_.expect_data_loss_reported() && !atlas_.may_damage_disk(*node, disk)) continue;
    const std::vector<std::string> files = disk.list();
    strike.nodes.push_back(node);
    disturb(strike, {node});
    cluster_.crash(*node, CrashKind::kPower);
    for (const std::string& file : files) atlas_.damaged(*node, file);
    disk.wipe();
    node->kv_disk(names.records)->wipe();
  }
  strike.who = names_of(strike.nodes);
}

void FaultInjector::empty_meta_disks(Strike& strike) {
  for (Node* node : nodes_of(strike)) {
    if (!node->up() || !cluster_.may_lose_disk(*node)) continue;
    strike.nodes.push_back(node);
    cluster_.crash(*node, CrashKind::kPower);
    cluster_.lose_disk(*node);
  }
  strike.who = names_of(strike.nodes);
}

void FaultInjector::end_crash(Strike& strike) {
  for (Node* node : strike.nodes) {
    if (!node->up() && !cluster_.is_retired(*node)) cluster_.start(*node);
  }
}

void FaultInjector::begin_rolling_restart(const StrikePtr& strike) {
  strike->nodes = nodes_of(*strike);
  std::vector<Node*>& nodes = strike->nodes;
  for (size_t left = nodes.size(); left > 1; --left) std::swap(nodes[left - 1], nodes[strike->draws.below(left)]);
  strike->who = names_of(nodes);
  if (nodes.empty()) return;
  const uint64_t turn_us = uint64_t{1000} * strike->planned.fault.for_ms() / nodes.size();
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Duration away = microseconds(strike->draws.between(uint64_t{1}, std::max<uint64_t>(turn_us / 2, 1)));
    after(microseconds(i * turn_us), [this, strike, node = nodes[i], away] { restart_one(*strike, node, away); });
  }
}

void FaultInjector::restart_one(Strike& strike, Node* node, Duration away) {
  if (!node->up()) return;
  if (!std::exchange(strike.restarted, true)) ++struck_by_kind_[fault_kind_of(strike.planned.fault)];
  atlas_.disturb(*node);
  cluster_.crash(*node, CrashKind::kProcess);
  after(away, [this, node] {
    if (!node->up() && !cluster_.is_retired(*node)) cluster_.start(*node);
    atlas_.calm(*node);
  });
}

// The nodes of a kind of fault with one selector, which is its first field.
std::vector<Node*> FaultInjector::nodes_of(Strike& strike) {
  const google::protobuf::Message& kind = fault_kind_message(strike.planned.fault);
  return select_nodes(kind.GetReflection()->GetString(kind, kind.GetDescriptor()->field(0)), cluster_, strike.draws);
}

void FaultInjector::begin_disk_trouble(Strike& strike) {
  const proto::Fault& fault = strike.planned.fault;
  strike.nodes = nodes_of(strike);
  if (fault.has_disk_hangs()) std::erase_if(strike.nodes, [this](const Node* node) { return !let_hang(*node); });
  strike.who = names_of(strike.nodes);
  // Full disks, and writes that fail or go astray, keep nobody from reading; a read-only one not before it is mended.
  const bool hinders_readers = fault.has_disk_read_errors() || fault.has_misdirected_reads() || fault.has_slow_disk() ||
                               fault.has_disk_read_only() || fault.has_disk_hangs();
  if (hinders_readers) disturb(strike, strike.nodes);
  strike.disks.begin(fault, strike.nodes, strike.draws);
}

// A server that has yet to read its records would never start. And what cannot be read for as long as the server runs
// must be spare: also beside what the disks before hide.
bool FaultInjector::let_hang(const Node& node) {
  const ChunkServer* server = cluster_.chunk(node);
  if (!node.up() || server == nullptr || server->id().is_none()) return false;
  ShardDisk& disk = *node.shard_disks().rbegin()->second;
  if (!scenario_.expect_data_loss_reported() && !atlas_.may_damage_disk(node, disk)) return false;
  disk.begin_to_hang();
  node.kv_disks().rbegin()->second->begin_to_hang();
  return true;
}

void FaultInjector::end_disk_trouble(Strike& strike) {
  strike.disks.end();
  if (strike.planned.fault.has_disk_read_only()) start_again(strike);
  if (strike.disks.has_struck()) ++struck_by_kind_[fault_kind_of(strike.planned.fault)];
}

// As their operator does, who has mended what was read-only: until then they do not try it again.
void FaultInjector::start_again(const Strike& strike) {
  for (Node* node : strike.nodes) {
    if (!node->up() || cluster_.is_retired(*node)) continue;
    cluster_.crash(*node, CrashKind::kProcess);
    cluster_.start(*node);
  }
}

// Processors and clocks. Whatever is done to servers, clients may be kept waiting.
void FaultInjector::begin_hold_up(Strike& strike) {
  const proto::Fault& fault = strike.planned.fault;
  Simulator& simulator = cluster_.world().simulator();
  strike.nodes = nodes_of(strike);
  // Only who runs can be paused.
  if (fault.has_pause()) std::erase_if(strike.nodes, [](const Node* node) { return !node->up(); });
  strike.who = names_of(strike.nodes);
  disturb(strike, strike.nodes);
  for (Node* node : strike.nodes) {
    if (fault.has_pause()) {
      strike.paused.push_back(node->executor().incarnation());
      simulator.pause(strike.paused.back());
    } else if (fault.has_slow_cpu()) {
      simulator.add_event_cost(node->index(), microseconds(fault.slow_cpu().event_us()));
    } else if (fault.has_clock_drift()) {
      add_clock_error(*node, {.rate_ppm = fault.clock_drift().parts_per_million()});
    } else {
      add_clock_error(*node, {.wall = milliseconds(fault.clock_jump().wall_ms())});
      node->jump_clock(milliseconds(fault.clock_jump().forward_ms()));
    }
  }
}

void FaultInjector::end_hold_up(const Strike& strike) {
  const proto::Fault& fault = strike.planned.fault;
  Simulator& simulator = cluster_.world().simulator();
  for (const Incarnation paused : strike.paused) simulator.go_on(paused);
  for (Node* node : strike.nodes) {
    if (fault.has_slow_cpu()) {
      simulator.add_event_cost(node->index(), -microseconds(fault.slow_cpu().event_us()));
    } else if (fault.has_clock_drift()) {
      add_clock_error(*node, {.rate_ppm = -fault.clock_drift().parts_per_million()});
    }
  }
}

// Drifts of several faults add up, within bounds that keep the clock running.
void FaultInjector::add_clock_error(Node& node, ClockError more) {
  ClockError error = node.clock_error();
  error.rate_ppm += more.rate_ppm;
  error.wall += more.wall;
  node.set_clock_error(error);
}

void FaultInjector::begin_damage(Strike& strike) {
  const proto::Fault& fault = strike.planned.fault;
  const bool rots = fault.has_bit_rot();
  const Damage damage = rots ? &ShardDisk::rot : &ShardDisk::lose_sectors;
  const uint32_t times = rots ? fault.bit_rot().bits() : fault.latent_errors().shards();
  for (Node* node : nodes_of(strike)) {
    if (damage_files(*node, times, damage, strike.draws) > 0) strike.nodes.push_back(node);
  }
  strike.who = names_of(strike.nodes);
}

// Files of shards that the code can spare, or of any, one after the other. How often one was damaged.
uint32_t FaultInjector::damage_files(Node& node, uint32_t times, Damage damage, RandomStream& draws) {
  // Only one that has the file is damaged: no name is on two disks.
  std::vector<std::pair<ShardDisk*, std::string>> files;
  for (const auto& [name, disk] : node.shard_disks()) {
    for (std::string& file : disk->stored_files()) files.emplace_back(disk.get(), std::move(file));
  }
  uint32_t damaged = 0;
  for (uint32_t attempt = 0; attempt < kDamageAttempts * times && damaged < times && !files.empty(); ++attempt) {
    const auto& [disk, file] = files[draws.below(files.size())];
    if (!scenario_.expect_data_loss_reported() && !atlas_.may_damage(node, file)) continue;
    (disk->*damage)(file, draws);
    atlas_.damaged(node, file);
    ++damaged;
  }
  return damaged;
}

// It ends when the operator is done.
void FaultInjector::order(const StrikePtr& strike) {
  const proto::Fault& what = strike->planned.fault;
  const auto done = [this, strike](size_t nodes) {
    if (nodes > 0) ++struck_by_kind_[fault_kind_of(strike->planned.fault)];
    end(strike);
  };
  Operator* who = what.has_replace_meta() ? operators_.meta : operators_.servers;
  if (who == nullptr) return done(0);
  who->take({.nodes = strike->nodes, .what = what, .done = done});
}

void FaultInjector::transfer_leadership(Strike& strike) {
  if (Node* successor = cluster_.hand_leadership_over(nodes_of(strike))) strike.nodes.push_back(successor);
  strike.who = names_of(strike.nodes);
}

void FaultInjector::disturb(Strike& strike, const std::vector<Node*>& nodes) {
  for (Node* node : nodes) {
    atlas_.disturb(*node);
    strike.disturbed.push_back(node);
  }
}

void FaultInjector::set_network(const proto::Network& network) {
  cluster_.world().network().set_quality(link_quality(network));
}

}  // namespace dogfs::sim
