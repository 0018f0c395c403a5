// What clients do with names: they make directories, list, look, rename and remove, in their own directories; and they look
// into each other's.
#include <algorithm>
#include <utility>

#include "core/env/sync.h"
#include "sim/workload.h"

namespace dogfs::sim {
namespace {

constexpr size_t kMostDirectories = 8;
constexpr uint32_t kMostEntriesLookedAt = 30;

}  // namespace

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

}  // namespace dogfs::sim
