// A list for people: its first few items, and how many more there are.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <utility>

namespace dogfs::sim {

class Few {
 public:
  // Items that are named.
  static constexpr size_t kMost = 4;

  void add(std::string what) {
    if (++count_ <= kMost) text_ += (text_.empty() ? "" : ", ") + std::move(what);
  }
  bool empty() const { return count_ == 0; }
  std::string text() const { return count_ <= kMost ? text_ : fmt::format("{} and {} more", text_, count_ - kMost); }

 private:
  size_t count_ = 0;
  std::string text_;
};

}  // namespace dogfs::sim
