#include "sim/years_runs.h"

#include <sys/wait.h>
#include <unistd.h>  // architecture: allow file: fork and pipes of the workers, outside of any run

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <type_traits>

#include "core/base/check.h"

namespace dogfs::sim {
namespace {

static_assert(std::is_trivially_copyable_v<YearsResult>);
static_assert(sizeof(YearsResult) <= 4096, "a write of a result to a pipe is atomic");

struct Worker {
  pid_t process = 0;
  int pipe = -1;
};

// Whether the run was well.
bool run_seed(const YearsOptions& options, uint64_t seed, int pipe) {
  Years years(options, seed);
  const YearsResult result = years.run();
  const std::vector<std::string> problems = years.heal_and_check();
  for (const std::string& problem : problems) {
    std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed), problem.c_str());
  }
  const ssize_t written = write(pipe, &result, sizeof(result));
  return problems.empty() && written == static_cast<ssize_t>(sizeof(result));
}

// Worker w of n has every n-th seed from the w-th on.
[[noreturn]] void work(const YearsOptions& options, const YearsRuns& runs, uint64_t first_seed, int pipe) {
  bool well = true;
  for (uint64_t seed = first_seed; seed <= runs.last_seed && well; seed += runs.workers) {
    well = run_seed(options, seed, pipe);
  }
  _exit(well ? 0 : 1);
}

Worker start(const YearsOptions& options, const YearsRuns& runs, uint64_t first_seed) {
  std::array<int, 2> ends{};
  DOGFS_CHECK(pipe(ends.data()) == 0);
  std::fflush(stdout);
  Worker worker{.process = fork(), .pipe = ends[0]};
  DOGFS_CHECK(worker.process >= 0);
  if (worker.process == 0) {
    close(ends[0]);
    work(options, runs, first_seed, ends[1]);
  }
  close(ends[1]);
  return worker;
}

}  // namespace

Result<std::vector<YearsResult>> run_years(const YearsOptions& options, const YearsRuns& runs) {
  DOGFS_CHECK(runs.workers > 0 && runs.first_seed <= runs.last_seed);
  std::vector<Worker> workers;
  for (uint32_t i = 0; i < runs.workers; ++i) workers.push_back(start(options, runs, runs.first_seed + i));
  std::vector<YearsResult> results;
  bool well = true;
  for (uint64_t seed = runs.first_seed; seed <= runs.last_seed && well; ++seed) {
    YearsResult& result = results.emplace_back();
    const Worker& worker = workers[(seed - runs.first_seed) % runs.workers];
    well = read(worker.pipe, &result, sizeof(result)) == static_cast<ssize_t>(sizeof(result));
  }
  for (const Worker& worker : workers) {
    close(worker.pipe);
    if (!well) kill(worker.process, SIGTERM);
    int status = 0;
    waitpid(worker.process, &status, 0);
    well = well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  if (!well) return Error(ErrorCode::kInternal, "a run over years has failed (see above)");
  return results;
}

}  // namespace dogfs::sim
