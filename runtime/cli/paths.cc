#include "runtime/cli/paths.h"

namespace dogfs::cli {

Result<std::string> parse_path(std::string_view text) {
  if (!text.starts_with('/')) return Error(ErrorCode::kInvalidArgument, "a path in DogFS begins with /");
  std::string path;
  while (!text.empty()) {
    text.remove_prefix(1);
    const std::string_view name = text.substr(0, text.find('/'));
    text.remove_prefix(name.size());
    if (name == "..") return Error(ErrorCode::kInvalidArgument, "a path in DogFS may not contain '..'");
    if (!name.empty() && name != ".") path.append("/").append(name);
  }
  return path.empty() ? std::string("/") : path;
}

std::string join_path(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.ends_with('/')) path += '/';
  return path.append(name);
}

std::string_view base_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return path.substr(path.rfind('/') + 1);
}

std::string_view parent_path(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string_view::npos ? std::string_view("/") : path.substr(0, slash);
}

bool is_within(std::string_view path, std::string_view directory) {
  if (directory == "/") return true;
  return path.starts_with(directory) && (path.size() == directory.size() || path[directory.size()] == '/');
}

bool is_safe_local_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         name.find('\0') == std::string_view::npos;
}

}  // namespace dogfs::cli
