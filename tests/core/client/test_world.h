// A world for the client's tests: one thread, virtual time, and a network whose every message a test can lose.
//
// Nodes are handlers by address. What happens to a call is decided by the test's `fate` function: the request or the
// reply may be lost, the connection reset or refused, the node slow.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/env/env.h"
#include "core/env/sync.h"
#include "core/wire/rpc.h"

namespace dogfs::test {

class World;

class TestClock final : public Clock {
 public:
  explicit TestClock(boost::asio::io_context& context) : context_(context) {}
  MonoTime now() const override { return now_; }
  WallTime wall() const override { return WallTime(now_.time_since_epoch()); }
  std::unique_ptr<Waiter> make_waiter() override;

  // Moves time on to the earliest deadline that somebody waits for. False if nobody waits for one.
  bool advance();

  struct Parked {
    std::function<void(bool)> resume;
  };
  // Parks `resume` until `deadline`; the id takes it out again.
  uint64_t park(MonoTime deadline, std::function<void(bool)> resume);
  void wake(uint64_t id, bool notified);

 private:
  boost::asio::io_context& context_;
  MonoTime now_{seconds(1000)};
  uint64_t next_id_ = 1;
  std::map<uint64_t, Parked> parked_;
  std::map<std::pair<MonoTime, uint64_t>, uint64_t> deadlines_;
  std::map<uint64_t, MonoTime> deadline_of_;
};

class TestRandom final : public Random {
 public:
  uint64_t draw(std::string_view stream) override;

 private:
  std::map<std::string, uint64_t, std::less<>> draws_;
};

// Runs jobs later, on the one thread there is.
class TestCompute final : public Compute {
 public:
  explicit TestCompute(Clock& clock) : clock_(clock) {}
  Task<void> run(std::function<void()> job) override;

 private:
  Clock& clock_;
};

class TestLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return true; }
  void write(LogLevel, std::string_view, std::string_view text) override { lines.emplace_back(text); }
  std::vector<std::string> lines;
};

enum class Fate {
  kDeliver,
  kRefuse,       // kRefused: certainly not executed
  kLoseRequest,  // not executed; the caller waits until its deadline
  kLoseReply,    // executed; the caller waits until its deadline
  kResetBefore,  // not executed; kConnectionLost
  kResetAfter,   // executed; kConnectionLost
};

class TestTransport final : public Transport {
 public:
  using Handler = std::function<Task<Reply>(Request)>;

  TestTransport(Executor executor, Clock& clock) : tasks_(std::move(executor), clock), clock_(clock) {}

  Task<Result<Reply>> call(Address to, Request request, MonoTime deadline) override;
  void send(Address, Request) override {}
  void serve(RequestHandler&) override {}
  void stop_serving() override {}

  std::map<Address, Handler> nodes;
  // Called for each request before it is delivered.
  std::function<Fate(const Address& to, const Request& request)> fate = [](const Address&, const Request&) {
    return Fate::kDeliver;
  };
  // How long a request takes to be answered.
  std::function<Duration(const Address& to, const Request& request)> delay = [](const Address&, const Request&) {
    return Duration(microseconds(200));
  };
  uint64_t calls = 0;
  uint64_t payload_in_flight = 0;

 private:
  struct Exchange;
  static Task<void> execute(Handler handler, Request request, Duration delay, Clock& clock,
                            std::shared_ptr<Exchange> exchange);

  TaskGroup tasks_;
  Clock& clock_;
};

class World {
 public:
  World();

  // Runs `task` to its end, moving time on whenever nothing else can happen. Fails the test if it can never end.
  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    spawn(store(std::move(task), result));
    run_until([&] { return result.has_value(); });
    return std::move(*result);
  }
  void run(Task<void> task);
  // Starts `task`, which goes on while the world runs.
  void spawn(Task<void> task);
  void run_until(const std::function<bool()>& done);
  // Lets `duration` pass.
  void run_for(Duration duration);

  boost::asio::io_context context{1};
  TestClock clock;
  TestRandom random;
  TestCompute compute;
  TestLog log;
  TestTransport transport;
  Env env;

 private:
  template <class T>
  static Task<void> store(Task<T> task, std::optional<T>& result) {
    result.emplace(co_await std::move(task));
  }
};

}  // namespace dogfs::test
