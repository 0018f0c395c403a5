#include "sim/trace_diff.h"

#include <deque>

namespace dogfs::sim {
namespace {

constexpr size_t kLinesBefore = 12;
constexpr size_t kLinesAfter = 6;

std::optional<std::string> next_line(std::istream& in) {
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

std::vector<std::string> lines_from(std::optional<std::string> line, std::istream& in) {
  std::vector<std::string> lines;
  for (; line && lines.size() < kLinesAfter; line = next_line(in)) lines.push_back(*std::move(line));
  return lines;
}

}  // namespace

std::optional<Divergence> first_divergence(std::istream& first, std::istream& second) {
  std::deque<std::string> before;
  for (uint64_t number = 1;; ++number) {
    std::optional<std::string> one = next_line(first);
    std::optional<std::string> other = next_line(second);
    if (one != other) {
      return Divergence{number,
                        {before.begin(), before.end()},
                        lines_from(std::move(one), first),
                        lines_from(std::move(other), second)};
    }
    if (!one) return std::nullopt;
    before.push_back(*std::move(one));
    if (before.size() > kLinesBefore) before.pop_front();
  }
}

std::string describe_divergence(const Divergence& divergence, const std::string& first, const std::string& second) {
  std::string text = "The runs differ from line " + std::to_string(divergence.line) + " on. Both:\n";
  for (const std::string& line : divergence.before) text += "    " + line + "\n";
  const auto side = [&text](const std::string& name, char mark, const std::vector<std::string>& lines) {
    text += name + ":\n";
    for (const std::string& line : lines) text += std::string("  ") + mark + " " + line + "\n";
    if (lines.empty()) text += std::string("  ") + mark + " (it ends here)\n";
  };
  side(first, '-', divergence.first);
  side(second, '+', divergence.second);
  return text;
}

}  // namespace dogfs::sim
