#include "sim/selector.h"

#include <algorithm>
#include <charconv>
#include <optional>

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
  return word == "leader" || word == "followers" || word == "minority";
}

bool is_name(std::string_view word) {
  const size_t dash = word.find('-');
  if (dash == std::string_view::npos || word.substr(0, dash) == "all" || !is_class(word.substr(0, dash))) return false;
  const std::string_view number = word.substr(dash + 1);
  return !number.empty() && std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::optional<Selector> parse(std::string_view text) {
  constexpr std::string_view kRandom = "random ";
  if (!text.starts_with(kRandom)) {
    if (is_class(text) || is_role(text) || is_name(text) || text == "rest") return Selector{false, 0, text};
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

std::vector<Node*> draw_nodes(std::vector<Node*> nodes, size_t count, RandomStream& draws) {
  while (nodes.size() > count) nodes.erase(nodes.begin() + static_cast<ptrdiff_t>(draws.below(nodes.size())));
  return nodes;
}

std::vector<Node*> rest_of(Cluster& cluster, const std::vector<Node*>& others) {
  std::vector<Node*> rest = cluster.all_nodes();
  std::erase_if(rest, [&others](Node* node) { return std::find(others.begin(), others.end(), node) != others.end(); });
  return rest;
}

std::vector<Node*> select_nodes(std::string_view text, Cluster& cluster, RandomStream& draws) {
  const std::optional<Selector> selector = parse(text);
  DOGFS_CHECK(selector && selector->what != "rest", text);
  if (selector->drawn) return draw_nodes(class_of(selector->what, cluster), selector->count, draws);
  if (is_class(selector->what)) return class_of(selector->what, cluster);
  if (selector->what == "minority") {
    return draw_nodes(cluster.meta_nodes(), (cluster.meta_nodes().size() - 1) / 2, draws);
  }
  const Node* leader = cluster.leader();
  std::vector<Node*> selected = cluster.all_nodes();
  std::erase_if(selected, [&](const Node* node) {
    if (selector->what == "leader") return node != leader;
    if (selector->what == "followers") return node == leader || !node->name().starts_with("meta-");
    return node->name() != selector->what;
  });
  return selected;
}

}  // namespace dogfs::sim
