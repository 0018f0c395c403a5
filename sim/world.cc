#include "sim/world.h"

#include "core/base/check.h"
#include "core/env/sync.h"
#include "sim/trace_events.h"

namespace dogfs::sim {

namespace {

// What a node's clock shows at the start of the run, in one of its lives: up to three days.
Duration draw_zero(StreamKey key, const SimExecutor& executor) {
  return Duration(static_cast<int64_t>(key.with("zero").with(executor.incarnation().life).value() >> 16));
}

}  // namespace

// What one life of a node consists of. Parts go first, newest first, then the ports that they use.
struct Node::Program {
  Program(World& world, NodeIndex node, StreamKey key, Random& random, Log& log, ClockError error)
      : executor(world.simulator(), world.simulator().boot(node)),
        clock(executor, world.options().clocks_agree ? Duration::zero() : draw_zero(key, executor), error),
        transport(executor, clock, world.network()),
        compute(executor, key.with("compute").with(executor.incarnation().life)),
        env{Executor(executor), clock, random, transport, compute, log} {}
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    while (!parts.empty()) parts.pop_back();
  }

  SimExecutor executor;
  SimClock clock;
  SimTransport transport;
  SimCompute compute;
  Env env;
  std::map<std::string, std::unique_ptr<SimKvStore>> kv_stores;
  std::map<std::string, std::unique_ptr<SimShardStore>> shard_stores;
  std::vector<std::shared_ptr<void>> parts;
};

Node::Node(World& world, NodeIndex index, std::string name)
    : world_(world),
      index_(index),
      name_(std::move(name)),
      key_(StreamKey(world.options().seed).with("node").with(name_)),
      random_(key_.with("random")),
      crash_draws_(key_.with("crash")),
      log_(world.trace(), name_) {}

void Node::boot() {
  DOGFS_CHECK(!up());
  fatal_.reset();
  world_.trace().line(name_, "boots");
  record(LifeChange::kBoots);
  program_ = std::make_shared<Program>(world_, index_, key_, random_, log_, clock_error_);
  up_since_ = world_.now();
}

void Node::record(LifeChange change) const {
  if (Recording* recording = world_.simulator().recording()) recording->life_changed(world_.now(), index_, change);
}

void Node::crash(CrashKind kind) {
  if (!up()) return;
  count(kind == CrashKind::kPower ? Harm::kPowerLost : Harm::kProcessKilled);
  die(kind);
}

void Node::die(CrashKind kind) {
  world_.trace().line(name_, kind == CrashKind::kPower ? "loses power" : "is killed");
  record(kind == CrashKind::kPower ? LifeChange::kLosesPower : LifeChange::kKilled);
  program_->transport.reset_callers(crash_draws_);
  world_.network().detach(index_);
  for (const auto& [name, disk] : kv_disks_) disk->crash(crash_draws_);
  for (const auto& [name, disk] : shard_disks_) disk->crash(kind, crash_draws_);
  world_.simulator().crash(index_, std::exchange(program_, nullptr));
}

std::function<void(Error)> Node::on_fatal() {
  return [this, life = executor().incarnation()](Error error) {
    if (!world_.simulator().alive(life)) return;
    world_.trace().line(name_, "ends: " + error.to_string());
    count(Harm::kProcessEnded);
    die(CrashKind::kProcess);
    fatal_ = std::move(error);
  };
}

SimExecutor Node::executor() const {
  DOGFS_CHECK(up());
  return program_->executor;
}

Env& Node::env() {
  DOGFS_CHECK(up());
  return program_->env;
}

KvStore& Node::kv(const std::string& name) {
  DOGFS_CHECK(up());
  std::unique_ptr<SimKvStore>& store = program_->kv_stores[name];
  if (!store) {
    const StreamKey key = key_.with("kv").with(name).with(program_->executor.incarnation().life);
    store = std::make_unique<SimKvStore>(program_->executor, kv_disk(name), world_.options().kv_speed, key);
  }
  return *store;
}

ShardStore& Node::shards(const std::string& name) {
  DOGFS_CHECK(up());
  std::unique_ptr<SimShardStore>& store = program_->shard_stores[name];
  if (!store) {
    const StreamKey key = key_.with("shards").with(name).with(program_->executor.incarnation().life);
    store = std::make_unique<SimShardStore>(program_->executor, shard_disk(name), world_.options().shard_speed, key);
  }
  return *store;
}

std::vector<PendingCall> Node::pending_calls() const {
  DOGFS_CHECK(up());
  return program_->transport.pending_calls();
}

void Node::keep(std::shared_ptr<void> part) {
  DOGFS_CHECK(up());
  program_->parts.push_back(std::move(part));
}

const std::shared_ptr<KvDisk>& Node::kv_disk(const std::string& name) {
  std::shared_ptr<KvDisk>& disk = kv_disks_[name];
  if (!disk) disk = std::make_shared<KvDisk>();
  return disk;
}

const std::shared_ptr<ShardDisk>& Node::shard_disk(const std::string& name) {
  std::shared_ptr<ShardDisk>& disk = shard_disks_[name];
  if (!disk) disk = std::make_shared<ShardDisk>(world_.options().shard_disk_bytes);
  return disk;
}

void Node::set_clock_error(ClockError error) {
  if (up() && error.rate_ppm != 0 && error.rate_ppm != clock_error_.rate_ppm) count(Harm::kClockDrift);
  if (up() && error.wall != clock_error_.wall) count(Harm::kWallJump);
  clock_error_ = error;
  if (up()) program_->clock.set_error(error);
}

void Node::jump_clock(Duration forward) {
  if (!up() || forward == Duration::zero()) return;
  count(Harm::kClockJump);
  program_->clock.jump(forward);
}

uint64_t Node::harms(Harm harm) const {
  uint64_t sum = 0;
  for (const auto& [name, disk] : kv_disks_) sum += disk->harms().of(harm);
  for (const auto& [name, disk] : shard_disks_) sum += disk->harms().of(harm);
  return sum;
}

uint64_t Node::disk_errors() const {
  return harms(Harm::kReadError) + harms(Harm::kWriteError) + harms(Harm::kFailedSync) + harms(Harm::kRowReadError) +
         harms(Harm::kRowWriteError) + harms(Harm::kRowFailedSync) + harms(Harm::kRowsFull);
}

Harms Node::all_harms() const {
  Harms sum = harms_;
  for (const auto& [name, disk] : kv_disks_) sum.add(disk->harms());
  for (const auto& [name, disk] : shard_disks_) sum.add(disk->harms());
  return sum;
}

Harms World::harms() const {
  Harms sum = network_.harms();
  sum.add(simulator_.harms());
  for (const std::unique_ptr<Node>& node : nodes_) sum.add(node->all_harms());
  return sum;
}

World::World(WorldOptions options)
    : options_(options),
      simulator_(options.seed),
      trace_(simulator_, options.trace),
      network_(simulator_, trace_, options.seed) {
  network_.set_quality(options.link);
  simulator_.set_recording(options.recording);
}

World::~World() {
  for (const std::unique_ptr<Node>& node : nodes_) node->crash(CrashKind::kProcess);
}

Node& World::add_node(const std::string& name) {
  const NodeIndex index = simulator_.add_node();
  network_.add_node(index, {name});
  if (options_.recording != nullptr) options_.recording->add_node(index, name);
  nodes_.push_back(std::make_unique<Node>(*this, index, name));
  nodes_.back()->boot();
  return *nodes_.back();
}

void World::spawn(Node& node, Task<void> task) {
  dogfs::spawn(Executor(node.executor()), std::move(task));
}

bool World::run(Node& node, Task<void> task, Duration limit) {
  struct Ended {};
  const auto mark = [](Task<void> inner) -> Task<Ended> {
    co_await std::move(inner);
    co_return Ended();
  };
  return run(node, mark(std::move(task)), limit).has_value();
}

}  // namespace dogfs::sim
