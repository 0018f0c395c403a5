// What an operator is told of a balancing.
#pragma once

#include <string>

#include "core/wire/meta.pb.h"

namespace dogfs::cli {

std::string describe_balancing(const wire::BalanceReply& reply);

}  // namespace dogfs::cli
