#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <string>

#include "core/env/kv_store.h"

namespace dogfs {
namespace {

using Model = std::map<std::string, std::string>;
using Rows = std::vector<std::pair<std::string, std::string>>;

class MapReader final : public KvReader {
 public:
  explicit MapReader(Model rows) : rows_(std::move(rows)) {}

  Result<std::optional<std::string>> get(std::string_view key) const override {
    const auto row = rows_.find(std::string(key));
    if (row == rows_.end()) return std::optional<std::string>();
    return std::optional<std::string>(row->second);
  }
  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    for (const auto& [key, value] : rows_) {
      if (key >= begin && (end.empty() || key < end) && !visit(key, value)) break;
    }
    return ok();
  }
  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
      if (row->first >= begin && (end.empty() || row->first < end) && !visit(row->first, row->second)) break;
    }
    return ok();
  }

 private:
  Model rows_;
};

Rows scan_rows(const KvReader& reader, const std::string& begin, const std::string& end, size_t limit, bool backward) {
  Rows rows;
  const auto visit = [&](std::string_view key, std::string_view value) {
    rows.emplace_back(key, value);
    return rows.size() < limit;
  };
  const Status status = backward ? reader.scan_backward(begin, end, visit) : reader.scan(begin, end, visit);
  EXPECT_TRUE(status.has_value());
  return rows;
}

RC_GTEST_PROP(KvOverlay, ReadsAsIfTheChangesWereInTheStore, ()) {
  const auto key =
      rc::gen::map(rc::gen::inRange(0, 12), [](int i) { return std::string(1, static_cast<char>('a' + i)); });
  const auto base_rows = *rc::gen::container<Model>(key, rc::gen::just(std::string("base")));
  const auto changes =
      *rc::gen::container<std::vector<std::pair<std::string, bool>>>(rc::gen::pair(key, rc::gen::arbitrary<bool>()));
  const MapReader base(base_rows);
  KvOverlay overlay(base);
  Model model = base_rows;
  for (const auto& [changed, is_put] : changes) {
    if (is_put) {
      overlay.put(changed, "new");
      model[changed] = "new";
    } else {
      overlay.erase(changed);
      model.erase(changed);
    }
  }
  const MapReader expected(model);
  const auto begin = *key;
  const auto end = *rc::gen::oneOf(key, rc::gen::just(std::string()));
  const auto limit = *rc::gen::inRange<size_t>(1, 14);
  if (end.empty() || begin <= end) {
    RC_ASSERT(scan_rows(overlay, begin, end, limit, false) == scan_rows(expected, begin, end, limit, false));
    RC_ASSERT(scan_rows(overlay, begin, end, limit, true) == scan_rows(expected, begin, end, limit, true));
  }
  RC_ASSERT(overlay.get(begin).value() == expected.get(begin).value());

  // Applying what take() gives to the base yields the model.
  Model replayed = base_rows;
  const WriteBatch taken = overlay.take();
  for (const WriteBatch::Operation& operation : taken.operations()) {
    if (const auto* put = std::get_if<WriteBatch::Put>(&operation)) replayed[put->key] = put->value;
    if (const auto* erase = std::get_if<WriteBatch::Erase>(&operation)) replayed.erase(erase->key);
  }
  RC_ASSERT(replayed == model);
  RC_ASSERT(overlay.get(begin).value() == base.get(begin).value());
}

}  // namespace
}  // namespace dogfs
