// `dogfs-sim years`: its flags, and what it prints.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "core/base/result.h"

namespace dogfs::sim {

struct YearsFlags {
  std::string policy = "RS-6-3";
  std::string order = "risk";
  std::string seeds = "1";
  uint64_t years = 10;
  uint32_t servers = 60;
  uint32_t racks = 10;
  uint32_t blocks = 5'000;
  uint64_t accelerate = 1;
  uint64_t latent_factor = 1;
  uint64_t repair_mib_per_s = 64;
  uint64_t grace_minutes = 5;
  uint64_t beat_seconds = 60;
  uint32_t workers = 1;
  bool row = false;
};

// `flags` must outlive `app`.
CLI::App* add_years_command(CLI::App& app, YearsFlags& flags);

// Fails for flags that are out of their bounds, and when a run has failed.
Status print_years(const YearsFlags& flags, uint64_t first_seed, uint64_t last_seed);

}  // namespace dogfs::sim
