#include "sim/workload.h"

#include <algorithm>
#include <utility>

#include "core/base/limits.h"
#include "core/ec/geometry.h"
#include "core/env/sync.h"
#include "sim/trace_events.h"

namespace dogfs::sim {
namespace {

constexpr milliseconds kRetryPause(50);

}  // namespace

bool is_excusable(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOutcomeUnknown:
    case ErrorCode::kInsufficientServers:
    case ErrorCode::kNoSpace:
    case ErrorCode::kLeaseLost:
    case ErrorCode::kNotLeader:
      return true;
    default:
      return error_class(code) == ErrorClass::kRetry;
  }
}

uint64_t Workload::draw_length(RandomStream& draws) const {
  const proto::Policy& policy = context_.scenario.policy();
  const uint64_t cell = policy.cell_bytes();
  const uint64_t block = policy.block_bytes();
  const uint64_t around = draws.below(3);  // one less, exactly, one more
  switch (draws.below(8)) {
    case 0:
      return draws.below(3);
    case 1:
      return draws.between(uint64_t{1}, cell);
    case 2:
      return cell - 1 + around;
    case 3:
      return cell * policy.data_shards() - 1 + around;
    case 4:
      return draws.between(cell, block);
    case 5:
      return block - 1 + around;
    default:
      return draws.below(block * std::max<uint32_t>(1, context_.scenario.work().largest_file_blocks()));
  }
}

Geometry Workload::draw_geometry(RandomStream& draws) const {
  const proto::Policy& usual = context_.scenario.policy();
  Geometry geometry{.data_shards = static_cast<uint32_t>(draws.between(uint64_t{1}, usual.data_shards())),
                    .parity_shards = usual.parity_shards(),
                    .cell_bytes = usual.cell_bytes()};
  geometry.block_bytes = geometry.stripe_bytes() * draws.between(uint64_t{2}, 5);
  return geometry;
}

std::string Workload::pick(const std::vector<std::string>& paths, RandomStream& draws) const {
  const uint64_t choice = draws.next();
  return paths.empty() ? std::string() : paths[reduce64(choice, paths.size())];
}

// Whether a client may be told so here: by faults, or by quotas, about whose answers HistoryOracle knows more.
bool Workload::is_excused(ErrorCode code) const {
  if (code == ErrorCode::kQuotaExceeded) return context_.scenario.work().quota_operations_per_hundred() > 0;
  return is_excusable(code) && !context_.scenario.must_stay_available();
}

Status Workload::judge(const std::string& what, Error error) {
  if (!is_excused(error.code))
    fail(is_excusable(error.code) ? "availability" : "file", what + ": " + error.to_string());
  return error;
}

bool Workload::is_lost(const std::string& path) const {
  return std::ranges::any_of(context_.atlas.blocks_of(path, simulator_.now()),
                             [](const BlockHealth& block) { return block.intact < block.needed; });
}

Status Workload::judge_read(const std::string& path, VirtualTime begun, Error error) {
  const std::string what = "read of " + path;
  if (error.code == ErrorCode::kDataLoss) {
    if (!is_lost(path)) wrong(what + ", which can still be decoded: " + error.to_string());
    return error;
  }
  const bool enough = std::ranges::all_of(context_.atlas.blocks_of(path, begun),
                                          [](const BlockHealth& block) { return block.reachable >= block.needed; });
  if (enough && context_.scenario.reads_must_succeed()) fail("availability", what + ": " + error.to_string());
  if (!enough && is_excusable(error.code)) return error;
  return judge(what, std::move(error));
}

void Workload::judge_time(const std::string& path, VirtualTime begun) {
  const milliseconds limit(context_.scenario.reads_within_ms());
  const Duration taken = simulator_.now() - begun;
  if (limit.count() == 0 || taken <= limit) return;
  fail("latency", fmt::format("a read of {} took {} ms", path, taken / milliseconds(1)));
}

Task<void> Workload::prepare() {
  state_.idle = false;
  wire::EcPolicy policy;
  policy.set_data_shards(context_.scenario.policy().data_shards());
  policy.set_parity_shards(context_.scenario.policy().parity_shards());
  policy.set_cell_bytes(context_.scenario.policy().cell_bytes());
  policy.set_block_bytes(context_.scenario.policy().block_bytes());
  policy.set_matrix(1);
  MakeDirectoryOptions options;
  options.policy = &policy;
  state_.model.begin_make_directory(state_.root);
  record_begin();
  record_what("mkdir", state_.root);
  const Status made = co_await client_.make_directory(state_.root, options);
  record_end(made);
  if (!made.has_value()) {
    fail("prepare", made.error().to_string());
    co_return;
  }
  state_.model.made_directory(state_.root);
  const Status shared = co_await make_shared_directory(policy);
  if (!shared.has_value()) fail("prepare", shared.error().to_string());
  const Status kept = co_await set_up_trash();
  if (!kept.has_value()) fail("prepare", kept.error().to_string());
  RandomStream draws(state_.key.with("prepare"));
  for (uint32_t i = 0; i < context_.scenario.work().files_before_faults(); ++i) {
    record_begin();
    const Status written = co_await write_file(draws);
    record_end(written);
    if (!written.has_value()) fail("prepare", written.error().to_string());
  }
  state_.idle = true;
}

bool Workload::is_wanted(uint64_t operation) const {
  const auto& wanted = context_.scenario.work().operations();
  return wanted.empty() || std::find(wanted.begin(), wanted.end(), operation) != wanted.end();
}

Task<void> Workload::work() {
  state_.idle = false;
  const bool looks = context_.scenario.work().looks_at_others_max_ms() > 0 && context_.roots.size() > 1;
  if (looks) beside_.spawn(look_at_others());
  while (simulator_.now() < context_.work_end && !context_.verdict.failed()) {
    const uint64_t number = ++state_.last_drawn;
    if (is_wanted(number)) {
      ++state_.operations;
      co_await operate(number);
    }
    RandomStream draws(state_.key.with("think").with(number));
    co_await sleep_for(env_.clock,
                       draws.between(Duration::zero(), milliseconds(context_.scenario.work().think_max_ms())));
  }
  if (looks) co_await beside_.join();
  state_.idle = true;
}

Task<void> Workload::operate(uint64_t number) {
  RandomStream draws(state_.key.with(number));
  record_begin();
  const uint64_t choice = draws.below(100);
  Status status = ok();
  if (std::optional<Status> done = co_await operate_as_asked(number, draws)) {
    status = *std::move(done);
  } else if (choice < 30) {
    status = co_await write_file(draws);
  } else if (choice < 60) {
    status = co_await read_file(draws);
  } else if (choice < 68) {
    status = co_await list_directory(draws);
  } else if (choice < 76) {
    status = co_await stat_path(draws);
  } else if (choice < 84) {
    status = co_await make_directory(draws);
  } else if (choice < 92) {
    status = co_await rename_path(draws);
  } else {
    status = co_await remove_path(draws);
  }
  record_end(status);
  if (!status.has_value()) ++state_.failed_operations;
}

Task<std::optional<Status>> Workload::operate_as_asked(uint64_t number, RandomStream& draws) {
  if (std::optional<Status> done = co_await operate_on_ends(number, draws)) co_return done;
  const proto::Work& work = context_.scenario.work();
  const AskedOperations all[] = {
      {"trash", work.trash_operations_per_hundred(), &Workload::operate_on_trash},
      {"quota", work.quota_operations_per_hundred(), &Workload::operate_on_quotas},
      {"leases", work.lease_recoveries_per_hundred(), &Workload::recover_lease},
      {"policy", work.policy_changes_per_hundred(), &Workload::change_policy},
      {"ranges", work.range_reads_per_hundred(), &Workload::read_ranges},
      {"summaries", work.summaries_per_hundred(), &Workload::add_up},
      {"shared names", work.shared_names_per_hundred(), &Workload::operate_on_shared_names},
  };
  for (const AskedOperations& asked : all) {
    if (asked.per_hundred == 0) continue;
    RandomStream choices(state_.key.with(asked.stream).with(number));
    if (choices.below(100) < asked.per_hundred) co_return co_await (this->*asked.operate)(choices);
  }
  co_return std::nullopt;
}

void Workload::record_begin() {
  state_.doing = ClientOperation{"an operation", simulator_.now()};
  if (Recording* recording = simulator_.recording()) {
    recorded_ = recording->operation_begins(simulator_.now(), state_.root.substr(1));
  }
}

void Workload::record_what(std::string_view verb, const std::string& path) {
  std::string what = fmt::format("{} {}", verb, path);
  if (Recording* recording = simulator_.recording()) recording->operation_is(recorded_, what);
  if (state_.doing) state_.doing->what = std::move(what);
}

void Workload::record_end(const Status& status) {
  state_.doing.reset();
  if (Recording* recording = simulator_.recording()) recording->operation_ends(recorded_, simulator_.now(), status);
}

// Waits where `status` says that it may go better next time. False when it went well, or never will.
Task<bool> Workload::pause_before_retry(const Status& status, std::string what) {
  if (status.has_value() || context_.verdict.failed()) co_return false;
  if (!is_excusable(status.error().code)) {
    wrong(what + " after all faults: " + status.error().to_string());
    co_return false;
  }
  co_await sleep_for(env_.clock, kRetryPause);
  co_return true;
}

Task<void> Workload::verify() {
  state_.idle = false;
  const NamespaceModel::Entries certain = state_.model.certain();
  for (const auto& [path, entry] : certain) {
    for (bool again = true; again;) {
      record_begin();
      record_what("verify", path);
      Status seen = ok();
      if (entry.is_directory()) {
        seen = co_await check_listing(path);
      } else {
        seen = co_await read_whole(path, *entry.file);
        if (code_of(seen) == ErrorCode::kDataLoss && is_lost(path)) seen = ok();
      }
      record_end(seen);
      again = co_await pause_before_retry(seen, path);
    }
  }
  const NamespaceModel::Uncertain uncertain = state_.model.uncertain();
  for (const auto& [path, possible] : uncertain) co_await verify_uncertain(path, possible);
  for (bool again = context_.scenario.work().quota_operations_per_hundred() > 0; again;) {
    again = co_await pause_before_retry(co_await clear_quota(state_.root), "the end of the quota");
  }
  for (bool again = !context_.verdict.failed(); again;) {
    RandomStream draws(state_.key.with("last"));
    const std::string path = state_.root + "/" + state_.model.fresh_name();
    record_begin();
    Status written = co_await write_to(path, {draws.next(), 3 * kKiB, 0}, draws);
    if (written.has_value()) written = co_await read_whole(path, *state_.model.certain().at(path).file);
    record_end(written);
    again = co_await pause_before_retry(written, path);
  }
  state_.idle = true;
}

Task<void> Workload::verify_uncertain(std::string path, Possible possible) {
  for (bool again = true; again;) {
    record_begin();
    record_what("look at", path);
    const Status seen = co_await look(path, possible);
    record_end(seen);
    again = co_await pause_before_retry(seen, path);
  }
}

// What is at an uncertain path must be one of what is possible, to the byte.
Task<Status> Workload::look(std::string path, Possible possible) {
  Result<wire::FileStatus> seen = co_await client_.stat(path);
  if (!seen.has_value() && seen.error().code != ErrorCode::kNotFound) co_return std::move(seen).error();
  Observed observed;
  if (seen.has_value()) {
    observed.kind = seen.value().directory() ? Observed::Kind::kDirectory : Observed::Kind::kFile;
    observed.length = seen.value().length();
  }
  std::vector<ModelFile> candidates;
  if (!is_possible(possible, observed, candidates)) {
    wrong(fmt::format("{} cannot be what is there (kind {}, {} bytes)", path, static_cast<int>(observed.kind),
                      observed.length));
  }
  if (observed.kind != Observed::Kind::kFile || candidates.empty()) co_return ok();
  DOGFS_CO_TRY(const std::unique_ptr<FileReader> reader, co_await client_.open(path));
  Result<BytesChain> bytes = co_await reader->read(0, reader->size());
  if (!bytes.has_value()) {
    if (bytes.error().code == ErrorCode::kDataLoss && is_lost(path)) co_return ok();
    co_return std::move(bytes).error();
  }
  const bool known = std::any_of(candidates.begin(), candidates.end(),
                                 [&](const ModelFile& file) { return is_in_file(file, 0, bytes.value()); });
  if (!known) wrong(path + " holds bytes that were never written to it");
  co_return ok();
}

}  // namespace dogfs::sim
