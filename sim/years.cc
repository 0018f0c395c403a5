#include "sim/years.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/env/sync.h"
#include "core/meta/invariants.h"
#include "core/meta/tables.h"
#include "sim/atlas.h"
#include "sim/years_loader.h"

namespace dogfs::sim {
namespace {

constexpr GroupId kGroup{0};
constexpr Duration kSetUpLimit = std::chrono::hours(2);
constexpr Duration kHealLimit = std::chrono::hours(24) * 90;
// A beat has three steps, of which each waits for what the one before has set going.
constexpr Duration kStepTakes = milliseconds(1);
// For so many beats after something has happened, enough to miss a server, the next is as near as it can be; then it is
// so many times as far.
constexpr int kAlertBeats = 3;
constexpr int kCalmBeats = 5;
// A reservation lasts for so many rebuilds that each take as long as they do when all servers are busy.
constexpr int64_t kRebuildsPerReservation = 20;
constexpr milliseconds kShortestReservation = std::chrono::minutes(10);
constexpr milliseconds kLongestReservation = std::chrono::hours(24);
// Production's eight are small beside what a server has; here one is not.
constexpr uint32_t kRepairsPerTarget = 1;

}  // namespace

Years::Years(const YearsOptions& options, uint64_t seed) : options_(options), seed_(seed), simulator_(seed) {
  const StreamKey key = StreamKey(seed).with("years");
  meta_ = std::make_unique<LoneMeta>(simulator_, key.with("meta"), meta_options());
  fleet_ = std::make_unique<YearsFleet>(*meta_, options_, key.with("fleet"));
  ledger_ = std::make_unique<YearsLedger>(simulator_, options_.policy.parity_shards,
                                          [this](const ListedShard& shard) { return fleet_->is_whole(shard); });
  fleet_->keep_books(*ledger_);
  meta_->store().on_apply([this](const WriteBatch& batch) { ledger_->note(batch); });
  rebuilds_ = std::make_unique<YearsRebuilds>(simulator_, *fleet_, *ledger_, options_);
  fleet_->employ(
      {.rebuild = [this](SlotIndex slot, const wire::RepairOrder& order) { rebuilds_->request(slot, order); },
       .drop = [this](SlotIndex slot, const ShardKey& shard) { rebuilds_->drop(slot, shard); },
       .forget = [this](SlotIndex slot) { rebuilds_->forget(slot); }});
  failures_ = std::make_unique<YearsFailures>(simulator_, *fleet_, options_, key.with("failures"), [this] { wake(); });
}

Years::~Years() = default;

// What is counted in heartbeats follows the beat; what is counted in rebuilds follows how large they are here.
MetaOptions Years::meta_options() const {
  MetaOptions options;
  options.default_policy = options_.policy;
  options.server_silence_limit = options_.beat * 3 / 2;
  options.server_dead_limit = options_.beat * 5 / 2;
  options.repair_limits.grace = options_.repair_grace;
  options.repair_limits.per_target = kRepairsPerTarget;
  const uint64_t moved = 2 * uint64_t{options_.policy.data_shards} * options_.scale() * options_.shard_bytes();
  const auto rebuild_ms = static_cast<int64_t>(moved / std::max<uint64_t>(options_.repair_bytes_per_s / 1000, 1));
  const milliseconds validity(rebuild_ms * kRebuildsPerReservation);
  options.repair_validity =
      std::clamp(validity, std::max(kShortestReservation, options_.beat * 10), kLongestReservation);
  if (options_.order == RepairOrder::kArrival) {
    options.repair_candidates = [this](const MetaTables& tables) { return ledger_->by_arrival(tables); };
  }
  return options;
}

template <class Predicate>
bool Years::run_until(Predicate done, Duration limit) {
  const VirtualTime end = simulator_.now() + limit;
  while (!done()) {
    if (!simulator_.step(end)) return done();
  }
  return true;
}

// --- Beats -------------------------------------------------------------------------------------------------------------

// Something is about to happen, perhaps after a long time in which nothing did: until now all were heard of as ever.
void Years::wake() {
  if (simulator_.now() - last_heard_ >= options_.beat) fleet_->greet();
  last_heard_ = simulator_.now();
  alert_until_ = simulator_.now() + kAlertBeats * options_.beat;
  schedule_beat(options_.beat);
}

void Years::schedule_next_beat() {
  schedule_beat(simulator_.now() < alert_until_ ? options_.beat : kCalmBeats * options_.beat);
}

// Unless one is due before.
void Years::schedule_beat(Duration wait) {
  const VirtualTime time = simulator_.now() + wait;
  if (next_beat_ && *next_beat_ <= time) return;
  next_beat_ = time;
  simulator_.at(simulator_.world(), time, [this, time] {
    if (next_beat_ == time) beat();
  });
}

void Years::beat() {
  ++beats_;
  if (simulator_.now() - last_heard_ > options_.beat) fleet_->greet();
  const auto then = [this](int steps, void (Years::*what)()) {
    simulator_.at(simulator_.world(), simulator_.now() + steps * kStepTakes, [this, what] { (this->*what)(); });
  };
  then(1, &Years::hear_servers);
  then(2, &Years::go_on);
  then(3, &Years::end_beat);
}

void Years::hear_servers() {
  last_heard_ = simulator_.now();
  fleet_->beat();
}

void Years::go_on() {
  meta_->beat();
}

void Years::end_beat() {
  next_beat_.reset();
  if (!is_settled()) schedule_next_beat();
}

bool Years::is_settled() const {
  return meta_->leads() && fleet_->is_settled() && rebuilds_->idle() && !ledger_->has_repairs() &&
         !ledger_->is_sweeping();
}

// --- The run -----------------------------------------------------------------------------------------------------------

YearsResult Years::run() {
  meta_->start();
  wake();
  const bool complete = run_until([this] { return fleet_->is_complete() && is_settled(); }, kSetUpLimit);
  DOGFS_CHECK(complete, "the cluster does not come up");
  fleet_->greet();
  YearsLoader loader(*meta_, *fleet_, options_);
  spawn(meta_->executor(), loader.load());
  const bool loaded = run_until([&loader] { return loader.done(); }, kSetUpLimit);
  DOGFS_CHECK(loaded, "the cluster is not filled");
  failures_->begin();
  const VirtualTime end = simulator_.now() + options_.length;
  while (simulator_.step(end)) {
  }
  ledger_->settle_accounts();
  YearsResult result{.seed = seed_,
                     .blocks = ledger_->blocks(),
                     .lost = ledger_->lost(),
                     .states = ledger_->states(),
                     .fleet = fleet_->counts(),
                     .rack_outages = failures_->rack_outages(),
                     .rebuilds = rebuilds_->counts(),
                     .beats = beats_,
                     .events = simulator_.events(),
                     .digest = simulator_.digest()};
  const Status hashed = meta_->store().scan({}, {}, [&result](std::string_view key, std::string_view value) {
    result.digest = combine64(combine64(result.digest, hash64(key)), hash64(value));
    return true;
  });
  DOGFS_CHECK(hashed.has_value());
  const Result<LogIndex> applied = MetaTables(meta_->store(), kGroup).applied();
  if (applied.has_value()) result.commands = applied.value().value();
  return result;
}

std::vector<std::string> Years::heal_and_check() {
  failures_->end();
  wake();
  std::vector<std::string> problems = fleet_->problems();
  run_until([this] { return fleet_->is_complete() && is_settled() && ledger_->short_blocks() == 0; }, kHealLimit);
  if (ledger_->short_blocks() > 0) {
    problems.push_back(fmt::format("{} blocks are short of shards for ever", ledger_->short_blocks()));
  }
  const Result<std::vector<std::string>> broken = check_meta_invariants(meta_->store(), kGroup);
  if (!broken) {
    problems.push_back(broken.error().to_string());
  } else {
    problems.insert(problems.end(), broken.value().begin(), broken.value().end());
  }
  check_shards(problems);
  return problems;
}

// What is listed as intact is there, and what the metadata calls lost is.
void Years::check_shards(std::vector<std::string>& problems) {
  const MetaTables tables(meta_->store(), kGroup);
  uint64_t lost = 0;
  const KeyRange range = tables.keys().blocks();
  const Status scanned =
      scan_rows<wire::BlockRow>(tables.reader(), range, [&](std::string_view, const wire::BlockRow& block) {
        if (risk_of(block) == Risk::kLost) ++lost;
        for (const wire::Shard& shard : block.shards()) {
          const ListedShard listed{key_of(block, shard), ServerId(shard.server())};
          if (is_intact(shard) && !fleet_->is_whole(listed)) {
            problems.push_back(to_string(listed.key) + " is listed as intact, and is not");
          }
        }
        return true;
      });
  if (!scanned) problems.push_back(scanned.error().to_string());
  if (lost != ledger_->lost()) {
    problems.push_back(fmt::format("{} blocks are lost, of which the metadata knows {}", ledger_->lost(), lost));
  }
}

}  // namespace dogfs::sim
