// sync_floor: how many small records a second this disk makes durable, with nothing around it. No replicated log with
// synced entries can be faster for one client, and ./dev bench meta is read against it.
//
// Prints, for a plain file and for RocksDB's write-ahead log, with 1, 16, 64 and 256 records to a sync:
//   sync_floor store=rocksdb batch=16 records_per_s=… syncs_per_s=… p50_us=… p99_us=…
#include <fcntl.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/rate.h"

namespace dogfs {
namespace {

// About what the log entry of a create takes.
constexpr size_t kRecordBytes = 200;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "sync_floor: %s\n", what.c_str());
  std::exit(1);
}

// Calls `sync_batch`, which makes `batch` records durable, for as long as asked.
void measure(const char* store, size_t batch, double seconds, const std::function<void()>& sync_batch) {
  std::vector<double> latencies_s;
  const auto start = bench::SteadyClock::now();
  while (bench::seconds_since(start) < seconds) {
    const auto begin = bench::SteadyClock::now();
    sync_batch();
    latencies_s.push_back(bench::seconds_since(begin));
  }
  const bench::RateResult syncs = bench::rate_of(std::move(latencies_s), bench::seconds_since(start));
  std::printf("sync_floor store=%s batch=%zu records_per_s=%.0f syncs_per_s=%.0f p50_us=%.0f p99_us=%.0f\n", store,
              batch, syncs.per_second() * static_cast<double>(batch), syncs.per_second(), syncs.p50_ms * 1e3,
              syncs.p99_ms * 1e3);
  std::fflush(stdout);
}

void measure_file(const std::string& directory, size_t batch, double seconds) {
  const std::string path = directory + "/floor.log";
  const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0644);
  if (fd < 0) die("cannot create " + path);
  const std::string records(kRecordBytes * batch, 'x');
  measure("file", batch, seconds, [&] {
    if (::write(fd, records.data(), records.size()) != static_cast<ssize_t>(records.size())) die("write failed");
    if (::fdatasync(fd) != 0) die("fdatasync failed");
  });
  ::close(fd);
  ::unlink(path.c_str());
}

void measure_rocksdb(const std::string& directory, size_t batch, double seconds) {
  const std::string path = directory + "/floor.rocksdb";
  rocksdb::Options options;
  options.create_if_missing = true;
  rocksdb::DB* opened = nullptr;
  if (const auto status = rocksdb::DB::Open(options, path, &opened); !status.ok()) die(status.ToString());
  std::unique_ptr<rocksdb::DB> db(opened);
  rocksdb::WriteOptions synced;
  synced.sync = true;
  const std::string value(kRecordBytes, 'x');
  uint64_t next = 0;
  measure("rocksdb", batch, seconds, [&] {
    rocksdb::WriteBatch writes;
    for (size_t i = 0; i < batch; ++i) writes.Put(std::to_string(1'000'000'000 + next++), value);
    if (const auto status = db->Write(synced, &writes); !status.ok()) die(status.ToString());
  });
  db.reset();
  std::filesystem::remove_all(path);
}

}  // namespace
}  // namespace dogfs

int main(int argc, char** argv) {
  std::string directory;
  double seconds = 1;
  CLI::App app("How many small records a second the disk makes durable.");
  app.add_option("--dir", directory, "where to write")->required();
  app.add_option("--seconds", seconds, "for each line");
  CLI11_PARSE(app, argc, argv);
  std::filesystem::create_directories(directory);
  for (const size_t batch : {1, 16, 64, 256}) dogfs::measure_file(directory, batch, seconds);
  for (const size_t batch : {1, 16, 64, 256}) dogfs::measure_rocksdb(directory, batch, seconds);
}
