// Where the metadata nodes of a cluster are, as a user gives it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/env/transport.h"

namespace dogfs::cli {

// The metadata nodes by what the user gave: a list "a:1,b:2", or a file with such lists ('#' begins a comment), as
// `dogfsd dev` writes it. kInvalidArgument when there is none.
Result<std::vector<Address>> parse_meta_nodes(std::string_view text);
Result<std::vector<Address>> read_cluster_file(const std::string& path);

}  // namespace dogfs::cli
