#include "runtime/cli/cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/limits.h"
#include "net/endpoint.h"
#include "runtime/text_file.h"

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
    DOGFS_TRYV(parse_address(node.value));
  }
  if (nodes.size() > kMaxRaftMembers) {
    return Error(ErrorCode::kLimitExceeded, fmt::format("more than {} metadata nodes are named", kMaxRaftMembers));
  }
  if (nodes.empty()) return Error(ErrorCode::kInvalidArgument, "no metadata node is named");
  return nodes;
}

Result<std::vector<Address>> read_cluster_file(const std::string& path) {
  DOGFS_TRY(const std::string text, read_text_file(path, kMaxClusterFileBytes));
  return parse_meta_nodes(text);
}

}  // namespace dogfs::cli
