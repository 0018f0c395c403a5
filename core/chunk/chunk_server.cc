#include "core/chunk/chunk_server.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/chunk/block_reporter.h"
#include "core/chunk/disk_recovery.h"
#include "core/chunk/identity.h"
#include "core/chunk/membership.h"
#include "core/chunk/repair_worker.h"
#include "core/chunk/scrubber.h"
#include "core/chunk/shard_reader.h"
#include "core/chunk/shard_remover.h"
#include "core/chunk/shard_writers.h"
#include "core/ec/policy_wire.h"
#include "core/wire/rpc.h"

namespace dogfs {

// Wires the parts together, and turns messages into calls of them.
class ChunkServer::Impl {
 public:
  Impl(Env& env, const std::vector<ChunkDisk>& disks, ChunkOptions options, std::function<void(Error)> on_fatal);

  Task<Status> start(ChunkServer& handler);
  Task<void> stop();
  ServerId id() const { return identity_.server(); }
  std::vector<wire::DiskInfo> disks() const { return load().disks; }
  Task<Reply> handle(Request request, MonoTime deadline);

 private:
  Task<Result<Reply>> dispatch(Request request, MonoTime deadline);
  Task<Result<Reply>> open_shard(Request request, MonoTime deadline);
  Task<Result<Reply>> append_shard(Request request, MonoTime deadline);
  Task<Result<Reply>> seal_shard(Request request, MonoTime deadline);
  Task<Result<Reply>> read_shard(Request request, MonoTime deadline);
  Task<Result<Reply>> abort_shard(Request request, MonoTime deadline);
  // Whether a request means this server. The message says whom by `cluster_uuid` and `server`.
  template <class Message>
  Status check_addressee(const Message& message) const;
  Result<Reply> tell_members(const Request& request);

  Task<Status> recover();
  Task<void> run_disk_watch();
  Task<void> run_space_refresh(ShardDisk* disk);
  void inspect_disks();
  void disk_went_bad(const Error& error);
  void end(const Error& error);
  Membership::Load load() const;

  Env& env_;
  ChunkOptions options_;
  std::function<void(Error)> on_fatal_;
  StopSignal stop_;
  TaskGroup tasks_;
  std::vector<std::unique_ptr<ShardDisk>> disks_;
  ShardTable table_;
  KeyTurns turns_;
  ShardWriters writers_;
  ShardReader reader_;
  ShardRemover remover_;
  DiskRecovery recovery_;
  BackgroundPace pace_;
  RepairWorker repairs_;
  Scrubber scrubber_;
  Identity identity_;
  BlockReporter reporter_;
  Membership membership_;
  bool fatal_ = false;
  bool inspecting_ = false;
  uint32_t active_requests_ = 0;
  Notifier request_ended_;
};

namespace {

std::vector<std::unique_ptr<ShardDisk>> make_disks(Env& env, const std::vector<ChunkDisk>& ports,
                                                   const std::function<void(const Error&)>& on_bad) {
  DOGFS_CHECK(!ports.empty());
  std::vector<std::unique_ptr<ShardDisk>> disks;
  disks.reserve(ports.size());
  for (const ChunkDisk& port : ports) disks.push_back(std::make_unique<ShardDisk>(env, port, disks.size(), on_bad));
  return disks;
}

}  // namespace

ChunkServer::Impl::Impl(Env& env, const std::vector<ChunkDisk>& disks, ChunkOptions options,
                        std::function<void(Error)> on_fatal)
    : env_(env),
      options_(std::move(options)),
      on_fatal_(std::move(on_fatal)),
      stop_(env.clock),
      tasks_(env.executor, env.clock),
      disks_(make_disks(env, disks, [this](const Error& error) { disk_went_bad(error); })),
      turns_(env.clock),
      writers_(env, options_, disks_, table_, turns_, stop_),
      reader_(disks_, table_, options_.max_read_bytes),
      remover_(env, disks_, table_, turns_, writers_, reader_, stop_),
      recovery_(env, disks_, table_, turns_, writers_, remover_, stop_),
      pace_(env.clock, stop_, options_.repair_bytes_per_s),
      repairs_(env, table_, writers_, pace_, stop_, options_.max_repairs),
      scrubber_(env, options_, disks_, table_, turns_, reader_, stop_),
      identity_(env, disks_),
      reporter_(env, options_, identity_, table_, remover_, stop_),
      membership_(
          env, options_, identity_, {remover_, repairs_, scrubber_, reporter_, table_, disks_}, stop_,
          [this] { return load(); }, [this](const Error& error) { end(error); }),
      request_ended_(env.clock) {
  repairs_.on_outcome([this] { membership_.wake(); });
  reader_.on_suspect([this](const ShardKey& key) { scrubber_.verify_soon({key}); });
}

Task<Status> ChunkServer::Impl::start(ChunkServer& handler) {
  DOGFS_CO_TRYV(co_await recover());
  env_.transport.serve(handler);
  tasks_.spawn(run_disk_watch());
  tasks_.spawn(writers_.run_idle_sweep());
  tasks_.spawn(remover_.run());
  for (const auto& disk : disks_) tasks_.spawn(run_space_refresh(disk.get()));
  scrubber_.start(tasks_);
  tasks_.spawn(reporter_.run());
  // What cluster the shards are of is known from an earlier registration, or not before the first.
  if (!identity_.cluster_uuid().empty()) inspect_disks();
  membership_.start(tasks_, [this] { inspect_disks(); });
  co_return ok();
}

Task<Status> ChunkServer::Impl::recover() {
  DOGFS_CO_TRYV(co_await identity_.load(options_.accept_disks));
  size_t readable = 0;
  Status failure = ok();
  for (const auto& disk : disks_) {
    const wire::DiskInfo::State state = disk->describe().state();
    // Nothing is there that is ours.
    if (state == wire::DiskInfo::EMPTY) continue;
    Status loaded = ok();
    if (state != wire::DiskInfo::UNREADABLE) {
      loaded = co_await recovery_.load(disk.get());
      if (loaded.has_value() && ++readable > 0) continue;
      disk->take_out(wire::DiskInfo::UNREADABLE, "cannot be read: " + loaded.error().to_string());
      failure = loaded;
    }
    remover_.set_incomplete();
    reporter_.set_incomplete();
    reader_.set_incomplete();
  }
  recovery_.take_unrecorded();
  if (readable > 0) co_return ok();
  co_return failure.has_value() ? Status(Error(ErrorCode::kIoError, "no disk can be read")) : failure;
}

void ChunkServer::Impl::inspect_disks() {
  if (!std::exchange(inspecting_, true)) tasks_.spawn(recovery_.inspect(identity_.cluster_uuid()));
}

Task<void> ChunkServer::Impl::run_disk_watch() {
  while (co_await stop_.sleep(options_.heartbeat_interval)) {
    for (const auto& disk : disks_) disk->check_that_it_answers();
  }
}

Task<void> ChunkServer::Impl::run_space_refresh(ShardDisk* disk) {
  while (co_await stop_.sleep(options_.heartbeat_interval)) {
    if (disk->bad()) continue;
    co_await disk->refresh_space();
    disk->choose_what_to_give_away(table_);
  }
}

Task<void> ChunkServer::Impl::stop() {
  env_.transport.stop_serving();
  stop_.stop();
  membership_.wake();
  remover_.stop();
  while (active_requests_ > 0) co_await request_ended_.wait();
  co_await tasks_.join();
  co_await repairs_.join();
  co_await writers_.join();
  for (const auto& disk : disks_) co_await disk->join();
}

void ChunkServer::Impl::disk_went_bad(const Error& error) {
  const bool all_bad = std::all_of(disks_.begin(), disks_.end(), [](const auto& disk) { return disk->bad(); });
  if (all_bad) end(error);
}

void ChunkServer::Impl::end(const Error& error) {
  if (!std::exchange(fatal_, true)) on_fatal_(error);
}

Membership::Load ChunkServer::Impl::load() const {
  Membership::Load load{.space = {},
                        .shards = table_.sealed(),
                        .active_transfers = active_requests_,
                        .foreign_files = recovery_.counts().foreign,
                        .disks = identity_.missing()};
  for (const auto& disk : disks_) {
    wire::DiskInfo info = disk->describe();
    info.set_shards(table_.sealed_on(disk->number()));
    scrubber_.describe(disk->number(), info);
    // What a disk that is taken out holds is on its way elsewhere.
    if (!disk->bad()) {
      load.space.total_bytes += info.total_bytes();
      load.space.free_bytes += info.free_bytes();
    }
    load.disks.push_back(std::move(info));
  }
  return load;
}

Task<Reply> ChunkServer::Impl::handle(Request request, MonoTime deadline) {
  ++active_requests_;
  Result<Reply> reply = co_await dispatch(std::move(request), deadline);
  --active_requests_;
  request_ended_.notify_all();
  if (!reply.has_value()) co_return error_reply(std::move(reply).error());
  co_return std::move(reply).value();
}

Task<Result<Reply>> ChunkServer::Impl::dispatch(Request request, MonoTime deadline) {
  if (stop_.stopping()) co_return Error(ErrorCode::kShuttingDown);
  switch (request.type) {
    case MessageType::kOpenShard:
      co_return co_await open_shard(std::move(request), deadline);
    case MessageType::kAppendShard:
      co_return co_await append_shard(std::move(request), deadline);
    case MessageType::kSealShard:
      co_return co_await seal_shard(std::move(request), deadline);
    case MessageType::kReadShard:
      co_return co_await read_shard(std::move(request), deadline);
    case MessageType::kAbortShard:
      co_return co_await abort_shard(std::move(request), deadline);
    case MessageType::kTellMembers:
      co_return tell_members(request);
    default:
      co_return Error(ErrorCode::kUnsupported, "a chunk server does not answer this");
  }
}

template <class Message>
Status ChunkServer::Impl::check_addressee(const Message& message) const {
  if (identity_.server().is_none()) return Error(ErrorCode::kUnavailable, "the chunk server is not registered yet");
  if (message.cluster_uuid() != identity_.cluster_uuid()) {
    return Error(ErrorCode::kWrongCluster, "the request is for another cluster than this server's");
  }
  if (ServerId(message.server()) != identity_.server()) {
    return Error(ErrorCode::kStaleLocation,
                 fmt::format("this is server {}, not {}", identity_.server(), message.server()));
  }
  return ok();
}

Task<Result<Reply>> ChunkServer::Impl::open_shard(Request request, MonoTime deadline) {
  DOGFS_CO_TRY(const wire::OpenShardRequest message, parse_message<wire::OpenShardRequest>(request.body));
  DOGFS_CO_TRY(const ShardKey key, shard_key_from_wire(message.key()));
  DOGFS_CO_TRY(const Geometry geometry, geometry_from_wire(message.policy()));
  if (key.index.value() >= geometry.total_shards()) {
    co_return Error(ErrorCode::kInvalidArgument,
                    fmt::format("shard index {} of {} shards", key.index, geometry.total_shards()));
  }
  DOGFS_CO_TRYV(check_addressee(message));
  pace_.client_at_work();
  ShardHeader header{.cluster_uuid = message.cluster_uuid(), .key = key, .geometry = geometry};
  const uint64_t length = message.length() == 0 ? geometry.shard_bytes() : message.length();
  DOGFS_CO_TRYV(co_await writers_.open(std::move(header), length, WritePurpose::kClient, deadline));
  co_return make_reply(wire::OpenShardReply());
}

Result<Reply> ChunkServer::Impl::tell_members(const Request& request) {
  DOGFS_TRY(const wire::TellMembersRequest message, parse_message<wire::TellMembersRequest>(request.body));
  DOGFS_TRYV(check_addressee(message));
  DOGFS_TRYV(membership_.be_told(message.meta_nodes()));
  return make_reply(wire::TellMembersReply());
}

Task<Result<Reply>> ChunkServer::Impl::append_shard(Request request, MonoTime deadline) {
  DOGFS_CO_TRY(const wire::AppendShardRequest message, parse_message<wire::AppendShardRequest>(request.body));
  DOGFS_CO_TRY(const ShardKey key, shard_key_from_wire(message.key()));
  pace_.client_at_work();
  ShardAppend append{.offset = message.offset(),
                     .payload = std::move(request.payload),
                     .piece_crcs = {message.piece_crc32c().begin(), message.piece_crc32c().end()}};
  DOGFS_CO_TRY(const uint64_t length, co_await writers_.append(key, std::move(append), deadline));
  wire::AppendShardReply reply;
  reply.set_length(length);
  co_return make_reply(reply);
}

Task<Result<Reply>> ChunkServer::Impl::seal_shard(Request request, MonoTime deadline) {
  DOGFS_CO_TRY(const wire::SealShardRequest message, parse_message<wire::SealShardRequest>(request.body));
  DOGFS_CO_TRY(const ShardKey key, shard_key_from_wire(message.key()));
  DOGFS_CO_TRYV(co_await writers_.seal(key, message.length(), message.crc32c(), deadline));
  co_return make_reply(wire::SealShardReply());
}

Task<Result<Reply>> ChunkServer::Impl::read_shard(Request request, MonoTime deadline) {
  DOGFS_CO_TRY(const wire::ReadShardRequest message, parse_message<wire::ReadShardRequest>(request.body));
  DOGFS_CO_TRY(const ShardKey key, shard_key_from_wire(message.key()));
  if (writers_.has(key)) co_return Error(ErrorCode::kNotSealed, to_string(key));
  const ShardRange range{message.offset(), message.length()};
  if (!message.background()) {
    pace_.client_at_work();
  } else if (const Status readable = reader_.check(key, range); !readable) {
    // Before it takes its turn, which others would wait for.
    co_return readable.error();
  } else if (!co_await pace_.take(message.length(), deadline)) {
    co_return Error(ErrorCode::kBusy, "clients are at work");
  }
  DOGFS_CO_TRY(ShardRead read, co_await reader_.read(key, range, message.from_disk()));
  wire::ReadShardReply reply;
  reply.set_payload_offset(read.offset);
  reply.mutable_piece_crc32c()->Add(read.piece_crcs.begin(), read.piece_crcs.end());
  reply.set_shard_length(read.footer->length);
  reply.set_shard_crc32c(read.footer->crc);
  if (message.all_checksums()) {
    reply.mutable_all_piece_crc32c()->Add(read.footer->piece_crcs.begin(), read.footer->piece_crcs.end());
  }
  co_return make_reply(reply, std::move(read.payload));
}

Task<Result<Reply>> ChunkServer::Impl::abort_shard(Request request, MonoTime deadline) {
  DOGFS_CO_TRY(const wire::AbortShardRequest message, parse_message<wire::AbortShardRequest>(request.body));
  DOGFS_CO_TRY(const ShardKey key, shard_key_from_wire(message.key()));
  DOGFS_CO_TRYV(co_await writers_.abort(key, deadline));
  co_return make_reply(wire::AbortShardReply());
}

ChunkServer::ChunkServer(Env& env, const std::vector<ChunkDisk>& disks, ChunkOptions options,
                         std::function<void(Error)> on_fatal)
    : impl_(std::make_unique<Impl>(env, disks, std::move(options), std::move(on_fatal))) {}

ChunkServer::~ChunkServer() = default;

Task<Status> ChunkServer::start() {
  return impl_->start(*this);
}

Task<void> ChunkServer::stop() {
  return impl_->stop();
}

ServerId ChunkServer::id() const {
  return impl_->id();
}

std::vector<wire::DiskInfo> ChunkServer::disks() const {
  return impl_->disks();
}

Task<Reply> ChunkServer::handle(Request request, MonoTime deadline) {
  return impl_->handle(std::move(request), deadline);
}

void ChunkServer::receive(Request) {}

}  // namespace dogfs
