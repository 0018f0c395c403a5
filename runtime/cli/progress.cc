#include "runtime/cli/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "runtime/cli/units.h"

namespace dogfs::cli {
namespace {

size_t terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string bar(uint64_t done, uint64_t total, size_t width) {
  const size_t full = static_cast<size_t>(static_cast<double>(width) * static_cast<double>(done) /
                                          static_cast<double>(std::max<uint64_t>(total, 1)));
  std::string text(std::min(full, width), '=');
  if (text.size() < width) text += '>';
  text.resize(width, ' ');
  return "[" + text + "]";
}

}  // namespace

std::string progress_line(TransferCounts done, TransferCounts total, Duration elapsed, size_t columns) {
  const double taken = std::chrono::duration<double>(elapsed).count();
  const double rate = taken > 0 ? static_cast<double>(done.bytes) / taken : 0;
  std::string text = human_bytes(done.bytes);
  if (total.bytes > 0) text += "/" + human_bytes(total.bytes);
  if (total.files > 1) {
    text += fmt::format("  {}/{} files", done.files, total.files);
  } else if (total.files == 0) {
    text += fmt::format("  {} files", done.files);
  }
  text += fmt::format("  {}/s", human_bytes(static_cast<uint64_t>(rate)));
  if (total.bytes > 0) {
    const uint64_t left = total.bytes - std::min(done.bytes, total.bytes);
    if (rate > 0)
      text += "  " + format_duration(Duration(static_cast<int64_t>(static_cast<double>(left) / rate * 1e9)));
    const uint64_t percent = std::min<uint64_t>(100, done.bytes * 100 / total.bytes);
    const std::string head = fmt::format("{:3}% ", percent);
    const size_t used = head.size() + text.size() + 4;
    if (columns > used + 10) text = bar(done.bytes, total.bytes, std::min<size_t>(columns - used, 40)) + " " + text;
    text = head + text;
  }
  return text.substr(0, columns > 0 ? columns - 1 : 0);
}

void Progress::add_bytes(uint64_t bytes) {
  done_.bytes += bytes;
  draw_if_due();
}

void Progress::add_file() {
  ++done_.files;
  draw_if_due();
}

void Progress::clear() {
  if (!visible_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  visible_ = false;
}

void Progress::draw_if_due() {
  if (!enabled_ || elapsed() < kFirstAfter || clock_.now() - last_drawn_ < kEvery) return;
  last_drawn_ = clock_.now();
  visible_ = true;
  const std::string line = progress_line(done_, total_, elapsed(), terminal_columns());
  std::fprintf(stderr, "\r%s\033[K", line.c_str());
  std::fflush(stderr);
}

}  // namespace dogfs::cli
