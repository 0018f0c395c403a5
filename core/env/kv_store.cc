#include "core/env/kv_store.h"

#include <algorithm>
#include <iterator>

namespace dogfs {

void WriteBatch::put(std::string key, std::string value) {
  bytes_ += key.size() + value.size();
  operations_.push_back(Put{std::move(key), std::move(value)});
}

void WriteBatch::erase(std::string key) {
  bytes_ += key.size();
  operations_.push_back(Erase{std::move(key)});
}

void WriteBatch::erase_range(std::string begin, std::string end) {
  bytes_ += begin.size() + end.size();
  operations_.push_back(EraseRange{std::move(begin), std::move(end)});
}

void WriteBatch::append(WriteBatch other) {
  bytes_ += other.bytes_;
  std::move(other.operations_.begin(), other.operations_.end(), std::back_inserter(operations_));
}

Result<std::optional<std::string>> KvReadCache::get(std::string_view key) const {
  const auto known = known_.lower_bound(key);
  if (known != known_.end() && known->first == key) return known->second;
  DOGFS_TRY(std::optional<std::string> value, base_.get(key));
  return known_.emplace_hint(known, key, std::move(value))->second;
}

Status KvReadCache::scan(std::string_view begin, std::string_view end, const Visitor& visit) const {
  return base_.scan(begin, end, visit);
}

Status KvReadCache::scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const {
  return base_.scan_backward(begin, end, visit);
}

void KvOverlay::put(std::string key, std::string value) {
  changes_.insert_or_assign(std::move(key), std::move(value));
}

void KvOverlay::erase(std::string key) {
  changes_.insert_or_assign(std::move(key), std::nullopt);
}

Result<std::optional<std::string>> KvOverlay::get(std::string_view key) const {
  const auto change = changes_.find(key);
  if (change != changes_.end()) return change->second;
  return base_.get(key);
}

Status KvOverlay::scan(std::string_view begin, std::string_view end, const Visitor& visit) const {
  auto change = changes_.lower_bound(begin);
  const auto last = end.empty() ? changes_.end() : changes_.lower_bound(end);
  bool more = true;
  // Visits the changes that sort before `key`, or all that are left.
  const auto visit_changes_before = [&](const std::string_view* key) {
    for (; more && change != last && (key == nullptr || change->first < *key); ++change) {
      if (change->second) more = visit(change->first, *change->second);
    }
  };
  DOGFS_TRYV(base_.scan(begin, end, [&](std::string_view key, std::string_view value) {
    visit_changes_before(&key);
    if (!more) return false;
    if (change != last && change->first == key) {
      if (change->second) more = visit(change->first, *change->second);
      ++change;
      return more;
    }
    more = visit(key, value);
    return more;
  }));
  visit_changes_before(nullptr);
  return ok();
}

Status KvOverlay::scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const {
  const auto first = std::make_reverse_iterator(changes_.lower_bound(begin));
  auto change = std::make_reverse_iterator(end.empty() ? changes_.end() : changes_.lower_bound(end));
  bool more = true;
  const auto visit_changes_after = [&](const std::string_view* key) {
    for (; more && change != first && (key == nullptr || change->first > *key); ++change) {
      if (change->second) more = visit(change->first, *change->second);
    }
  };
  DOGFS_TRYV(base_.scan_backward(begin, end, [&](std::string_view key, std::string_view value) {
    visit_changes_after(&key);
    if (!more) return false;
    if (change != first && change->first == key) {
      if (change->second) more = visit(change->first, *change->second);
      ++change;
      return more;
    }
    more = visit(key, value);
    return more;
  }));
  visit_changes_after(nullptr);
  return ok();
}

WriteBatch KvOverlay::take() {
  WriteBatch batch;
  batch.reserve(changes_.size());
  while (!changes_.empty()) {
    auto change = changes_.extract(changes_.begin());
    if (change.mapped()) {
      batch.put(std::move(change.key()), *std::move(change.mapped()));
    } else {
      batch.erase(std::move(change.key()));
    }
  }
  return batch;
}

}  // namespace dogfs
