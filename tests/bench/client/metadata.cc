#include "tests/bench/client/metadata.h"

#include <fmt/format.h>

#include <memory>
#include <optional>
#include <utility>

#include "core/env/sync.h"

namespace dogfs::bench {
namespace {

struct OpenFile {
  std::string path;
  std::unique_ptr<FileWriter> writer;
};

// One of the coroutines that make the load, and the files that it made.
struct Worker {
  Client* client = nullptr;
  std::string prefix;  // of its files' paths
  std::vector<OpenFile> files;
  std::vector<double> latencies_s;
  std::optional<Error> error;
};

Task<void> create_files(Worker& worker, double seconds) {
  const auto start = SteadyClock::now();
  while (seconds_since(start) < seconds) {
    OpenFile file{fmt::format("{}{}", worker.prefix, worker.files.size()), nullptr};
    const auto begin = SteadyClock::now();
    auto created = co_await worker.client->create(file.path, CreateOptions());
    worker.latencies_s.push_back(seconds_since(begin));
    if (!created) {
      worker.error = created.error();
      co_return;
    }
    file.writer = std::move(created.value());
    worker.files.push_back(std::move(file));
  }
}

Task<void> close_files(Worker& worker) {
  for (OpenFile& file : worker.files) {
    const auto begin = SteadyClock::now();
    auto closed = co_await file.writer->close();
    worker.latencies_s.push_back(seconds_since(begin));
    file.writer.reset();
    if (!closed) {
      worker.error = closed.error();
      co_return;
    }
  }
}

Task<void> stat_files(Worker& worker) {
  for (const OpenFile& file : worker.files) {
    const auto begin = SteadyClock::now();
    auto status = co_await worker.client->stat(file.path);
    worker.latencies_s.push_back(seconds_since(begin));
    if (!status) {
      worker.error = status.error();
      co_return;
    }
  }
}

// Joins one phase, takes its latencies out of the workers, and sums it up.
Task<Result<RateResult>> finish_phase(TaskGroup& group, std::vector<Worker>& workers, SteadyClock::time_point start) {
  co_await group.join();
  const double seconds = seconds_since(start);
  std::vector<double> latencies_s;
  for (Worker& worker : workers) {
    if (worker.error) co_return *worker.error;
    latencies_s.insert(latencies_s.end(), worker.latencies_s.begin(), worker.latencies_s.end());
    worker.latencies_s.clear();
  }
  co_return rate_of(std::move(latencies_s), seconds);
}

}  // namespace

Task<Result<MetadataResult>> run_metadata_load(Env& env, std::vector<Client*> clients, MetadataLoad load) {
  MakeDirectoryOptions parents;
  parents.parents = true;
  DOGFS_CO_TRYV(co_await clients.front()->make_directory(load.directory, parents));
  std::vector<Worker> workers(load.in_flight);
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i].client = clients[i % clients.size()];
    workers[i].prefix = fmt::format("{}/{}-", load.directory, i);
  }
  TaskGroup group(env.executor, env.clock);
  MetadataResult result;

  auto start = SteadyClock::now();
  for (Worker& worker : workers) group.spawn(create_files(worker, load.seconds));
  DOGFS_CO_TRY(result.create, co_await finish_phase(group, workers, start));

  start = SteadyClock::now();
  for (Worker& worker : workers) group.spawn(close_files(worker));
  DOGFS_CO_TRY(result.close, co_await finish_phase(group, workers, start));

  start = SteadyClock::now();
  for (Worker& worker : workers) group.spawn(stat_files(worker));
  DOGFS_CO_TRY(result.stat, co_await finish_phase(group, workers, start));
  co_return result;
}

}  // namespace dogfs::bench
