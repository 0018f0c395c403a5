// What clients do to each other's leases: one takes away the lease of a file that another is writing just now. All that
// was acknowledged to the writer stays, and from then on it is refused.
#include <algorithm>
#include <utility>

#include "sim/workload.h"

namespace dogfs::sim {
namespace {

// How often somebody who writes is looked for, and what passes in between.
constexpr int kMostLooks = 40;
constexpr milliseconds kLookPause(20);

}  // namespace

std::shared_ptr<OpenWriter> Workload::note_writer(std::string path) {
  auto writer = std::make_shared<OpenWriter>(OpenWriter{.root = state_.root, .path = std::move(path)});
  std::erase_if(context_.writers, [](const std::weak_ptr<OpenWriter>& each) { return each.expired(); });
  context_.writers.push_back(writer);
  return writer;
}

std::shared_ptr<OpenWriter> Workload::pick_writer(RandomStream& draws) {
  std::vector<std::shared_ptr<OpenWriter>> others;
  for (const std::weak_ptr<OpenWriter>& each : context_.writers) {
    std::shared_ptr<OpenWriter> writer = each.lock();
    if (writer && writer->root != state_.root && !writer->recovered) others.push_back(std::move(writer));
  }
  return others.empty() ? nullptr : others[draws.below(others.size())];
}

Task<Status> Workload::recover_lease(RandomStream& draws) {
  std::shared_ptr<OpenWriter> writer = pick_writer(draws);
  for (int look = 0; look < kMostLooks && !writer; ++look) {
    co_await sleep_for(env_.clock, kLookPause);
    writer = pick_writer(draws);
  }
  if (!writer) co_return ok();
  record_what("recover the lease of", writer->path);
  Status recovered = co_await client_.recover_lease(writer->path);
  // If it is still the same writer, it was its lease. A file that is not written any more may have been moved.
  if (recovered.has_value()) writer->recovered = true;
  const bool ended = writer.use_count() == 1;
  if (recovered.has_value() || (ended && code_of(recovered) == ErrorCode::kNotFound)) co_return ok();
  co_return judge("recover the lease of " + writer->path, std::move(recovered).error());
}

}  // namespace dogfs::sim
