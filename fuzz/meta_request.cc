// A metadata node under any requests: each is answered, none ends the node, and the rows keep their invariants.
#include <fmt/format.h>

#include "core/meta/invariants.h"
#include "core/meta/meta_node.h"
#include "core/wire/meta.pb.h"
#include "fuzz/meta_draw.h"
#include "fuzz/requests.h"

namespace dogfs::fuzz {
namespace {

constexpr size_t kMostRequests = 24;
constexpr int kServers = 4;

class MetaWorld {
 public:
  MetaWorld() : client_(world_.add_node("client")), node_(world_.add_node("meta-1")) {
    MetaOptions options;
    options.self = NodeId(1);
    options.nodes[NodeId(1)] = node_.address();
    options.default_policy = {.data_shards = 2, .parity_shards = 1, .cell_bytes = 4096, .block_bytes = 4 * 4096};
    MetaNode& meta = node_.make<MetaNode>(node_.env(), node_.kv(), options, node_.on_fatal());
    const auto started = world_.run(node_, meta.start(), seconds(10));
    DOGFS_CHECK(started.has_value() && started->has_value());
    const bool leads = world_.run_until([&] { return meta.replica().status().role == RaftRole::kLeader; }, seconds(10));
    DOGFS_CHECK(leads);
    world_.run_for(seconds(1));
    (void)send(MessageType::kOpenSession, wire::OpenSessionRequest());
    for (int i = 0; i < kServers; ++i) add_server(static_cast<char>('A' + i));
  }

  template <class Message>
  Result<Reply> send(MessageType type, const Message& message) {
    Request request = make_request(type, GroupId(), message);
    request.principal = "alice";
    return ask(world_, client_, node_, std::move(request));
  }

  // The bytes as a request of any type.
  void send_bytes(Input& input) {
    Request request;
    request.type = static_cast<MessageType>(input.byte() < 0xF0 ? 100 + input.byte() % 110 : input.u16());
    request.group = GroupId(input.byte() < 0xF0 ? 0 : input.u64());
    request.body = std::string(input.bytes());
    (void)ask(world_, client_, node_, std::move(request));
  }

  void send_one_way(Input& input) {
    Request message;
    message.type = MessageType::kRaft;
    message.body = std::string(input.bytes());
    client_.env().transport.send(node_.address(), std::move(message));
    world_.run_for(milliseconds(10));
    DOGFS_CHECK(node_.up(), "no message ends a server");
  }

  void pass(Duration time) { world_.run_for(time); }

  void check_rows() {
    const Result<std::vector<std::string>> broken = check_meta_invariants(*node_.kv_disk(), GroupId());
    DOGFS_CHECK(broken.has_value() && broken.value().empty(),
                broken ? fmt::format("{}", fmt::join(broken.value(), "; ")) : broken.error().to_string());
  }

 private:
  void add_server(char name) {
    wire::RegisterServerRequest registration;
    registration.set_uuid(std::string(16, name));
    registration.set_address("server:1");
    registration.set_rack(std::string("/rack/") + name);
    const Result<Reply> reply = send(MessageType::kRegisterServer, registration);
    DOGFS_CHECK(reply.has_value() && reply.value().error.code == ErrorCode::kOk);
    const auto registered = parse_message<wire::RegisterServerReply>(reply.value().body).value();
    wire::HeartbeatRequest heartbeat;
    heartbeat.set_server(registered.server());
    heartbeat.set_incarnation(registered.incarnation());
    heartbeat.set_cluster_uuid(registered.cluster_uuid());
    heartbeat.set_total_bytes(1 << 30);
    heartbeat.set_free_bytes(1 << 30);
    (void)send(MessageType::kHeartbeat, heartbeat);
  }

  sim::World world_;
  sim::Node& client_;
  sim::Node& node_;
};

void send_mutation(MetaWorld& world, Input& input, uint64_t& sequence) {
  wire::MutateRequest request;
  const uint8_t numbering = input.byte();
  request.set_session(numbering < 0xF0 ? 1 : input.id());
  request.set_sequence(numbering < 0xE0 ? ++sequence : input.number());
  request.set_low_water(numbering < 0xE0 ? sequence : input.number());
  draw_mutation(input, *request.mutable_mutation());
  (void)world.send(MessageType::kMutate, request);
}

void send_read(MetaWorld& world, Input& input) {
  switch (input.below(5)) {
    case 0: {
      wire::StatRequest request;
      request.set_path(draw_path(input));
      (void)world.send(MessageType::kStat, request);
      return;
    }
    case 1: {
      wire::ListRequest request;
      request.set_path(draw_path(input));
      request.set_after(std::string(input.bytes()));
      request.set_limit(static_cast<uint32_t>(input.number()));
      (void)world.send(MessageType::kList, request);
      return;
    }
    case 2: {
      wire::GetBlocksRequest request;
      if (input.flag()) request.set_path(draw_path(input));
      if (input.flag()) request.set_inode(input.id());
      request.set_offset(input.number());
      request.set_length(input.number());
      (void)world.send(MessageType::kGetBlocks, request);
      return;
    }
    case 3: {
      wire::RenewLeasesRequest request;
      request.set_session(input.id());
      for (size_t i = input.below(4); i > 0; --i) request.add_inodes(input.id());
      (void)world.send(MessageType::kRenewLeases, request);
      return;
    }
    default: {
      wire::SummaryRequest request;
      request.set_path(draw_path(input));
      (void)world.send(MessageType::kSummary, request);
    }
  }
}

void run(Input input) {
  MetaWorld world;
  uint64_t sequence = 0;
  for (size_t i = 0; i < kMostRequests && !input.empty(); ++i) {
    const uint8_t choice = input.byte();
    if (choice < 0x90) {
      send_mutation(world, input, sequence);
    } else if (choice < 0xC0) {
      send_read(world, input);
    } else if (choice < 0xE0) {
      world.send_bytes(input);
    } else if (choice < 0xF8) {
      world.send_one_way(input);
    } else {
      world.pass(seconds(input.byte()));
    }
  }
  world.pass(milliseconds(100));
  world.check_rows();
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dogfs::fuzz::run(dogfs::fuzz::Input(data, size));
  return 0;
}
