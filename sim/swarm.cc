#include "sim/swarm.h"

#include <poll.h>  // architecture: allow socket: waits for the pipes of the workers, outside of any run
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>  // architecture: allow file: fork and pipes of the workers, outside of any run

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"
#include "sim/run.h"

namespace dogfs::sim {
namespace {

// What a worker tells its parent over its pipe, before and after each run.
struct Report {
  static constexpr size_t kMaxText = 1000;
  static constexpr size_t kMaxKinds = 40;
  static constexpr size_t kMaxHarms = 60;
  static constexpr size_t kMaxMarks = 600;
  uint64_t job = 0;
  bool done = false;
  bool failed = false;
  uint64_t events = 0;
  uint64_t virtual_ms = 0;
  uint64_t operations = 0;
  uint64_t failed_operations = 0;
  uint64_t faults = 0;
  std::array<uint32_t, kMaxKinds> faults_by_kind{};
  std::array<uint32_t, kMaxHarms> harms{};
  std::array<uint32_t, kMaxMarks> marks{};  // passed in this run
  std::array<char, kMaxText> text{};
};
static_assert(sizeof(Report) <= 4096, "a write of a report to a pipe is atomic");

// The jobs are all pairs of seed and scenario, numbered, every scenario with the first seed first; worker w of n has those
// with number % n == w.
struct Jobs {
  const std::vector<NamedScenario>& scenarios;
  const SwarmOptions& options;

  uint64_t seeds() const { return options.last_seed - options.first_seed + 1; }
  uint64_t count() const { return seeds() * scenarios.size(); }
  const NamedScenario& scenario(uint64_t job) const { return scenarios[job % scenarios.size()]; }
  uint64_t seed(uint64_t job) const { return options.first_seed + job / scenarios.size(); }
};

// architecture: allow clock: how long the runs take, which no run sees
using RealClock = std::chrono::steady_clock;

struct Worker {
  pid_t process = 0;
  int pipe = -1;
  uint64_t next_job = 0;
  std::optional<uint64_t> running;
  RealClock::time_point last_heard;
  bool overdue = false;  // and killed for it
};

constexpr int kPollMs = 100;

void send(int pipe, const Report& report) {
  const ssize_t written = write(pipe, &report, sizeof(report));
  DOGFS_CHECK(written == static_cast<ssize_t>(sizeof(report)));
}

template <size_t kSize>
void pack(const std::vector<uint64_t>& counts, std::array<uint32_t, kSize>& out) {
  DOGFS_CHECK(counts.size() <= kSize);
  for (size_t i = 0; i < counts.size(); ++i) out[i] = static_cast<uint32_t>(std::min<uint64_t>(counts[i], UINT32_MAX));
}

template <size_t kSize>
std::vector<uint64_t> unpack(const std::array<uint32_t, kSize>& counts, size_t size) {
  return {counts.begin(), counts.begin() + static_cast<ptrdiff_t>(size)};
}

Report run_job(const Jobs& jobs, uint64_t job) {
  static_cast<void>(take_mark_hits());
  Run run(jobs.scenario(job).scenario, jobs.seed(job), nullptr);
  const RunResult result = run.execute();
  Report report{.job = job, .done = true, .failed = result.failure.has_value()};
  report.events = result.events;
  report.virtual_ms = static_cast<uint64_t>(result.virtual_time / milliseconds(1));
  report.operations = result.operations;
  report.failed_operations = result.failed_operations;
  report.faults = result.faults;
  pack(result.faults_by_kind, report.faults_by_kind);
  pack(result.harms, report.harms);
  pack(take_mark_hits(), report.marks);
  const std::string text = result.failure.value_or("");
  std::memcpy(report.text.data(), text.data(), std::min(text.size(), Report::kMaxText - 1));
  return report;
}

[[noreturn]] void work(const Jobs& jobs, uint64_t first_job, int pipe) {
  for (uint64_t job = first_job; job < jobs.count(); job += jobs.options.workers) {
    send(pipe, Report{.job = job});
    send(pipe, run_job(jobs, job));
  }
  _exit(0);
}

void start(Worker& worker, const Jobs& jobs) {
  std::array<int, 2> ends{};
  DOGFS_CHECK(pipe(ends.data()) == 0);
  std::fflush(stdout);
  const pid_t parent = getpid();
  worker.process = fork();
  DOGFS_CHECK(worker.process >= 0);
  if (worker.process == 0) {
    // However the parent ends.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(0);
    close(ends[0]);
    work(jobs, worker.next_job, ends[1]);
  }
  close(ends[1]);
  worker.pipe = ends[0];
  worker.last_heard = RealClock::now();
}

class Swarm {
 public:
  explicit Swarm(const Jobs& jobs) : jobs_(jobs), workers_(jobs.options.workers) {
    for (const NamedScenario& named : jobs.scenarios) result_.scenarios.push_back({named.name});
  }

  SwarmResult run() {
    for (size_t i = 0; i < workers_.size(); ++i) {
      workers_[i].next_job = i;
      start(workers_[i], jobs_);
    }
    while (wait_for_reports()) {
    }
    for (const SwarmFailure& failure : result_.failures) ++runs_of(failure.run).failed;
    return std::move(result_);
  }

 private:
  bool wait_for_reports() {
    std::vector<pollfd> waits;
    std::vector<Worker*> waiting;
    for (Worker& worker : workers_) {
      if (worker.pipe < 0) continue;
      waits.push_back({worker.pipe, POLLIN, 0});
      waiting.push_back(&worker);
    }
    if (waits.empty()) return false;
    poll(waits.data(), waits.size(), jobs_.options.longest_run_ms == 0 ? -1 : kPollMs);
    for (size_t i = 0; i < waits.size(); ++i) {
      if (waiting[i]->pipe < 0) continue;  // ended by the report of another
      if (waits[i].revents == 0) {
        kill_if_overdue(*waiting[i]);
      } else {
        take_report(*waiting[i]);
      }
    }
    return true;
  }

  // Its pipe will end, as that of any process that dies.
  void kill_if_overdue(Worker& worker) const {
    const std::chrono::milliseconds limit(jobs_.options.longest_run_ms);
    if (limit.count() == 0 || worker.overdue || RealClock::now() - worker.last_heard <= limit) return;
    worker.overdue = true;
    kill(worker.process, SIGKILL);
  }

  void take_report(Worker& worker) {
    Report report;
    const ssize_t got = read(worker.pipe, &report, sizeof(report));
    if (got != static_cast<ssize_t>(sizeof(report))) return worker_ended(worker);
    worker.last_heard = RealClock::now();
    if (!report.done) {
      worker.running = report.job;
      if (is_beyond(report.job)) end(worker);
      return;
    }
    worker.running.reset();
    worker.next_job = report.job + workers_.size();
    add(report);
  }

  // The end of its jobs, or of its process by a broken invariant: then the next worker goes on behind that run. One that
  // was killed between two runs has not failed.
  void worker_ended(Worker& worker) {
    close(worker.pipe);
    worker.pipe = -1;
    int status = 0;
    waitpid(worker.process, &status, 0);
    const std::string how = how_it_ended(worker, status);
    if (const std::optional<uint64_t> job = std::exchange(worker.running, std::nullopt)) {
      worker.next_job = *job + workers_.size();
      count_run(*job);
      fail(*job, how);
    }
    if (worker.next_job < jobs_.count() && !is_beyond(worker.next_job)) start(worker, jobs_);
  }

  std::string how_it_ended(Worker& worker, int status) const {
    if (std::exchange(worker.overdue, false)) {
      return "the run had not ended after " + std::to_string(jobs_.options.longest_run_ms) + " ms of real time";
    }
    if (!WIFSIGNALED(status)) return "the process ended";
    return "the process ended by signal " + std::to_string(WTERMSIG(status)) + " (see above)";
  }

  ScenarioRuns& runs_of(uint64_t job) { return result_.scenarios[job % result_.scenarios.size()]; }

  void count_run(uint64_t job) {
    ++result_.runs;
    ++runs_of(job).runs;
  }

  void add(const Report& report) {
    count_run(report.job);
    result_.events += report.events;
    result_.virtual_ms += report.virtual_ms;
    result_.operations += report.operations;
    result_.failed_operations += report.failed_operations;
    result_.faults += report.faults;
    result_.coverage.add({.faults = unpack(report.faults_by_kind, fault_kinds()),
                          .harms = unpack(report.harms, kHarms),
                          .marks = unpack(report.marks, coverage_marks().size())});
    if (report.failed) fail(report.job, report.text.data());
  }

  void fail(uint64_t job, const std::string& what) {
    const SwarmFailure failure{jobs_.scenario(job).name, jobs_.seed(job), what, job};
    std::printf("FAILED %s seed %llu: %s\n  %s\n", failure.scenario.c_str(),
                static_cast<unsigned long long>(failure.seed), what.c_str(),
                reproduce_command(failure.scenario, failure.seed, jobs_.options.mutant).c_str());
    std::fflush(stdout);
    std::vector<SwarmFailure>& failures = result_.failures;
    failures.insert(std::ranges::upper_bound(failures, job, {}, &SwarmFailure::run), failure);
    if (failures.size() > jobs_.options.most_failures) failures.pop_back();
    for (Worker& worker : workers_) {
      if (worker.running && is_beyond(*worker.running)) end(worker);
    }
  }

  // Whether as many runs before this one have failed as may.
  bool is_beyond(uint64_t job) const {
    return result_.failures.size() >= jobs_.options.most_failures && job > result_.failures.back().run;
  }

  static void end(Worker& worker) {
    if (worker.pipe < 0) return;
    kill(worker.process, SIGTERM);
    close(worker.pipe);
    worker.pipe = -1;
    waitpid(worker.process, nullptr, 0);
  }

  Jobs jobs_;
  std::vector<Worker> workers_;
  SwarmResult result_;
};

}  // namespace

uint64_t cpu_ms() {
  const auto of = [](int who) {
    rusage usage{};
    getrusage(who, &usage);
    return static_cast<uint64_t>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
           static_cast<uint64_t>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
  };
  return of(RUSAGE_SELF) + of(RUSAGE_CHILDREN);
}

std::string reproduce_command(const std::string& scenario, uint64_t seed, const std::string& mutant) {
  std::string command = "dogfs-sim run " + scenario + " --seed " + std::to_string(seed);
  if (!mutant.empty()) command += " --mutant " + mutant;
  return command;
}

SwarmResult run_swarm(const std::vector<NamedScenario>& scenarios, const SwarmOptions& options) {
  DOGFS_CHECK(options.workers > 0 && options.first_seed <= options.last_seed && options.most_failures > 0);
  const RealClock::time_point begin = RealClock::now();
  const uint64_t cpu_begin = cpu_ms();
  SwarmResult result = Swarm(Jobs{scenarios, options}).run();
  result.wall_ms = static_cast<uint64_t>((RealClock::now() - begin) / std::chrono::milliseconds(1));
  result.cpu_ms = cpu_ms() - cpu_begin;
  return result;
}

}  // namespace dogfs::sim
