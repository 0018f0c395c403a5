#include "sim/namespace_model.h"

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "sim/content.h"

namespace dogfs::sim {
namespace {

bool is_under(std::string_view path, std::string_view directory) {
  return path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/';
}

void add(Possible& possible, const ModelEntry& entry) {
  if (entry.is_directory()) {
    possible.directory = true;
  } else {
    possible.whole.push_back(*entry.file);
  }
}

}  // namespace

ModelFile truncated(ModelFile file, uint64_t length) {
  std::erase_if(file.appended, [length](const ModelStretch& stretch) { return stretch.offset >= length; });
  file.length = length;
  return file;
}

ModelFile appended(ModelFile file, uint64_t content, uint64_t bytes) {
  if (bytes > 0) file.appended.push_back({file.length, content});
  file.length += bytes;
  return file;
}

bool is_in_file(const ModelFile& file, uint64_t offset, const BytesChain& bytes) {
  const uint64_t end = offset + bytes.size();
  uint64_t content = file.content;
  uint64_t begin = 0;
  for (size_t i = 0; i <= file.appended.size(); ++i) {
    const uint64_t next = i < file.appended.size() ? file.appended[i].offset : end;
    const uint64_t from = std::max(begin, offset);
    const uint64_t to = std::min(next, end);
    if (from < to && !is_content(content, from, bytes.slice(from - offset, to - from))) return false;
    if (i == file.appended.size()) break;
    begin = next;
    content = file.appended[i].content;
  }
  return true;
}

std::string_view parent_of(std::string_view path) {
  return path.substr(0, path.rfind('/'));
}
std::string_view name_of(std::string_view path) {
  return path.substr(path.rfind('/') + 1);
}

std::vector<std::string> NamespaceModel::directories() const {
  std::vector<std::string> paths;
  for (const auto& [path, entry] : certain_) {
    if (entry.is_directory()) paths.push_back(path);
  }
  return paths;
}

std::vector<std::string> NamespaceModel::files() const {
  std::vector<std::string> paths;
  for (const auto& [path, entry] : certain_) {
    if (!entry.is_directory()) paths.push_back(path);
  }
  return paths;
}

std::vector<std::string> NamespaceModel::names_in(std::string_view directory) const {
  std::vector<std::string> names;
  for (const auto& [path, entry] : certain_) {
    if (parent_of(path) == directory) names.emplace_back(name_of(path));
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool NamespaceModel::may_contain(std::string_view directory, std::string_view name) const {
  return uncertain_.contains(std::string(directory) + "/" + std::string(name));
}

std::vector<std::string> NamespaceModel::subtree(const std::string& path) const {
  std::vector<std::string> paths;
  for (const auto& [other, entry] : certain_) {
    if (other == path || is_under(other, path)) paths.push_back(other);
  }
  return paths;
}

void NamespaceModel::doubt(const std::string& path, const std::string& at) {
  const auto entry = certain_.find(path);
  if (entry != certain_.end()) add(uncertain_[at], entry->second);
}

void NamespaceModel::begin_make_directory(const std::string& path) {
  uncertain_[path].directory = true;
}

void NamespaceModel::made_directory(const std::string& path) {
  uncertain_.erase(path);
  certain_[path] = ModelEntry();
}

void NamespaceModel::begin_write(const std::string& path, const ModelFile& file) {
  doubt(path, path);
  Possible& possible = uncertain_[path];
  possible.absent = certain_.erase(path) == 0;
  possible.beginning.push_back(file);
}

void NamespaceModel::begin_append(const std::string& path, const ModelFile& longer) {
  ModelFile file = longer;
  file.acknowledged = certain_.at(path).file->length;
  uncertain_[path] = Possible{.absent = false, .directory = false, .whole = {}, .beginning = {std::move(file)}};
  certain_.erase(path);
}

void NamespaceModel::begin_truncate(const std::string& path, uint64_t length) {
  ModelFile file = *certain_.at(path).file;
  file.acknowledged = length;
  uncertain_[path] = Possible{.absent = false, .directory = false, .whole = {}, .beginning = {std::move(file)}};
  certain_.erase(path);
}

void NamespaceModel::synced(const std::string& path, uint64_t length) {
  for (ModelFile& file : uncertain_.at(path).beginning) file.acknowledged = length;
}

void NamespaceModel::created(const std::string& path) {
  Possible& possible = uncertain_.at(path);
  possible.absent = false;
  possible.whole.clear();
}

void NamespaceModel::written(const std::string& path, const ModelFile& file) {
  uncertain_.erase(path);
  certain_[path] = ModelEntry{file};
}

void NamespaceModel::begin_rename(const std::string& source, const std::string& target) {
  moving_.clear();
  for (const std::string& from : subtree(source)) {
    std::string to = target + from.substr(source.size());
    doubt(from, from);
    doubt(from, to);
    moving_.push_back({from, std::move(to), certain_.at(from)});
  }
  for (const Move& move : moving_) certain_.erase(move.from);
  // What may be under the source moves with it, if it is there.
  Uncertain moved;
  for (auto& [path, possible] : uncertain_) {
    if (!is_under(path, source)) continue;
    possible.absent = true;
    moved.emplace(target + path.substr(source.size()), possible);
  }
  uncertain_.merge(moved);
}

void NamespaceModel::renamed(const std::string& source, const std::string& target) {
  DOGFS_CHECK(!moving_.empty() && moving_.front().from == source && moving_.front().to == target);
  forget_uncertain(source);
  for (const Move& move : moving_) {
    uncertain_.erase(move.to);
    certain_[move.to] = move.entry;
  }
  moving_.clear();
}

void NamespaceModel::begin_remove(const std::string& path) {
  for (const std::string& each : subtree(path)) {
    doubt(each, each);
    certain_.erase(each);
  }
  for (auto& [other, possible] : uncertain_) {
    if (is_under(other, path)) possible.absent = true;
  }
}

NamespaceModel::Subtree NamespaceModel::subtree_at(const std::string& path) const {
  Subtree tree;
  for (const std::string& each : subtree(path)) tree.certain[each.substr(path.size())] = certain_.at(each);
  for (const auto& [each, possible] : uncertain_) {
    if (is_under(each, path)) tree.uncertain[each.substr(path.size())] = possible;
  }
  return tree;
}

void NamespaceModel::begin_restore(const Subtree& tree, const std::string& target) {
  for (const auto& [behind, entry] : tree.certain) add(uncertain_[target + behind], entry);
  for (const auto& [behind, possible] : tree.uncertain) {
    uncertain_[target + behind] = possible;
    uncertain_[target + behind].absent = true;
  }
}

void NamespaceModel::restored(const Subtree& tree, const std::string& target) {
  for (const auto& [behind, entry] : tree.certain) {
    uncertain_.erase(target + behind);
    certain_[target + behind] = entry;
  }
}

void NamespaceModel::removed(const std::string& path) {
  forget_uncertain(path);
}

void NamespaceModel::forget_uncertain(const std::string& path) {
  std::erase_if(uncertain_, [&path](const auto& entry) { return entry.first == path || is_under(entry.first, path); });
}

bool is_possible(const Possible& possible, const Observed& observed, std::vector<ModelFile>& candidates) {
  if (observed.kind == Observed::Kind::kAbsent) return possible.absent;
  if (observed.kind == Observed::Kind::kDirectory) return possible.directory;
  for (const ModelFile& file : possible.whole) {
    if (file.length == observed.length) candidates.push_back(file);
  }
  for (const ModelFile& file : possible.beginning) {
    if (file.acknowledged <= observed.length && observed.length <= file.length) candidates.push_back(file);
  }
  return !candidates.empty();
}

}  // namespace dogfs::sim
