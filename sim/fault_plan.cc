#include "sim/fault_plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "sim/fault_kinds.h"
#include "sim/random.h"
#include "sim/selector.h"

namespace dogfs::sim {
namespace {

// Draws what the selectors of the fault's kind leave to chance: every string in it is one.
void draw_selectors(PlannedFault& planned, const ClassSizes& sizes) {
  using google::protobuf::FieldDescriptor;
  RandomStream draws(StreamKey(planned.stream).with("nodes"));
  google::protobuf::Message& message = mutable_fault_kind_message(planned.fault);
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) continue;
    const std::string selector = message.GetReflection()->GetString(message, field);
    message.GetReflection()->SetString(&message, field, draw_selector(selector, sizes, draws));
  }
}

void draw_class(const proto::FaultClass& drawn, StreamKey key, uint32_t work_ms, std::vector<PlannedFault>& planned) {
  RandomStream draws(key);
  uint64_t at = draws.below(2ULL * drawn.mean_interval_ms());
  for (uint64_t n = 0; at < work_ms; ++n) {
    PlannedFault fault{drawn.fault(), key.with(n).value()};
    fault.fault.set_at_ms(static_cast<uint32_t>(at));
    fault.fault.set_for_ms(static_cast<uint32_t>(draws.between(drawn.for_min_ms(), drawn.for_max_ms())));
    if (drawn.one_at_a_time()) at += fault.fault.for_ms();
    planned.push_back(std::move(fault));
    at += 1 + draws.below(2ULL * drawn.mean_interval_ms());
  }
}

}  // namespace

std::vector<PlannedFault> plan_faults(const proto::Scenario& scenario, uint64_t seed) {
  const StreamKey key = StreamKey(seed).with("faults");
  std::vector<PlannedFault> planned;
  for (int i = 0; i < scenario.faults_size(); ++i) {
    const uint64_t stream = scenario.faults(i).stream();
    planned.push_back(
        {scenario.faults(i), stream != 0 ? stream : key.with("own").with(static_cast<uint64_t>(i)).value()});
  }
  for (int i = 0; i < scenario.fault_classes_size(); ++i) {
    draw_class(scenario.fault_classes(i), key.with("class").with(static_cast<uint64_t>(i)), scenario.work().for_ms(),
               planned);
  }
  const ClassSizes sizes{scenario.meta_nodes(), scenario.chunk_servers(), scenario.clients(),
                         scenario.spare_meta_nodes(), scenario.racks()};
  for (PlannedFault& fault : planned) draw_selectors(fault, sizes);
  std::sort(planned.begin(), planned.end(), [](const PlannedFault& a, const PlannedFault& b) {
    return std::tuple(a.fault.at_ms(), a.stream) < std::tuple(b.fault.at_ms(), b.stream);
  });
  return planned;
}

proto::Scenario with_explicit_faults(const proto::Scenario& scenario, uint64_t seed) {
  proto::Scenario result = scenario;
  result.clear_faults();
  result.clear_fault_classes();
  for (const PlannedFault& planned : plan_faults(scenario, seed)) {
    proto::Fault& fault = *result.add_faults();
    fault = planned.fault;
    fault.set_stream(planned.stream);
  }
  return result;
}

}  // namespace dogfs::sim
