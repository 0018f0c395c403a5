#include "runtime/cli/ec_admin.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/cli/inspect.h"
#include "runtime/cli/names.h"
#include "runtime/cli/paths.h"
#include "runtime/cli/tree_walk.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

class Converter final : public TreeWalk {
 public:
  Converter(Session& session, std::optional<wire::EcPolicy> policy) : TreeWalk(session), policy_(std::move(policy)) {}

  void print_summary() const;

 private:
  Task<Status> visit_file(Entry file, const Entry& directory) override;

  const std::optional<wire::EcPolicy> policy_;
  uint64_t files_ = 0;
  uint64_t files_changed_ = 0;
  ConvertOutcome sum_;
};

Task<Status> Converter::visit_file(Entry file, const Entry& directory) {
  const wire::EcPolicy policy = policy_.value_or(directory.status.policy());
  DOGFS_CO_TRY(const ConvertOutcome outcome, co_await session_.client().convert(file.path, policy));
  const WriteOutcome& written = outcome.written;
  ++files_;
  if (written.blocks > 0) ++files_changed_;
  sum_.blocks_before += outcome.blocks_before;
  sum_.blocks += outcome.blocks;
  sum_.written.blocks += written.blocks;
  sum_.written.bytes += written.bytes;
  if (written.blocks_short > 0) {
    session_.warn(fmt::format("{}: {} blocks have fewer shards than their policy asks for, and are repaired",
                              printable(file.path), written.blocks_short));
  }
  co_return ok();
}

void Converter::print_summary() const {
  print(fmt::format("{} of {} files were written anew, {} in {} blocks; {} blocks became {}\n", files_changed_, files_,
                    human_bytes(sum_.written.bytes), sum_.written.blocks, sum_.blocks_before, sum_.blocks));
}

}  // namespace

Task<void> set_policies(Session& session, PolicyOptions options) {
  for (const std::string& text : options.paths) {
    const Result<std::string> path = parse_path(text);
    const Status set = path ? co_await session.client().set_policy(path.value(), options.policy) : Status(path.error());
    if (!set) session.fail(text, set.error());
  }
}

Task<void> convert(Session& session, ConvertOptions options) {
  Converter converter(session, std::move(options.policy));
  for (const std::string& text : options.paths) {
    const Result<std::string> path = parse_path(text);
    const Status converted = path ? co_await converter.walk(path.value()) : Status(path.error());
    if (!converted) session.fail(text, converted.error());
  }
  converter.print_summary();
}

}  // namespace dogfs::cli
