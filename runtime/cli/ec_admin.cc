#include "runtime/cli/ec_admin.h"

#include <fmt/format.h>

#include <utility>

#include "runtime/cli/inspect.h"
#include "runtime/cli/names.h"
#include "runtime/cli/paths.h"
#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

class Converter {
 public:
  Converter(Session& session, ConvertOptions options) : session_(session), options_(std::move(options)) {}

  Task<void> run();

 private:
  Task<Status> convert_tree(std::string path);
  // One directory: its files are converted, and its directories added to `pending_`.
  Task<Status> convert_directory(std::string path);
  Task<void> convert_file(std::string path, wire::EcPolicy policy_of_directory);
  void print_summary() const;

  Session& session_;
  const ConvertOptions options_;
  std::vector<std::string> pending_;
  uint64_t files_ = 0;
  uint64_t files_changed_ = 0;
  ConvertOutcome sum_;
};

Task<void> Converter::run() {
  for (const std::string& text : options_.paths) {
    const Result<std::string> path = parse_path(text);
    const Status converted = path ? co_await convert_tree(path.value()) : Status(path.error());
    if (!converted) session_.fail(text, converted.error());
  }
  print_summary();
}

Task<Status> Converter::convert_tree(std::string path) {
  DOGFS_CO_TRY(const wire::FileStatus status, co_await session_.client().stat(path));
  if (!status.directory()) {
    DOGFS_CO_TRY(const wire::FileStatus parent, co_await session_.client().stat(std::string(parent_path(path))));
    co_await convert_file(std::move(path), parent.policy());
    co_return ok();
  }
  pending_.push_back(std::move(path));
  while (!pending_.empty() && !session_.interrupted()) {
    const std::string directory = std::move(pending_.back());
    pending_.pop_back();
    const Status converted = co_await convert_directory(directory);
    // It may have been deleted since it was listed.
    if (!converted && converted.error().code != ErrorCode::kNotFound) session_.fail(directory, converted.error());
  }
  co_return ok();
}

Task<Status> Converter::convert_directory(std::string path) {
  DOGFS_CO_TRY(const wire::FileStatus directory, co_await session_.client().stat(path));
  std::string after;
  for (bool more = true; more && !session_.interrupted();) {
    DOGFS_CO_TRY(const wire::ListReply page, co_await session_.client().list(path, after, 0));
    for (const wire::FileStatus& entry : page.entries()) {
      if (session_.interrupted()) break;
      std::string child = join_path(path, entry.name());
      if (entry.directory()) {
        pending_.push_back(std::move(child));
      } else {
        co_await convert_file(std::move(child), directory.policy());
      }
    }
    more = page.more() && page.entries_size() > 0;
    if (more) after = page.entries(page.entries_size() - 1).name();
  }
  co_return ok();
}

Task<void> Converter::convert_file(std::string path, wire::EcPolicy policy_of_directory) {
  const Result<ConvertOutcome> outcome =
      co_await session_.client().convert(path, options_.policy.value_or(std::move(policy_of_directory)));
  if (!outcome) {
    if (outcome.error().code != ErrorCode::kNotFound) session_.fail(path, outcome.error());
    co_return;
  }
  ++files_;
  const WriteOutcome& written = outcome.value().written;
  if (written.blocks > 0) ++files_changed_;
  sum_.blocks_before += outcome.value().blocks_before;
  sum_.blocks += outcome.value().blocks;
  sum_.written.blocks += written.blocks;
  sum_.written.bytes += written.bytes;
  if (written.blocks_short == 0) co_return;
  session_.warn(fmt::format("{}: {} blocks have fewer shards than their policy asks for, and are repaired",
                            printable(path), written.blocks_short));
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
  Converter converter(session, std::move(options));
  co_await converter.run();
}

}  // namespace dogfs::cli
