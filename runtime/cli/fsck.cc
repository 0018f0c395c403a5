#include "runtime/cli/fsck.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/client/file_block.h"
#include "core/env/sync.h"
#include "runtime/cli/fsck_report.h"
#include "runtime/cli/inspect.h"
#include "runtime/cli/paths.h"
#include "runtime/cli/tree_walk.h"

namespace dogfs::cli {
namespace {

// Blocks that are read at once. Each is read from all its servers, a MiB from each: that bounds the memory.
constexpr uint64_t kBlocksAtOnce = 4;

class Fsck final : public TreeWalk {
 public:
  Fsck(Session& session, FsckOptions options)
      : TreeWalk(session),
        options_(std::move(options)),
        reading_(session.env().executor, session.env().clock),
        places_(session.env().clock, kBlocksAtOnce) {}

  Task<void> run();

 private:
  struct File {
    std::string path;
    uint64_t trash = 0;  // as Entry
  };

  Task<Status> check_tree(std::string path);
  void visit_directory() override { summary_.set_directories(summary_.directories() + 1); }
  Task<Status> visit_file(Entry file, const Entry& directory) override;
  // Starts the reading of a block, when there is room for it.
  Task<void> begin_to_verify(File file, uint64_t inode, wire::BlockLocation block);
  Task<void> verify(File file, uint64_t inode, wire::BlockLocation block);

  void take(wire::FsckBlock block, uint64_t trash);
  void print_summary();
  void fail_by_findings(const std::string& path);

  const FsckOptions options_;
  TaskGroup reading_;
  Semaphore places_;
  wire::FsckSummary summary_;
};

Task<void> Fsck::run() {
  const Result<std::string> path = parse_path(options_.path);
  if (!path) {
    session_.fail(options_.path, path.error());
    co_return;
  }
  Status checked = co_await check_tree(path.value());
  if (checked || checked.error().code == ErrorCode::kNotFound) {
    const Result<uint64_t> trees = co_await walk_trash(path.value());
    if (!trees) {
      checked = trees.error();
    } else if (trees.value() > 0) {
      checked = ok();
    }
  }
  co_await reading_.join();
  if (!checked) {
    session_.fail(path.value(), checked.error());
    co_return;
  }
  print_summary();
  fail_by_findings(path.value());
}

Task<Status> Fsck::check_tree(std::string path) {
  if (options_.verify && session_.errors_to_terminal()) {
    DOGFS_CO_TRY(const wire::SummaryReply total, co_await session_.client().summary(path));
    session_.progress().set_total({.bytes = total.stored_bytes(), .files = total.files()});
  }
  co_return co_await walk(std::move(path));
}

Task<Status> Fsck::visit_file(Entry file, const Entry&) {
  const uint64_t length = file.status.length();
  summary_.set_files(summary_.files() + 1);
  if (file.trash != 0) summary_.set_files_in_trash(summary_.files_in_trash() + 1);
  wire::GetBlocksRequest request;
  if (file.trash != 0) {
    request.set_inode(file.status.inode());
  } else {
    request.set_path(file.path);
  }
  const File whose{.path = file.path, .trash = file.trash};
  while (request.offset() < length && !session_.interrupted()) {
    request.set_length(length - request.offset());
    DOGFS_CO_TRY(const wire::GetBlocksReply page, co_await session_.client().blocks(request));
    for (const wire::BlockLocation& block : page.blocks()) {
      if (options_.verify) {
        co_await begin_to_verify(whose, page.inode(), block);
      } else {
        take(judge(whose.path, block), whose.trash);
      }
      request.set_offset(std::max<uint64_t>(request.offset(), block.offset() + visible_length(block)));
    }
    if (!page.more() || page.blocks_size() == 0) break;
  }
  if (options_.verify) session_.progress().add_file();
  co_return ok();
}

Task<void> Fsck::begin_to_verify(File file, uint64_t inode, wire::BlockLocation block) {
  co_await places_.acquire(1);
  reading_.spawn(verify(std::move(file), inode, std::move(block)));
}

Task<void> Fsck::verify(File file, uint64_t inode, wire::BlockLocation block) {
  VerifyRequest request{
      .inode = inode, .block = block, .on_bytes = [this](uint64_t bytes) { session_.progress().add_bytes(bytes); }};
  const Result<std::vector<ShardFinding>> findings = co_await session_.client().verify_block(std::move(request));
  places_.release(1);
  if (!findings) {
    if (findings.error().code != ErrorCode::kGone) session_.fail(file.path, findings.error());
    co_return;
  }
  for (const ShardFinding& finding : findings.value()) {
    if (finding.reported) continue;
    session_.warn(fmt::format("the damage of shard {} of block {} could not be reported: {}", finding.shard.index(),
                              block.block(), finding.reported.error().to_string()));
  }
  count(findings.value(), summary_);
  take(judge(std::move(file.path), std::move(block), findings.value()), file.trash);
}

void Fsck::take(wire::FsckBlock block, uint64_t trash) {
  block.set_trash(trash);
  count(block, summary_);
  if (block.health() == wire::FsckBlock::HEALTHY && !options_.all) return;
  session_.progress().clear();
  if (options_.json) {
    wire::FsckLine line;
    *line.mutable_block() = std::move(block);
    print_json(line);
  } else {
    const std::string where = trash == 0 ? "" : fmt::format(" (in the trash as {})", trash);
    print(describe_block(block, session_.shown_name(block.path()) + where, options_.all));
  }
}

void Fsck::print_summary() {
  session_.progress().clear();
  if (options_.json) {
    wire::FsckLine line;
    *line.mutable_summary() = summary_;
    print_json(line);
  } else {
    print(describe_summary(summary_, options_.verify));
  }
}

void Fsck::fail_by_findings(const std::string& path) {
  const auto fail = [&](ErrorCode code, std::string text) { session_.fail(path, Error(code, std::move(text))); };
  if (summary_.lost() > 0) fail(ErrorCode::kDataLoss, fmt::format("{} blocks", summary_.lost()));
  const uint64_t bad = summary_.shards_damaged() + summary_.shards_missing();
  if (bad > 0) fail(ErrorCode::kCorrupt, fmt::format("{} shards are damaged or missing", bad));
  if (summary_.unreachable() > 0) {
    fail(ErrorCode::kUnavailable,
         fmt::format("{} blocks cannot be read as long as servers are down", summary_.unreachable()));
  }
  if (summary_.shards_unreachable() > 0) {
    fail(ErrorCode::kUnavailable, fmt::format("{} shards could not be read", summary_.shards_unreachable()));
  }
}

}  // namespace

Task<void> check_files(Session& session, FsckOptions options) {
  Fsck fsck(session, std::move(options));
  co_await fsck.run();
}

}  // namespace dogfs::cli
