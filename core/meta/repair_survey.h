// How repair gets on: what is to be rebuilt or moved, in all and by the server that it is to leave, and why shards of it
// are not. Put together of the outlooks that the rounds of planning have anyway, in passes over the index of risks, so
// that no request ever scans it; as old as the last full pass, and soft. From pass to pass it is seen how fast they become
// fewer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "core/base/ids.h"
#include "core/base/time.h"
#include "core/meta/progress_rate.h"
#include "core/meta/repair_planner.h"
#include "core/wire/common.pb.h"

namespace dogfs {

class RepairSurvey {
 public:
  struct Held {
    uint64_t shards = 0;
    BlockId block;  // of the first
    bool operator==(const Held&) const = default;
  };
  struct Shards {
    uint64_t to_go = 0;  // held up or not
    std::map<wire::RepairHindrance::Reason, Held> held;
    bool operator==(const Shards&) const = default;

    // Under way, or waiting only for others to be done.
    uint64_t in_turn() const;
    // There are some, and none that anything but another server, or an operator, would help.
    bool are_stuck() const;
    void add(const RepairOutlook& outlook);
    // `Message` has shards_to_go and hindrances.
    template <class Message>
    void fill(Message& message) const {
      message.set_shards_to_go(to_go);
      for (const auto& [reason, shards] : held) {
        wire::RepairHindrance& hindrance = *message.add_hindrances();
        hindrance.set_reason(reason);
        hindrance.set_shards(shards.shards);
        hindrance.set_block(shards.block.value());
      }
    }
  };

  // A pass that was not ended is forgotten.
  void begin_pass() { counting_ = {}; }
  // Blocks at the positions from `begin` to before `end`.
  void add(const std::vector<RepairOutlook>& outlook, size_t begin, size_t end);
  void end_pass(MonoTime now);
  void clear();

  // When the last full pass ended, of which the rest tells.
  std::optional<MonoTime> finished() const { return finished_; }
  const Shards& all() const { return last_.all; }
  Shards of(ServerId server) const;

  // Shards rebuilt or moved in an hour, by what was seen of late; 0: not known.
  uint64_t per_hour() const { return rate_.per_hour(); }
  // Until those that nothing holds up are; -1: not known, or all are held up.
  int64_t estimate_ms() const { return estimate_ms(last_.all, rate_); }
  int64_t estimate_ms(ServerId server) const;

 private:
  struct Pass {
    Shards all;
    std::map<ServerId, Shards> servers;
  };

  static int64_t estimate_ms(const Shards& shards, const ProgressRate& rate);

  Pass counting_;
  Pass last_;
  std::optional<MonoTime> finished_;
  ProgressRate rate_;
  std::map<ServerId, ProgressRate> server_rates_;  // of those that have any in the last pass
};

}  // namespace dogfs
