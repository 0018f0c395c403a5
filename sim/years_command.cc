#include "sim/years_command.h"

#include <cstdio>

#include "sim/years_report.h"
#include "sim/years_runs.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kMaxGraceMinutes = 7 * 24 * 60;
constexpr uint64_t kMaxBeatSeconds = 3'600;
constexpr uint64_t kMaxRepairMiBPerSecond = 100 * kKiB;

Result<YearsOptions> options_of(const YearsFlags& flags) {
  YearsOptions options;
  DOGFS_TRY(options.policy, parse_years_policy(flags.policy));
  options.order = flags.order == "arrival" ? RepairOrder::kArrival : RepairOrder::kRisk;
  options.length = milliseconds(static_cast<int64_t>(flags.years) * kYearMs);
  options.servers = flags.servers;
  options.racks = flags.racks;
  options.blocks = flags.blocks;
  options.accelerate = flags.accelerate;
  options.latent_factor = flags.latent_factor;
  options.repair_bytes_per_s = flags.repair_mib_per_s * kMiB;
  options.repair_grace = std::chrono::minutes(flags.grace_minutes);
  options.beat = seconds(flags.beat_seconds);
  DOGFS_TRYV(validate(options));
  return options;
}

}  // namespace

CLI::App* add_years_command(CLI::App& app, YearsFlags& flags) {
  CLI::App* years = app.add_subcommand(
      "years", "Lives through years of failures with the production repair code, beside the textbook's model of them.");
  const auto option = [years](const char* name, auto& value, const char* text) {
    return years->add_option(name, value, text)->capture_default_str();
  };
  option("--years", flags.years, "How long")->check(CLI::Range(uint64_t{1}, kMaxYears));
  option("--servers", flags.servers, "How many, of 12 disks and 29 TB of data each");
  option("--racks", flags.racks, "In how many racks");
  option("--policy", flags.policy, "RS-K-M");
  option("--seeds", flags.seeds, "A..B: a run for each");
  option("--accelerate", flags.accelerate, "What destroys data is so many times as frequent as it really is");
  option("--latent", flags.latent_factor, "Latent errors are so many times as frequent, on top of that");
  option("--order", flags.order, "risk: production's; arrival: who came to need repair first is repaired first")
      ->check(CLI::IsMember({"risk", "arrival"}));
  option("--blocks", flags.blocks, "How many are simulated; each stands for many of a full cluster");
  option("--repair-mib-s", flags.repair_mib_per_s, "What repair may read on a server, in MiB a second")
      ->check(CLI::Range(uint64_t{1}, kMaxRepairMiBPerSecond));
  option("--grace-min", flags.grace_minutes,
         "How long a dead server is waited for, unless a block is at its last spare")
      ->check(CLI::Range(uint64_t{0}, kMaxGraceMinutes));
  option("--beat-s", flags.beat_seconds, "Seconds from one round of heartbeats to the next while there is work")
      ->check(CLI::Range(uint64_t{1}, kMaxBeatSeconds));
  option("-j,--jobs", flags.workers, "Worker processes")->check(CLI::Range(1, 256));
  years->add_flag("--row", flags.row, "Print a table of one row, as docs/durability.md has them");
  return years;
}

Status print_years(const YearsFlags& flags, uint64_t first_seed, uint64_t last_seed) {
  DOGFS_TRY(const YearsOptions options, options_of(flags));
  DOGFS_TRY(const std::vector<YearsResult> results,
            run_years(options, {.first_seed = first_seed, .last_seed = last_seed, .workers = flags.workers}));
  const YearsSum sum(options, results);
  const std::string text = flags.row ? years_table_head() + years_table_row(sum) : years_text(sum);
  std::printf("%s", text.c_str());
  return ok();
}

}  // namespace dogfs::sim
