#include "runtime/cli/policy.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "core/ec/geometry.h"
#include "core/ec/policy_wire.h"

namespace dogfs::cli {
namespace {

// Takes a number off the front of `text`.
template <class Number>
bool take_number(std::string_view& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

bool take_char(std::string_view& text, char wanted) {
  if (!text.starts_with(wanted)) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Result<wire::EcPolicy> parse_policy(std::string_view text) {
  Geometry geometry = kDefaultGeometry;
  std::string_view rest = text;
  bool valid =
      take_number(rest, geometry.data_shards) && take_char(rest, '+') && take_number(rest, geometry.parity_shards);
  if (valid && !rest.empty()) {
    uint32_t cell_kib = 0;
    valid = take_char(rest, ',') && take_number(rest, cell_kib) && rest.empty();
    geometry.cell_bytes = cell_kib * kKiB;
  }
  if (!valid) return Error(ErrorCode::kInvalidArgument, "not K+M or K+M,CELL_KIB: " + std::string(text));
  if (geometry.stripe_bytes() > 0) {
    const uint64_t stripes = std::max<uint64_t>(1, kDefaultGeometry.block_bytes / geometry.stripe_bytes());
    geometry.block_bytes = stripes * geometry.stripe_bytes();
  }
  DOGFS_TRYV(validate(geometry));
  return geometry_to_wire(geometry);
}

}  // namespace dogfs::cli
