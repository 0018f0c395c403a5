#include "sim/workload.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/limits.h"
#include "core/ec/geometry.h"
#include "core/ec/policy_wire.h"
#include "core/env/sync.h"
#include "sim/content.h"
#include "sim/trace_events.h"

namespace dogfs::sim {
namespace {

constexpr size_t kMostFiles = 24;
constexpr size_t kMostDirectories = 8;
constexpr milliseconds kRetryPause(50);
constexpr uint32_t kMostEntriesLookedAt = 30;

// Whether faults of nodes, network and disks can make an operation end so.
bool is_excusable(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOutcomeUnknown:
    case ErrorCode::kInsufficientServers:
    case ErrorCode::kLeaseLost:
    case ErrorCode::kNotLeader:
      return true;
    default:
      return error_class(code) == ErrorClass::kRetry;
  }
}

}  // namespace

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

Task<void> Workload::look_at_others() {
  std::vector<std::string> others = context_.roots;
  std::erase(others, state_.root);
  const milliseconds longest(context_.scenario.work().looks_at_others_max_ms());
  while (simulator_.now() < context_.work_end && !context_.verdict.failed()) {
    RandomStream draws(state_.key.with("look").with(++state_.last_look));
    co_await sleep_for(env_.clock, draws.between(Duration::zero(), longest));
    const std::string root = pick(others, draws);
    const Status seen = co_await look_into(root, draws);
    if (!seen.has_value()) static_cast<void>(judge("look into " + root, seen.error()));
  }
}

Task<Status> Workload::look_into(std::string root, RandomStream& draws) {
  DOGFS_CO_TRY(const wire::ListReply listed, co_await client_.list(root, "", kMostEntriesLookedAt));
  if (listed.entries().empty()) co_return ok();
  const auto chosen = static_cast<int>(draws.below(static_cast<uint64_t>(listed.entries_size())));
  const std::string path = root + "/" + listed.entries(chosen).name();
  Status seen = ok();
  if (listed.entries(chosen).directory()) {
    const Result<wire::ListReply> inside = co_await client_.list(path, "", kMostEntriesLookedAt);
    if (!inside.has_value()) seen = inside.error();
  } else {
    const Result<wire::FileStatus> status = co_await client_.stat(path);
    if (!status.has_value()) seen = status.error();
  }
  // Its owner may have moved it meanwhile, and put something else there.
  if (code_of(seen) == ErrorCode::kNotFound || code_of(seen) == ErrorCode::kNotADirectory) seen = ok();
  co_return seen;
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
  std::optional<Status> done = co_await operate_on_ends(number, draws);
  for (const auto kind : {&Workload::operate_on_trash, &Workload::operate_on_quotas, &Workload::operate_on_leases,
                          &Workload::operate_on_policies, &Workload::operate_on_ranges}) {
    if (!done) done = co_await (this->*kind)(number);
  }
  co_return done;
}

Task<std::optional<Status>> Workload::operate_on_ends(uint64_t number, RandomStream& draws) {
  const proto::Work& work = context_.scenario.work();
  const uint64_t appends = work.appends_per_hundred();
  const uint64_t cuts = appends + work.truncations_per_hundred();
  const uint64_t all = cuts + work.conversions_per_hundred();
  if (all == 0) co_return std::nullopt;
  RandomStream kinds(state_.key.with("ends").with(number));
  const uint64_t choice = kinds.below(100);
  if (choice < appends) co_return co_await append_to_file(draws);
  if (choice < cuts) co_return co_await truncate_file(draws);
  if (choice < all) co_return co_await convert_file(draws);
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

Task<Status> Workload::make_directory(RandomStream& draws) {
  const std::vector<std::string> directories = state_.model.directories();
  if (directories.size() >= kMostDirectories) co_return co_await remove_path(draws);
  const std::string path = pick(directories, draws) + "/" + state_.model.fresh_name();
  state_.model.begin_make_directory(path);
  record_what("mkdir", path);
  Status made = co_await client_.make_directory(path, {});
  if (!made.has_value()) co_return judge("mkdir " + path, std::move(made).error());
  state_.model.made_directory(path);
  co_return ok();
}

// Writes a new file, or replaces one.
Task<Status> Workload::write_file(RandomStream& draws) {
  const std::vector<std::string> files = state_.model.files();
  const bool replace = files.size() >= kMostFiles || (!files.empty() && draws.below(8) == 0);
  const std::string path =
      replace ? pick(files, draws) : pick(state_.model.directories(), draws) + "/" + state_.model.fresh_name();
  const ModelFile file{draws.next(), draw_length(draws), std::numeric_limits<uint32_t>::max()};
  co_return co_await write_to(path, file, draws);
}

Task<Status> Workload::write_to(std::string path, ModelFile file, RandomStream& draws) {
  CreateOptions options;
  options.overwrite = state_.model.certain().contains(path);
  options.expected_bytes = draws.below(2) == 0 ? 0 : file.length;
  state_.model.begin_write(path, file);
  record_what(options.overwrite ? "overwrite" : "write", path);
  Result<std::unique_ptr<FileWriter>> writer = co_await client_.create(path, options);
  if (!writer.has_value()) co_return judge("create " + path, std::move(writer).error());
  state_.model.created(path);
  WriteOutcome outcome;
  Status filled = co_await fill(*writer.value(), {.path = path, .file = file}, draws, outcome);
  if (!filled.has_value()) co_return judge("write of " + path, std::move(filled).error());
  if (outcome.bytes != file.length)
    wrong(fmt::format("{}: {} bytes were written of {}", path, outcome.bytes, file.length));
  if (outcome.blocks > 0) file.least_spares = outcome.least_spares;
  state_.model.written(path, file);
  state_.bytes_written += file.length;
  co_return ok();
}

Task<Status> Workload::fill(FileWriter& writer, Filling filling, RandomStream& draws, WriteOutcome& outcome) {
  filling.open = note_writer(filling.path);
  for (uint64_t at = filling.from; at < filling.file.length;) {
    const uint64_t bytes = std::min(filling.file.length - at, draws.between(uint64_t{1}, 40 * kKiB));
    const Status written = co_await fill_piece(writer, filling, {.from = at, .to = at + bytes}, draws);
    if (!written.has_value()) {
      co_await writer.abort();
      co_return written;
    }
    at += bytes;
  }
  const bool lost = filling.open->recovered;
  Result<WriteOutcome> closed = co_await writer.close();
  if (!closed.has_value()) co_return std::move(closed).error();
  if (lost) wrong(filling.path + " was closed by a writer whose lease had been recovered");
  outcome = closed.value();
  co_return ok();
}

Task<Status> Workload::fill_piece(FileWriter& writer, const Filling& filling, Piece piece, RandomStream& draws) {
  const proto::Work& work = context_.scenario.work();
  const ModelFile& file = filling.file;
  const uint64_t content = file.appended.empty() ? file.content : file.appended.back().content;
  const bool lost = filling.open->recovered;
  DOGFS_CO_TRYV(co_await writer.write(make_content(content, piece.from, piece.to - piece.from)));
  if (work.syncs_per_hundred() > 0 && draws.below(100) < work.syncs_per_hundred()) {
    DOGFS_CO_TRYV(co_await sync(writer, filling, piece.to));
    if (lost) wrong(filling.path + " was synced by a writer whose lease had been recovered");
  }
  if (work.pauses_per_hundred() > 0 && draws.below(100) < work.pauses_per_hundred()) {
    const Duration pause = draws.between(Duration::zero(), Duration(milliseconds(work.longest_pause_ms())));
    if (simulator_.now() < context_.work_end) co_await sleep_for(env_.clock, pause);
  }
  co_return ok();
}

// Once a sync is acknowledged, whoever opens the file finds what was written until then.
Task<Status> Workload::sync(FileWriter& writer, const Filling& filling, uint64_t length) {
  DOGFS_CO_TRYV(co_await writer.sync());
  state_.model.synced(filling.path, length);
  const VirtualTime begun = simulator_.now();
  const Result<std::unique_ptr<FileReader>> reader = co_await client_.open(filling.path);
  if (!reader.has_value()) {
    if (!is_excusable(reader.error().code)) wrong("open of " + filling.path + ": " + reader.error().to_string());
    co_return ok();
  }
  if (reader.value()->size() < length) {
    wrong(fmt::format("{} has {} bytes although {} were synced", filling.path, reader.value()->size(), length));
    co_return ok();
  }
  const Status read = co_await read_range(*reader.value(), filling.file, 0, length);
  if (!read.has_value()) static_cast<void>(judge_read(filling.path, begun, read.error()));
  co_return ok();
}

Task<Status> Workload::append_to_file(RandomStream& draws) {
  const std::string path = pick(state_.model.files(), draws);
  if (path.empty()) co_return ok();
  const ModelFile before = *state_.model.certain().at(path).file;
  const uint64_t content = draws.next();
  ModelFile longer = appended(before, content, draw_length(draws));
  state_.model.begin_append(path, longer);
  record_what("append to", path);
  Result<std::unique_ptr<FileWriter>> writer = co_await client_.append(path);
  if (!writer.has_value()) co_return judge("append to " + path, std::move(writer).error());
  WriteOutcome outcome;
  Status filled = co_await fill(*writer.value(), {.path = path, .file = longer, .from = before.length}, draws, outcome);
  if (!filled.has_value()) co_return judge("append to " + path, std::move(filled).error());
  if (outcome.bytes != longer.length - before.length)
    wrong(fmt::format("{}: {} bytes were appended", path, outcome.bytes));
  if (outcome.blocks > 0) longer.least_spares = std::min(longer.least_spares, outcome.least_spares);
  state_.model.written(path, longer);
  state_.bytes_written += outcome.bytes;
  co_return ok();
}

// Its bytes stay as they are, whatever comes of it; but a lease may stay behind.
Task<Status> Workload::convert_file(RandomStream& draws) {
  const std::string path = pick(state_.model.files(), draws);
  if (path.empty()) co_return ok();
  ModelFile file = *state_.model.certain().at(path).file;
  const Geometry geometry = draw_geometry(draws);
  const VirtualTime begun = simulator_.now();
  state_.model.begin_append(path, file);
  record_what("convert", path);
  const Result<ConvertOutcome> converted = co_await client_.convert(path, geometry_to_wire(geometry));
  if (!converted.has_value()) co_return judge_read(path, begun, converted.error());
  const WriteOutcome& written = converted.value().written;
  if (written.blocks > 0) file.least_spares = std::min(file.least_spares, written.least_spares);
  state_.model.written(path, file);
  co_return ok();
}

Task<Status> Workload::truncate_file(RandomStream& draws) {
  const std::string path = pick(state_.model.files(), draws);
  if (path.empty()) co_return ok();
  const ModelFile before = *state_.model.certain().at(path).file;
  const uint64_t length = draws.below(before.length + 1);
  state_.model.begin_truncate(path, length);
  record_what("truncate", path);
  Status cut = co_await client_.truncate(path, length);
  if (!cut.has_value()) co_return judge("truncate " + path, std::move(cut).error());
  state_.model.written(path, truncated(before, length));
  co_return ok();
}

Task<Status> Workload::read_file(RandomStream& draws) {
  const std::string path = pick(state_.model.files(), draws);
  if (path.empty()) co_return ok();
  record_what("read", path);
  const ModelFile file = *state_.model.certain().at(path).file;
  const VirtualTime begun = simulator_.now();
  if (draws.below(2) == 0) {
    Status read = co_await read_whole(path, file);
    judge_time(path, begun);
    if (!read.has_value()) co_return judge_read(path, begun, std::move(read).error());
    co_return ok();
  }
  Result<std::unique_ptr<FileReader>> reader = co_await client_.open(path);
  if (!reader.has_value()) co_return judge("open " + path, std::move(reader).error());
  for (int i = 0; i < 3; ++i) {
    const uint64_t offset = draws.below(file.length + 1);
    const uint64_t length = draws.below(file.length - offset + 1);
    const VirtualTime read_begun = simulator_.now();
    Status read = co_await read_range(*reader.value(), file, offset, length);
    judge_time(path, read_begun);
    if (!read.has_value()) co_return judge_read(path, begun, std::move(read).error());
  }
  co_return ok();
}

// Errors are those of the reads; what was read is checked.
Task<Status> Workload::read_range(FileReader& reader, const ModelFile& file, uint64_t offset, uint64_t length) {
  Result<BytesChain> bytes = co_await reader.read(offset, length);
  if (!bytes.has_value()) co_return std::move(bytes).error();
  if (bytes.value().size() != length) {
    wrong(fmt::format("a read of {} bytes from {} of {} gave {}", length, offset, file.length, bytes.value().size()));
  } else if (!is_in_file(file, offset, bytes.value())) {
    wrong(fmt::format("a read of {} bytes from {} of {} gave wrong bytes", length, offset, file.length));
  }
  state_.bytes_read += bytes.value().size();
  co_return ok();
}

Task<Status> Workload::read_whole(std::string path, ModelFile file) {
  DOGFS_CO_TRY(const std::unique_ptr<FileReader> reader, co_await client_.open(path));
  if (reader->size() != file.length) {
    wrong(fmt::format("{} has {} bytes, {} were written", path, reader->size(), file.length));
    co_return ok();
  }
  for (uint64_t at = 0; at < file.length;) {
    const uint64_t bytes = std::min<uint64_t>(file.length - at, 64 * kKiB);
    DOGFS_CO_TRYV(co_await read_range(*reader, file, at, bytes));
    at += bytes;
  }
  co_return ok();
}

Task<Status> Workload::list_directory(RandomStream& draws) {
  const std::string path = pick(state_.model.directories(), draws);
  if (path.empty()) co_return ok();
  record_what("list", path);
  Status listed = co_await check_listing(path);
  if (!listed.has_value()) co_return judge("list " + path, std::move(listed).error());
  co_return ok();
}

Task<Status> Workload::check_listing(std::string path) {
  std::vector<std::string> expected = state_.model.names_in(path);
  std::vector<std::string> seen;
  for (bool more = true; more;) {
    const std::string after = seen.empty() ? std::string() : seen.back();
    Result<wire::ListReply> page = co_await client_.list(path, after, 5);
    if (!page.has_value()) co_return std::move(page).error();
    for (const wire::FileStatus& entry : page.value().entries()) seen.push_back(entry.name());
    more = page.value().more() && page.value().entries_size() > 0;
  }
  if (!std::is_sorted(seen.begin(), seen.end())) wrong("the listing of " + path + " is not in order");
  std::erase_if(seen, [&](const std::string& name) {
    return state_.model.may_contain(path, name) && !std::binary_search(expected.begin(), expected.end(), name);
  });
  if (seen != expected) {
    wrong(fmt::format("the listing of {} is [{}], not [{}]", path, fmt::join(seen, " "), fmt::join(expected, " ")));
  }
  co_return ok();
}

Task<Status> Workload::stat_path(RandomStream& draws) {
  std::vector<std::string> paths = state_.model.files();
  const std::vector<std::string> directories = state_.model.directories();
  paths.insert(paths.end(), directories.begin(), directories.end());
  const std::string path = pick(paths, draws);
  if (path.empty()) co_return ok();
  record_what("stat", path);
  Status seen = co_await check_stat(path);
  if (!seen.has_value()) co_return judge("stat " + path, std::move(seen).error());
  co_return ok();
}

Task<Status> Workload::check_stat(std::string path) {
  const ModelEntry expected = state_.model.certain().at(path);
  Result<wire::FileStatus> seen = co_await client_.stat(path);
  if (!seen.has_value()) co_return std::move(seen).error();
  if (seen.value().directory() != expected.is_directory()) wrong(path + " is of the wrong type");
  if (!expected.is_directory() && seen.value().length() != expected.file->length) {
    wrong(fmt::format("{} has {} bytes, {} were written", path, seen.value().length(), expected.file->length));
  }
  co_return ok();
}

// Moves a file or a directory to a fresh name in a directory that is not under it.
Task<Status> Workload::rename_path(RandomStream& draws) {
  std::vector<std::string> sources = state_.model.files();
  std::vector<std::string> directories = state_.model.directories();
  for (const std::string& directory : directories) {
    if (directory != state_.root) sources.push_back(directory);
  }
  const std::string source = pick(sources, draws);
  if (source.empty()) co_return ok();
  std::erase_if(directories, [&source](const std::string& d) { return d == source || d.starts_with(source + "/"); });
  const std::string target = pick(directories, draws) + "/" + state_.model.fresh_name();
  state_.model.begin_rename(source, target);
  record_what("rename", source + " to " + target);
  Status renamed = co_await client_.rename(source, target, draws.below(2) == 0);
  if (!renamed.has_value()) co_return judge("rename " + source + " to " + target, std::move(renamed).error());
  state_.model.renamed(source, target);
  co_return ok();
}

Task<Status> Workload::remove_path(RandomStream& draws) {
  std::vector<std::string> paths = state_.model.files();
  if (draws.below(4) == 0) paths = state_.model.directories();
  std::erase(paths, state_.root);
  const std::string path = pick(paths, draws);
  if (path.empty()) co_return ok();
  const bool recursive = state_.model.certain().at(path).is_directory();
  NamespaceModel::Subtree tree = state_.model.subtree_at(path);
  state_.model.begin_remove(path);
  record_what("remove", path);
  const bool keeps = context_.scenario.work().trash_period_ms() > 0;
  RandomStream choices(state_.key.with("skip trash").with(state_.last_drawn));
  const DeleteOptions options{.recursive = recursive, .skip_trash = keeps && choices.below(5) == 0};
  Result<wire::DeleteResult> removed = co_await client_.remove(path, options);
  if (!removed.has_value()) co_return judge("remove " + path, std::move(removed).error());
  state_.model.removed(path);
  const uint64_t inode = removed.value().trashed_inode();
  if ((inode != 0) != (keeps && !options.skip_trash)) wrong(path + " went the wrong way");
  if (inode != 0) state_.trash.push_back({inode, path, std::move(tree)});
  co_return ok();
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
