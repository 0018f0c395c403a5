// An erasure-coding policy as it stands on a command line.
#pragma once

#include <string_view>

#include "core/base/result.h"
#include "core/wire/common.pb.h"

namespace dogfs::cli {

// "K+M" or "K+M,CELL_KIB": "6+3", "3+2,64". Blocks are as large as whole stripes allow within the default size.
// kInvalidArgument for anything else.
Result<wire::EcPolicy> parse_policy(std::string_view text);

}  // namespace dogfs::cli
