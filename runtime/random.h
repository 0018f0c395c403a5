// The Random port, seeded by the operating system. Not for secrets.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/env/random.h"

namespace dogfs {

class SystemRandom final : public Random {
 public:
  SystemRandom();

  uint64_t draw(std::string_view stream) override;

 private:
  uint64_t seed_;
  // How often each stream was drawn from. Streams are few: their names are fixed in the code.
  std::map<std::string, uint64_t, std::less<>> drawn_;
};

}  // namespace dogfs
