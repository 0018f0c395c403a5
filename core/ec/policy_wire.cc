#include "core/ec/policy_wire.h"

#include <fmt/format.h>

namespace dogfs {

Result<Geometry> geometry_from_wire(const wire::EcPolicy& policy) {
  if (policy.matrix() != kVandermondeMatrix) {
    return Error(ErrorCode::kInvalidArgument, fmt::format("erasure coding: unknown matrix {}", policy.matrix()));
  }
  const Geometry geometry{.data_shards = policy.data_shards(),
                          .parity_shards = policy.parity_shards(),
                          .cell_bytes = policy.cell_bytes(),
                          .block_bytes = policy.block_bytes()};
  DOGFS_TRYV(validate(geometry));
  return geometry;
}

wire::EcPolicy geometry_to_wire(const Geometry& geometry) {
  wire::EcPolicy policy;
  policy.set_data_shards(geometry.data_shards);
  policy.set_parity_shards(geometry.parity_shards);
  policy.set_cell_bytes(geometry.cell_bytes);
  policy.set_block_bytes(geometry.block_bytes);
  policy.set_matrix(kVandermondeMatrix);
  return policy;
}

}  // namespace dogfs
