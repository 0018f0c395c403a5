// dogfs-sim: runs DogFS in the simulator. A run is a function of (build, scenario, seed).
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>   // architecture: allow file: what a run gave is written after it has ended
#include <iostream>  // architecture: allow log: what a run traces is printed
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/mutant.h"
#include "sim/coverage.h"
#include "sim/html.h"
#include "sim/mutants.h"
#include "sim/profile.h"
#include "sim/run.h"
#include "sim/scenario.h"
#include "sim/scenario_text.h"
#include "sim/seeds.h"
#include "sim/shrink.h"
#include "sim/swarm.h"
#include "sim/swarm_report.h"
#include "sim/trace_diff.h"
#include "sim/years_command.h"

namespace dogfs::sim {
namespace {

struct Flags {
  std::string directory = DOGFS_SCENARIO_DIRECTORY;
  std::string mutant;
  // run
  std::string scenario;
  std::optional<uint64_t> seed;
  std::string events;
  bool check_repeat = false;
  // diff
  std::string first_log;
  std::string second_log;
  // shrink
  std::string out;
  uint64_t seconds = 50;
  uint64_t processor_seconds = 0;
  bool trace = false;
  bool faults = false;
  std::string html;
  // swarm, mutants
  std::vector<std::string> scenarios;
  std::vector<std::string> only;
  std::string seeds;
  std::string hunt_seeds = "1..2000";  // apart from `seeds`, which shrink may be without
  uint32_t workers = 1;
  uint64_t run_seconds = 0;
  uint64_t most_failures = 10;
  bool coverage = false;
  std::string report;
  YearsFlags years;
};

int complain(const std::string& what) {
  std::fprintf(stderr, "dogfs-sim: %s\n", what.c_str());
  return 2;
}

// What `flags` say of a swarm over `range`.
Result<SwarmOptions> swarm_options(const Flags& flags, const std::string& range) {
  DOGFS_TRY(const SeedRange seeds, parse_seeds(range));
  SwarmOptions options;
  options.first_seed = seeds.first;
  options.last_seed = seeds.last;
  options.workers = flags.workers;
  options.mutant = flags.mutant;
  return options;
}

Result<std::vector<NamedScenario>> load_all(const std::string& directory, std::vector<std::string> names) {
  if (names.empty()) names = list_scenarios(directory);
  std::vector<NamedScenario> scenarios;
  for (const std::string& name : names) {
    DOGFS_TRY(proto::Scenario scenario, load_scenario(directory, name));
    scenarios.push_back({name, std::move(scenario)});
  }
  return scenarios;
}

void print_result(const RunResult& result, double cpu_seconds) {
  const double virtual_seconds = static_cast<double>(result.virtual_time / milliseconds(1)) / 1000;
  std::printf("digest             %016llx\n", static_cast<unsigned long long>(result.digest));
  const auto line = [](const char* name, uint64_t value) {
    std::printf("%-18s %llu\n", name, static_cast<unsigned long long>(value));
  };
  line("events", result.events);
  line("messages", result.messages);
  line("faults", result.faults);
  line("operations", result.operations);
  line("  that failed", result.failed_operations);
  line("bytes written", result.bytes_written);
  line("bytes read", result.bytes_read);
  line("log entries", result.committed_entries);
  line("states compared", result.states_compared);
  line("shards checked", result.shards_checked);
  std::printf("virtual time       %.3f s in %.3f s of processor time: %.0f times real time\n", virtual_seconds,
              cpu_seconds, virtual_seconds / cpu_seconds);
}

uint64_t seed_of(const Flags& flags, const proto::Scenario& scenario) {
  return flags.seed.value_or(scenario.seed() != 0 ? scenario.seed() : 1);
}

Status write_file(const std::string& path, const std::string& text) {
  // architecture: allow file: what a run gave is written after it has ended
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return Error(ErrorCode::kIoError, "cannot write " + path);
  return ok();
}

Status write_page(const Flags& flags, const proto::Scenario& scenario, const RunResult& result,
                  const Recording& recording) {
  const uint64_t seed = seed_of(flags, scenario);
  const RunTitle title{.scenario = flags.scenario,
                       .shows = scenario.shows(),
                       .seed = seed,
                       .mutant = flags.mutant,
                       .command = reproduce_command(flags.scenario, seed, flags.mutant)};
  DOGFS_TRYV(write_file(flags.html, html_page(title, result, recording)));
  std::printf("picture            %s: %zu events\n", flags.html.c_str(), recording.size());
  return ok();
}

RunResult run_logged(const proto::Scenario& scenario, uint64_t seed, std::ostream& log) {
  Run run(scenario, seed, &log);
  run.trace_events();
  return run.execute();
}

// Runs once more, and compares event by event.
int check_repeat(const proto::Scenario& scenario, uint64_t seed) {
  std::stringstream first;
  std::stringstream second;
  run_logged(scenario, seed, first);
  run_logged(scenario, seed, second);
  const std::optional<Divergence> divergence = first_divergence(first, second);
  if (!divergence) return 0;
  std::printf("NOT REPEATABLE. %s", describe_divergence(*divergence, "first run", "second run").c_str());
  return 1;
}

Status write_events(const Flags& flags, const proto::Scenario& scenario) {
  // architecture: allow file: a run writes its log, and reads nothing
  std::ofstream log(flags.events, std::ios::binary);
  run_logged(scenario, seed_of(flags, scenario), log);
  log.close();
  if (!log) return Error(ErrorCode::kIoError, "cannot write " + flags.events);
  return ok();
}

int run_one(const Flags& flags) {
  const Result<proto::Scenario> scenario = load_scenario(flags.directory, flags.scenario);
  if (!scenario.has_value()) return complain(scenario.error().detail);
  const uint64_t seed = seed_of(flags, scenario.value());
  if (flags.faults) {
    for (const PlannedFault& planned : plan_faults(draw_profile(scenario.value(), seed), seed)) {
      std::printf("%s\n", describe_fault(planned.fault).c_str());
    }
  }
  const uint64_t begin = cpu_ms();
  Recording recording;
  Run run(scenario.value(), seed, flags.trace ? &std::cout : nullptr, flags.html.empty() ? nullptr : &recording);
  const RunResult result = run.execute();
  const double seconds = static_cast<double>(std::max<uint64_t>(cpu_ms() - begin, 1)) / 1000;
  std::cout.flush();
  print_result(result, seconds);
  Status written = ok();
  if (!flags.html.empty()) written = write_page(flags, scenario.value(), result, recording);
  if (written.has_value() && !flags.events.empty()) written = write_events(flags, scenario.value());
  if (!written.has_value()) return complain(written.error().detail);
  if (flags.check_repeat && check_repeat(scenario.value(), seed) != 0) return 1;
  if (!result.failure) return 0;
  std::printf("FAILED: %s\n  %s\n", result.failure->c_str(),
              reproduce_command(flags.scenario, seed, flags.mutant).c_str());
  return 1;
}

// Compares the event logs of two runs, of two builds perhaps. Exits with 1 if they differ.
int diff(const Flags& flags) {
  // architecture: allow file: logs of runs that have ended
  std::ifstream first(flags.first_log);
  // architecture: allow file: logs of runs that have ended
  std::ifstream second(flags.second_log);
  if (!first) return complain("cannot read " + flags.first_log);
  if (!second) return complain("cannot read " + flags.second_log);
  const std::optional<Divergence> divergence = first_divergence(first, second);
  if (!divergence) {
    std::printf("The runs are the same.\n");
    return 0;
  }
  std::printf("%s", describe_divergence(*divergence, flags.first_log, flags.second_log).c_str());
  return 1;
}

std::string shrink_comment(const Flags& flags, const ShrinkResult& result, uint64_t seed) {
  std::string text =
      fmt::format("Made by dogfs-sim shrink from {}, seed {}: of {} faults, {} are left. Fails with:\n{}\n",
                  flags.scenario, seed, result.faults_before, result.scenario.faults_size(), result.failure);
  text += "Run it with: dogfs-sim run " + (flags.out.empty() ? "FILE" : flags.out);
  if (!flags.mutant.empty()) text += " --mutant " + flags.mutant;
  return text;
}

// The seed to shrink: the one that was given, or the first that fails.
Result<uint64_t> failing_seed(const Flags& flags, const proto::Scenario& scenario) {
  if (flags.seeds.empty()) return seed_of(flags, scenario);
  DOGFS_TRY(SwarmOptions options, swarm_options(flags, flags.seeds));
  options.most_failures = 1;
  const SwarmResult result = run_swarm({{flags.scenario, scenario}}, options);
  if (result.failures.empty()) return Error(ErrorCode::kInvalidArgument, "none of these seeds fails");
  return result.failures.front().seed;
}

int shrink_one(const Flags& flags) {
  const Result<proto::Scenario> scenario = load_scenario(flags.directory, flags.scenario);
  if (!scenario.has_value()) return complain(scenario.error().detail);
  const Result<uint64_t> found = failing_seed(flags, scenario.value());
  if (!found.has_value()) return complain(found.error().detail);
  const uint64_t seed = found.value();
  Prober::Options options{.workers = flags.workers, .limit_ms = flags.seconds * 1000};
  if (flags.processor_seconds > 0) options.limit_processor_ms = flags.processor_seconds * 1000;
  Result<ShrinkResult> shrunk = shrink(scenario.value(), seed, options);
  if (!shrunk.has_value()) return complain(shrunk.error().detail);
  ShrinkResult& result = shrunk.value();
  result.scenario.set_shows(flags.mutant.empty() ? "what was left of " + flags.scenario
                                                 : "what the mutant " + flags.mutant + " breaks");
  const std::string text = scenario_text(result.scenario, shrink_comment(flags, result, seed));
  std::fprintf(stderr, "%llu runs in %.1f s: %d faults of %d, %s%s\n", static_cast<unsigned long long>(result.runs),
               static_cast<double>(result.elapsed_ms) / 1000, result.scenario.faults_size(), result.faults_before,
               result.failure.c_str(), result.complete ? "" : " (the time was over: --seconds gives more)");
  if (flags.out.empty()) {
    std::printf("%s", text.c_str());
    return 0;
  }
  const Status written = write_file(flags.out, text);
  return written.has_value() ? 0 : complain(written.error().detail);
}

void print_swarm(const SwarmResult& result) {
  const double wall = static_cast<double>(std::max<uint64_t>(result.wall_ms, 1)) / 1000;
  const double cpu = static_cast<double>(std::max<uint64_t>(result.cpu_ms, 1)) / 1000;
  std::printf("%llu runs, %zu failed; %llu operations (%llu failed), %llu faults\n",
              static_cast<unsigned long long>(result.runs), result.failures.size(),
              static_cast<unsigned long long>(result.operations),
              static_cast<unsigned long long>(result.failed_operations),
              static_cast<unsigned long long>(result.faults));
  std::printf("%.1f s: %.1f runs/s; per second of processor time: %.0f events, %.0f virtual seconds\n", wall,
              static_cast<double>(result.runs) / wall, static_cast<double>(result.events) / cpu,
              static_cast<double>(result.virtual_ms) / 1000 / cpu);
}

// The kinds of faults that some run of the swarm has.
std::vector<bool> expected_kinds(const std::vector<NamedScenario>& scenarios, const SwarmOptions& options) {
  std::vector<bool> expected(fault_kinds());
  for (const NamedScenario& named : scenarios) {
    for (uint64_t seed = options.first_seed; seed <= options.last_seed; ++seed) {
      const std::vector<bool> kinds = fault_kinds_in(draw_profile(named.scenario, seed));
      for (size_t i = 0; i < kinds.size(); ++i) expected[i] = expected[i] || kinds[i];
    }
  }
  return expected;
}

Status write_report(const Flags& flags, const SwarmResult& result, const std::vector<bool>& expected) {
  DOGFS_TRY(const std::string text, report_json(swarm_report(result, expected, flags.mutant)));
  return write_file(flags.report, text);
}

// Whether there are none. Where all scenarios have run, they must have all kinds of faults.
bool print_gaps(const Flags& flags, const Coverage& coverage, const std::vector<bool>& expected) {
  std::vector<std::string> gaps = coverage_gaps(coverage, unreachable_marks());
  if (flags.scenarios.empty()) {
    for (const std::string& kind : kinds_in_no_scenario(expected)) gaps.push_back("in no scenario: " + kind);
  }
  for (const std::string& kind : kinds_that_never_struck(coverage, expected)) gaps.push_back("never struck: " + kind);
  for (const std::string& gap : gaps) std::printf("NOT COVERED: %s\n", gap.c_str());
  return gaps.empty();
}

int run_many(const Flags& flags) {
  const Result<std::vector<NamedScenario>> scenarios = load_all(flags.directory, flags.scenarios);
  if (!scenarios.has_value()) return complain(scenarios.error().detail);
  Result<SwarmOptions> options = swarm_options(flags, flags.seeds);
  if (!options.has_value()) return complain(options.error().detail);
  options.value().most_failures = flags.most_failures;
  options.value().longest_run_ms = flags.run_seconds * 1000;
  const SwarmResult result = run_swarm(scenarios.value(), options.value());
  print_swarm(result);
  if (!flags.coverage && flags.report.empty()) return result.failures.empty() ? 0 : 1;
  const std::vector<bool> expected = expected_kinds(scenarios.value(), options.value());
  if (!flags.report.empty()) {
    const Status written = write_report(flags, result, expected);
    if (!written.has_value()) return complain(written.error().detail);
  }
  if (!flags.coverage) return result.failures.empty() ? 0 : 1;
  std::printf("%s", coverage_text(result.coverage, expected).c_str());
  const bool covered = print_gaps(flags, result.coverage, expected);
  return result.failures.empty() && covered ? 0 : 1;
}

// Hunts each planted bug, or those that were named, each in its own scenario or in those that were named.
int run_mutants(const Flags& flags) {
  const Status known = check_mutant_names(flags.only);
  if (!known.has_value()) return complain(known.error().detail);
  std::vector<NamedScenario> scenarios;
  if (!flags.scenarios.empty()) {
    Result<std::vector<NamedScenario>> named = load_all(flags.directory, flags.scenarios);
    if (!named.has_value()) return complain(named.error().detail);
    scenarios = std::move(named).value();
  }
  const Result<SwarmOptions> options = swarm_options(flags, flags.hunt_seeds);
  if (!options.has_value()) return complain(options.error().detail);
  std::vector<MutantHunt> hunts;
  for (const MutantEntry& mutant : all_mutants()) {
    if (!flags.only.empty() && std::ranges::count(flags.only, mutant.name) == 0) continue;
    Result<MutantHunt> hunt = hunt_mutant(mutant, flags.directory, scenarios, options.value());
    if (!hunt.has_value()) return complain(hunt.error().detail);
    hunts.push_back(std::move(hunt).value());
  }
  std::printf("\n%s", mutant_table(hunts).c_str());
  return std::ranges::all_of(hunts, [](const MutantHunt& hunt) { return hunt.caught.has_value(); }) ? 0 : 1;
}

int run_years(const Flags& flags) {
  const auto seeds = parse_seeds(flags.years.seeds);
  if (!seeds.has_value()) return complain(seeds.error().detail);
  const Status done = print_years(flags.years, seeds.value().first, seeds.value().last);
  return done.has_value() ? 0 : complain(done.error().detail);
}

int list(const Flags& flags) {
  const Result<std::vector<NamedScenario>> scenarios = load_all(flags.directory, {});
  if (!scenarios.has_value()) return complain(scenarios.error().detail);
  std::printf("Scenarios:\n");
  for (const NamedScenario& named : scenarios.value()) {
    std::printf("  %-28s %s\n", named.name.c_str(), named.scenario.shows().c_str());
  }
  std::printf("\nMutants%s:\n", kMutantsCompiledIn ? "" : " (of the preset mutants; not in this build)");
  for (const MutantEntry& mutant : all_mutants()) {
    std::printf("  %-28s %s (%s)\n", mutant.name.c_str(), mutant.text.c_str(), mutant.origin.c_str());
  }
  return 0;
}

// Options take numbers only that parse_whole_number() does: CLI11 takes -1 for a large one.
void refuse_other_numbers(CLI::App& app) {
  for (CLI::Option* option : app.get_options()) {
    if (!option->get_type_name().starts_with("UINT")) continue;
    option->check(CLI::Validator(
        [](const std::string& text) {
          const Result<uint64_t> number = parse_whole_number(text);
          return number.has_value() ? std::string() : number.error().detail;
        },
        ""));
  }
}

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Runs DogFS in the simulator: real metadata nodes, chunk servers and clients on virtual ports.");
  app.require_subcommand(1);
  app.add_option("--scenarios", flags.directory, "Where the scenario files are")->capture_default_str();

  CLI::App* run = app.add_subcommand("run", "One run; prints its digest. Exits with 1 if an oracle finds a fault.");
  run->add_option("SCENARIO", flags.scenario, "A scenario's name, or the path of a file")->required();
  run->add_option("--seed", flags.seed, "Equal seeds give equal runs. None: the scenario's own, or 1");
  run->add_flag("--trace", flags.trace, "Print everything that happens");
  run->add_option("--html", flags.html, "Draw the run: write a page to this file, for any browser");
  run->add_flag("--faults", flags.faults, "Print the planned faults first");
  run->add_option("--mutant", flags.mutant, "Plant this bug (builds of the preset mutants)");

  run->add_option("--events", flags.events, "Write every event to this file, for `diff`");
  run->add_flag("--check-repeat", flags.check_repeat, "Run again, and show the first event that differs, if one does");

  CLI::App* differ = app.add_subcommand("diff", "Compares two files of `run --events`: where do the runs part ways?");
  differ->add_option("FIRST", flags.first_log, "The events of one run")->required();
  differ->add_option("SECOND", flags.second_log, "The events of the other")->required();

  CLI::App* shrinker =
      app.add_subcommand("shrink", "Makes a failing run small: the fewest faults, nodes and operations.");
  shrinker->add_option("SCENARIO", flags.scenario, "A scenario's name, or the path of a file")->required();
  shrinker->add_option("--seed", flags.seed, "The seed that fails. None: the scenario's own, or 1");
  CLI::Option* out = shrinker->add_option("--out", flags.out, "The file to write; none: print the small scenario");
  shrinker->add_option("--seeds", flags.seeds, "A..B: instead of one seed, the first of them that fails")->needs(out);
  shrinker->add_option("--seconds", flags.seconds, "How long to try")->capture_default_str();
  shrinker->add_option("--processor-seconds", flags.processor_seconds, "The same, of processor time. None: no limit");
  shrinker->add_option("-j,--jobs", flags.workers, "Worker processes")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  shrinker->add_option("--mutant", flags.mutant, "Plant this bug (builds of the preset mutants)");

  CLI::App* swarm = app.add_subcommand("swarm", "Many runs. Prints the seed and the command of each that fails.");
  swarm->add_option("SCENARIO", flags.scenarios, "Which scenarios; none: all");
  swarm->add_option("--seeds", flags.seeds, "A..B")->required();
  swarm->add_option("-j,--jobs", flags.workers, "Worker processes")->check(CLI::Range(1, 256))->capture_default_str();
  swarm->add_option("--mutant", flags.mutant, "Plant this bug (builds of the preset mutants)");

  swarm->add_flag(
      "--coverage", flags.coverage,
      "Print what struck and which coverage marks were passed; exit with 1 if a harm or a mark never was, a kind of "
      "fault was planned and never struck, or (over all scenarios) is in none of them");
  swarm->add_option("--report", flags.report, "Write what it came to, as JSON (sim/swarm_report.proto)");
  swarm->add_option("--run-seconds", flags.run_seconds, "A run that takes longer has failed. None: no limit");
  swarm->add_option("--most-failures", flags.most_failures, "End after so many")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();

  CLI::App* mutants = app.add_subcommand("mutants", "Plants each known bug in turn; exits with 1 if one is not found.");
  mutants->add_option("SCENARIO", flags.scenarios, "Which scenarios; none: each mutant's own");
  mutants->add_option("--only", flags.only, "Hunt these mutants only");
  mutants->add_option("--seeds", flags.hunt_seeds, "A..B")->capture_default_str();
  mutants->add_option("-j,--jobs", flags.workers, "Worker processes")->check(CLI::Range(1, 256))->capture_default_str();

  CLI::App* years = add_years_command(app, flags.years);

  CLI::App* show = app.add_subcommand("list", "The scenarios and the mutants.");
  CLI::App* help = app.add_subcommand("help", "This list.");
  for (CLI::App* command : app.get_subcommands({})) refuse_other_numbers(*command);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (help->parsed()) {
    std::printf("%s", app.get_formatter()->make_help(&app, "dogfs-sim", CLI::AppFormatMode::Normal).c_str());
    return 0;
  }

  const Status armed = arm_mutant(flags.mutant);
  if (!armed.has_value()) return complain(armed.error().detail);
  if (run->parsed()) return run_one(flags);
  if (differ->parsed()) return diff(flags);
  if (shrinker->parsed()) return shrink_one(flags);
  if (swarm->parsed()) return run_many(flags);
  if (mutants->parsed()) return run_mutants(flags);
  if (years->parsed()) return run_years(flags);
  return show->parsed() ? list(flags) : 2;
}

}  // namespace
}  // namespace dogfs::sim

int main(int argc, char** argv) {
  return dogfs::sim::main(argc, argv);
}
