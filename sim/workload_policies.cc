// What clients do with erasure codes and vectored reads: each changes the code of its own directories, which concerns
// new files only, and reads several ranges of a file at once, of whatever code.
#include <algorithm>
#include <utility>

#include "core/ec/policy_wire.h"
#include "sim/workload.h"

namespace dogfs::sim {
namespace {

constexpr size_t kMostFilesForMore = 20;
constexpr uint64_t kMostRanges = 6;

}  // namespace

Task<Result<std::vector<Geometry>>> Workload::geometries_of(std::string path) {
  std::vector<Geometry> geometries;
  if (path.empty()) co_return geometries;
  DOGFS_CO_TRY(const wire::GetBlocksReply reply, co_await client_.blocks(path, 0, 0));
  for (const wire::BlockLocation& block : reply.blocks()) {
    DOGFS_CO_TRY(const Geometry geometry, geometry_from_wire(block.policy()));
    geometries.push_back(geometry);
  }
  co_return geometries;
}

Task<Status> Workload::change_policy(RandomStream& draws) {
  const std::string directory = pick(state_.model.directories(), draws);
  const std::string old_file = pick(state_.model.files(), draws);
  const Geometry geometry = draw_geometry(draws);
  const bool inherits = draws.below(4) == 0;
  const Result<std::vector<Geometry>> before = co_await geometries_of(old_file);
  if (!before.has_value()) co_return judge("blocks of " + old_file, before.error());
  const bool doubtful = !state_.doubtful_policies.insert(directory).second;
  record_what("set the policy of", directory);
  std::optional<wire::EcPolicy> policy;
  if (!inherits) policy = geometry_to_wire(geometry);
  Status set = co_await client_.set_policy(directory, std::move(policy));
  if (!set.has_value()) co_return judge("policy of " + directory, std::move(set).error());
  if (!doubtful) state_.doubtful_policies.erase(directory);
  const Result<std::vector<Geometry>> after = co_await geometries_of(old_file);
  if (!after.has_value()) co_return judge("blocks of " + old_file, after.error());
  if (after.value() != before.value()) wrong("the policy of " + directory + " changed what is in " + old_file);
  if (doubtful || inherits || state_.model.files().size() >= kMostFilesForMore) co_return ok();
  co_return co_await check_new_file(directory, geometry, draws);
}

Task<Status> Workload::check_new_file(std::string directory, Geometry geometry, RandomStream& draws) {
  const std::string path = directory + "/" + state_.model.fresh_name();
  const ModelFile file{draws.next(), geometry.block_bytes + draws.below(geometry.block_bytes), 0};
  DOGFS_CO_TRYV(co_await write_to(path, file, draws));
  const Result<std::vector<Geometry>> written = co_await geometries_of(path);
  if (!written.has_value()) co_return judge("blocks of " + path, written.error());
  const bool all = std::ranges::all_of(written.value(), [&](const Geometry& block) { return block == geometry; });
  if (written.value().empty() || !all) wrong(path + " is not coded as its directory says");
  co_return ok();
}

// Ranges that overlap, are empty, go backwards and reach over the end, against the flat file.
Task<Status> Workload::read_ranges(RandomStream& draws) {
  const std::string path = pick(state_.model.files(), draws);
  if (path.empty()) co_return ok();
  record_what("read ranges of", path);
  const ModelFile file = *state_.model.certain().at(path).file;
  std::vector<FileRange> ranges(1 + draws.below(kMostRanges));
  for (FileRange& range : ranges) {
    range.offset = draws.below(file.length + 1);
    range.length = draws.below(file.length - range.offset + 2);
  }
  const VirtualTime begun = simulator_.now();
  Result<std::unique_ptr<FileReader>> reader = co_await client_.open(path);
  if (!reader.has_value()) co_return judge("open " + path, std::move(reader).error());
  const Result<std::vector<BytesChain>> read = co_await reader.value()->read_ranges(ranges);
  judge_time(path, begun);
  if (!read.has_value()) co_return judge_read(path, begun, read.error());
  if (read.value().size() != ranges.size()) wrong(path + ": not as many ranges as were asked for");
  for (size_t i = 0; i < std::min(ranges.size(), read.value().size()); ++i) {
    const BytesChain& bytes = read.value()[i];
    const uint64_t expected = std::min<uint64_t>(ranges[i].length, file.length - ranges[i].offset);
    state_.bytes_read += bytes.size();
    if (bytes.size() == expected && is_in_file(file, ranges[i].offset, bytes)) continue;
    wrong(fmt::format("range {} of {}, of {} bytes from {} of {}, gave {} bytes, or wrong ones", i, path,
                      ranges[i].length, ranges[i].offset, file.length, bytes.size()));
  }
  co_return ok();
}

}  // namespace dogfs::sim
