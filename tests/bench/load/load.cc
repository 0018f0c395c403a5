#include "tests/bench/load/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "core/base/hash.h"
#include "core/base/limits.h"
#include "core/env/sync.h"
#include "sim/content.h"
#include "tests/bench/rate.h"

namespace dogfs::bench {
namespace {

constexpr uint64_t kCallBytes = 4 * kMiB;

std::string data_path(const DataSet& data, uint64_t file) {
  return fmt::format("{}/data/{}", data.directory, file);
}

Task<Status> write_file(Client& client, std::string path, uint64_t size) {
  CreateOptions options;
  options.parents = true;
  options.expected_bytes = size;
  DOGFS_CO_TRY(const std::unique_ptr<FileWriter> writer, co_await client.create(path, options));
  for (uint64_t at = 0; at < size; at += kCallBytes) {
    DOGFS_CO_TRYV(co_await writer->write(sim::make_content(hash64(path), at, std::min(kCallBytes, size - at))));
  }
  DOGFS_CO_TRYV(co_await writer->close());
  co_return ok();
}

Task<Status> read_stretch(FileReader& reader, std::string path, FileRange range) {
  DOGFS_CO_TRY(const BytesChain bytes, co_await reader.read(range.offset, range.length));
  if (bytes.size() != range.length) co_return Error(ErrorCode::kCorrupt, "short");
  if (!sim::is_content(hash64(path), range.offset, bytes))
    co_return Error(ErrorCode::kCorrupt, "other bytes than were written");
  co_return ok();
}

// Reads a whole file of `size` bytes.
Task<Status> check_file(Client& client, std::string path, uint64_t size) {
  DOGFS_CO_TRY(const std::unique_ptr<FileReader> reader, co_await client.open(path));
  if (reader->size() != size) co_return Error(ErrorCode::kCorrupt, fmt::format("{} bytes long", reader->size()));
  for (uint64_t at = 0; at < size; at += kCallBytes) {
    const FileRange range{at, static_cast<size_t>(std::min(kCallBytes, size - at))};
    DOGFS_CO_TRYV(co_await read_stretch(*reader, path, range));
  }
  co_return ok();
}

// Stretches at random places; the files stay open, as those of a program that works on them would.
class RandomReads {
 public:
  RandomReads(Client& client, const Load& load) : client_(client), load_(load), readers_(load.data.files) {}

  Task<Status> operator()(uint64_t draw, std::string& name) {
    const uint64_t file = draw % load_.data.files;
    const uint64_t places = load_.data.file_bytes / load_.reads.bytes;
    const FileRange range{draw / load_.data.files % places * load_.reads.bytes, load_.reads.bytes};
    const std::string path = data_path(load_.data, file);
    name = fmt::format("{}@{}", path, range.offset);
    if (!readers_[file]) {
      DOGFS_CO_TRY(readers_[file], co_await client_.open(path));
    }
    co_return co_await read_stretch(*readers_[file], path, range);
  }

 private:
  Client& client_;
  const Load& load_;
  std::vector<std::unique_ptr<FileReader>> readers_;
};

class NewFiles {
 public:
  NewFiles(Client& client, const Load& load, uint64_t worker) : client_(client), load_(load), worker_(worker) {}

  Task<Status> operator()(uint64_t /*draw*/, std::string& name) {
    name = fmt::format("{}/written/{}-{}", load_.data.directory, worker_, next_++);
    return write_file(client_, name, load_.writes.bytes);
  }

 private:
  Client& client_;
  const Load& load_;
  uint64_t worker_;
  uint64_t next_ = 0;
};

double since_epoch(SteadyClock::time_point at) {
  return std::chrono::duration<double>(at.time_since_epoch()).count();
}

// One operation after the other, each when it is due. The first of `part` workers begin at different times.
template <class Operation>
Task<void> run_worker(Env& env, Load& load, const char* kind, LoadRate rate, uint64_t worker, Operation operation) {
  const auto interval =
      std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(1 / rate.per_second));
  auto due = SteadyClock::now() + interval * static_cast<int64_t>(worker) / static_cast<int64_t>(rate.workers);
  while (!load.stop) {
    const auto now = SteadyClock::now();
    if (due > now) co_await sleep_for(env.clock, std::min<Duration>(due - now, seconds(1)));
    if (SteadyClock::now() < due) continue;
    std::string name;
    const Status status = co_await operation(env.random.draw("load"), name);
    std::fprintf(load.records, "%s %.6f %.3f %s %s\n", kind, since_epoch(due), seconds_since(due) * 1e3,
                 status ? "ok" : std::string(error_name(status.error().code)).c_str(), name.c_str());
    due += interval;
  }
}

Task<void> check_one(Client& client, std::string path, uint64_t size, CheckOutcome& outcome) {
  const Status status = co_await check_file(client, path, size);
  ++outcome.files;
  outcome.bytes += size;
  if (!status) outcome.wrong.push_back(path + ": " + status.error().to_string());
}

}  // namespace

Task<Status> fill(Client& client, DataSet data) {
  for (uint64_t i = 0; i < data.files; ++i) {
    DOGFS_CO_TRYV(co_await write_file(client, data_path(data, i), data.file_bytes));
  }
  co_return ok();
}

Task<void> run_load(Env& env, std::vector<Client*> clients, Load& load) {
  TaskGroup group(env.executor, env.clock);
  for (uint64_t i = 0; i < load.reads.workers; ++i) {
    Client& client = *clients[i % clients.size()];
    group.spawn(run_worker(env, load, "read", load.reads, i, RandomReads(client, load)));
  }
  for (uint64_t i = 0; i < load.writes.workers; ++i) {
    Client& client = *clients[i % clients.size()];
    group.spawn(run_worker(env, load, "write", load.writes, i, NewFiles(client, load, i)));
  }
  co_await group.join();
}

Task<CheckOutcome> check_all(Client& client, Load& load, std::vector<std::string> written) {
  CheckOutcome outcome;
  for (uint64_t i = 0; i < load.data.files; ++i) {
    co_await check_one(client, data_path(load.data, i), load.data.file_bytes, outcome);
  }
  for (const std::string& path : written) co_await check_one(client, path, load.writes.bytes, outcome);
  co_return outcome;
}

}  // namespace dogfs::bench
