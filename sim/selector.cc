#include "sim/selector.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "core/base/check.h"

namespace dogfs::sim {
namespace {

struct Selector {
  bool drawn = false;
  size_t count = 0;
  std::string_view what;
};

constexpr size_t kMaxDrawnNodes = 1000;

bool is_class(std::string_view word) {
  return word == "meta" || word == "chunk" || word == "client" || word == "all";
}

bool is_role(std::string_view word) {
  return word == "leader" || word == "followers" || word == "minority" || word == "nobody";
}

bool is_name(std::string_view word) {
  const size_t dash = word.find('-');
  if (dash == std::string_view::npos || word.substr(0, dash) == "all" || !is_class(word.substr(0, dash))) return false;
  const std::string_view number = word.substr(dash + 1);
  return !number.empty() && std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Calls `visit(word)` for each word until it returns false; whether it never did.
template <class Visit>
bool each_word(std::string_view text, Visit visit) {
  while (true) {
    const size_t space = text.find(' ');
    if (!visit(text.substr(0, space))) return false;
    if (space == std::string_view::npos) return true;
    text.remove_prefix(space + 1);
  }
}

bool are_names(std::string_view text) {
  return each_word(text, is_name);
}

bool is_one_of(std::string_view word, std::string_view words) {
  return !each_word(words, [word](std::string_view other) { return other != word; });
}

std::optional<Selector> parse(std::string_view text) {
  constexpr std::string_view kRandom = "random ";
  if (text == "random rack") return Selector{true, 1, "rack"};
  if (!text.starts_with(kRandom)) {
    if (is_class(text) || is_role(text) || are_names(text) || text == "rest") return Selector{false, 0, text};
    return std::nullopt;
  }
  Selector selector;
  selector.drawn = true;
  const std::string_view rest = text.substr(kRandom.size());
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), selector.count);
  if (error != std::errc() || selector.count == 0 || selector.count > kMaxDrawnNodes) return std::nullopt;
  const std::string_view behind = rest.substr(static_cast<size_t>(end - rest.data()));
  if (!behind.starts_with(' ') || !is_class(behind.substr(1))) return std::nullopt;
  selector.what = behind.substr(1);
  return selector;
}

constexpr size_t minority_of(size_t voters) {
  return (voters - 1) / 2;
}

std::vector<std::string> names_in_class(std::string_view word, const ClassSizes& sizes) {
  std::vector<std::string> names;
  const auto add = [&](std::string_view name, uint32_t count) {
    if (word != name && word != "all") return;
    for (uint32_t i = 1; i <= count; ++i) names.push_back(fmt::format("{}-{}", name, i));
  };
  add("meta", sizes.meta + sizes.spare_meta);
  add("chunk", sizes.chunk);
  add("client", sizes.client);
  return names;
}

std::vector<std::string> draw_some(std::vector<std::string> of, size_t count, RandomStream& draws) {
  while (of.size() > count) of.erase(of.begin() + static_cast<ptrdiff_t>(draws.below(of.size())));
  return of;
}

// Every chunk server of one rack.
std::vector<std::string> draw_rack(const ClassSizes& sizes, RandomStream& draws) {
  const uint32_t racks = std::max(sizes.racks, 1U);
  const std::vector<std::string> servers = names_in_class("chunk", sizes);
  std::vector<std::string> rack;
  for (size_t i = draws.below(racks); i < servers.size(); i += racks) rack.push_back(servers[i]);
  return rack;
}

ClassSizes sizes_of(const ClusterOptions& options) {
  return {options.meta_nodes, options.chunk_servers, options.clients, options.spare_meta_nodes, options.racks};
}

std::vector<Node*> class_of(std::string_view word, Cluster& cluster) {
  if (word == "meta") return cluster.meta_nodes();
  if (word == "chunk") return cluster.chunk_nodes();
  if (word == "client") return cluster.client_nodes();
  return cluster.all_nodes();
}

}  // namespace

Status validate_selector(std::string_view text) {
  if (!parse(text)) return Error(ErrorCode::kInvalidArgument, "no such nodes: \"" + std::string(text) + "\"");
  return ok();
}

std::string draw_selector(const std::string& text, const ClassSizes& sizes, RandomStream& draws) {
  const std::optional<Selector> selector = parse(text);
  DOGFS_CHECK(selector.has_value(), text);
  const bool minority = selector->what == "minority";
  if (!selector->drawn && !minority) return text;
  const size_t count = minority ? minority_of(sizes.meta) : selector->count;
  const std::vector<std::string> names =
      selector->what == "rack" ? draw_rack(sizes, draws)
                               : draw_some(names_in_class(minority ? "meta" : selector->what, sizes), count, draws);
  return names.empty() ? "nobody" : fmt::format("{}", fmt::join(names, " "));
}

std::vector<Node*> rest_of(Cluster& cluster, const std::vector<Node*>& others) {
  std::vector<Node*> rest = cluster.all_nodes();
  std::erase_if(rest, [&others](Node* node) { return std::find(others.begin(), others.end(), node) != others.end(); });
  return rest;
}

std::vector<Node*> select_nodes(std::string_view text, Cluster& cluster, RandomStream& draws) {
  const std::optional<Selector> selector = parse(text);
  DOGFS_CHECK(selector && selector->what != "rest", text);
  if (selector->drawn || selector->what == "minority") {
    return select_nodes(draw_selector(std::string(text), sizes_of(cluster.options()), draws), cluster, draws);
  }
  if (is_class(selector->what)) return class_of(selector->what, cluster);
  const Node* leader = cluster.leader();
  std::vector<Node*> selected = cluster.all_nodes();
  std::erase_if(selected, [&](const Node* node) {
    if (selector->what == "leader") return node != leader;
    if (selector->what == "followers") return node == leader || !node->name().starts_with("meta-");
    return !is_one_of(node->name(), selector->what);
  });
  return selected;
}

}  // namespace dogfs::sim
