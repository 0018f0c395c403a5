#include "sim/shrink_probe.h"

#include <poll.h>      // architecture: allow socket: waits for the pipes of the probes, outside of any run
#include <sys/mman.h>  // architecture: allow file: what probes write to their standard error, in memory
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>  // architecture: allow file: fork and pipes of the probes, outside of any run

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <utility>

#include "core/base/check.h"
#include "sim/failure_kind.h"
#include "sim/run.h"

namespace dogfs::sim {
namespace {

// What a probe tells over its pipe.
struct Report {
  static constexpr size_t kMaxText = 3000;
  bool died = false;  // then its log says why
  uint64_t faults_struck = 0;
  uint64_t operations = 0;
  uint64_t virtual_ms = 0;
  std::array<char, kMaxText> failure{};
};
static_assert(sizeof(Report) <= 4096, "a write of a report to a pipe is atomic");

constexpr uint64_t kLongestProbeMs = 20'000;
constexpr int kPollMs = 200;

uint64_t now_ms() {
  // architecture: allow clock: how long shrinking may take, which no run sees
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(now / std::chrono::milliseconds(1));
}

// The one run of a probe's process.
struct Running {
  const Run* run = nullptr;
  int pipe = -1;
};
Running running;

Report report_of(const RunProgress& progress) {
  return {.faults_struck = progress.faults,
          .operations = progress.operations,
          .virtual_ms = static_cast<uint64_t>(progress.virtual_time / milliseconds(1))};
}

bool send(int pipe, const Report& report) {
  return write(pipe, &report, sizeof(report)) == static_cast<ssize_t>(sizeof(report));
}

// A check does not hold: how far the run came is what shrinking goes on from. The process ends all the same.
void tell_of_abort(int) {
  Report report = report_of(running.run->progress());
  report.died = true;
  static_cast<void>(send(running.pipe, report));
}

[[noreturn]] void probe(const proto::Scenario& scenario, std::optional<uint64_t> patience_ms, int pipe, int log) {
  dup2(log, STDERR_FILENO);
  Run run(scenario, scenario.seed(), nullptr);
  if (patience_ms) run.lose_patience_after(milliseconds(*patience_ms));
  running = {&run, pipe};
  std::signal(SIGABRT, tell_of_abort);
  const RunResult result = run.execute();
  Report report = report_of(run.progress());
  const std::string failure = result.failure.value_or("");
  std::memcpy(report.failure.data(), failure.data(), std::min(failure.size(), Report::kMaxText - 1));
  _exit(send(pipe, report) ? 0 : 1);
}

std::string read_log(int log) {
  constexpr size_t kMostOfIt = 64 * kKiB;
  std::string text(kMostOfIt, 0);
  const ssize_t got = pread(log, text.data(), text.size(), 0);
  text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return text;
}

}  // namespace

Prober::Prober(const Options& options) : options_(options), begin_ms_(now_ms()) {
  DOGFS_CHECK(options.workers > 0);
}

uint64_t Prober::elapsed_ms() const {
  return now_ms() - begin_ms_;
}

bool Prober::out_of_time() const {
  return elapsed_ms() >= options_.limit_ms || processor_ms() >= options_.limit_processor_ms;
}

Prober::Child Prober::start(const proto::Scenario& scenario, size_t candidate) {
  std::array<int, 2> ends{};
  DOGFS_CHECK(pipe(ends.data()) == 0);
  const int log = memfd_create("probe", MFD_CLOEXEC);
  DOGFS_CHECK(log >= 0);
  std::fflush(stdout);
  ++runs_;
  const pid_t process = fork();
  DOGFS_CHECK(process >= 0);
  if (process == 0) {
    close(ends[0]);
    probe(scenario, patience_ms_, ends[1], log);
  }
  close(ends[1]);
  return {process, ends[0], log, candidate, now_ms()};
}

int Prober::reap(const Child& child) {
  int status = 0;
  rusage usage{};
  wait4(child.process, &status, 0, &usage);
  for (const timeval& time : {usage.ru_utime, usage.ru_stime}) {
    processor_us_ += static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_usec);
  }
  return status;
}

ProbeResult Prober::finish(const Child& child) {
  Report report;
  const ssize_t got = read(child.pipe, &report, sizeof(report));
  close(child.pipe);
  const int status = reap(child);
  const std::string log = read_log(child.log);
  close(child.log);
  const bool known = got == static_cast<ssize_t>(sizeof(report));
  if (known && !report.died) {
    return {report.failure.data(), report.faults_struck, report.operations, report.virtual_ms};
  }
  const std::string failure = process_failure(log, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  if (known) return {failure, report.faults_struck, report.operations, report.virtual_ms};
  // Nothing is known of how far it came.
  return {failure, UINT64_MAX, UINT64_MAX, UINT64_MAX};
}

void Prober::abandon(const Child& child) {
  kill(child.process, SIGKILL);
  close(child.pipe);
  close(child.log);
  reap(child);
}

ProbeResult Prober::run(const proto::Scenario& scenario) {
  return finish(start(scenario, 0));
}

// Whatever comes behind one that fails need not be known; what takes so long is no smaller run, if it fails at all.
void Prober::abandon_useless(std::vector<Child>& children, std::optional<size_t> best) {
  std::erase_if(children, [&](const Child& child) {
    const bool useless =
        out_of_time() || (best && child.candidate > *best) || now_ms() - child.begin_ms > kLongestProbeMs;
    if (useless) abandon(child);
    return useless;
  });
}

std::optional<size_t> Prober::first_failing(const std::vector<proto::Scenario>& candidates, const std::string& kind) {
  std::vector<Child> children;
  std::optional<size_t> best;
  const auto judge = [&](size_t candidate, const ProbeResult& result) {
    if (failure_kind(result.failure) != kind || (best && *best < candidate)) return;
    best = candidate;
    found_ = result;
  };
  size_t next = 0;
  const auto more = [&] { return next < candidates.size() && (!best || next < *best) && !out_of_time(); };
  while (more() || !children.empty()) {
    while (more() && children.size() < options_.workers) {
      const auto known = known_.find(candidates[next].SerializeAsString());
      if (known != known_.end()) {
        judge(next, known->second);
      } else {
        children.push_back(start(candidates[next], next));
      }
      ++next;
    }
    abandon_useless(children, best);
    if (children.empty()) continue;
    std::vector<pollfd> waits;
    for (const Child& child : children) waits.push_back({child.pipe, POLLIN, 0});
    poll(waits.data(), waits.size(), kPollMs);
    for (size_t i = waits.size(); i-- > 0;) {
      if (waits[i].revents == 0) continue;
      const Child child = children[i];
      children.erase(children.begin() + static_cast<ptrdiff_t>(i));
      const ProbeResult result = finish(child);
      known_.emplace(candidates[child.candidate].SerializeAsString(), result);
      judge(child.candidate, result);
    }
  }
  return best;
}

}  // namespace dogfs::sim
