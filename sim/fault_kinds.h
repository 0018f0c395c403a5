// The kinds of faults, as sim/scenario.proto lists them in Fault.kind: numbered and named, so that they can be counted.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sim/scenario.pb.h"

namespace dogfs::sim {

// How many there are.
size_t fault_kinds();
// "bit_rot". Precondition: kind < fault_kinds().
std::string fault_kind_name(size_t kind);
// Precondition: the fault has a kind.
size_t fault_kind_of(const proto::Fault& fault);
// As `fault_kind_of` a fault of it.
size_t fault_kind_index(proto::Fault::KindCase kind);
// The message of its kind, for what is the same in all of them: every string there is a selector. Precondition: as above.
const google::protobuf::Message& fault_kind_message(const proto::Fault& fault);
google::protobuf::Message& mutable_fault_kind_message(proto::Fault& fault);
// Which kinds the faults and fault classes of `scenario` are of.
std::vector<bool> fault_kinds_in(const proto::Scenario& scenario);

}  // namespace dogfs::sim
