#include "sim/shrink.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>
#include <utility>

#include "core/base/check.h"
#include "sim/failure_kind.h"
#include "sim/fault_plan.h"
#include "sim/profile.h"
#include "sim/shrink_cuts.h"
#include "sim/shrink_ddmin.h"

namespace dogfs::sim {
namespace {

constexpr uint64_t kMostOperations = 100'000;
// A bold cut is tried with so many seeds at most, and with as many as cost no more than so many runs of what is cut.
constexpr uint64_t kMostSeedsOfACut = 6;
constexpr uint64_t kRunsForACut = 2;
// A smaller run that fails may take longer than the one before, by a quarter and a little more.
constexpr uint64_t kPatienceMs = 5'000;
constexpr uint64_t kMostPatienceMs = 100'000'000;  // longer than any run

void set_faults(proto::Scenario& scenario, const std::vector<proto::Fault>& faults) {
  scenario.mutable_faults()->Assign(faults.begin(), faults.end());
}

// An empty list of operations would mean all.
void set_operations(proto::Scenario& scenario, const std::vector<uint32_t>& numbers) {
  scenario.mutable_work()->mutable_operations()->Assign(numbers.begin(), numbers.end());
  if (numbers.empty()) scenario.mutable_work()->add_operations(0);
}

class Shrinker {
 public:
  Shrinker(proto::Scenario scenario, const Prober::Options& options)
      : prober_(options), scenario_(std::move(scenario)) {}

  Result<ShrinkResult> run();

 private:
  // Whether anything became smaller.
  bool round();
  bool shrink_faults();
  bool shrink_operations();
  bool shrink_cluster();
  bool shrink_work();
  bool shrink_each_fault();
  bool shrink_boldly();
  void shrink_streams();
  void leave_out_what_never_happened(const ProbeResult& result);

  // Takes the first of some edits of the scenario that still fails.
  bool try_edits(const std::vector<Edit>& edits);
  template <class T>
  std::vector<T> minimise(const std::vector<T>& items,
                          const std::function<void(proto::Scenario&, const std::vector<T>&)>& set);

  Prober prober_;
  proto::Scenario scenario_;
  std::string kind_;
  uint64_t patience_ms_ = kMostPatienceMs;
};

bool Shrinker::try_edits(const std::vector<Edit>& edits) {
  std::vector<proto::Scenario> candidates;
  const std::string present = scenario_.SerializeAsString();
  for (const Edit& edit : edits) {
    proto::Scenario candidate = scenario_;
    edit(candidate);
    if (candidate.SerializeAsString() != present) candidates.push_back(std::move(candidate));
  }
  const std::optional<size_t> failing = prober_.first_failing(candidates, kind_);
  if (!failing) return false;
  scenario_ = candidates[*failing];
  leave_out_what_never_happened(ProbeResult(prober_.found()));
  return true;
}

// A run ends at its failure: what would have come later has no part in it. (Faults begin in their order.) Nor need a
// smaller one be waited for much longer.
void Shrinker::leave_out_what_never_happened(const ProbeResult& result) {
  const uint64_t took_ms = std::min(result.virtual_ms, kMostPatienceMs);
  patience_ms_ = std::min(patience_ms_, took_ms + took_ms / 4 + kPatienceMs);
  prober_.set_patience(patience_ms_);
  proto::Scenario shorter = scenario_;
  leave_out_the_rest(shorter, result.faults_struck, result.virtual_ms);
  const bool nothing = shorter.SerializeAsString() == scenario_.SerializeAsString();
  if (!nothing && prober_.first_failing({shorter}, kind_)) scenario_ = shorter;
}

template <class T>
std::vector<T> Shrinker::minimise(const std::vector<T>& items,
                                  const std::function<void(proto::Scenario&, const std::vector<T>&)>& set) {
  return ddmin(items, [&](const std::vector<std::vector<T>>& lists) -> std::optional<size_t> {
    std::vector<proto::Scenario> candidates;
    for (const std::vector<T>& list : lists) {
      candidates.push_back(scenario_);
      set(candidates.back(), list);
    }
    return prober_.first_failing(candidates, kind_);
  });
}

bool Shrinker::shrink_faults() {
  const std::vector<proto::Fault> all(scenario_.faults().begin(), scenario_.faults().end());
  const std::vector<proto::Fault> fewest = minimise<proto::Fault>(all, set_faults);
  set_faults(scenario_, fewest);
  return fewest.size() < all.size();
}

bool Shrinker::shrink_operations() {
  std::vector<uint32_t> all(scenario_.work().operations().begin(), scenario_.work().operations().end());
  if (all == std::vector<uint32_t>{0}) return false;  // none is left
  if (all.empty()) {
    const ProbeResult result = prober_.run(scenario_);
    if (result.operations > kMostOperations) return false;
    all.resize(result.operations);
    std::iota(all.begin(), all.end(), 1);
  }
  const std::vector<uint32_t> fewest = minimise<uint32_t>(all, set_operations);
  if (fewest.size() == all.size()) return false;
  set_operations(scenario_, fewest);
  return true;
}

// Fewer nodes of each class, and shorter codes.
bool Shrinker::shrink_cluster() {
  std::vector<Edit> clients;
  for (uint32_t n = 1; n < scenario_.clients(); ++n) clients.push_back([n](auto& s) { s.set_clients(n); });
  std::vector<Edit> meta;
  for (uint32_t n = 1; n < scenario_.meta_nodes(); n += 2) meta.push_back([n](auto& s) { s.set_meta_nodes(n); });
  std::vector<Edit> spares;
  for (uint32_t n = 0; n < scenario_.spare_meta_nodes(); ++n)
    spares.push_back([n](auto& s) { s.set_spare_meta_nodes(n); });
  const std::vector<Edit> codes = shorter_codes(scenario_);
  std::vector<Edit> servers;
  const uint32_t least = scenario_.policy().data_shards() + scenario_.policy().parity_shards();
  for (uint32_t n = least; n < scenario_.chunk_servers(); ++n)
    servers.push_back([n](auto& s) { s.set_chunk_servers(n); });
  bool smaller = false;
  for (const std::vector<Edit>& edits : {clients, meta, spares, codes, servers}) smaller = try_edits(edits) || smaller;
  return smaller;
}

bool Shrinker::shrink_work() {
  const std::vector<Edit> sooner{begin_at_once};
  std::vector<Edit> times;
  for (const uint32_t percent : {5U, 12U, 25U, 50U, 75U, 90U}) {
    // Whole tenths of seconds, so that the file reads well.
    const uint32_t shorter = scenario_.work().for_ms() * percent / 10'000 * 100;
    if (shorter > 0) times.push_back([shorter](auto& s) { s.mutable_work()->set_for_ms(shorter); });
  }
  std::vector<Edit> files;
  for (uint32_t n = 0; n < scenario_.work().files_before_faults(); ++n) {
    files.push_back([n](auto& s) { s.mutable_work()->set_files_before_faults(n); });
  }
  const std::vector<Edit> sizes{[](auto& s) { s.mutable_work()->set_largest_file_blocks(1); }};
  const std::vector<Edit> looks{[](auto& s) { s.mutable_work()->clear_looks_at_others_max_ms(); }};
  const std::vector<Edit> network{[](auto& s) { s.clear_network(); }};
  const std::vector<Edit> disk{[](auto& s) { s.clear_meta_disk(); }};
  const std::vector<Edit> pauses{[](auto& s) {
    s.mutable_work()->clear_pauses_per_hundred();
    s.mutable_work()->clear_longest_pause_ms();
  }};
  const std::vector<Edit> recoveries{[](auto& s) { s.mutable_work()->clear_lease_recoveries_per_hundred(); }};
  const std::vector<Edit> policies{[](auto& s) { s.mutable_work()->clear_policy_changes_per_hundred(); }};
  const std::vector<Edit> ranges{[](auto& s) { s.mutable_work()->clear_range_reads_per_hundred(); }};
  bool smaller = false;
  for (const std::vector<Edit>& edits :
       {sooner, times, files, sizes, looks, network, disk, pauses, recoveries, policies, ranges}) {
    smaller = try_edits(edits) || smaller;
  }
  return smaller;
}

// The names in `text` but one, for each.
std::vector<std::string> without_one_name(const std::string& text) {
  std::vector<std::string> shorter;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    std::string rest = text.substr(0, begin) + (end < text.size() ? text.substr(end + 1) : "");
    if (rest.ends_with(' ')) rest.pop_back();
    if (!rest.empty()) shorter.push_back(std::move(rest));
    begin = end + 1;
  }
  return shorter;
}

// Edits that make one selector of fault `index` name fewer nodes.
void add_name_edits(const proto::Scenario& scenario, int index, std::vector<Edit>& edits) {
  using google::protobuf::FieldDescriptor;
  const auto kind_of = [](proto::Fault& fault) {
    const auto* field = fault.GetReflection()->GetOneofFieldDescriptor(fault, fault.GetDescriptor()->oneof_decl(0));
    return fault.GetReflection()->MutableMessage(&fault, field);
  };
  proto::Fault fault = scenario.faults(index);
  const google::protobuf::Message* kind = kind_of(fault);
  for (int i = 0; i < kind->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = kind->GetDescriptor()->field(i);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) continue;
    for (const std::string& names : without_one_name(kind->GetReflection()->GetString(*kind, field))) {
      edits.push_back([kind_of, index, field, names](proto::Scenario& s) {
        google::protobuf::Message* target = kind_of(*s.mutable_faults(index));
        target->GetReflection()->SetString(target, field, names);
      });
    }
  }
}

// Fewer nodes in each, shorter, at rounder times.
bool Shrinker::shrink_each_fault() {
  bool smaller = false;
  for (int i = 0; i < scenario_.faults_size(); ++i) {
    for (bool again = true; again && i < scenario_.faults_size();) {
      std::vector<Edit> names;
      add_name_edits(scenario_, i, names);
      again = try_edits(names);
      smaller = smaller || again;
    }
    if (i >= scenario_.faults_size()) break;
    std::vector<Edit> times;
    for (const uint32_t unit : {1000U, 500U, 100U}) {
      times.push_back([i, unit](auto& s) {
        proto::Fault& fault = *s.mutable_faults(i);
        fault.set_at_ms((fault.at_ms() + unit / 2) / unit * unit);
        // Something does not become nothing, which may be another thing.
        fault.set_for_ms(std::max((fault.for_ms() + unit / 2) / unit * unit, std::min(fault.for_ms(), unit)));
      });
    }
    const bool round_already = scenario_.faults(i).at_ms() % 100 == 0 && scenario_.faults(i).for_ms() % 100 == 0;
    if (!round_already) smaller = try_edits(times) || smaller;
  }
  return smaller;
}

// A failure by a race may need all that is left only for its very timing. With another seed it may need less: takes the
// first bold cut that fails with the present seed or one of some others, and that seed.
bool Shrinker::shrink_boldly() {
  // Where the kind is the oracle's name alone, another seed may bring it about in quite another way.
  const uint64_t most_seeds = kind_.find(':') == std::string::npos ? 1 : kMostSeedsOfACut;
  const std::string present = scenario_.SerializeAsString();
  return std::ranges::any_of(bold_cuts(scenario_), [&](const Edit& cut) {
    proto::Scenario smaller = scenario_;
    cut(smaller);
    if (smaller.SerializeAsString() == present) return false;
    const uint64_t affordable = kRunsForACut * estimated_cost(scenario_) / estimated_cost(smaller);
    std::vector<Edit> edits;
    for (uint64_t n = 0; n < std::clamp<uint64_t>(affordable, 1, most_seeds); ++n) {
      edits.push_back([&smaller, n](auto& s) {
        s = smaller;
        s.set_seed(smaller.seed() + n);
      });
    }
    return try_edits(edits);
  });
}

// Most faults draw nothing while they strike: they need no stream of their own.
void Shrinker::shrink_streams() {
  const auto clear = [](proto::Scenario& s, int i) { s.mutable_faults(i)->clear_stream(); };
  if (try_edits({[&](auto& s) {
        for (int i = 0; i < s.faults_size(); ++i) clear(s, i);
      }})) {
    return;
  }
  for (int i = 0; i < scenario_.faults_size(); ++i) try_edits({[&clear, i](auto& s) { clear(s, i); }});
}

bool Shrinker::round() {
  bool smaller = false;
  while (shrink_boldly()) smaller = true;
  smaller = shrink_faults() || smaller;
  smaller = shrink_work() || smaller;
  smaller = shrink_cluster() || smaller;
  smaller = shrink_operations() || smaller;
  smaller = shrink_each_fault() || smaller;
  return smaller;
}

Result<ShrinkResult> Shrinker::run() {
  const ProbeResult first = prober_.run(scenario_);
  if (first.failure.empty()) return Error(ErrorCode::kInvalidArgument, "this run does not fail");
  kind_ = failure_kind(first.failure);
  ShrinkResult result;
  result.first_failure = first.failure;
  result.faults_before = scenario_.faults_size();
  leave_out_what_never_happened(first);
  while (!prober_.out_of_time() && round()) {
  }
  result.complete = !prober_.out_of_time();
  shrink_streams();
  // What is handed out was seen to fail.
  const ProbeResult last = prober_.run(scenario_);
  DOGFS_CHECK(failure_kind(last.failure) == kind_, last.failure);
  result.failure = last.failure;
  result.scenario = scenario_;
  result.runs = prober_.runs();
  result.elapsed_ms = prober_.elapsed_ms();
  return result;
}

}  // namespace

Result<ShrinkResult> shrink(const proto::Scenario& scenario, uint64_t seed, const Prober::Options& options) {
  proto::Scenario explicit_one = with_explicit_faults(draw_profile(scenario, seed), seed);
  explicit_one.set_seed(seed);
  return Shrinker(std::move(explicit_one), options).run();
}

}  // namespace dogfs::sim
