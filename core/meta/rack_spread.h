// How the shards of a block lie in the racks. A block bears the loss of m shards: a rack with more of them is one whose loss
// is a loss of data, and the block is *crowded* there. A move to another rack helps if no rack has as many then.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/base/ids.h"
#include "core/wire/state.pb.h"

namespace dogfs {

class RackSpread {
 public:
  // Of a committed block, or of one that is being written: each shard counts where it is, or is to be when what is under
  // way is done. `rack_of(ServerId)` gives a `const std::string*`, null for a server that is not known.
  template <class RackOf>
  RackSpread(const wire::BlockRow& block, RackOf rack_of) : parity_(block.policy().parity_shards()) {
    for (const auto& [index, server] : places_of(block)) {
      const std::string* rack = rack_of(server);
      if (rack != nullptr) ++shards_[*rack];
    }
  }

  // As it lies among `servers`, which have a `rack` each.
  template <class Server>
  static RackSpread of(const wire::BlockRow& block, const std::map<ServerId, Server>& servers) {
    return {block, [&servers](ServerId id) {
              const auto found = servers.find(id);
              return found == servers.end() ? nullptr : &found->second.rack;
            }};
  }

  uint32_t in(const std::string& rack) const;
  // The rack that has most shards of the block, if it has more than m; else null. Lives as long as this object.
  const std::string* crowded() const;
  // Whether one shard that goes from one rack to another leaves neither with as many as the first has now.
  bool spreads(const std::string& from, const std::string& to) const;
  // Whether `rack` can have one more, of another rack, and lose no block.
  bool has_place_in(const std::string& rack) const { return in(rack) < parity_; }

 private:
  static std::map<uint32_t, ServerId> places_of(const wire::BlockRow& block);

  uint32_t parity_;
  std::map<std::string, uint32_t> shards_;  // by rack
};

}  // namespace dogfs
