#include "sim/years_meta.h"

#include <string_view>
#include <utility>

#include "core/base/check.h"
#include "core/env/sync.h"
#include "core/raft/raft.h"

namespace dogfs::sim {
namespace {

constexpr NodeId kSelf{1};
constexpr Duration kPatience = seconds(5);
// Of Raft's log, which nobody will ask for.
constexpr size_t kKeptEntries = 1'000;

class NoTransport final : public Transport {
 public:
  Task<Result<Reply>> call(Address, Request, MonoTime) override { co_return Error(ErrorCode::kUnavailable); }
  void send(Address, Request) override {}
  void serve(RequestHandler&) override {}
  void stop_serving() override {}
};

class InlineCompute final : public Compute {
 public:
  Task<void> run(std::function<void()> job) override {
    job();
    co_return;
  }
};

class NoLog final : public Log {
 public:
  bool enabled(LogLevel) const override { return false; }
  void write(LogLevel, std::string_view, std::string_view) override {}
};

// Every write is visible and durable at once.
class InstantStore final : public KvStore {
 public:
  explicit InstantStore(KvDisk& disk) : disk_(disk) {}

  Result<std::optional<std::string>> get(std::string_view key) const override { return disk_.get(key); }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return disk_.scan(begin, end, visit);
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    return disk_.scan_backward(begin, end, visit);
  }
  std::shared_ptr<const KvReader> snapshot() const override { return disk_.snapshot(); }
  Task<Status> write(WriteBatch batch, Durability) override {
    disk_.apply(batch);
    disk_.mark_durable(disk_.sequence());
    co_return ok();
  }
  Result<DiskSpace> space() const override { return disk_.space(); }
  void give_up() override {}

 private:
  KvDisk& disk_;
};

MetaOptions alone(MetaOptions options) {
  options.self = kSelf;
  options.nodes = {{kSelf, Address{"meta-1"}}};
  options.log.keep.max_entries = kKeptEntries;
  options.log.hold.max_entries = kKeptEntries;
  return options;
}

}  // namespace

struct LoneMeta::Program {
  Program(SimExecutor the_executor, KvDisk& disk, StreamKey key, MetaOptions options)
      : executor(the_executor),
        clock(the_executor),
        random(key),
        store(disk),
        env{.executor = the_executor,
            .clock = clock,
            .random = random,
            .transport = transport,
            .compute = compute,
            .log = log},
        node(env, store, alone(std::move(options)), [](const Error& error) {
          DOGFS_CHECK(false, error.to_string());  // a store in memory never fails
        }) {}

  Task<void> start() {
    const Status started = co_await node.start();
    DOGFS_CHECK(started.has_value());
  }

  Task<void> ask(Request request, std::function<void(Reply)> answered) {
    answered(co_await node.handle(std::move(request), clock.now() + kPatience));
  }

  SimExecutor executor;
  PacedClock clock;
  SimRandom random;
  InstantStore store;
  NoTransport transport;
  InlineCompute compute;
  NoLog log;
  Env env;
  MetaNode node;
};

LoneMeta::LoneMeta(Simulator& simulator, StreamKey key, MetaOptions options)
    : simulator_(simulator), index_(simulator.add_node()), disk_(std::make_shared<KvDisk>()) {
  const SimExecutor executor(simulator, simulator.boot(index_));
  program_ = std::make_shared<Program>(executor, *disk_, key, std::move(options));
}

LoneMeta::~LoneMeta() {
  simulator_.crash(index_, std::move(program_));
}

void LoneMeta::start() {
  spawn(program_->executor, program_->start());
}

bool LoneMeta::leads() const {
  return program_->node.replica().status().role == RaftRole::kLeader;
}

void LoneMeta::beat() {
  program_->clock.beat();
}

KvDisk& LoneMeta::store() {
  return *disk_;
}

SimExecutor LoneMeta::executor() const {
  return program_->executor;
}

Task<Reply> LoneMeta::ask(Request request) {
  return program_->node.handle(std::move(request), program_->clock.now() + kPatience);
}

void LoneMeta::ask(Request request, std::function<void(Reply)> answered) {
  spawn(program_->executor, program_->ask(std::move(request), std::move(answered)));
}

}  // namespace dogfs::sim
