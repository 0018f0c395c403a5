#include "sim/failure_kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

namespace dogfs::sim {
namespace {

constexpr std::string_view kProcess = "process";
constexpr std::string_view kSeparator = ": ";

// How many parts of an oracle's text, between colons, tell what is wrong.
size_t telling_parts(std::string_view oracle) {
  if (oracle == "availability" || oracle == "latency" || oracle == "heal") return 0;
  return oracle == "linearizability" ? 1 : 2;
}

// The text without what stands in brackets or quotation marks, up to the end where one is left open.
std::string without_quotations(std::string_view text) {
  constexpr std::string_view kOpening = "([{\"";
  constexpr std::string_view kClosing = ")]}\"";
  std::string rest;
  std::string open;  // what is to close, innermost last
  for (const char c : text) {
    const size_t opens = kOpening.find(c);
    if (!open.empty() && c == open.back()) {
      open.pop_back();
    } else if (opens != std::string_view::npos) {
      open.push_back(kClosing[opens]);
    } else if (open.empty()) {
      rest.push_back(c);
    }
  }
  return rest;
}

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '\''; });
}

// Its words in small letters; "#" for whatever else stands between them. Empty where there are none.
std::string shape_of(std::string_view part) {
  std::string shape;
  bool has_words = false;
  while (!part.empty()) {
    const size_t space = std::min(part.find(' '), part.size());
    std::string_view token = part.substr(0, space);
    part.remove_prefix(std::min(space + 1, part.size()));
    while (!token.empty() && (token.back() == ',' || token.back() == ';' || token.back() == '.')) {
      token.remove_suffix(1);
    }
    if (token.empty()) continue;
    const bool word = is_word(token);
    if (!word && shape.ends_with('#')) continue;
    has_words = has_words || word;
    if (!shape.empty()) shape += ' ';
    shape += word ? token : "#";
  }
  return has_words ? shape : "";
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

// What follows `mark` in the line that has it.
std::optional<std::string_view> rest_behind(std::string_view log, std::string_view mark) {
  const size_t at = log.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  return first_line(log.substr(at + mark.size()));
}

// What stands before `mark` in the line that has it. Precondition: one has.
std::string_view front_before(std::string_view log, std::string_view mark) {
  const std::string_view front = log.substr(0, log.find(mark));
  return front.substr(front.rfind('\n') + 1);
}

}  // namespace

std::string failure_kind(const std::string& failure) {
  const std::string_view line = first_line(failure);
  const std::string_view oracle = line.substr(0, line.find(':'));
  std::string kind(oracle);
  if (oracle.size() == line.size()) return kind;
  const std::string_view text = line.substr(std::min(oracle.size() + kSeparator.size(), line.size()));
  if (oracle == kProcess) return kind + ": " + std::string(text.substr(0, text.find(kSeparator)));
  const std::string plain = without_quotations(text);
  size_t wanted = telling_parts(oracle);
  for (std::string_view rest = plain; wanted > 0 && !rest.empty();) {
    const size_t end = std::min(rest.find(kSeparator), rest.size());
    const std::string shape = shape_of(rest.substr(0, end));
    rest.remove_prefix(std::min(end + kSeparator.size(), rest.size()));
    if (shape.empty()) continue;
    kind += ": " + shape;
    --wanted;
  }
  return kind;
}

std::string process_failure(const std::string& log, int signal) {
  constexpr std::string_view kCheck = ": invariant broken: ";
  constexpr std::string_view kUndefined = ": runtime error: ";
  constexpr std::string_view kAddress = "ERROR: AddressSanitizer: ";
  if (const auto condition = rest_behind(log, kCheck)) {
    return fmt::format("process: invariant broken at {}: {}", front_before(log, kCheck), *condition);
  }
  if (const auto what = rest_behind(log, kUndefined)) {
    return fmt::format("process: undefined behaviour at {}: {}", front_before(log, kUndefined), *what);
  }
  if (const auto what = rest_behind(log, kAddress)) {
    return fmt::format("process: {}: {}", what->substr(0, what->find(' ')), *what);
  }
  return fmt::format("process: ended by signal {}", signal);
}

}  // namespace dogfs::sim
