// Paths as clients send them: absolute, components separated by one '/', each any bytes but '/' and NUL.
//
// "." and ".." are refused instead of interpreted: what they mean is up to the client's working directory, and a path
// that was resolved twice, here and there, is how servers have been tricked.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace dogfs {

class Path {
 public:
  // Views of `text`, which must outlive the result. Fails with
  //   kInvalidArgument  not absolute, an empty component, ".", ".." or a NUL
  //   kNameTooLong      a component is longer than kMaxNameBytes
  //   kPathTooDeep      longer than kMaxPathBytes, or more than kMaxPathDepth components
  // and says which component it was.
  static Result<Path> parse(std::string_view text);

  std::string_view text() const { return text_; }
  bool is_root() const { return components_.empty(); }
  std::span<const std::string_view> components() const { return components_; }
  // Precondition: not the root.
  std::string_view name() const { return components_.back(); }
  // The path of the first `count` components, for error texts.
  std::string_view prefix(size_t count) const;

 private:
  explicit Path(std::string_view text) : text_(text) {}

  std::string_view text_;
  std::vector<std::string_view> components_;
};

}  // namespace dogfs
