#include "sim/run.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/wire/common.pb.h"
#include "sim/fault_kinds.h"
#include "sim/profile.h"
#include "sim/standstill.h"

namespace dogfs::sim {
namespace {

constexpr seconds kStartLimit(30);
// The operations that are under way when the work ends, and the restarts of the last fault.
constexpr seconds kLastOperationsLimit(120);
// Once everybody is idle: the longest limit of anything that has one, one after the other, with room to spare.
constexpr seconds kCleanUpLimit(240);
// Between two looks of whoever mends disks.
constexpr seconds kMendInterval(10);
constexpr milliseconds kHealLook(1000);

WorldOptions world_options(const proto::Scenario& scenario, uint64_t seed, std::ostream* trace, Recording* recording) {
  WorldOptions options{.seed = seed, .trace = trace, .recording = recording, .link = link_quality(scenario.network())};
  if (scenario.meta_disk().sync_max_us() > 0) {
    options.kv_speed.sync_min = microseconds(scenario.meta_disk().sync_min_us());
    options.kv_speed.sync_max = microseconds(scenario.meta_disk().sync_max_us());
    options.kv_speed.slow_sync_max = std::max(options.kv_speed.slow_sync_max, options.kv_speed.sync_max);
  }
  if (scenario.disk_bytes() > 0) options.shard_disk_bytes = scenario.disk_bytes();
  return options;
}

std::optional<Duration> lease_drift_bound(const proto::Scenario& scenario) {
  if (scenario.lease_drift_bound_ms() == 0) return std::nullopt;
  return milliseconds(scenario.lease_drift_bound_ms());
}

Duration report_interval(const proto::Scenario& scenario) {
  return scenario.report_interval_ms() == 0 ? kReportInterval : milliseconds(scenario.report_interval_ms());
}

ClusterOptions cluster_options(const proto::Scenario& scenario) {
  return {.meta_nodes = scenario.meta_nodes(),
          .spare_meta_nodes = scenario.spare_meta_nodes(),
          .chunk_servers = scenario.chunk_servers(),
          .clients = scenario.clients(),
          .racks = scenario.racks(),
          .disks = std::max(scenario.disks(), 1U),
          .report_interval = report_interval(scenario),
          .block_bytes = scenario.policy().block_bytes(),
          .log_entries = scenario.meta_disk().log_entries(),
          .log_cache_bytes = scenario.meta_disk().log_cache_bytes(),
          .snapshot_part_bytes = scenario.meta_disk().snapshot_part_bytes(),
          .lease_drift_bound = lease_drift_bound(scenario),
          .max_changes_under_way = scenario.max_changes_under_way(),
          .max_uncommitted_bytes = scenario.max_uncommitted_bytes()};
}

bool is_bad(const wire::DiskInfo& disk) {
  return disk.state() == wire::DiskInfo::FAILING || disk.state() == wire::DiskInfo::READ_ONLY ||
         disk.state() == wire::DiskInfo::UNREADABLE;
}

bool is_hanging(const Node& node, const wire::DiskInfo& disk) {
  const auto found = node.shard_disks().find(disk.name());
  return found != node.shard_disks().end() && found->second->is_hanging();
}

}  // namespace

Run::Run(const proto::Scenario& scenario, uint64_t seed, std::ostream* trace, Recording* recording)
    : scenario_(draw_profile(scenario, seed)),
      world_(world_options(scenario_, seed, trace, recording)),
      verdict_(world_.trace()),
      cluster_(world_, verdict_, cluster_options(scenario_)),
      atlas_(cluster_),
      injector_(cluster_, atlas_, scenario_),
      raft_oracle_(cluster_, verdict_),
      state_oracle_(cluster_, verdict_),
      meta_oracle_(cluster_, verdict_),
      heal_oracle_(cluster_),
      block_oracle_(cluster_, atlas_, verdict_),
      shard_oracle_(cluster_, atlas_, verdict_),
      history_oracle_(cluster_, verdict_),
      leak_oracle_(cluster_),
      leader_oracle_(cluster_, verdict_, milliseconds(scenario_.leader_stays_after_ms())),
      auditor_(world_.add_node("auditor")),
      context_{.scenario = scenario_, .verdict = verdict_, .atlas = atlas_} {
  employ_operators();
  meta_by_index_.resize(world_.nodes().size() + 1);
  for (Node* node : cluster_.meta_nodes()) meta_by_index_[node->index()] = node;
  for (const Node* node : cluster_.client_nodes()) {
    context_.roots.push_back("/" + node->name());
    clients_.emplace(node->name(), ClientState{.root = context_.roots.back(),
                                               .key = StreamKey(seed).with("work").with(node->name()),
                                               .model = {}});
  }
  cluster_.on_client_start([this](Node& node) { begin_client(node); });
  cluster_.on_lapse(
      {.begin = [this](Node& node) { atlas_.disturb(node); }, .end = [this](Node& node) { atlas_.calm(node); }});
}

// The nodes go first: what their coroutines and disks refer to is still there.
Run::~Run() {
  for (const std::unique_ptr<Node>& node : world_.nodes()) node->crash(CrashKind::kProcess);
}

void Run::employ_operators() {
  FaultInjector::Operators operators;
  if (scenario_.spare_meta_nodes() > 0) operators.meta = &meta_operator_.emplace(cluster_, verdict_);
  const std::vector<bool> kinds = fault_kinds_in(scenario_);
  const auto has = [&kinds](proto::Fault::KindCase kind) { return kinds[fault_kind_index(kind)]; };
  if (has(proto::Fault::kDrainServer) || has(proto::Fault::kMaintainServer) || has(proto::Fault::kBalanceServers)) {
    operators.servers = &server_operator_.emplace(cluster_, verdict_, atlas_, block_oracle_);
  }
  injector_.employ(operators);
}

template <class Predicate>
bool Run::advance(const char* what, Duration limit, Predicate done) {
  if (advance_until(world_.now() + limit, done)) return true;
  if (verdict_.failed()) return false;
  stand_still("liveness", fmt::format("{} is not done after {} ms", what, limit / milliseconds(1)));
  return false;
}

template <class Predicate>
bool Run::advance_until(VirtualTime end, Predicate done) {
  while (!verdict_.failed()) {
    if (done()) return true;
    if (!world_.simulator().step(end)) return false;
    if (traces_events_) trace_event();
    check_after_event();
  }
  return false;
}

void Run::trace_event() {
  const NodeIndex owner = world_.simulator().last_owner();
  world_.trace().print(owner == kWorld ? "world" : world_.network().address_of(owner).value,
                       fmt::format("event {}: {:016x}", world_.simulator().events(), world_.simulator().digest()));
}

void Run::check_after_event() {
  if (world_.now() > patience_ends_) verdict_.fail("patience", "this takes too long");
  const NodeIndex owner = world_.simulator().last_owner();
  if (owner == kWorld) return;
  if (Node* meta = meta_by_index_[owner]) {
    meta_oracle_.after_event(*meta);
    raft_oracle_.after_event(*meta);
    history_oracle_.after_event(*meta);
    leader_oracle_.after_event(*meta, injector_.active());
  }
}

void Run::begin_client(Node& node) {
  ClientState& state = clients_.at(node.name());
  Workload& workload = node.make<Workload>(node.env(), world_.simulator(), *cluster_.client(node), context_, state);
  switch (phase_) {
    case Phase::kStart:
      return world_.spawn(node, workload.prepare());
    case Phase::kWork:
      return world_.spawn(node, workload.work());
    case Phase::kVerify:
      return world_.spawn(node, workload.verify());
  }
}

bool Run::clients_idle() const {
  for (const auto& [name, state] : clients_) {
    if (!state.idle) return false;
  }
  return true;
}

void Run::start_phase() {
  for (Node* node : cluster_.meta_nodes()) {
    if (!cluster_.is_spare(*node)) cluster_.start(*node);
  }
  for (Node* node : cluster_.chunk_nodes()) cluster_.start(*node);
  const auto servers_ready = [this] { return cluster_.servers_ready(); };
  if (!advance("the start of the cluster", kStartLimit, servers_ready)) return;
  for (Node* node : cluster_.client_nodes()) {
    clients_.at(node->name()).idle = false;
    cluster_.start(*node);
  }
  advance("the preparation", kLastOperationsLimit, [this] { return clients_idle(); });
}

void Run::work_phase() {
  phase_ = Phase::kWork;
  context_.work_end = world_.now() + milliseconds(scenario_.work().for_ms());
  faults_begin_ = world_.now();
  injector_.start(plan_faults(scenario_, world_.options().seed));
  for (Node* node : cluster_.client_nodes()) {
    clients_.at(node->name()).idle = false;
    begin_client(*node);
  }
  Duration longest = milliseconds(scenario_.work().for_ms());
  for (const PlannedFault& planned : plan_faults(scenario_, world_.options().seed)) {
    longest = std::max<Duration>(longest, milliseconds(planned.fault.at_ms() + planned.fault.for_ms()));
  }
  advance("the work", longest + kLastOperationsLimit,
          [this] { return world_.now() >= context_.work_end && injector_.active() == 0 && clients_idle(); });
}

void Run::verify_phase() {
  phase_ = Phase::kVerify;
  const Duration bound = milliseconds(scenario_.converge_within_ms());
  if (!advance("the recovery of the cluster", bound, [this] { return cluster_.servers_ready(); })) return;
  // What hangs is made up for while it does, with all else in order.
  const bool hangs = fault_kinds_in(scenario_)[fault_kind_index(proto::Fault::kDiskHangs)];
  if (hangs) {
    mend_disks(Mend::kBesidesHanging);
    if (!advance("the recovery of the cluster", bound, [this] { return cluster_.servers_ready(); })) return;
    if (scenario_.heal_within_ms() > 0 && !heal()) return;
  }
  mend_disks(Mend::kAll);
  if (!advance("the recovery of the cluster", bound, [this] { return cluster_.servers_ready(); })) return;
  for (Node* node : cluster_.client_nodes()) begin_verification(*node);
  if (!advance("the verification by the clients", bound, [this] { return clients_idle(); })) return;
  if (!advance("the agreement of the metadata nodes", bound, [this] { return state_oracle_.agree(); })) return;
  const auto found_out = [this] { return cluster_.lost_disks_are_known(); };
  if (!advance("the discovery of lost metadata disks", bound, found_out)) return;
  if (scenario_.heal_within_ms() > 0 && !heal()) return;
  meta_oracle_.check_all();
  block_oracle_.check_all();
  if (server_operator_) server_operator_->check_removed();
  history_oracle_.check();
  bool audited = false;
  world_.spawn(auditor_, audit(audited));
  advance("the audit of the shards", bound, [&audited] { return audited; });
}

// A disk that has taken itself out is tried again when its server starts again, as it is by whoever has mended it. Until
// then it keeps what is to be deleted.
void Run::mend_disks(Mend which) {
  for (Node* node : cluster_.chunk_nodes()) {
    const ChunkServer* server = cluster_.chunk(*node);
    if (server == nullptr) continue;
    const std::vector<wire::DiskInfo> disks = server->disks();
    const bool mends = std::ranges::any_of(disks, [&](const wire::DiskInfo& disk) {
      return is_bad(disk) && (which == Mend::kAll || !is_hanging(*node, disk));
    });
    if (!mends) continue;
    cluster_.crash(*node, CrashKind::kProcess);
    cluster_.start(*node);
  }
}

// A client of which every metadata node that it was started with has been replaced may not know any that is left:
// whoever runs it starts it again with the new addresses, as docs/operations.md says.
void Run::begin_verification(Node& node) {
  clients_.at(node.name()).idle = false;
  if (!cluster_.is_out_of_touch(node)) return begin_client(node);
  cluster_.crash(node, CrashKind::kProcess);
  cluster_.start(node);
}

bool Run::heal() {
  const VirtualTime end = world_.now() + milliseconds(scenario_.heal_within_ms());
  while (!verdict_.failed() && !heal_oracle_.is_whole()) {
    if (world_.now() >= end) {
      stand_still("heal", "not whole again: " + heal_oracle_.missing());
      break;
    }
    const VirtualTime next = std::min<VirtualTime>(end, world_.now() + kHealLook);
    advance_to(next);
  }
  return !verdict_.failed();
}

// Runs until `time`.
void Run::advance_to(VirtualTime time) {
  while (!verdict_.failed() && world_.simulator().step(time)) check_after_event();
}

Task<void> Run::audit(bool& done) {
  co_await shard_oracle_.verify(auditor_);
  done = true;
}

// Last of all, since it takes the sessions of the clients, too. A disk may take itself out as late as this: after several
// looks at what it cannot read.
void Run::clean_up_phase() {
  const VirtualTime end = world_.now() + kCleanUpLimit;
  bool clean = false;
  while (!clean && !verdict_.failed() && world_.now() < end) {
    mend_disks(Mend::kAll);
    const VirtualTime next = std::min(end, world_.now() + kMendInterval);
    clean = advance_until(next, [this] { return leak_oracle_.is_clean(); });
  }
  if (!clean && !verdict_.failed()) stand_still("leak", leak_oracle_.leftover());
}

std::vector<std::string> Run::faults_under_way() const {
  std::vector<std::string> faults;
  if (phase_ == Phase::kStart) return faults;
  for (const PlannedFault& planned : plan_faults(scenario_, world_.options().seed)) {
    const VirtualTime begin = faults_begin_ + milliseconds(planned.fault.at_ms());
    const VirtualTime end = begin + milliseconds(planned.fault.for_ms());
    if (begin <= world_.now() && world_.now() < end) faults.push_back(describe_fault(planned.fault));
  }
  return faults;
}

void Run::stand_still(std::string_view oracle, const std::string& what) {
  const StandstillView view{.cluster = cluster_, .atlas = atlas_, .clients = clients_, .faults = faults_under_way()};
  verdict_.fail(oracle, what + explain_standstill(view));
}

RunProgress Run::progress() const {
  RunProgress progress{.faults = injector_.struck(), .virtual_time = world_.now().time_since_epoch()};
  for (const auto& [name, state] : clients_) progress.operations += state.operations;
  return progress;
}

RunResult Run::result() {
  RunResult result;
  result.failure = verdict_.failure();
  result.digest = world_.simulator().digest();
  result.events = world_.simulator().events();
  result.messages = world_.network().messages();
  const RunProgress progress = this->progress();
  result.virtual_time = progress.virtual_time;
  result.operations = progress.operations;
  result.faults = progress.faults;
  for (const auto& [name, state] : clients_) {
    result.failed_operations += state.failed_operations;
    result.bytes_written += state.bytes_written;
    result.bytes_read += state.bytes_read;
  }
  result.faults_by_kind = injector_.struck_by_kind();
  result.harms = world_.harms().counts();
  result.committed_entries = raft_oracle_.committed().value();
  result.states_compared = state_oracle_.compared();
  result.shards_checked = shard_oracle_.shards_checked();
  return result;
}

RunResult Run::execute() {
  start_phase();
  if (!verdict_.failed()) work_phase();
  if (!verdict_.failed()) verify_phase();
  if (!verdict_.failed()) clean_up_phase();
  return result();
}

}  // namespace dogfs::sim
