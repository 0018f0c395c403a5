// etcd_load: how many puts a second an etcd cluster takes, with a number of them in flight. ./dev bench meta holds the
// creates of DogFS against it in the same run.
//
// All puts go to the leader, which saves etcd the forwarding that its followers would do, over one connection for every
// 64 puts in flight: bench_client has as many. A key is of the length of the paths that bench_client makes.
//
// Prints: etcd_load op=put operations=… seconds=… per_second=… p50_ms=… p99_ms=…
#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/meta/etcd.pb.h"
#include "tests/bench/rate.h"

namespace dogfs::bench {
namespace {

constexpr size_t kPutsPerConnection = 64;
constexpr size_t kValueBytes = 32;
constexpr auto kCallLimit = std::chrono::seconds(10);

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "etcd_load: %s\n", what.c_str());
  std::exit(1);
}

std::shared_ptr<grpc::Channel> connect(const std::string& endpoint) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  return grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
}

grpc::ByteBuffer encode(const std::string& message) {
  const grpc::Slice slice(message);
  return {&slice, 1};
}

std::string decode(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok()) die("a reply cannot be read");
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

// One call. It must not move while it is under way.
struct Call {
  SteadyClock::time_point begin;
  std::unique_ptr<grpc::ClientContext> context;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer reply;
  grpc::Status status;

  void start(grpc::GenericStub& stub, const std::string& method, const std::string& message,
             grpc::CompletionQueue& done) {
    begin = SteadyClock::now();
    context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + kCallLimit);
    reader = stub.PrepareUnaryCall(context.get(), method, encode(message), &done);
    reader->StartCall();
    reader->Finish(&reply, &status, this);
  }
};

// The call that has ended next.
Call& next(grpc::CompletionQueue& done) {
  void* tag = nullptr;
  bool well = false;
  if (!done.Next(&tag, &well) || !well) die("the queue of calls has ended");
  Call& call = *static_cast<Call*>(tag);
  if (!call.status.ok()) die(call.status.error_message());
  return call;
}

std::string find_leader(const std::vector<std::string>& endpoints) {
  for (const std::string& endpoint : endpoints) {
    grpc::CompletionQueue done;
    grpc::GenericStub stub(connect(endpoint));
    Call call;
    call.start(stub, "/etcdserverpb.Maintenance/Status", "", done);
    next(done);
    etcd::StatusResponse status;
    if (!status.ParseFromString(decode(call.reply))) die("the status cannot be read");
    if (status.leader() != 0 && status.leader() == status.header().member_id()) return endpoint;
  }
  die("nobody leads");
}

struct Load {
  std::vector<std::string> endpoints;
  std::string prefix = "/bench";
  size_t in_flight = 1;
  double seconds = 1;
};

void run(const Load& load) {
  const std::string leader = find_leader(load.endpoints);
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs;
  for (size_t i = 0; i < load.in_flight; i += kPutsPerConnection) {
    stubs.push_back(std::make_unique<grpc::GenericStub>(connect(leader)));
  }
  grpc::CompletionQueue done;
  std::vector<Call> calls(load.in_flight);
  std::vector<double> latencies_s;
  uint64_t started = 0;
  const auto put = [&](Call& call) {
    const auto slot = static_cast<size_t>(&call - calls.data());
    etcd::PutRequest request;
    request.set_key(fmt::format("{}/{}-{}", load.prefix, slot, started++));
    request.set_value(std::string(kValueBytes, 'v'));
    call.start(*stubs[slot / kPutsPerConnection], "/etcdserverpb.KV/Put", request.SerializeAsString(), done);
  };
  const auto start = SteadyClock::now();
  for (Call& call : calls) put(call);
  for (size_t under_way = calls.size(); under_way > 0;) {
    Call& call = next(done);
    latencies_s.push_back(seconds_since(call.begin));
    if (seconds_since(start) < load.seconds) {
      put(call);
    } else {
      --under_way;
    }
  }
  print_rate("etcd_load", "put", rate_of(std::move(latencies_s), seconds_since(start)));
}

}  // namespace
}  // namespace dogfs::bench

int main(int argc, char** argv) {
  dogfs::bench::Load load;
  CLI::App app("Puts into an etcd cluster and says how fast it went.");
  app.add_option("--endpoints", load.endpoints, "of the members, host:port")->required()->delimiter(',');
  app.add_option("--prefix", load.prefix, "of the keys");
  app.add_option("--in-flight", load.in_flight)->check(CLI::Range(1, 4096));
  app.add_option("--seconds", load.seconds)->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);
  dogfs::bench::run(load);
}
