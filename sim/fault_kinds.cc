#include "sim/fault_kinds.h"

#include "core/base/check.h"

namespace dogfs::sim {
namespace {

const google::protobuf::OneofDescriptor* kinds() {
  return proto::Fault::descriptor()->FindOneofByName("kind");
}

const google::protobuf::FieldDescriptor* field_of(const proto::Fault& fault) {
  const auto* field = fault.GetReflection()->GetOneofFieldDescriptor(fault, kinds());
  DOGFS_CHECK(field != nullptr);
  return field;
}

}  // namespace

size_t fault_kinds() {
  return static_cast<size_t>(kinds()->field_count());
}

std::string fault_kind_name(size_t kind) {
  return kinds()->field(static_cast<int>(kind))->name();
}

size_t fault_kind_of(const proto::Fault& fault) {
  return static_cast<size_t>(field_of(fault)->index_in_oneof());
}

size_t fault_kind_index(proto::Fault::KindCase kind) {
  const auto* field = proto::Fault::descriptor()->FindFieldByNumber(static_cast<int>(kind));
  DOGFS_CHECK(field != nullptr);
  return static_cast<size_t>(field->index_in_oneof());
}

const google::protobuf::Message& fault_kind_message(const proto::Fault& fault) {
  return fault.GetReflection()->GetMessage(fault, field_of(fault));
}

google::protobuf::Message& mutable_fault_kind_message(proto::Fault& fault) {
  return *fault.GetReflection()->MutableMessage(&fault, field_of(fault));
}

std::vector<bool> fault_kinds_in(const proto::Scenario& scenario) {
  std::vector<bool> found(fault_kinds());
  for (const proto::Fault& fault : scenario.faults()) found[fault_kind_of(fault)] = true;
  for (const proto::FaultClass& drawn : scenario.fault_classes()) found[fault_kind_of(drawn.fault())] = true;
  return found;
}

}  // namespace dogfs::sim
