// Paths in DogFS as a user types them. The cluster checks paths itself and has the last word; this only brings them to
// the form that it takes, and says early what can never be one.
#pragma once

#include <string>
#include <string_view>

#include "core/base/result.h"

namespace dogfs::cli {

// "/a/b" for "/a//b/" and "/a/./b". kInvalidArgument unless it begins with a slash, and for "..": what it means
// depends on who looks, so it is never guessed.
Result<std::string> parse_path(std::string_view text);

// The path of `name` in `directory`, in either file system.
std::string join_path(std::string_view directory, std::string_view name);
// "b" for "/a/b"; empty for "/".
std::string_view base_name(std::string_view path);
// "/a" for "/a/b", "/" for "/a".
std::string_view parent_path(std::string_view path);

// Whether `path` is `directory`, or below it.
bool is_within(std::string_view path, std::string_view directory);

// Whether a name that came from the cluster may be used for a local file: one that leads elsewhere may not.
bool is_safe_local_name(std::string_view name);

}  // namespace dogfs::cli
