// Whole clusters under faults that the fuzzer chooses, guided by the coverage that they reach in core: a run of the
// simulator (sim/run.h) whose fault list comes from the bytes. All of the simulator's oracles watch it.
//
// A finding prints its scenario, which `dogfs-sim run FILE --seed N` repeats.
#include <google/protobuf/text_format.h>

#include <cstdio>
#include <iterator>

#include "core/base/check.h"
#include "fuzz/input.h"
#include "sim/run.h"
#include "sim/scenario.h"

namespace dogfs::fuzz {
namespace {

// The cluster is the smallest that can lose a node of each kind; it works for a moment only, so that many fit in a
// second.
constexpr uint32_t kWorkMs = 3'000;
constexpr size_t kMostFaults = 12;
constexpr uint32_t kLongestFaultMs = 2'000;

const char* draw_nodes(Input& input) {
  constexpr const char* kSelectors[] = {"leader",   "followers", "minority", "meta-1",  "meta-2",
                                        "meta-3",   "chunk-1",   "chunk-2",  "chunk-3", "chunk-4",
                                        "client-1", "meta",      "chunk",    "all",     "random 1 chunk"};
  return kSelectors[input.below(std::size(kSelectors))];
}

void draw_network(Input& input, sim::proto::Network& network) {
  network.set_delay_min_us(50);
  network.set_delay_max_us(50 + input.byte() * 200);
  network.set_loss_per_million(input.byte() * 500);
  network.set_duplicate_per_million(input.byte() * 500);
  network.set_reorder_per_million(input.byte() * 500);
  network.set_reorder_max_ms(1 + input.byte());
}

// What befalls messages and whole nodes.
void draw_fault_of_nodes(Input& input, sim::proto::Fault& fault) {
  switch (input.below(8)) {
    case 0:
    case 1:
      fault.mutable_partition()->set_a(draw_nodes(input));
      fault.mutable_partition()->set_b(input.flag() ? "rest" : draw_nodes(input));
      fault.mutable_partition()->set_one_way(input.flag());
      return;
    case 2:
      fault.mutable_flap()->set_a(draw_nodes(input));
      fault.mutable_flap()->set_b("rest");
      fault.mutable_flap()->set_longest_ms(1 + input.byte() * 2);
      return;
    case 3:
      return draw_network(input, *fault.mutable_network());
    case 4:
      fault.mutable_pause()->set_nodes(draw_nodes(input));
      return;
    case 5:
      fault.mutable_transfer_leadership()->set_to(draw_nodes(input));
      return;
    default:
      fault.mutable_crash()->set_nodes(draw_nodes(input));
      fault.mutable_crash()->set_power(input.flag());
  }
}

// What befalls their processors and clocks.
void draw_fault_of_time(Input& input, sim::proto::Fault& fault) {
  switch (input.below(3)) {
    case 0:
      fault.mutable_slow_cpu()->set_nodes(draw_nodes(input));
      fault.mutable_slow_cpu()->set_event_us(1 + input.byte() * 4);
      return;
    case 1:
      fault.mutable_clock_drift()->set_nodes(draw_nodes(input));
      fault.mutable_clock_drift()->set_parts_per_million((input.byte() - 128) * 1'000);
      return;
    default:
      fault.mutable_clock_jump()->set_nodes(draw_nodes(input));
      fault.mutable_clock_jump()->set_forward_ms(input.byte() * 20);
      fault.mutable_clock_jump()->set_wall_ms((input.byte() - 128) * 1'000);
  }
}

// Of a kind that strikes so many operations in a million.
template <class Kind>
void draw_rate(Input& input, Kind& kind) {
  kind.set_nodes(draw_nodes(input));
  kind.set_per_million(input.u16() * 15U);
}

// What befalls their disks.
void draw_fault_of_disks(Input& input, sim::proto::Fault& fault) {
  switch (input.below(10)) {
    case 0:
      return draw_rate(input, *fault.mutable_disk_read_errors());
    case 1:
      return draw_rate(input, *fault.mutable_disk_write_errors());
    case 2:
      return draw_rate(input, *fault.mutable_misdirected_reads());
    case 3:
      return draw_rate(input, *fault.mutable_misdirected_writes());
    case 4:
      fault.mutable_latent_errors()->set_nodes(draw_nodes(input));
      fault.mutable_latent_errors()->set_shards(1 + input.byte() % 4);
      return;
    case 5:
      fault.mutable_disk_full()->set_nodes(draw_nodes(input));
      return;
    case 6:
      fault.mutable_slow_disk()->set_nodes(draw_nodes(input));
      fault.mutable_slow_disk()->set_max_us(1 + input.byte() * 1'000);
      return;
    case 7:
      fault.mutable_sync_failure()->set_nodes(draw_nodes(input));
      return;
    case 8:
      fault.mutable_disk_emptied()->set_nodes(draw_nodes(input));
      return;
    default:
      fault.mutable_bit_rot()->set_nodes(draw_nodes(input));
      fault.mutable_bit_rot()->set_bits(1 + input.byte() % 16);
  }
}

void draw_fault(Input& input, sim::proto::Fault& fault) {
  fault.set_at_ms(input.u16() % kWorkMs);
  fault.set_for_ms(input.u16() % kLongestFaultMs);
  switch (input.below(4)) {
    case 0:
      return draw_fault_of_time(input, fault);
    case 1:
      return draw_fault_of_disks(input, fault);
    default:
      return draw_fault_of_nodes(input, fault);
  }
}

sim::proto::Scenario draw_scenario(Input& input) {
  sim::proto::Scenario scenario;
  scenario.set_shows("what a fuzzer found");
  scenario.set_meta_nodes(3);
  scenario.set_chunk_servers(4);
  scenario.set_clients(1);
  scenario.set_disks(2);
  scenario.mutable_policy()->set_data_shards(2);
  scenario.mutable_policy()->set_parity_shards(1);
  scenario.mutable_work()->set_for_ms(kWorkMs);
  scenario.mutable_work()->set_think_max_ms(100);
  scenario.mutable_work()->set_largest_file_blocks(2);
  scenario.mutable_work()->set_files_before_faults(2);
  for (size_t i = 0; i < kMostFaults && !input.empty(); ++i) draw_fault(input, *scenario.add_faults());
  return scenario;
}

void run(Input input) {
  const uint64_t seed = input.byte();
  std::string text;
  google::protobuf::TextFormat::PrintToString(draw_scenario(input), &text);
  const Result<sim::proto::Scenario> scenario = sim::parse_scenario(text);
  DOGFS_CHECK(scenario.has_value(), scenario ? "" : scenario.error().detail);
  const sim::RunResult result = sim::Run(scenario.value(), seed, nullptr).execute();
  if (!result.failure) return;
  std::fprintf(stderr, "# repeat with: dogfs-sim run FILE --seed %llu\n%s", static_cast<unsigned long long>(seed),
               text.c_str());
  DOGFS_CHECK(false, *result.failure);
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dogfs::fuzz::run(dogfs::fuzz::Input(data, size));
  return 0;
}
