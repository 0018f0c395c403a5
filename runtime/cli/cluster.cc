#include "runtime/cli/cluster.h"

#include <algorithm>
#include <fstream>
#include <iterator>

namespace dogfs::cli {

Result<std::vector<Address>> parse_meta_nodes(std::string_view text) {
  std::vector<Address> nodes;
  while (!text.empty()) {
    if (text.front() == '#') {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
      continue;
    }
    const size_t length = std::min(text.find_first_of(", \t\r\n#"), text.size());
    if (length > 0) nodes.push_back(Address{std::string(text.substr(0, length))});
    text.remove_prefix(length > 0 ? length : 1);
  }
  for (const Address& node : nodes) {
    if (node.value.find(':') == std::string::npos) {
      return Error(ErrorCode::kInvalidArgument, "not host:port: " + node.value);
    }
  }
  if (nodes.empty()) return Error(ErrorCode::kInvalidArgument, "no metadata node is named");
  return nodes;
}

Result<std::vector<Address>> read_cluster_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error(ErrorCode::kNotFound);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return parse_meta_nodes(text);
}

}  // namespace dogfs::cli
