#include "runtime/random.h"

#include <sys/random.h>

#include "core/base/check.h"
#include "core/base/hash.h"

namespace dogfs {

SystemRandom::SystemRandom() {
  DOGFS_CHECK(::getrandom(&seed_, sizeof(seed_), 0) == sizeof(seed_), "the system gives no randomness");
}

uint64_t SystemRandom::draw(std::string_view stream) {
  auto counter = drawn_.find(stream);
  if (counter == drawn_.end()) counter = drawn_.emplace(stream, 0).first;
  return combine64(combine64(seed_, hash64(stream)), ++counter->second);
}

}  // namespace dogfs
