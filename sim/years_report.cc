#include "sim/years_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace dogfs::sim {
namespace {

constexpr double kPerThousand = 1000;
constexpr double kPerMillion = 1'000'000;
constexpr double kTerabyte = 1e12;
constexpr double kHoursPerYear = 8766;

double number(uint64_t value) {
  return static_cast<double>(value);
}

void add(YearsResult& sum, const YearsResult& result) {
  sum.blocks += result.blocks;
  sum.lost += result.lost;
  for (size_t i = 0; i < BlockStates::kStates; ++i) {
    sum.states.block_ms[i] += result.states.block_ms[i];
    sum.states.losses[i] += result.states.losses[i];
    sum.states.rebuilds[i] += result.states.rebuilds[i];
  }
  sum.fleet.disks_lost += result.fleet.disks_lost;
  sum.fleet.servers_lost += result.fleet.servers_lost;
  sum.fleet.outages += result.fleet.outages;
  sum.fleet.spoilt += result.fleet.spoilt;
  sum.rack_outages += result.rack_outages;
  sum.rebuilds.of_gone += result.rebuilds.of_gone;
  sum.rebuilds.of_spoilt += result.rebuilds.of_spoilt;
  sum.rebuilds.in_vain += result.rebuilds.in_vain;
  sum.rebuilds.failed += result.rebuilds.failed;
  sum.rebuilds.bytes_read += result.rebuilds.bytes_read;
  sum.rebuilds.bytes_written += result.rebuilds.bytes_written;
  sum.beats += result.beats;
  sum.events += result.events;
  sum.commands += result.commands;
  sum.digest = combine64(sum.digest, result.digest);
}

std::string code_name(const YearsOptions& options) {
  return fmt::format("RS({},{})", options.policy.data_shards, options.policy.parity_shards);
}

const char* order_name(RepairOrder order) {
  return order == RepairOrder::kRisk ? "risk" : "arrival";
}

// Small and large numbers alike, short.
std::string brief(double value) {
  if (value != 0 && (value < 0.001 || value >= 1e6)) return fmt::format("{:.1e}", value);
  return value < 10 ? fmt::format("{:.3g}", value) : fmt::format("{:.0f}", value);
}

}  // namespace

YearsSum::YearsSum(const YearsOptions& the_options, const std::vector<YearsResult>& results)
    : options(the_options), runs(results.size()) {
  for (const YearsResult& result : results) add(sum, result);
}

double YearsSum::run_years() const {
  return number(runs) * options.years();
}

double YearsSum::shard_loss() const {
  const YearsRates& rates = options.rates;
  const double fast = number(options.accelerate) / kPerThousand;
  const double shards_per_disk = number(options.server_bytes) / options.disks / number(options.shard_bytes());
  const double latent = number(rates.latent_errors) * fast * number(options.latent_factor) / shards_per_disk;
  const double not_back = number(rates.rack_outages) / kPerThousand * rates.not_back_per_million / kPerMillion;
  return number(rates.disks_lost + rates.servers_lost) * fast + latent + not_back;
}

double YearsSum::repair_rate(uint32_t missing) const {
  for (uint32_t state = missing; state > 0; --state) {
    const double years = number(sum.states.block_ms.at(state)) / kYearMs;
    if (years > 0 && sum.states.rebuilds.at(state) > 0) return number(sum.states.rebuilds.at(state)) / years;
  }
  return 0;
}

double YearsSum::share_of_time(uint32_t missing) const {
  uint64_t total = 0;
  for (const uint64_t time : sum.states.block_ms) total += time;
  return total == 0 ? 0 : number(sum.states.block_ms.at(missing)) / number(total);
}

MarkovRates YearsSum::textbook() const {
  return serial_repair(options.policy.total_shards(), options.policy.parity_shards, shard_loss(), repair_rate(1));
}

MarkovRates YearsSum::measured() const {
  MarkovRates rates = textbook();
  for (uint32_t missing = 1; missing <= options.policy.parity_shards; ++missing) {
    rates.repair[missing] = repair_rate(missing);
  }
  return rates;
}

double YearsSum::expected_losses(const MarkovRates& rates) const {
  return sim::expected_losses(number(sum.blocks), options.years(), mean_time_to_loss(rates));
}

double YearsSum::destroyed_bytes() const {
  return shard_loss() * options.servers * number(options.server_bytes);
}

std::string years_text(const YearsSum& sum) {
  const YearsOptions& options = sum.options;
  const YearsResult& all = sum.sum;
  std::string text = fmt::format(
      "{}, {} servers of {} disks and {:.0f} TB in {} racks, {:.3g} years, {} runs; order: {}; destruction x {}\n"
      "{} blocks, each for {} of a real cluster; repair at {} MiB/s a server; grace {} min\n\n",
      code_name(options), options.servers, options.disks, number(options.server_bytes) / kTerabyte, options.racks,
      options.years(), sum.runs, order_name(options.order), options.accelerate, options.blocks, options.scale(),
      options.repair_bytes_per_s / kMiB, options.repair_grace.count() / 60'000);
  text += fmt::format(
      "lost: {} disks, {} servers, {} shards by latent errors; away: {} times a server, {} times a rack\n"
      "rebuilt: {} shards that were lost, {} spoilt, {} that came back by themselves; {} attempts failed\n",
      all.fleet.disks_lost, all.fleet.servers_lost, all.fleet.spoilt, all.fleet.outages, all.rack_outages,
      all.rebuilds.of_gone, all.rebuilds.of_spoilt, all.rebuilds.in_vain, all.rebuilds.failed);
  text += fmt::format(
      "repair a year: {:.0f} TB read, {:.0f} TB written; what was destroyed alone: {:.0f} and {:.0f} TB\n\n",
      number(all.rebuilds.bytes_read) / kTerabyte / sum.run_years(),
      number(all.rebuilds.bytes_written) / kTerabyte / sum.run_years(),
      sum.destroyed_bytes() * options.policy.data_shards / kTerabyte, sum.destroyed_bytes() / kTerabyte);
  const std::vector<double> textbook = shares_of_time(sum.textbook());
  const std::vector<double> measured = shares_of_time(sum.measured());
  text += "missing  share of time  textbook   measured   hours until one is back\n";
  for (uint32_t missing = 0; missing <= options.policy.parity_shards; ++missing) {
    const double rate = missing == 0 ? 0 : sum.repair_rate(missing);
    text += fmt::format("{:>7}  {:<13}  {:<9}  {:<9}  {}\n", missing, brief(sum.share_of_time(missing)),
                        brief(textbook.at(missing)), brief(measured.at(missing)),
                        rate == 0 ? "" : fmt::format("{:.1f}", kHoursPerYear / rate));
  }
  text += fmt::format("\nblocks lost: {} of {}; by the textbook's chain {}, with the measured rates of repair {}\n",
                      all.lost, all.blocks, brief(sum.expected_losses(sum.textbook())),
                      brief(sum.expected_losses(sum.measured())));
  text += fmt::format("digest {:016x}: {} beats, {} commands, {} events\n", all.digest, all.beats, all.commands,
                      all.events);
  return text;
}

std::string years_table_head() {
  return "| Code | Order | Destruction | Runs x years | Blocks lost | of | Textbook | Measured rates | "
         "Hours without a spare, a block and year | TB read a year | expected for what was destroyed |\n"
         "|---|---|---|---|---|---|---|---|---|---|---|\n";
}

std::string years_table_row(const YearsSum& sum) {
  const YearsOptions& options = sum.options;
  return fmt::format("| {} | {} | x {} | {} x {:.3g} | {} | {} | {} | {} | {} | {:.0f} | {:.0f} |\n",
                     code_name(options), order_name(options.order), options.accelerate, sum.runs, options.years(),
                     sum.sum.lost, sum.sum.blocks, brief(sum.expected_losses(sum.textbook())),
                     brief(sum.expected_losses(sum.measured())),
                     brief(sum.share_of_time(options.policy.parity_shards) * kHoursPerYear),
                     number(sum.sum.rebuilds.bytes_read) / kTerabyte / sum.run_years(),
                     sum.destroyed_bytes() * options.policy.data_shards / kTerabyte);
}

}  // namespace dogfs::sim
