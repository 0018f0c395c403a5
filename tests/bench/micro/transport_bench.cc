// What one message over loopback TCP costs: two event loops on two threads, a caller and a server that answers at once.
//
// What to see: alone, a call takes what two wake-ups of a thread take; many in flight share system calls, and cost a
// tenth of that; a megabyte of payload costs what the kernel takes to copy it in and out.
#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <thread>
#include <utility>

#include "core/base/check.h"
#include "core/env/sync.h"
#include "core/wire/message_type.h"
#include "net/transport.h"
#include "runtime/clock.h"
#include "runtime/log.h"

namespace dogfs {
namespace {

struct Node {
  boost::asio::io_context loop{1};
  Executor executor = loop.get_executor();
  SystemClock clock{executor};
  StderrLog log{LogLevel::kWarning, ""};
  TcpTransport transport{executor, clock, log};
};

// Answers every request with the payload that it is told to.
class Answerer final : public RequestHandler {
 public:
  explicit Answerer(Bytes payload) : payload_(std::move(payload)) {}
  Task<Reply> handle(Request, MonoTime) override {
    Reply reply;
    reply.payload.append(payload_);
    co_return reply;
  }
  void receive(Request) override {}

 private:
  Bytes payload_;
};

// A server on a thread of its own.
class ServerThread {
 public:
  explicit ServerThread(Bytes reply_payload) : answerer_(std::move(reply_payload)) {
    address_ = node_.transport.listen(Address{"127.0.0.1:0"}).value();
    node_.transport.serve(answerer_);
    thread_ = std::thread([this] { node_.loop.run(); });
  }
  ~ServerThread() {
    node_.loop.stop();
    thread_.join();
  }
  const Address& address() const { return address_; }

 private:
  Node node_;
  Answerer answerer_;
  Address address_;
  std::thread thread_;
};

Task<void> call_often(Node& node, Address to, Request request, int calls) {
  for (int i = 0; i < calls; ++i) {
    const auto reply = co_await node.transport.call(to, request, node.clock.now() + seconds(10));
    DOGFS_CHECK(reply.has_value());
  }
}

Task<void> call_in_parallel(Node& node, Address to, Request request, int in_flight, int calls_each) {
  TaskGroup group(node.executor, node.clock);
  for (int i = 0; i < in_flight; ++i) group.spawn(call_often(node, to, request, calls_each));
  co_await group.join();
  node.loop.stop();
}

void run_calls(benchmark::State& state, const Request& request, size_t reply_payload_bytes, int in_flight) {
  constexpr int kCallsEach = 16;
  ServerThread server(Bytes::zeros(reply_payload_bytes));
  Node node;
  for (auto _ : state) {
    boost::asio::co_spawn(node.executor, call_in_parallel(node, server.address(), request, in_flight, kCallsEach),
                          boost::asio::detached);
    node.loop.restart();
    node.loop.run();
  }
  const int64_t calls = static_cast<int64_t>(state.iterations()) * in_flight * kCallsEach;
  state.SetItemsProcessed(calls);
  state.SetBytesProcessed(calls * static_cast<int64_t>(request.payload.size() + reply_payload_bytes));
}

void small_calls(benchmark::State& state) {
  Request request;
  request.type = MessageType::kStat;
  request.body = std::string(100, 'x');
  run_calls(state, request, 0, static_cast<int>(state.range(0)));
}
BENCHMARK(small_calls)->Arg(1)->Arg(16)->Arg(64)->Arg(256)->UseRealTime();

void payload_out(benchmark::State& state) {
  Request request;
  request.type = MessageType::kAppendShard;
  request.payload.append(Bytes::zeros(static_cast<size_t>(state.range(0))));
  run_calls(state, request, 0, 4);
}
BENCHMARK(payload_out)->Arg(64 << 10)->Arg(256 << 10)->Arg(1 << 20)->Arg(4 << 20)->UseRealTime();

void payload_in(benchmark::State& state) {
  Request request;
  request.type = MessageType::kReadShard;
  run_calls(state, request, static_cast<size_t>(state.range(0)), 4);
}
BENCHMARK(payload_in)->Arg(64 << 10)->Arg(256 << 10)->Arg(1 << 20)->Arg(4 << 20)->UseRealTime();

}  // namespace
}  // namespace dogfs

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
