// Paths: what is accepted keeps the limits and is made of its own components.
#include "core/meta/path.h"

#include "core/base/check.h"
#include "core/base/limits.h"
#include "fuzz/input.h"

namespace dogfs::fuzz {
namespace {

void run(std::string_view text) {
  const Result<Path> parsed = Path::parse(text);
  if (!parsed) return;
  const Path& path = parsed.value();
  DOGFS_CHECK(text.size() <= kMaxPathBytes && path.components().size() <= kMaxPathDepth);
  std::string joined;
  for (size_t i = 0; i < path.components().size(); ++i) {
    const std::string_view name = path.components()[i];
    DOGFS_CHECK(!name.empty() && name.size() <= kMaxNameBytes && name != "." && name != "..");
    DOGFS_CHECK(name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos);
    joined += "/";
    joined += name;
    DOGFS_CHECK(path.prefix(i + 1) == joined, "a prefix is the path of its components");
  }
  DOGFS_CHECK(path.is_root() ? text == "/" : text == joined, "a path is the path of its components");
}

}  // namespace
}  // namespace dogfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  dogfs::fuzz::run(dogfs::fuzz::Input(data, size).rest());
  return 0;
}
