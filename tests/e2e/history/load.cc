#include "tests/e2e/history/load.h"

#include <random>

#include "core/env/sync.h"

namespace dogfs::e2e {
namespace {

// Few names, for many collisions.
constexpr int kNames = 8;
// Between two operations of a client: the load is there to be interrupted, not to fill the machine.
constexpr milliseconds kPause(10);

class Choices {
 public:
  explicit Choices(uint64_t seed) : engine_(seed) {}

  int below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(engine_); }
  std::string path(const std::string& directory) {
    std::string path = directory + "/n" + std::to_string(below(kNames));
    if (below(3) == 0) path += "/n" + std::to_string(below(kNames));
    return path;
  }

 private:
  std::mt19937_64 engine_;
};

Task<void> write_empty_file(Client& client, std::string path, bool overwrite) {
  CreateOptions options;
  options.overwrite = overwrite;
  Result<std::unique_ptr<FileWriter>> writer = co_await client.create(std::move(path), options);
  if (!writer) co_return;
  const Result<WriteOutcome> closed = co_await writer.value()->close();
  if (!closed) co_await writer.value()->abort();
}

Task<void> operate(Client& client, Choices& choices, std::string directory) {
  std::string path = choices.path(directory);
  switch (choices.below(8)) {
    case 0:
    case 1:
      (void)co_await client.make_directory(std::move(path), MakeDirectoryOptions());
      co_return;
    case 2:
      co_await write_empty_file(client, std::move(path), choices.below(2) == 0);
      co_return;
    case 3:
    case 4: {
      std::string target = choices.path(directory);
      (void)co_await client.rename(std::move(path), std::move(target), choices.below(2) == 0);
      co_return;
    }
    case 5:
      (void)co_await client.remove(std::move(path), {.recursive = choices.below(2) == 0});
      co_return;
    case 6:
      (void)co_await client.stat(std::move(path));
      co_return;
    default:
      (void)co_await client.list(std::move(directory), "", 0);
  }
}

}  // namespace

Task<void> run_load(Env& env, Client& client, Load& load, uint64_t seed) {
  Choices choices(seed);
  MakeDirectoryOptions parents;
  parents.parents = true;
  (void)co_await client.make_directory(load.directory, parents);
  while (!load.stop) {
    co_await operate(client, choices, load.directory);
    co_await sleep_for(env.clock, kPause);
  }
}

}  // namespace dogfs::e2e
