#include "sim/executor.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <string>
#include <vector>

#include "core/env/sync.h"
#include "core/wire/message_type.h"
#include "sim/world.h"

namespace dogfs::sim {
namespace {

TEST(Simulator, RunsEventsByTimeAndStopsAtTheLimit) {
  Simulator simulator(1);
  std::vector<int> ran;
  const auto at = [&](int ms) {
    simulator.at(simulator.world(), VirtualTime(milliseconds(ms)), [&ran, ms] { ran.push_back(ms); });
  };
  for (const int ms : {30, 10, 20}) at(ms);
  EXPECT_TRUE(simulator.step(VirtualTime(milliseconds(20))));
  EXPECT_TRUE(simulator.step(VirtualTime(milliseconds(20))));
  EXPECT_FALSE(simulator.step(VirtualTime(milliseconds(25))));
  EXPECT_EQ(ran, (std::vector<int>{10, 20}));
  EXPECT_EQ(simulator.now(), VirtualTime(milliseconds(25)));
}

std::string order_of_ties(uint64_t seed) {
  Simulator simulator(seed);
  std::string order;
  for (char c = 'a'; c <= 'h'; ++c) {
    simulator.at(simulator.world(), VirtualTime(milliseconds(1)), [&order, c] { order += c; });
  }
  while (simulator.step(kEndOfTime)) {
  }
  return order;
}

TEST(Simulator, DrawsTheOrderOfWhatHappensAtOneMoment) {
  EXPECT_EQ(order_of_ties(1), order_of_ties(1));
  EXPECT_NE(order_of_ties(1), order_of_ties(2));
}

class HeldUp : public ::testing::Test {
 protected:
  void at(int ms, char c) {
    simulator_.at(life_, VirtualTime(milliseconds(ms)), [this, c] {
      ran_ += c;
      times_.push_back(simulator_.now().time_since_epoch() / milliseconds(1));
    });
  }
  void run_until(int ms) {
    while (simulator_.step(VirtualTime(milliseconds(ms)))) {
    }
  }

  Simulator simulator_{1};
  const NodeIndex node_ = simulator_.add_node();
  Incarnation life_ = simulator_.boot(node_);
  std::string ran_;
  std::vector<int64_t> times_;
};

TEST_F(HeldUp, APausedNodeDoesLaterWhatWasDueInItsOrder) {
  for (int i = 0; i < 8; ++i) at(10 * (i + 1), static_cast<char>('a' + i));
  run_until(25);
  simulator_.pause(life_);
  simulator_.pause(life_);
  run_until(50);
  simulator_.go_on(life_);
  run_until(65);
  EXPECT_EQ(ran_, "ab");
  simulator_.go_on(life_);
  run_until(66);
  EXPECT_EQ(ran_, "abcdef");
  run_until(80);
  EXPECT_EQ(ran_, "abcdefgh");
  EXPECT_EQ(times_, (std::vector<int64_t>{10, 20, 65, 65, 65, 65, 70, 80}));
}

TEST_F(HeldUp, OthersGoOnMeanwhile) {
  simulator_.pause(life_);
  bool ran = false;
  simulator_.at(simulator_.world(), VirtualTime(milliseconds(5)), [&ran] { ran = true; });
  at(1, 'a');
  run_until(10);
  EXPECT_TRUE(ran);
  EXPECT_EQ(ran_, "");
}

TEST_F(HeldUp, ASlowProcessorDoesOneThingAfterTheOther) {
  simulator_.add_event_cost(node_, milliseconds(10));
  for (const auto& [ms, c] : {std::pair(1, 'a'), std::pair(2, 'b'), std::pair(3, 'c'), std::pair(50, 'd')}) at(ms, c);
  run_until(100);
  EXPECT_EQ(ran_, "abcd");
  EXPECT_EQ(times_, (std::vector<int64_t>{1, 11, 21, 50}));
  EXPECT_TRUE(simulator_.is_held_up(node_));
  simulator_.add_event_cost(node_, -milliseconds(10));
  run_until(200);
  EXPECT_FALSE(simulator_.is_held_up(node_));
}

TEST_F(HeldUp, ACrashEndsThePauseAndDropsWhatWaited) {
  at(1, 'a');
  simulator_.pause(life_);
  run_until(5);
  simulator_.crash(node_, nullptr);
  const Incarnation paused = life_;
  life_ = simulator_.boot(node_);
  at(6, 'b');
  run_until(10);
  simulator_.go_on(paused);  // whose pause is over long since
  run_until(20);
  EXPECT_EQ(ran_, "b");
}

TEST(HeldUpNode, MessagesToAPausedNodeWaitInTheirOrder) {
  World world;
  Node& a = world.add_node("a");
  Node& b = world.add_node("b");
  class Listener final : public RequestHandler {
   public:
    Task<Reply> handle(Request, MonoTime) override { co_return Reply(); }
    void receive(Request message) override { got += message.body; }
    std::string got;
  } listener;
  b.env().transport.serve(listener);
  world.simulator().pause(b.executor().incarnation());
  for (const char* body : {"1", "2", "3", "4", "5"}) {
    a.env().transport.send(
        b.address(), Request{.type = MessageType::kRaft, .group = {}, .principal = {}, .body = body, .payload = {}});
    world.run_for(milliseconds(30));
  }
  EXPECT_EQ(listener.got, "");
  world.simulator().go_on(b.executor().incarnation());
  world.run_for(milliseconds(1));
  EXPECT_EQ(listener.got, "12345");
  b.env().transport.stop_serving();
}

TEST(Simulator, AnEventOfACrashedNodeNeverRuns) {
  Simulator simulator(1);
  const NodeIndex node = simulator.add_node();
  const Incarnation first = simulator.boot(node);
  bool ran = false;
  simulator.at(first, VirtualTime(milliseconds(1)), [&ran] { ran = true; });
  simulator.crash(node, nullptr);
  const Incarnation second = simulator.boot(node);
  simulator.at(first, VirtualTime(milliseconds(1)), [&ran] { ran = true; });
  EXPECT_FALSE(simulator.step(kEndOfTime));
  EXPECT_FALSE(ran);
  EXPECT_FALSE(simulator.alive(first));
  EXPECT_TRUE(simulator.alive(second));
}

// A program whose coroutines nest, spawn, wait and notify in every way, and that may kill its own node.
class Busy {
 public:
  Busy(Node& node, int& alive)
      : node_(node),
        env_(node.env()),
        store_(node.kv()),
        clock_(env_.clock),
        notifier_(clock_),
        tasks_(node.env().executor, clock_),
        alive_(alive) {
    ++alive_;
  }
  ~Busy() { --alive_; }

  Task<void> run(int depth) {
    const Guard guard(alive_);
    for (int i = 0; i < 20; ++i) {
      const uint64_t choice = env_.random.draw("busy") % 100;
      if (choice < 30) {
        co_await sleep_for(clock_, microseconds(choice));
      } else if (choice < 50) {
        co_await notifier_.wait_until(clock_.now() + microseconds(200));
      } else if (choice < 65) {
        notifier_.notify_all();
      } else if (choice < 80 && depth < 4) {
        co_await run(depth + 1);
      } else if (choice < 90 && depth < 4) {
        tasks_.spawn(run(depth + 1));
      } else if (choice < 97) {
        WriteBatch batch;
        batch.put("k", "v");
        (void)co_await store_.write(std::move(batch), Durability::kSynced);
      } else if (choice == 97) {
        node_.crash(CrashKind::kPower);
      } else {
        co_await env_.compute.run([] {});
      }
    }
  }

 private:
  struct Guard {
    explicit Guard(int& count) : count_(count) { ++count_; }
    ~Guard() { --count_; }
    int& count_;
  };

  Node& node_;
  Env& env_;
  KvStore& store_;
  Clock& clock_;
  Notifier notifier_;
  TaskGroup tasks_;
  int& alive_;
};

uint64_t crash_storm(uint64_t seed) {
  int alive = 0;
  uint64_t digest = 0;
  {
    World world({.seed = seed});
    RandomStream draws{StreamKey(seed)};
    Node& node = world.add_node("busy");
    for (int life = 0; life < 50; ++life) {
      if (!node.up()) node.boot();
      Busy& busy = node.make<Busy>(node, alive);
      world.spawn(node, busy.run(0));
      world.run_for(draws.between(Duration::zero(), milliseconds(3)));
      node.crash(CrashKind::kPower);
      EXPECT_EQ(alive, 0);
    }
    digest = world.simulator().digest();
  }
  EXPECT_EQ(alive, 0);
  return digest;
}

TEST(Simulator, CrashesAtAnyMomentLeaveNothingBehindAndRepeat) {
  for (uint64_t seed = 1; seed <= 20; ++seed) EXPECT_EQ(crash_storm(seed), crash_storm(seed));
}

Task<bool> wait(Waiter& waiter, MonoTime deadline) {
  co_return co_await waiter.wait_until(deadline);
}

TEST(SimClock, AWaiterRemembersOneNotification) {
  World world;
  Node& node = world.add_node("a");
  Clock& clock = node.env().clock;
  const auto waiter = clock.make_waiter();
  waiter->notify();
  waiter->notify();
  EXPECT_EQ(world.run(node, wait(*waiter, kNever), seconds(1)), true);
  EXPECT_EQ(world.run(node, wait(*waiter, clock.now() + milliseconds(5)), seconds(1)), false);
  EXPECT_EQ(world.now(), VirtualTime(milliseconds(5)));
}

TEST(SimClock, ANotificationAtTheDeadlineIsNotLost) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    World world({.seed = seed});
    Node& node = world.add_node("a");
    const auto waiter = node.env().clock.make_waiter();
    const MonoTime deadline = node.env().clock.now() + milliseconds(5);
    int notified = 0;
    world.simulator().at(world.simulator().world(), world.now() + milliseconds(5), [&] { waiter->notify(); });
    for (const Duration more : {Duration::zero(), Duration(milliseconds(1))}) {
      notified += world.run(node, wait(*waiter, deadline + more), seconds(1)).value();
    }
    EXPECT_EQ(notified, 1);
  }
}

TEST(SimClock, EachLifeOfANodeHasItsOwnZero) {
  World world;
  Node& node = world.add_node("a");
  const MonoTime before = node.env().clock.now();
  node.crash(CrashKind::kProcess);
  node.boot();
  EXPECT_NE(node.env().clock.now(), before);
}

TEST(SimCompute, RunsTheJobLater) {
  World world;
  Node& node = world.add_node("a");
  bool done = false;
  EXPECT_TRUE(world.run(node, node.env().compute.run([&done] { done = true; }), seconds(1)));
  EXPECT_TRUE(done);
  EXPECT_GT(world.now(), VirtualTime());
}

TEST(SimRandom, AStreamDoesNotDependOnTheOthers) {
  SimRandom alone(StreamKey(5));
  SimRandom shared(StreamKey(5));
  for (int i = 0; i < 10; ++i) {
    shared.draw("other");
    EXPECT_EQ(shared.draw("mine"), alone.draw("mine"));
  }
}

}  // namespace
}  // namespace dogfs::sim
