// The line that shows how a long transfer goes: drawn over itself on a terminal, and nothing at all elsewhere.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/time.h"
#include "core/env/clock.h"

namespace dogfs::cli {

struct TransferCounts {
  uint64_t bytes = 0;
  uint64_t files = 0;
};

// The text of the line, pure: `total` with zero bytes and files where it is not known.
std::string progress_line(TransferCounts done, TransferCounts total, Duration elapsed, size_t columns);

class Progress {
 public:
  // Draws only when `enabled`, and not before a transfer has taken a moment.
  Progress(const Clock& clock, bool enabled) : clock_(clock), enabled_(enabled), started_(clock.now()) {}

  void set_total(TransferCounts total) { total_ = total; }
  void add_bytes(uint64_t bytes);
  void add_file();
  // Takes the line away, so that a message can be printed. It comes back with the next change.
  void clear();

  TransferCounts done() const { return done_; }
  Duration elapsed() const { return clock_.now() - started_; }

 private:
  void draw_if_due();

  static constexpr Duration kFirstAfter = milliseconds(500);
  static constexpr Duration kEvery = milliseconds(100);

  const Clock& clock_;
  bool enabled_;
  MonoTime started_;
  MonoTime last_drawn_{};
  bool visible_ = false;
  TransferCounts done_;
  TransferCounts total_;
};

}  // namespace dogfs::cli
