// What happened in a run, as a digest and, on request, as lines for a person.
//
// Log lines from kInfo up, messages and faults are part of the digest whether they are printed or not, so that tracing
// a run does not change it.
#pragma once

#include <fmt/format.h>

#include <ostream>
#include <string>
#include <string_view>

#include "core/env/log.h"
#include "sim/executor.h"

namespace dogfs::sim {

class Trace {
 public:
  // `out` may be null: nothing is printed.
  Trace(Simulator& simulator, std::ostream* out) : simulator_(simulator), out_(out) {}

  bool printing() const { return out_ != nullptr; }
  void note(uint64_t what) { simulator_.note(what); }
  // Notes the text, and prints it with the time and `who`.
  void line(std::string_view who, std::string_view text);
  // Keeps it for pictures, if there is a recording.
  void record(std::string_view who, LogLevel level, std::string_view text);
  // Only prints it. Callers that have to format the text ask printing() first.
  void print(std::string_view who, std::string_view text);

 private:
  Simulator& simulator_;
  std::ostream* out_;
};

// The Log port of one node.
class SimLog final : public Log {
 public:
  SimLog(Trace& trace, std::string who) : trace_(trace), who_(std::move(who)) {}
  bool enabled(LogLevel level) const override { return level >= LogLevel::kInfo || trace_.printing(); }
  void write(LogLevel level, std::string_view component, std::string_view text) override;

 private:
  Trace& trace_;
  std::string who_;
};

}  // namespace dogfs::sim
