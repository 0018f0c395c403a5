// What clients do with the bytes of files: they write, sync, append, cut, convert and read, and compare what they read.
#include <algorithm>
#include <limits>
#include <utility>

#include "core/base/limits.h"
#include "core/ec/policy_wire.h"
#include "core/env/sync.h"
#include "sim/content.h"
#include "sim/workload.h"

namespace dogfs::sim {
namespace {

constexpr size_t kMostFiles = 24;

}  // namespace

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
  if (outcome.blocks_short > 0 && context_.scenario.blocks_must_be_whole()) {
    fail("availability", fmt::format("{}: {} blocks were committed short of shards", path, outcome.blocks_short));
  }
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
  // Into blocks so small that one would become more of them than a command may name.
  if (code_of(converted) == ErrorCode::kLimitExceeded) co_return ok();
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

}  // namespace dogfs::sim
