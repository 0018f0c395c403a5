// Geometry as it travels: a wire::EcPolicy.
#pragma once

#include "core/base/result.h"
#include "core/ec/geometry.h"
#include "core/wire/common.pb.h"

namespace dogfs {

// The only generator matrix there is: Jerasure's reed_sol_vandermonde_coding_matrix(k, m, 8), GF(2^8) mod 0x11d.
inline constexpr uint32_t kVandermondeMatrix = 1;

// The valid geometry that `policy` names; kInvalidArgument otherwise, and for an unknown matrix.
Result<Geometry> geometry_from_wire(const wire::EcPolicy& policy);
wire::EcPolicy geometry_to_wire(const Geometry& geometry);

}  // namespace dogfs
