// A chunk server in a simulated world, with a metadata node that is played by the test, a client, and disks whose every
// operation the test can fail, hold or crash at.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/checksum.h"
#include "core/base/hash.h"
#include "core/chunk/chunk_server.h"
#include "core/chunk/piece_sums.h"
#include "core/chunk/shard_format.h"
#include "core/chunk/shard_key.h"
#include "core/ec/policy_wire.h"
#include "core/env/sync.h"
#include "core/wire/meta.pb.h"
#include "core/wire/rpc.h"
#include "sim/world.h"

namespace dogfs {

// What the test does to a disk operation before it happens, by its name: "create", "write", "sync", "sync_directory",
// "record", "remove", "read", "open".
class DiskFaults {
 public:
  enum class Fate : uint8_t { kProceed, kFail, kHang };
  std::function<Fate(const std::string& operation)> decide = [](const std::string&) { return Fate::kProceed; };
  std::vector<std::string> seen;
  // What the disk says of its room, where it is not what it has.
  std::optional<DiskSpace> space;
  // Keys of the records that cannot be read.
  std::set<std::string, std::less<>> unreadable_records;
  // What hangs is answered all the same.
  bool given_up = false;

  Fate next(const std::string& operation) {
    seen.push_back(operation);
    return decide(operation);
  }
};

// Passes operations on unless the test decides otherwise.
class FaultyFile final : public ShardFile {
 public:
  FaultyFile(Clock& clock, DiskFaults& faults, std::shared_ptr<ShardFile> file)
      : clock_(clock), faults_(faults), file_(std::move(file)) {}

  Task<Status> write(uint64_t offset, BytesChain data) override {
    if (!co_await may_proceed(clock_, faults_, "write")) co_return Error(ErrorCode::kIoError, "planted");
    co_return co_await file_->write(offset, std::move(data));
  }
  Task<Status> sync() override {
    if (!co_await may_proceed(clock_, faults_, "sync")) co_return Error(ErrorCode::kIoError, "planted");
    co_return co_await file_->sync();
  }
  Task<Result<Bytes>> read(uint64_t offset, size_t length) override {
    if (!co_await may_proceed(clock_, faults_, "read")) co_return Error(ErrorCode::kIoError, "planted");
    co_return co_await file_->read(offset, length);
  }
  Task<Status> drop_cache() override { return file_->drop_cache(); }
  Task<Result<uint64_t>> size() override { return file_->size(); }

  static Task<bool> may_proceed(Clock& clock, DiskFaults& faults, std::string operation) {
    const DiskFaults::Fate fate = faults.next(operation);
    const MonoTime end = clock.now() + std::chrono::hours(24);
    const bool hangs = fate == DiskFaults::Fate::kHang;
    while (hangs && !faults.given_up && clock.now() < end) co_await sleep_for(clock, milliseconds(500));
    co_return fate != DiskFaults::Fate::kFail && !(hangs && faults.given_up);
  }

 private:
  Clock& clock_;
  DiskFaults& faults_;
  std::shared_ptr<ShardFile> file_;
};

class FaultyShardStore final : public ShardStore {
 public:
  FaultyShardStore(Clock& clock, DiskFaults& faults, ShardStore& store)
      : clock_(clock), faults_(faults), store_(store) {}

  Task<Result<std::shared_ptr<ShardFile>>> create(std::string name) override {
    if (!co_await FaultyFile::may_proceed(clock_, faults_, "create")) co_return Error(ErrorCode::kIoError, "planted");
    co_return wrap(co_await store_.create(std::move(name)));
  }
  Task<Result<std::shared_ptr<ShardFile>>> open(std::string name) override {
    if (!co_await FaultyFile::may_proceed(clock_, faults_, "open")) co_return Error(ErrorCode::kIoError, "planted");
    co_return wrap(co_await store_.open(std::move(name)));
  }
  Task<Status> remove(std::string name) override {
    if (!co_await FaultyFile::may_proceed(clock_, faults_, "remove")) co_return Error(ErrorCode::kIoError, "planted");
    co_return co_await store_.remove(std::move(name));
  }
  Task<Result<std::vector<std::string>>> list() override {
    if (!co_await FaultyFile::may_proceed(clock_, faults_, "list")) co_return Error(ErrorCode::kIoError, "planted");
    co_return co_await store_.list();
  }
  Task<Status> sync_directory() override {
    if (!co_await FaultyFile::may_proceed(clock_, faults_, "sync_directory")) {
      co_return Error(ErrorCode::kIoError, "planted");
    }
    co_return co_await store_.sync_directory();
  }
  Task<Result<DiskSpace>> space() override {
    if (!co_await FaultyFile::may_proceed(clock_, faults_, "space")) co_return Error(ErrorCode::kIoError, "planted");
    if (faults_.space) co_return *faults_.space;
    co_return co_await store_.space();
  }
  void give_up() override { faults_.given_up = true; }

 private:
  Result<std::shared_ptr<ShardFile>> wrap(Result<std::shared_ptr<ShardFile>> file) {
    DOGFS_TRY(std::shared_ptr<ShardFile> opened, std::move(file));
    return std::shared_ptr<ShardFile>(std::make_shared<FaultyFile>(clock_, faults_, std::move(opened)));
  }

  Clock& clock_;
  DiskFaults& faults_;
  ShardStore& store_;
};

class FaultyRecords final : public KvReader {
 public:
  FaultyRecords(DiskFaults& faults, std::shared_ptr<const KvReader> records)
      : faults_(faults), records_(std::move(records)) {}

  Result<std::optional<std::string>> get(std::string_view key) const override {
    if (faults_.unreadable_records.contains(key)) return Error(ErrorCode::kIoError, "planted");
    return records_->get(key);
  }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return records_->scan(begin, end, visit);
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return records_->scan_backward(begin, end, visit);
  }

 private:
  DiskFaults& faults_;
  std::shared_ptr<const KvReader> records_;
};

class FaultyKvStore final : public KvStore {
 public:
  FaultyKvStore(Clock& clock, DiskFaults& faults, KvStore& store) : clock_(clock), faults_(faults), store_(store) {}

  Result<std::optional<std::string>> get(std::string_view key) const override { return store_.get(key); }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return store_.scan(begin, end, visit);
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return store_.scan_backward(begin, end, visit);
  }
  std::shared_ptr<const KvReader> snapshot() const override {
    return std::make_shared<FaultyRecords>(faults_, store_.snapshot());
  }
  Result<DiskSpace> space() const override { return store_.space(); }
  void give_up() override { faults_.given_up = true; }
  Task<Status> write(WriteBatch batch, Durability durability) override {
    if (!co_await FaultyFile::may_proceed(clock_, faults_, "record")) co_return Error(ErrorCode::kIoError, "planted");
    co_return co_await store_.write(std::move(batch), durability);
  }

 private:
  Clock& clock_;
  DiskFaults& faults_;
  KvStore& store_;
};

// A metadata node that says what the test wants.
class FakeMeta final : public RequestHandler {
 public:
  std::string cluster_uuid = "cluster-of-tests";
  std::optional<Error> refusal;  // of registrations
  Address leader;                // with a refusal of kNotLeader
  std::optional<Error> heartbeat_refusal;
  bool leads = true;
  std::vector<std::string> meta_nodes;  // said to be the group
  uint64_t first_server = 7;
  std::map<std::string, uint64_t> servers;  // by uuid
  std::vector<wire::RegisterServerRequest> registrations;
  std::vector<wire::HeartbeatRequest> heartbeats;
  std::set<ShardKey> to_confirm;
  std::set<ShardKey> deletions;  // asked for until they are confirmed
  std::set<ShardKey> deleted;
  std::vector<wire::RepairOrder> repairs;  // ordered until their outcomes are heard
  std::vector<wire::RepairOutcome> outcomes;
  std::vector<ShardKey> suspects;  // told once
  std::set<ShardKey> damaged;
  std::set<ShardKey> leaving;
  std::vector<wire::ReportDigestsRequest> digest_reports;
  std::vector<uint64_t> differing;  // buckets
  std::vector<wire::ReportShardsRequest> shard_reports;

  Task<Reply> handle(Request request, MonoTime) override {
    if (request.type == MessageType::kRegisterServer) co_return register_server(request);
    if (request.type == MessageType::kReportDigests) co_return report_digests(request);
    if (request.type == MessageType::kReportShards) {
      shard_reports.push_back(parse_message<wire::ReportShardsRequest>(request.body).value());
      co_return make_reply(wire::ReportShardsReply());
    }
    co_return heartbeat(request);
  }
  void receive(Request) override {}

 private:
  Reply report_digests(const Request& request) {
    digest_reports.push_back(parse_message<wire::ReportDigestsRequest>(request.body).value());
    wire::ReportDigestsReply reply;
    for (const uint64_t bucket : differing) reply.add_differing(bucket);
    return make_reply(reply);
  }
  Reply register_server(const Request& request) {
    registrations.push_back(parse_message<wire::RegisterServerRequest>(request.body).value());
    if (refusal) {
      Reply reply = error_reply(*refusal);
      reply.leader = leader;
      return reply;
    }
    const auto [server, is_new] = servers.emplace(registrations.back().uuid(), first_server + servers.size());
    wire::RegisterServerReply reply;
    reply.set_server(server->second);
    reply.set_incarnation(registrations.size());
    reply.set_cluster_uuid(cluster_uuid);
    return make_reply(reply);
  }
  Reply heartbeat(const Request& request) {
    heartbeats.push_back(parse_message<wire::HeartbeatRequest>(request.body).value());
    if (heartbeat_refusal) return error_reply(*heartbeat_refusal);
    wire::HeartbeatReply reply;
    reply.set_leader(leads);
    reply.set_applied_index(heartbeats.size());
    for (const std::string& node : meta_nodes) reply.add_meta_nodes(node);
    if (leads) {
      for (const wire::ShardName& name : heartbeats.back().deleted()) {
        deleted.insert(shard_key_from_wire(name).value());
        deletions.erase(shard_key_from_wire(name).value());
      }
    }
    for (const ShardKey& key : deletions) *reply.add_deletions() = shard_name_to_wire(key);
    for (const wire::ShardName& name : heartbeats.back().damaged()) damaged.insert(shard_key_from_wire(name).value());
    for (const wire::ShardName& name : heartbeats.back().leaving()) leaving.insert(shard_key_from_wire(name).value());
    if (leads) take_outcomes(heartbeats.back());
    for (const wire::RepairOrder& order : repairs) *reply.add_repairs() = order;
    for (const ShardKey& key : suspects) *reply.add_verify() = shard_name_to_wire(key);
    suspects.clear();
    for (const ShardKey& key : to_confirm) *reply.add_confirm() = shard_name_to_wire(key);
    return make_reply(reply);
  }
  void take_outcomes(const wire::HeartbeatRequest& heartbeat) {
    for (const wire::RepairOutcome& outcome : heartbeat.repairs()) {
      outcomes.push_back(outcome);
      std::erase_if(repairs, [&](const wire::RepairOrder& order) {
        return order.shard().SerializeAsString() == outcome.shard().SerializeAsString();
      });
    }
  }
};

inline constexpr Duration kPatience = std::chrono::minutes(2);

class ChunkWorld {
 public:
  explicit ChunkWorld(uint64_t seed = 1, size_t disks = 1, ChunkOptions options = {})
      : world({.seed = seed}),
        client(world.add_node("client")),
        meta_node(world.add_node("meta")),
        node(world.add_node("chunk")),
        faults(disks),
        options_(std::move(options)) {
    options_.address = node.address();
    if (options_.meta_nodes.empty()) options_.meta_nodes = {meta_node.address()};
    meta_node.env().transport.serve(meta);
    boot_server();
  }

  // Starts the server program on the node, which is up.
  void boot_server() {
    std::vector<ChunkDisk> disks;
    for (size_t i = 0; i < faults.size(); ++i) {
      const std::string name = "disk" + std::to_string(i);
      faults[i].given_up = false;
      auto& files = node.make<FaultyShardStore>(node.env().clock, faults[i], node.shards(name));
      auto& records = node.make<FaultyKvStore>(node.env().clock, faults[i], node.kv(name));
      disks.push_back(ChunkDisk{files, records, disk_names[i]});
    }
    server = &node.make<ChunkServer>(node.env(), disks, options_, node.on_fatal());
    started = world.run(node, server->start(), kPatience);
  }
  void crash(sim::CrashKind kind) { node.crash(kind); }
  void restart(sim::CrashKind kind = sim::CrashKind::kPower) {
    node.crash(kind);
    node.boot();
    boot_server();
  }
  bool wait_registered() {
    return world.run_until([this] { return !node.up() || !server->id().is_none(); }, kPatience) && node.up();
  }

  // As the metadata heard of it last.
  wire::DiskInfo disk_info(int disk) {
    meta.heartbeats.clear();
    world.run_until([this] { return !meta.heartbeats.empty(); }, kPatience);
    return meta.heartbeats.empty() ? wire::DiskInfo() : meta.heartbeats.back().disks(disk);
  }
  bool wait_for_state(int disk, wire::DiskInfo::State state) {
    return world.run_until(
        [&] {
          const bool heard = !meta.heartbeats.empty() && meta.heartbeats.back().disks_size() > disk;
          return heard && meta.heartbeats.back().disks(disk).state() == state;
        },
        kPatience);
  }

  // --- What the client asks ---
  template <class Message>
  Result<Reply> call(MessageType type, const Message& message, BytesChain payload = {},
                     Duration timeout = seconds(30)) {
    Request request = make_request(type, GroupId(0), message, std::move(payload));
    auto task = client.env().transport.call(node.address(), std::move(request), client.env().clock.now() + timeout);
    std::optional<Result<Reply>> reply = world.run(client, std::move(task), kPatience);
    return reply ? *std::move(reply) : Result<Reply>(Error(ErrorCode::kTimeout, "the world stood still"));
  }
  template <class Message>
  ErrorCode code(MessageType type, const Message& message, BytesChain payload = {}, Duration timeout = seconds(30)) {
    const Result<Reply> reply = call(type, message, std::move(payload), timeout);
    return reply.has_value() ? reply.value().error.code : reply.error().code;
  }

  wire::OpenShardRequest open_request(const ShardKey& key) const {
    wire::OpenShardRequest message;
    *message.mutable_key() = shard_key_to_wire(key);
    *message.mutable_policy() = geometry_to_wire(kDefaultGeometry);
    message.set_cluster_uuid(meta.cluster_uuid);
    message.set_server(server->id().value());
    return message;
  }
  ErrorCode open(const ShardKey& key) { return code(MessageType::kOpenShard, open_request(key)); }

  static wire::AppendShardRequest append_request(const ShardKey& key, uint64_t offset, std::string_view bytes) {
    wire::AppendShardRequest message;
    *message.mutable_key() = shard_key_to_wire(key);
    message.set_offset(offset);
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kChecksumPieceBytes))) {
      message.add_piece_crc32c(crc32c(bytes.substr(0, kChecksumPieceBytes)));
    }
    return message;
  }
  ErrorCode append(const ShardKey& key, uint64_t offset, std::string_view bytes) {
    return code(MessageType::kAppendShard, append_request(key, offset, bytes), BytesChain(Bytes::copy_of(bytes)));
  }
  static wire::SealShardRequest seal_request(const ShardKey& key, std::string_view data) {
    wire::SealShardRequest message;
    *message.mutable_key() = shard_key_to_wire(key);
    message.set_length(data.size());
    message.set_crc32c(crc32c(data));
    return message;
  }
  ErrorCode seal(const ShardKey& key, std::string_view data) {
    return code(MessageType::kSealShard, seal_request(key, data));
  }
  // Opens, appends in steps, and seals; the first error.
  ErrorCode write(const ShardKey& key, std::string_view data, size_t step = 256 * kKiB) {
    if (const ErrorCode opened = open(key); opened != ErrorCode::kOk) return opened;
    for (size_t at = 0; at < data.size(); at += step) {
      const ErrorCode appended = append(key, at, data.substr(at, step));
      if (appended != ErrorCode::kOk) return appended;
    }
    return seal(key, data);
  }
  ErrorCode abort(const ShardKey& key) {
    wire::AbortShardRequest message;
    *message.mutable_key() = shard_key_to_wire(key);
    return code(MessageType::kAbortShard, message);
  }

  static wire::ReadShardRequest read_request(const ShardKey& key, uint64_t offset, uint64_t length) {
    wire::ReadShardRequest message;
    *message.mutable_key() = shard_key_to_wire(key);
    message.set_offset(offset);
    message.set_length(length);
    message.set_all_checksums(true);
    return message;
  }
  // The bytes of the range after a reader's checks: kChecksumMismatch where they fail.
  Result<std::string> read(const ShardKey& key, uint64_t offset, uint64_t length) {
    DOGFS_TRY(Reply raw, call(MessageType::kReadShard, read_request(key, offset, length)));
    DOGFS_TRY(const TypedReply<wire::ReadShardReply> reply, parse_reply<wire::ReadShardReply>(std::move(raw)));
    const std::string text(reply.payload.flatten().view());
    for (size_t piece = 0; piece * kChecksumPieceBytes < text.size(); ++piece) {
      const uint32_t sum = crc32c(std::string_view(text).substr(piece * kChecksumPieceBytes, kChecksumPieceBytes));
      if (sum != reply.message.piece_crc32c().at(static_cast<int>(piece))) {
        return Error(ErrorCode::kChecksumMismatch, "piece");
      }
    }
    const auto& sums = reply.message.all_piece_crc32c();
    const std::span<const uint32_t> all(sums.data(), static_cast<size_t>(sums.size()));
    const uint64_t shard_length = reply.message.shard_length();
    if (all.size() != piece_count(shard_length) ||
        combine_piece_crcs(all, shard_length) != reply.message.shard_crc32c()) {
      return Error(ErrorCode::kChecksumMismatch, "shard");
    }
    return text.substr(offset - reply.message.payload_offset(), length);
  }

  static ShardKey key(uint64_t block, uint32_t index = 0, uint64_t generation = 1) {
    return ShardKey{BlockId(block), ShardIndex(index), ShardGeneration(generation)};
  }
  static std::string data(uint64_t seed, size_t size) {
    std::string text(size, '\0');
    for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>(combine64(seed, i));
    return text;
  }
  std::vector<std::string> files(size_t disk = 0) { return node.shard_disk("disk" + std::to_string(disk))->list(); }

  sim::World world;
  sim::Node& client;
  sim::Node& meta_node;
  sim::Node& node;
  FakeMeta meta;
  ChunkServer* server = nullptr;
  std::optional<Status> started;
  std::vector<DiskFaults> faults;            // by disk
  std::map<size_t, std::string> disk_names;  // by disk, from the next start on; the server names the others

  ChunkOptions& options() { return options_; }

 private:
  ChunkOptions options_;
};

}  // namespace dogfs
