#include "sim/random.h"

#include "core/base/check.h"

namespace dogfs::sim {

Duration RandomStream::between(Duration low, Duration high) {
  DOGFS_CHECK(Duration::zero() <= low && low <= high);
  return Duration(
      static_cast<int64_t>(between(static_cast<uint64_t>(low.count()), static_cast<uint64_t>(high.count()))));
}

uint64_t SimRandom::draw(std::string_view stream) {
  auto found = streams_.find(stream);
  if (found == streams_.end()) {
    found = streams_.emplace(std::string(stream), RandomStream(node_.with(stream))).first;
  }
  return found->second.next();
}

}  // namespace dogfs::sim
