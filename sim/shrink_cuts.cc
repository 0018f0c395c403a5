#include "sim/shrink_cuts.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "sim/shrink_ddmin.h"

namespace dogfs::sim {
namespace {

// Before the first fault, between one's end and the next, and behind the last.
constexpr uint32_t kCalmMs = 1'000;
constexpr uint32_t kCalmAtTheEndMs = 3'000;
// A client's pause between two operations where time is not to be lost.
constexpr uint32_t kThinkMs = 200;
constexpr uint32_t kShortWorkMs = 1'000;
constexpr size_t kBoldChunks = 4;
// Roughly: what a run takes before and behind the work; what an operation takes; and for how long a node that idles
// costs as much as an operation.
constexpr uint64_t kRestOfARunMs = 3'000;
constexpr uint64_t kOperationMs = 50;
constexpr uint64_t kIdleMsOfAnOperation = 4'000;

// The shortest first: the later ones cost twice as much, each.
void add_ends(const proto::Scenario& scenario, std::vector<Edit>& cuts) {
  for (int count = 0; count < scenario.faults_size(); count = std::max(2 * count, 1)) {
    cuts.push_back([count](auto& s) { keep_the_end(s, count); });
  }
  cuts.push_back([](auto& s) { keep_the_end(s, s.faults_size()); });
}

void add_quicker_ones(const proto::Scenario& scenario, std::vector<Edit>& cuts) {
  for (const uint32_t times : {64U, 16U, 4U, 2U}) {
    if (scenario.work().for_ms() / times < kShortWorkMs / 2) continue;
    cuts.push_back([times](auto& s) { quicken(s, times); });
  }
}

void add_smaller_clusters(const proto::Scenario& scenario, std::vector<Edit>& cuts) {
  cuts.push_back([](auto& s) {
    s.set_clients(1);
    s.set_meta_nodes(std::min(s.meta_nodes(), 3U));
    s.set_spare_meta_nodes(0);
    s.set_chunk_servers(s.policy().data_shards() + s.policy().parity_shards());
  });
  std::ranges::move(shorter_codes(scenario), std::back_inserter(cuts));
  cuts.push_back([](auto& s) { s.set_clients(1); });
}

// None of the faults, quarters, and all but a quarter.
void add_fewer_faults(const proto::Scenario& scenario, std::vector<Edit>& cuts) {
  const std::vector<proto::Fault> all(scenario.faults().begin(), scenario.faults().end());
  if (all.empty()) return;
  cuts.push_back([](auto& s) { s.clear_faults(); });
  for (const auto& part : ddmin_candidates(all, std::min(kBoldChunks, all.size()))) {
    cuts.push_back([part](auto& s) { s.mutable_faults()->Assign(part.begin(), part.end()); });
  }
}

}  // namespace

void leave_out_the_rest(proto::Scenario& scenario, uint64_t faults, uint64_t end_ms) {
  constexpr uint64_t kUnitMs = 100;  // so that the file reads well
  proto::Work& work = *scenario.mutable_work();
  if (end_ms < work.for_ms()) {
    const uint64_t end = (end_ms + kUnitMs - 1) / kUnitMs * kUnitMs;
    work.set_for_ms(static_cast<uint32_t>(std::min<uint64_t>(work.for_ms(), end)));
  }
  const auto struck = static_cast<int>(std::min<uint64_t>(faults, static_cast<uint64_t>(scenario.faults_size())));
  scenario.mutable_faults()->DeleteSubrange(struck, scenario.faults_size() - struck);
}

void keep_the_end(proto::Scenario& scenario, int count) {
  scenario.mutable_faults()->DeleteSubrange(0, scenario.faults_size() - count);
  uint32_t busy_until = 0;  // in the time before the cut
  uint32_t left_out = 0;
  for (proto::Fault& fault : *scenario.mutable_faults()) {
    const uint32_t begin = fault.at_ms();
    if (begin > busy_until + kCalmMs) left_out += begin - busy_until - kCalmMs;
    busy_until = std::max(busy_until, begin + fault.for_ms());
    fault.set_at_ms(begin - std::min(begin, left_out));
  }
  proto::Work& work = *scenario.mutable_work();
  const uint32_t end = std::min(work.for_ms(), busy_until + kCalmAtTheEndMs);
  work.set_for_ms(std::clamp(end - std::min(end, left_out), std::min(work.for_ms(), kShortWorkMs), work.for_ms()));
  work.set_think_max_ms(std::min(work.think_max_ms(), kThinkMs));
  work.set_looks_at_others_max_ms(std::min(work.looks_at_others_max_ms(), kThinkMs));
}

void quicken(proto::Scenario& scenario, uint32_t times) {
  proto::Work& work = *scenario.mutable_work();
  work.set_for_ms(std::max(work.for_ms() / times, 1U));
  work.set_think_max_ms(std::max(work.think_max_ms() / times, 1U));
  if (work.looks_at_others_max_ms() > 0) {
    work.set_looks_at_others_max_ms(std::max(work.looks_at_others_max_ms() / times, 1U));
  }
  for (proto::Fault& fault : *scenario.mutable_faults()) fault.set_at_ms(fault.at_ms() / times);
}

void begin_at_once(proto::Scenario& scenario) {
  if (scenario.faults().empty()) return;
  const uint32_t calm = scenario.faults(0).at_ms();
  for (proto::Fault& fault : *scenario.mutable_faults()) fault.set_at_ms(fault.at_ms() - std::min(fault.at_ms(), calm));
  proto::Work& work = *scenario.mutable_work();
  work.set_for_ms(work.for_ms() > calm ? work.for_ms() - calm : work.for_ms());
}

std::vector<Edit> shorter_codes(const proto::Scenario& scenario) {
  std::vector<Edit> codes;
  for (const auto& [k, m] : {std::pair(1U, 1U), std::pair(2U, 1U), std::pair(3U, 2U)}) {
    if (k + m >= scenario.policy().data_shards() + scenario.policy().parity_shards()) continue;
    codes.push_back([k, m](proto::Scenario& s) {
      const uint64_t stripes = s.policy().block_bytes() / (s.policy().data_shards() * s.policy().cell_bytes());
      s.mutable_policy()->set_data_shards(k);
      s.mutable_policy()->set_parity_shards(m);
      s.mutable_policy()->set_block_bytes(stripes * k * s.policy().cell_bytes());
      s.set_chunk_servers(k + m);
    });
  }
  return codes;
}

uint64_t estimated_cost(const proto::Scenario& scenario) {
  const uint64_t nodes = scenario.meta_nodes() + scenario.chunk_servers() + scenario.clients();
  const uint64_t work_ms = scenario.work().for_ms();
  const uint64_t operations = work_ms * scenario.clients() / (scenario.work().think_max_ms() / 2 + kOperationMs);
  return nodes * (work_ms + kRestOfARunMs) + operations * kIdleMsOfAnOperation;
}

std::vector<Edit> bold_cuts(const proto::Scenario& scenario) {
  std::vector<Edit> cuts;
  add_ends(scenario, cuts);
  add_quicker_ones(scenario, cuts);
  add_smaller_clusters(scenario, cuts);
  add_fewer_faults(scenario, cuts);
  return cuts;
}

}  // namespace dogfs::sim
