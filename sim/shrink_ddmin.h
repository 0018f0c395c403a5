// Delta debugging: the smallest part of a list that still fails (Zeller and Hildebrandt, "Simplifying and Isolating
// Failure-Inducing Input", IEEE TSE 2002, algorithm ddmin).
//
// The list is cut into n chunks. If one chunk alone fails, or all but one do, that becomes the list; else the chunks
// are halved. When every chunk is one item and none can be left out, the list is 1-minimal: no single item can go.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

namespace dogfs::sim {

// What ddmin tries for `items` cut into `chunks`: each chunk alone, then all but each. (Of two chunks the complements
// are the chunks again.)
template <class T>
std::vector<std::vector<T>> ddmin_candidates(const std::vector<T>& items, size_t chunks) {
  std::vector<std::vector<T>> candidates;
  const auto bound = [&](size_t chunk) {
    return items.begin() + static_cast<ptrdiff_t>(chunk * items.size() / chunks);
  };
  for (size_t chunk = 0; chunk < chunks; ++chunk) candidates.emplace_back(bound(chunk), bound(chunk + 1));
  for (size_t chunk = 0; chunks > 2 && chunk < chunks; ++chunk) {
    std::vector<T> rest(items.begin(), bound(chunk));
    rest.insert(rest.end(), bound(chunk + 1), items.end());
    candidates.push_back(std::move(rest));
  }
  return candidates;
}

// A 1-minimal part of `items`, in their order. `first_failing(candidates)` tells the first of some lists that fails, if
// one does; it may try several at once. Precondition: `items` fails. When the empty list fails too, that is the answer.
template <class T, class FirstFailing>
std::vector<T> ddmin(std::vector<T> items, FirstFailing first_failing) {
  if (items.empty() || first_failing(std::vector<std::vector<T>>(1))) return {};
  size_t chunks = 2;
  while (items.size() >= 2) {
    const std::vector<std::vector<T>> candidates = ddmin_candidates(items, chunks);
    if (const std::optional<size_t> failing = first_failing(candidates)) {
      items = candidates[*failing];
      chunks = *failing < chunks ? 2 : std::max<size_t>(chunks - 1, 2);
    } else if (chunks == items.size()) {
      break;
    } else {
      chunks = std::min(2 * chunks, items.size());
    }
  }
  return items;
}

}  // namespace dogfs::sim
