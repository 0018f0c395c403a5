// The event queue under a simulated cluster: it decides what runs next, and can take a node away at any moment.
//
// Everything that happens in a run is an event: a coroutine that goes on, a message that arrives, a disk that has
// finished, a fault. Events run one at a time, by virtual time; among those of one moment the order is drawn, since
// nothing on a real machine promises one. So a run is a function of its seed alone.
//
// The hard part is a crash. A node that dies leaves suspended coroutines behind, each owned by whatever would have
// resumed it. Three rules keep that safe:
//   1. A suspended coroutine is a *parked handler* in one table here. Timers, messages and disks know it by ParkId;
//      none of them owns it, so there is no cycle of owners, and an id that comes too late is simply unknown.
//   2. Each event and parked handler belongs to an incarnation of a node. A crash moves all that the incarnation owned
//      into a grave. The grave is emptied after the event, first in first out, with no frame of the node on the stack:
//      destroying a handler destroys its coroutine, whose unwinding posts again, into the grave. (Destroying at once is
//      a use after free whenever a node crashes itself.)
//   3. What the node's program is made of goes last, after the last of its coroutines.
//
// A node may also be held up: paused, or slow. Its events then wait in a line of their own and run in their order, one
// after the other, when they may.
//
// One thread. Node 0 is the world: what happens outside of the nodes, such as faults and checks.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <utility>
#include <vector>

#include "core/env/task.h"
#include "sim/event_queue.h"
#include "sim/harms.h"
#include "sim/random.h"
#include "sim/virtual_time.h"

namespace dogfs::sim {

class Recording;

// A node of the simulation, numbered in the order of creation.
using NodeIndex = uint32_t;
inline constexpr NodeIndex kWorld = 0;

// One life of a node, from boot to crash.
struct Incarnation {
  NodeIndex node = kWorld;
  uint32_t life = 0;
  bool operator==(const Incarnation&) const = default;
};

// What an event does, once. (A std::function that need not be copyable.)
class Job {
 public:
  virtual ~Job() = default;
  virtual void run() = 0;
};

template <class F>
class JobOf final : public Job {
 public:
  explicit JobOf(F function) : function_(std::move(function)) {}
  // The function is moved out first: it may destroy the owner of this object.
  void run() override {
    F function(std::move(function_));
    std::move(function)();
  }

 private:
  F function_;
};

template <class F>
std::unique_ptr<Job> make_job(F function) {
  return std::make_unique<JobOf<F>>(std::move(function));
}

// Why a parked coroutine goes on.
enum class Wake : uint8_t { kCompleted, kDeadline };

// A suspended handler.
class Parked {
 public:
  virtual ~Parked() = default;
  virtual void resume(Wake reason) = 0;
};

// Names a parked handler; stays unknown for ever once that was resumed. The default value names none.
struct ParkId {
  uint32_t slot = 0;
  uint32_t generation = 0;
  bool is_none() const { return generation == 0; }
};

class Simulator final : public boost::asio::execution_context {
 public:
  explicit Simulator(uint64_t seed);
  Simulator(const Simulator&) = delete;
  Simulator& operator=(const Simulator&) = delete;
  ~Simulator();

  VirtualTime now() const { return now_; }
  // Events that ran.
  uint64_t events() const { return events_; }
  // Whose event ran last.
  NodeIndex last_owner() const { return last_owner_; }
  // A hash of all that happened so far: equal for two runs that are the same.
  uint64_t digest() const { return digest_; }
  // Makes `what` a part of what happened.
  void note(uint64_t what) { digest_ = mix64(digest_ ^ what); }

  // Where typed events of the run are kept (sim/trace_events.h); null where nobody asked for them.
  Recording* recording() const { return recording_; }
  void set_recording(Recording* recording) { recording_ = recording; }

  NodeIndex add_node();
  // Precondition: the node is down.
  Incarnation boot(NodeIndex node);
  // Ends the present life of `node`, if it is up: nothing of it runs any more. May be called from its own code.
  // `program` is released after the last of the node's coroutines.
  void crash(NodeIndex node, std::shared_ptr<void> program);
  bool alive(Incarnation incarnation) const;
  Incarnation world() const { return {kWorld, nodes_[kWorld].life}; }
  Incarnation present(NodeIndex node) const { return {node, nodes_[node].life}; }

  // --- Nodes that are held up ---
  // Nothing of the incarnation runs until each pause was taken back; what was due meanwhile runs then. No effect on one
  // that has ended.
  void pause(Incarnation incarnation);
  void go_on(Incarnation incarnation);
  // Each event of the node keeps it from the next for so much longer, over all its lives. Costs add up; a negative one
  // takes back.
  void add_event_cost(NodeIndex node, Duration cost);
  // Whether what arrives at the node from outside must be an event of the node, so as to wait in its line.
  bool is_held_up(NodeIndex node) const;
  // How many events were held up.
  const Harms& harms() const { return harms_; }

  // Runs `job` at `time` (now, if that is past) unless the incarnation has ended by then.
  void post(Incarnation owner, VirtualTime time, std::unique_ptr<Job> job);
  template <class F>
  void at(Incarnation owner, VirtualTime time, F function) {
    post(owner, time, make_job(std::move(function)));
  }

  // Keeps `handler` until it is woken or its incarnation ends.
  ParkId park(Incarnation owner, std::unique_ptr<Parked> handler);
  // Resumes it at `time`, if it is still parked by then. The earliest of several wakes counts.
  void wake_at(ParkId id, VirtualTime time, Wake reason);
  void wake(ParkId id) { wake_at(id, now_, Wake::kCompleted); }
  // Resumes it inline. Precondition: called straight from an event, with no frame of its node on the stack.
  void resume(ParkId id, Wake reason);

  // Runs the next event, if it is due at `limit` or before. False if there is none; the time is then `limit`.
  bool step(VirtualTime limit);

 private:
  // A job, or the wake of a parked handler, or the turn of the first in its node's line. None: the owner has crashed.
  struct Event {
    Incarnation owner;
    std::unique_ptr<Job> job;
    ParkId parked;
    Wake reason{};
    bool turn = false;
  };
  struct ParkSlot {
    Incarnation owner;
    uint32_t generation = 1;
    std::unique_ptr<Parked> handler;
  };
  struct NodeLife {
    uint32_t life = 0;
    bool up = false;
    RandomStream ties;
    // Held up:
    uint32_t pauses = 0;
    Duration event_cost{};
    VirtualTime busy_until{};
    std::list<Event> line{};
    bool has_turn = false;  // an event for its first is scheduled
  };

  void schedule(VirtualTime time, Event event);
  bool must_wait(const NodeLife& node, VirtualTime time) const;
  void give_turn(NodeIndex node);
  bool take_turn(Event& event);
  bool may_run(Event& event, VirtualTime time);
  void run_event(Event& event);
  void leave_line(NodeLife& node);
  std::unique_ptr<Parked> take(ParkId id);
  bool is_parked(ParkId id) const;
  void bury_events(NodeIndex node);
  void bury_parked(NodeIndex node);
  void reap();

  StreamKey key_;
  Recording* recording_ = nullptr;
  VirtualTime now_{};
  uint64_t events_ = 0;
  uint64_t sequence_ = 0;
  uint64_t digest_ = 0;
  NodeIndex last_owner_ = kWorld;
  EventQueue queue_;
  std::vector<Event> event_slots_;
  std::vector<uint32_t> free_events_;
  std::vector<ParkSlot> park_slots_;
  std::vector<uint32_t> free_parks_;
  std::vector<NodeLife> nodes_;
  // What dead incarnations owned: never run, only destroyed.
  std::deque<std::unique_ptr<Job>> grave_jobs_;
  std::deque<std::unique_ptr<Parked>> grave_parked_;
  std::deque<std::shared_ptr<void>> grave_programs_;
  bool in_event_ = false;
  Harms harms_;
};

// The executor of one incarnation: what it is given runs at the present virtual time, in a drawn order.
class SimExecutor {
 public:
  SimExecutor(Simulator& simulator, Incarnation incarnation) : simulator_(&simulator), incarnation_(incarnation) {}

  Simulator& simulator() const { return *simulator_; }
  Incarnation incarnation() const { return incarnation_; }

  // What Asio asks of an executor.
  bool operator==(const SimExecutor&) const noexcept = default;
  Simulator& query(boost::asio::execution::context_t) const noexcept { return *simulator_; }
  static constexpr boost::asio::execution::blocking_t::never_t query(boost::asio::execution::blocking_t) noexcept {
    return {};
  }
  template <class F>
  void execute(F function) const {
    simulator_->at(incarnation_, simulator_->now(), std::move(function));
  }

 private:
  Simulator* simulator_;
  Incarnation incarnation_;
};

template <class Handler>
class ParkedHandler final : public Parked {
 public:
  explicit ParkedHandler(Handler handler) : handler_(std::move(handler)) {}
  void resume(Wake reason) override {
    Handler handler(std::move(handler_));
    std::move(handler)(reason);
  }

 private:
  Handler handler_;
};

// Suspends the calling coroutine: the only way to do so in the simulator. `start` is called with its ParkId, and
// tells whoever will wake it.
template <class Start>
Task<Wake> park(SimExecutor executor, Start start) {
  return boost::asio::async_initiate<const boost::asio::use_awaitable_t<Executor>&, void(Wake)>(
      [executor](auto handler, const Start& begin) {
        using Handler = decltype(handler);
        const ParkId id = executor.simulator().park(executor.incarnation(),
                                                    std::make_unique<ParkedHandler<Handler>>(std::move(handler)));
        if (!id.is_none()) begin(id);
      },
      boost::asio::use_awaitable_t<Executor>(), std::move(start));
}

}  // namespace dogfs::sim
