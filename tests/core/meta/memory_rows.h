// A KvReader over a std::map: what the store of a metadata node holds.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>

#include "core/env/kv_store.h"

namespace dogfs {

class MemoryRows final : public KvReader {
 public:
  Result<std::optional<std::string>> get(std::string_view key) const override {
    const auto row = rows.find(key);
    if (row == rows.end()) return std::optional<std::string>();
    return std::optional<std::string>(row->second);
  }

  Status scan(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    for (auto row = rows.lower_bound(begin); row != rows.end() && (end.empty() || row->first < end); ++row) {
      if (!visit(row->first, row->second)) break;
    }
    return ok();
  }

  Status scan_backward(std::string_view begin, std::string_view end, const Visitor& visit) const override {
    auto row = end.empty() ? rows.end() : rows.lower_bound(end);
    while (row != rows.begin() && (--row)->first >= begin) {
      if (!visit(row->first, row->second)) break;
    }
    return ok();
  }

  void write(const WriteBatch& batch) {
    for (const WriteBatch::Operation& operation : batch.operations()) {
      if (const auto* put = std::get_if<WriteBatch::Put>(&operation)) rows.insert_or_assign(put->key, put->value);
      if (const auto* erase = std::get_if<WriteBatch::Erase>(&operation)) rows.erase(erase->key);
      if (const auto* range = std::get_if<WriteBatch::EraseRange>(&operation)) {
        rows.erase(rows.lower_bound(range->begin), rows.lower_bound(range->end));
      }
    }
  }

  std::map<std::string, std::string, std::less<>> rows;
};

}  // namespace dogfs
