// What runs over years came to, beside what the textbook's Markov chain makes of the same rates (markov.h).
#pragma once

#include <string>
#include <vector>

#include "sim/markov.h"
#include "sim/years.h"
#include "sim/years_options.h"

namespace dogfs::sim {

// Of all runs together; rates in events a year.
struct YearsSum {
  YearsSum(const YearsOptions& the_options, const std::vector<YearsResult>& results);

  double run_years() const;
  // How often one shard is lost, by the rates that went in.
  double shard_loss() const;
  // How often a block that lacks so many shards gets one of them back. Of a state that never occurred, what is known of
  // the one before.
  double repair_rate(uint32_t missing) const;
  // What part of the time blocks lack so many shards.
  double share_of_time(uint32_t missing) const;
  // The chain with one rate of repair for all states, that of a block that lacks one shard.
  MarkovRates textbook() const;
  // The chain with the rate of repair that each state had.
  MarkovRates measured() const;
  double expected_losses(const MarkovRates& rates) const;
  // What has to be rebuilt of what was destroyed, by the rates that went in, in bytes a year.
  double destroyed_bytes() const;

  YearsOptions options;
  size_t runs;
  YearsResult sum;
};

// For people: several lines.
std::string years_text(const YearsSum& sum);
// For a table of many: its head, and a row of it.
std::string years_table_head();
std::string years_table_row(const YearsSum& sum);

}  // namespace dogfs::sim
