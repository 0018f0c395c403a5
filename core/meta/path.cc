#include "core/meta/path.h"

#include <fmt/format.h>

#include "core/base/limits.h"
#include "core/base/printable.h"

namespace dogfs {
namespace {

Status validate_component(std::string_view name, std::string_view path) {
  const auto refuse = [&](std::string_view why) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("path \"{}\" {}", printable(path), why));
  };
  if (name.empty()) return refuse("has an empty component: two slashes in a row, or one at the end");
  if (name == ".") return refuse("has a component \".\"");
  if (name == "..") return refuse("has a component \"..\"");
  if (name.find('\0') != std::string_view::npos) return refuse("has a NUL byte");
  if (name.size() > kMaxNameBytes) {
    return Error(ErrorCode::kNameTooLong,
                 fmt::format("\"{}\" has {} bytes, the limit is {}", printable(name), name.size(), kMaxNameBytes));
  }
  return ok();
}

}  // namespace

Result<Path> Path::parse(std::string_view text) {
  if (text.empty()) return Error(ErrorCode::kInvalidArgument, "the path is empty");
  if (text.size() > kMaxPathBytes) {
    return Error(ErrorCode::kPathTooDeep,
                 fmt::format("the path has {} bytes, the limit is {}", text.size(), kMaxPathBytes));
  }
  if (text.front() != '/') {
    return Error(ErrorCode::kInvalidArgument, fmt::format("path \"{}\" does not begin with /", printable(text)));
  }
  Path path(text);
  if (text.size() == 1) return path;
  for (size_t begin = 1; begin <= text.size();) {
    const size_t end = std::min(text.find('/', begin), text.size());
    const std::string_view name = text.substr(begin, end - begin);
    DOGFS_TRYV(validate_component(name, text));
    if (path.components_.size() == kMaxPathDepth) {
      return Error(ErrorCode::kPathTooDeep,
                   fmt::format("path \"{}\" has more than {} components", printable(text), kMaxPathDepth));
    }
    path.components_.push_back(name);
    begin = end + 1;
  }
  return path;
}

std::string_view Path::prefix(size_t count) const {
  if (count == 0) return text_.substr(0, 1);
  const std::string_view last = components_[count - 1];
  return text_.substr(0, static_cast<size_t>(last.data() + last.size() - text_.data()));
}

}  // namespace dogfs
