#include "sim/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/base/check.h"
#include "core/base/coverage_mark.h"

namespace dogfs::sim {
namespace {

void add_each(std::vector<uint64_t>& sums, const std::vector<uint64_t>& more) {
  DOGFS_CHECK(sums.size() == more.size());
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += more[i];
}

std::string count_line(uint64_t count, const std::string& what) {
  return fmt::format("  {:>12}  {}\n", count, what);
}

std::string marks_text(const Coverage& coverage) {
  if (!kCoverageMarksCompiledIn) {
    return "No coverage marks: they are not compiled into this build (the presets debug and mutants have them).\n";
  }
  std::string text = "Coverage marks passed:\n";
  std::string never;
  for (const auto& [mark, count] : mark_counts(coverage)) {
    if (count > 0) text += count_line(count, mark);
    if (count == 0) never += "  " + mark + "\n";
  }
  return text + (never.empty() ? "Every mark was passed.\n" : "Marks that were NEVER passed:\n" + never);
}

std::string harms_text(const Coverage& coverage) {
  std::string text = "Harms that came to pass:\n";
  for (size_t harm = 0; harm < kHarms; ++harm) {
    const std::string name = harm_name(static_cast<Harm>(harm));
    text += coverage.harms[harm] > 0 ? count_line(coverage.harms[harm], name) : "  NEVER: " + name + "\n";
  }
  return text;
}

}  // namespace

void Coverage::add(const Coverage& other) {
  add_each(faults, other.faults);
  add_each(harms, other.harms);
  if (marks.empty()) marks.resize(other.marks.size());
  add_each(marks, other.marks);
}

std::vector<uint64_t> take_mark_hits() {
  std::vector<uint64_t> hits;
  for (CoverageMark& mark : coverage_marks()) hits.push_back(std::exchange(mark.hits, 0));
  return hits;
}

std::map<std::string, uint64_t> mark_counts(const Coverage& coverage) {
  std::map<std::string, uint64_t> counts;
  for (size_t i = 0; i < coverage.marks.size(); ++i) counts[coverage_marks()[i].text] += coverage.marks[i];
  return counts;
}

std::vector<std::string> kinds_that_never_struck(const Coverage& coverage, const std::vector<bool>& expected) {
  std::vector<std::string> names;
  for (size_t kind = 0; kind < fault_kinds(); ++kind) {
    if (expected[kind] && coverage.faults[kind] == 0) names.push_back(fault_kind_name(kind));
  }
  return names;
}

std::vector<std::string> kinds_in_no_scenario(const std::vector<bool>& expected) {
  std::vector<std::string> names;
  for (size_t kind = 0; kind < fault_kinds(); ++kind) {
    if (!expected[kind]) names.push_back(fault_kind_name(kind));
  }
  return names;
}

std::string coverage_text(const Coverage& coverage, const std::vector<bool>& expected) {
  std::string text = "Faults that struck:\n";
  for (size_t kind = 0; kind < fault_kinds(); ++kind) {
    if (coverage.faults[kind] > 0) text += count_line(coverage.faults[kind], fault_kind_name(kind));
  }
  for (const std::string& name : kinds_that_never_struck(coverage, expected)) text += "  NEVER: " + name + "\n";
  for (const std::string& name : kinds_in_no_scenario(expected)) text += "  in none of these scenarios: " + name + "\n";
  return text + harms_text(coverage) + marks_text(coverage);
}

const std::vector<UnreachableMark>& unreachable_marks() {
  static const std::vector<UnreachableMark> marks = {};
  return marks;
}

std::vector<std::string> coverage_gaps(const Coverage& coverage, const std::vector<UnreachableMark>& unreachable) {
  std::vector<std::string> gaps;
  for (size_t harm = 0; harm < kHarms; ++harm) {
    if (coverage.harms[harm] == 0) gaps.push_back("never struck: " + harm_name(static_cast<Harm>(harm)));
  }
  const std::map<std::string, uint64_t> marks = mark_counts(coverage);
  for (const auto& [text, passed] : marks) {
    const bool excused = std::ranges::find(unreachable, text, &UnreachableMark::text) != unreachable.end();
    if (passed == 0 && !excused) gaps.push_back("never passed: " + text);
    if (passed > 0 && excused) gaps.push_back("passed, and said to be unreachable: " + text);
  }
  for (const UnreachableMark& mark : unreachable) {
    if (!marks.empty() && !marks.contains(mark.text))
      gaps.push_back("said to be unreachable, and no mark: " + mark.text);
  }
  return gaps;
}

}  // namespace dogfs::sim
