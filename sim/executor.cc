#include "sim/executor.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"

namespace dogfs::sim {

Simulator::Simulator(uint64_t seed) : key_(StreamKey(seed).with("order")) {
  add_node();
  boot(kWorld);
}

Simulator::~Simulator() {
  for (NodeIndex node = static_cast<NodeIndex>(nodes_.size()); node-- > 0;) crash(node, nullptr);
  reap();
  shutdown();
  reap();
  destroy();
  reap();
}

NodeIndex Simulator::add_node() {
  const auto index = static_cast<NodeIndex>(nodes_.size());
  nodes_.push_back(NodeLife{.ties = RandomStream(key_.with(index))});
  return index;
}

Incarnation Simulator::boot(NodeIndex node) {
  NodeLife& life = nodes_.at(node);
  DOGFS_CHECK(!life.up);
  life.up = true;
  return {node, ++life.life};
}

bool Simulator::alive(Incarnation incarnation) const {
  const NodeLife& life = nodes_[incarnation.node];
  return life.up && life.life == incarnation.life;
}

void Simulator::crash(NodeIndex node, std::shared_ptr<void> program) {
  NodeLife& life = nodes_.at(node);
  if (life.up) {
    life.up = false;
    leave_line(life);
    bury_events(node);
    bury_parked(node);
  }
  if (program) grave_programs_.push_back(std::move(program));
  if (!in_event_) reap();
}

void Simulator::leave_line(NodeLife& node) {
  for (Event& event : node.line) {
    if (event.job) grave_jobs_.push_back(std::move(event.job));
  }
  node.line.clear();
  node.has_turn = false;
  node.pauses = 0;
  node.busy_until = {};
}

void Simulator::pause(Incarnation incarnation) {
  if (alive(incarnation)) ++nodes_[incarnation.node].pauses;
}

void Simulator::go_on(Incarnation incarnation) {
  if (!alive(incarnation)) return;
  NodeLife& node = nodes_[incarnation.node];
  DOGFS_CHECK(node.pauses > 0);
  if (--node.pauses == 0) give_turn(incarnation.node);
}

void Simulator::add_event_cost(NodeIndex node, Duration cost) {
  DOGFS_CHECK(node != kWorld && nodes_[node].event_cost + cost >= Duration::zero());
  nodes_[node].event_cost += cost;
}

bool Simulator::is_held_up(NodeIndex node) const {
  const NodeLife& life = nodes_[node];
  return life.up && (life.event_cost > Duration::zero() || must_wait(life, now_));
}

bool Simulator::must_wait(const NodeLife& node, VirtualTime time) const {
  return node.pauses > 0 || !node.line.empty() || time < node.busy_until;
}

// Schedules the turn of the first in the node's line, if there is one and none is scheduled.
void Simulator::give_turn(NodeIndex node) {
  NodeLife& life = nodes_[node];
  if (life.line.empty() || life.pauses > 0 || std::exchange(life.has_turn, true)) return;
  schedule(life.busy_until, {.owner = present(node), .job = nullptr, .parked = {}, .turn = true});
}

// Puts the first of the line that still means something in place of `event`.
bool Simulator::take_turn(Event& event) {
  if (!alive(event.owner)) return false;
  NodeLife& node = nodes_[event.owner.node];
  node.has_turn = false;
  if (node.pauses > 0) return false;  // go_on() gives another
  while (!node.line.empty()) {
    event = std::move(node.line.front());
    node.line.pop_front();
    if (event.job || is_parked(event.parked)) return true;
  }
  return false;
}

// Whether an event that is due at `time` runs now; it may be another then, or wait in line.
bool Simulator::may_run(Event& event, VirtualTime time) {
  if (event.turn) return take_turn(event);
  if (!event.job && !is_parked(event.parked)) return false;  // crashed, or woken earlier
  NodeLife& node = nodes_[event.owner.node];
  if (!must_wait(node, time)) return true;
  const NodeIndex owner = event.owner.node;
  harms_.count(node.pauses > 0 ? Harm::kPaused : Harm::kSlowed);
  node.line.push_back(std::move(event));
  give_turn(owner);
  return false;
}

void Simulator::run_event(Event& event) {
  in_event_ = true;
  if (event.job) {
    event.job->run();
    event.job.reset();
  } else {
    resume(event.parked, event.reason);
  }
  in_event_ = false;
  if (alive(event.owner)) {
    NodeLife& node = nodes_[event.owner.node];
    if (node.event_cost > Duration::zero()) node.busy_until = now_ + node.event_cost;
    give_turn(event.owner.node);
  }
  reap();
}

void Simulator::bury_events(NodeIndex node) {
  for (Event& event : event_slots_) {
    if (event.owner.node == node && event.job) grave_jobs_.push_back(std::move(event.job));
  }
}

void Simulator::bury_parked(NodeIndex node) {
  for (uint32_t slot = 0; slot < park_slots_.size(); ++slot) {
    ParkSlot& parked = park_slots_[slot];
    if (parked.handler && parked.owner.node == node) grave_parked_.push_back(take({slot, parked.generation}));
  }
}

void Simulator::reap() {
  while (!grave_jobs_.empty() || !grave_parked_.empty() || !grave_programs_.empty()) {
    if (!grave_jobs_.empty()) {
      const std::unique_ptr<Job> job = std::move(grave_jobs_.front());
      grave_jobs_.pop_front();
    } else if (!grave_parked_.empty()) {
      const std::unique_ptr<Parked> handler = std::move(grave_parked_.front());
      grave_parked_.pop_front();
    } else {
      const std::shared_ptr<void> program = std::move(grave_programs_.front());
      grave_programs_.pop_front();
    }
  }
}

void Simulator::schedule(VirtualTime time, Event event) {
  uint32_t slot = 0;
  if (free_events_.empty()) {
    slot = static_cast<uint32_t>(event_slots_.size());
    event_slots_.emplace_back();
  } else {
    slot = free_events_.back();
    free_events_.pop_back();
  }
  const uint64_t tie = nodes_[event.owner.node].ties.next();
  event_slots_[slot] = std::move(event);
  queue_.push({std::max(time, now_).time_since_epoch().count(), tie, ++sequence_, slot});
}

void Simulator::post(Incarnation owner, VirtualTime time, std::unique_ptr<Job> job) {
  if (!alive(owner)) {
    grave_jobs_.push_back(std::move(job));  // not destroyed here: this may run inside a frame that it owns
    return;
  }
  schedule(time, {.owner = owner, .job = std::move(job), .parked = {}});
}

ParkId Simulator::park(Incarnation owner, std::unique_ptr<Parked> handler) {
  if (!alive(owner)) {
    grave_parked_.push_back(std::move(handler));
    return {};
  }
  uint32_t slot = 0;
  if (free_parks_.empty()) {
    slot = static_cast<uint32_t>(park_slots_.size());
    park_slots_.emplace_back();
  } else {
    slot = free_parks_.back();
    free_parks_.pop_back();
  }
  ParkSlot& parked = park_slots_[slot];
  parked.owner = owner;
  parked.handler = std::move(handler);
  return {slot, parked.generation};
}

bool Simulator::is_parked(ParkId id) const {
  return !id.is_none() && park_slots_[id.slot].generation == id.generation && park_slots_[id.slot].handler;
}

std::unique_ptr<Parked> Simulator::take(ParkId id) {
  if (!is_parked(id)) return nullptr;
  ParkSlot& parked = park_slots_[id.slot];
  if (++parked.generation == 0) parked.generation = 1;
  free_parks_.push_back(id.slot);
  return std::move(parked.handler);
}

void Simulator::wake_at(ParkId id, VirtualTime time, Wake reason) {
  if (!is_parked(id)) return;
  schedule(time, {.owner = park_slots_[id.slot].owner, .job = nullptr, .parked = id, .reason = reason});
}

void Simulator::resume(ParkId id, Wake reason) {
  if (const std::unique_ptr<Parked> handler = take(id)) handler->resume(reason);
}

bool Simulator::step(VirtualTime limit) {
  while (!queue_.empty() && queue_.front().time <= limit.time_since_epoch().count()) {
    const EventQueue::Entry entry = queue_.pop();
    Event event = std::move(event_slots_[entry.slot]);
    event_slots_[entry.slot] = Event();
    free_events_.push_back(entry.slot);
    if (!may_run(event, VirtualTime(Duration(entry.time)))) continue;
    now_ = VirtualTime(Duration(entry.time));
    last_owner_ = event.owner.node;
    ++events_;
    note(static_cast<uint64_t>(entry.time) ^ (static_cast<uint64_t>(event.owner.node) << 48));
    run_event(event);
    return true;
  }
  if (limit != kEndOfTime) now_ = std::max(now_, limit);
  return false;
}

}  // namespace dogfs::sim
