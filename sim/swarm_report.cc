#include "sim/swarm_report.h"

#include <google/protobuf/util/json_util.h>

#include "core/base/coverage_mark.h"

namespace dogfs::sim {
namespace {

void add_totals(const SwarmResult& result, proto::SwarmReport& report) {
  report.set_runs(result.runs);
  report.set_failed(result.failures.size());
  report.set_events(result.events);
  report.set_virtual_ms(result.virtual_ms);
  report.set_operations(result.operations);
  report.set_failed_operations(result.failed_operations);
  report.set_wall_ms(result.wall_ms);
  report.set_cpu_ms(result.cpu_ms);
  for (const ScenarioRuns& runs : result.scenarios) {
    proto::SwarmReport::ScenarioRuns& out = *report.add_scenarios();
    out.set_scenario(runs.scenario);
    out.set_runs(runs.runs);
    out.set_failed(runs.failed);
  }
}

void add_coverage(const Coverage& coverage, const std::vector<bool>& expected, proto::SwarmReport& report) {
  for (size_t kind = 0; kind < fault_kinds(); ++kind) {
    proto::SwarmReport::FaultKind& out = *report.add_faults();
    out.set_kind(fault_kind_name(kind));
    out.set_struck(coverage.faults[kind]);
    out.set_expected(expected[kind]);
  }
  for (size_t harm = 0; harm < kHarms; ++harm) {
    proto::SwarmReport::Harm& out = *report.add_harms();
    out.set_name(harm_name(static_cast<Harm>(harm)));
    out.set_struck(coverage.harms[harm]);
  }
  report.set_has_marks(kCoverageMarksCompiledIn);
  for (const auto& [text, passed] : mark_counts(coverage)) {
    proto::SwarmReport::Mark& out = *report.add_marks();
    out.set_text(text);
    out.set_passed(passed);
  }
}

void add_failures(const SwarmResult& result, const std::string& mutant, proto::SwarmReport& report) {
  for (const SwarmFailure& failure : result.failures) {
    proto::SwarmReport::Failure& out = *report.add_failures();
    out.set_scenario(failure.scenario);
    out.set_seed(failure.seed);
    out.set_what(failure.what);
    out.set_command(reproduce_command(failure.scenario, failure.seed, mutant));
  }
}

}  // namespace

proto::SwarmReport swarm_report(const SwarmResult& result, const std::vector<bool>& expected,
                                const std::string& mutant) {
  proto::SwarmReport report;
  add_totals(result, report);
  add_coverage(result.coverage, expected, report);
  add_failures(result, mutant, report);
  return report;
}

Result<std::string> report_json(const proto::SwarmReport& report) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(report, &text, options);
  if (!printed.ok()) return Error(ErrorCode::kInternal, "no JSON of the report: " + printed.ToString());
  return text;
}

}  // namespace dogfs::sim
