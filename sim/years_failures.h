// What fails in the course of the years, and when: each disk, server and rack by a stream of its own, so that what
// happens to one does not depend on what happened to the others, nor on what the cluster does about it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string_view>
#include <vector>

#include "sim/executor.h"
#include "sim/random.h"
#include "sim/years_fleet.h"
#include "sim/years_options.h"

namespace dogfs::sim {

class YearsFailures {
 public:
  // `before`: called before anything happens, while all is as it was. What is passed must outlive this object.
  YearsFailures(Simulator& simulator, YearsFleet& fleet, const YearsOptions& options, StreamKey key,
                std::function<void()> before);

  void begin();
  // Nothing new fails from now on. What was lost is still replaced, who is away comes back, and what is spoilt is
  // found.
  void end() { ended_ = true; }

  uint64_t rack_outages() const { return rack_outages_; }

 private:
  // One source of failures: what it strikes, and how often.
  struct Source {
    RandomStream draws;
    milliseconds mean;
    std::function<void(RandomStream&)> strike;
  };

  void add(StreamKey key, milliseconds mean, std::function<void(RandomStream&)> strike);
  void add_slot(SlotIndex slot);
  void wait_for(size_t source);
  void after(milliseconds wait, std::function<void()> what);
  void lose_server(SlotIndex slot);
  void take_away(SlotIndex slot, milliseconds length);
  void take_rack_away(uint32_t rack, RandomStream& draws);
  void spoil(SlotIndex slot, RandomStream& draws);
  void scrub(SlotIndex slot, const ShardKey& shard);
  milliseconds outage_length(RandomStream& draws) const;
  milliseconds scrub_pass() const;

  Simulator& simulator_;
  YearsFleet& fleet_;
  const YearsOptions& options_;
  StreamKey key_;
  std::function<void()> before_;
  std::vector<Source> sources_;
  std::map<SlotIndex, VirtualTime> away_until_;
  bool ended_ = false;
  uint64_t rack_outages_ = 0;
};

}  // namespace dogfs::sim
