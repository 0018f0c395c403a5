// A group of metadata nodes in the simulated world, and a node that talks to them as clients and chunk servers do.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/meta/meta_node.h"
#include "core/wire/message_type.h"
#include "core/wire/meta.pb.h"
#include "core/wire/rpc.h"
#include "sim/world.h"
#include "tests/core/meta/machine_harness.h"

namespace dogfs {

inline constexpr Geometry kGeometry{
    .data_shards = 3, .parity_shards = 2, .cell_bytes = 4096, .block_bytes = 3 * 4096ULL * 4};

inline Task<Result<Reply>> call(Env& env, Address to, Request request) {
  co_return co_await env.transport.call(std::move(to), std::move(request), env.clock.now() + seconds(2));
}

inline Task<void> answer_into(Env& env, Address to, Request request, std::optional<Reply>& answer) {
  Result<Reply> reply = co_await call(env, std::move(to), std::move(request));
  answer = reply ? std::move(reply).value() : error_reply(reply.error());
}

class MetaCluster {
 public:
  explicit MetaCluster(int nodes, uint64_t seed = 1, MetaOptions options = {})
      : world_({.seed = seed}), client_(world_.add_node("client")), options_(std::move(options)) {
    for (int i = 1; i <= nodes; ++i) {
      const std::string name = "meta-" + std::to_string(i);
      options_.nodes[NodeId(static_cast<uint64_t>(i))] = Address{name};
      metas_.push_back(&world_.add_node(name));
    }
    options_.default_policy = kGeometry;
    for (size_t i = 0; i < metas_.size(); ++i) start(i);
  }

  void start(size_t i) {
    sim::Node& node = *metas_[i];
    if (!node.up()) node.boot();
    MetaOptions options = options_;
    options.self = NodeId(i + 1);
    MetaNode& meta = node.make<MetaNode>(node.env(), node.kv(), options, node.on_fatal());
    programs_[i] = &meta;
    const auto started = world_.run(node, meta.start(), seconds(10));
    ASSERT_TRUE(started.has_value() && started->has_value());
  }

  // Asks one node once.
  Reply ask_node(size_t i, Request request) {
    auto answer = world_.run(client_, call(client_.env(), metas_[i]->address(), std::move(request)), seconds(5));
    if (!answer.has_value()) return error_reply(Error(ErrorCode::kTimeout));
    if (!answer->has_value()) return error_reply(answer->error());
    return std::move(answer->value());
  }

  // Asks until a leader has answered.
  template <class Message>
  Reply ask(MessageType type, const Message& message) {
    Reply reply;
    for (int attempt = 0; attempt < 200; ++attempt) {
      Request request = make_request(type, GroupId(), message);
      request.principal = "alice";
      reply = ask_node(target_, std::move(request));
      const ErrorClass kind = error_class(reply.error.code);
      if (kind != ErrorClass::kRetry && kind != ErrorClass::kRedirect) return reply;
      target_ = (target_ + 1) % metas_.size();
      world_.run_for(milliseconds(100));
    }
    return reply;
  }

  // All of them under way at the same time, to whoever led last.
  template <class Message>
  std::vector<Reply> ask_at_once(MessageType type, const std::vector<Message>& messages) {
    std::vector<std::optional<Reply>> answers(messages.size());
    for (size_t i = 0; i < messages.size(); ++i) {
      Request request = make_request(type, GroupId(), messages[i]);
      request.principal = "alice";
      world_.spawn(client_, answer_into(client_.env(), metas_[target_]->address(), std::move(request), answers[i]));
    }
    world_.run_until([&] { return std::ranges::all_of(answers, [](const auto& each) { return each.has_value(); }); },
                     seconds(20));
    std::vector<Reply> replies;
    for (std::optional<Reply>& each : answers) {
      replies.push_back(each ? std::move(*each) : error_reply(Error(ErrorCode::kTimeout)));
    }
    return replies;
  }

  template <class ReplyMessage, class Message>
  ReplyMessage ask_for(MessageType type, const Message& message) {
    Result<TypedReply<ReplyMessage>> reply = parse_reply<ReplyMessage>(ask(type, message));
    EXPECT_TRUE(reply.has_value()) << reply.error().to_string();
    return reply ? std::move(reply.value().message) : ReplyMessage();
  }

  void open_session() {
    const auto reply = ask_for<wire::OpenSessionReply>(MessageType::kOpenSession, wire::OpenSessionRequest());
    session_ = reply.session();
    cluster_uuid_ = reply.cluster_uuid();
    EXPECT_NE(session_, 0u);
    EXPECT_EQ(cluster_uuid_.size(), 16u);
  }

  wire::MutateRequest next(wire::Mutation mutation) {
    wire::MutateRequest request;
    request.set_session(session_);
    request.set_sequence(++sequence_);
    request.set_low_water(sequence_);
    *request.mutable_mutation() = std::move(mutation);
    return request;
  }

  Reply mutate(wire::Mutation mutation) { return ask(MessageType::kMutate, next(std::move(mutation))); }

  template <class Fill>
  Reply change(Fill fill) {
    wire::Mutation mutation;
    fill(mutation);
    return mutate(std::move(mutation));
  }

  Reply mkdir(const std::string& path) {
    return change([&](wire::Mutation& mutation) { mutation.mutable_make_directory()->set_path(path); });
  }

  wire::CreateFileResult create(const std::string& path) {
    const Reply reply = change([&](wire::Mutation& mutation) { mutation.mutable_create_file()->set_path(path); });
    wire::MutateReply message;
    EXPECT_TRUE(message.ParseFromString(reply.body));
    return message.result().create_file();
  }

  // To be sent as often as one likes.
  wire::MutateRequest next_allocation(const wire::CreateFileResult& file) {
    wire::Mutation mutation;
    mutation.mutable_allocate_block()->set_inode(file.inode());
    mutation.mutable_allocate_block()->set_lease_epoch(file.lease_epoch());
    return next(std::move(mutation));
  }

  Reply allocate(const wire::CreateFileResult& file) { return ask(MessageType::kMutate, next_allocation(file)); }

  // A block of it that was allocated. Fails the test where none is.
  wire::AllocateBlockResult allocated_block(const wire::CreateFileResult& file) {
    wire::MutateReply message;
    EXPECT_TRUE(message.ParseFromString(allocate(file).body));
    EXPECT_TRUE(message.result().has_allocate_block());
    return message.result().allocate_block();
  }

  // A full block at the beginning of the file.
  void write_block(const wire::CreateFileResult& file) {
    const wire::AllocateBlockResult block = allocated_block(file);
    const Reply committed = change([&](wire::Mutation& mutation) {
      *mutation.mutable_commit_block() = MachineHarness::full_commit(file, block, 0, kGeometry.block_bytes);
    });
    ASSERT_EQ(committed.error.code, ErrorCode::kOk) << committed.error.to_string();
  }

  wire::RegisterServerRequest registration(int number) const {
    wire::RegisterServerRequest request;
    request.set_uuid(std::string(16, static_cast<char>('a' + number)));
    request.set_address("chunk-" + std::to_string(number));
    request.set_rack(racks_.empty() ? "/rack-" + std::to_string(number) : racks_.at(static_cast<size_t>(number)));
    return request;
  }

  wire::HeartbeatRequest heartbeat_of(const wire::RegisterServerReply& server) const {
    wire::HeartbeatRequest request;
    request.set_server(server.server());
    request.set_incarnation(server.incarnation());
    request.set_total_bytes(1ULL << 40);
    request.set_free_bytes(free_bytes_.contains(server.server()) ? free_bytes_.at(server.server()) : 1ULL << 39);
    wire::DiskInfo& disk = *request.add_disks();
    disk.set_total_bytes(request.total_bytes());
    disk.set_free_bytes(request.free_bytes());
    if (full_.contains(server.server())) disk.set_state(wire::DiskInfo::FULL);
    request.set_cluster_uuid(cluster_uuid_);
    return request;
  }

  void add_server(int number) {
    servers_.push_back(ask_for<wire::RegisterServerReply>(MessageType::kRegisterServer, registration(number)));
  }
  void add_servers(int count) {
    for (int i = 0; i < count; ++i) add_server(i);
    beat();
  }

  // Every server sends a heartbeat to every node.
  void beat() {
    for (const auto& server : servers_) {
      for (size_t i = 0; i < metas_.size(); ++i) {
        if (metas_[i]->up()) ask_node(i, make_request(MessageType::kHeartbeat, GroupId(), heartbeat_of(server)));
      }
    }
  }

  wire::ClusterStatusReply status_of(size_t i) {
    const Reply reply = ask_node(i, make_request(MessageType::kClusterStatus, GroupId(), wire::ClusterStatusRequest()));
    wire::ClusterStatusReply message;
    EXPECT_EQ(reply.error.code, ErrorCode::kOk) << reply.error.to_string();
    EXPECT_TRUE(message.ParseFromString(reply.body));
    return message;
  }

  size_t leader() {
    world_.run_until([&] { return find_leader().has_value(); }, seconds(20));
    return find_leader().value_or(0);
  }

  std::optional<size_t> find_leader() const {
    for (size_t i = 0; i < metas_.size(); ++i) {
      if (metas_[i]->up() && programs_.at(i)->replica().status().role == RaftRole::kLeader) return i;
    }
    return std::nullopt;
  }

  sim::World world_;
  sim::Node& client_;
  MetaOptions options_;
  std::vector<sim::Node*> metas_;
  std::map<size_t, MetaNode*> programs_;
  std::vector<std::string> racks_;  // of the servers; empty: each has its own
  std::vector<wire::RegisterServerReply> servers_;
  std::map<uint64_t, uint64_t> free_bytes_;  // of a server; else half a TiB
  std::set<uint64_t> full_;                  // servers that say so of their disk
  size_t target_ = 0;
  uint64_t session_ = 0;
  uint64_t sequence_ = 0;
  std::string cluster_uuid_;
};

}  // namespace dogfs
