// Blocks with more than m shards in one rack are spread over more racks, without an operator: which blocks those are.
//
// A block comes to lie crowded in three ways: it was written, or repaired, while racks were away; or racks came after it.
// So the leader looks at what it has given places itself (`placed`), and passes over all blocks once when a server takes
// shards that did not, or stands in another rack (`see`), and when it was elected. A pass looks at so many rows a round;
// without a reason for one nothing is read. What is found is looked at again until it is spread or gone: what can be moved
// now goes to the planner of repairs, behind all blocks that lack something, as a move of one shard (repair_planner.h);
// the rest waits, and is told with the reason.
//
// Soft state: a new leader makes a pass. Where all servers stand in one rack nothing is asked of it.
// Belongs to the node's executor.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/time.h"
#include "core/meta/placed_shard.h"
#include "core/meta/progress_rate.h"
#include "core/meta/repair_planner.h"
#include "core/meta/tables.h"
#include "core/wire/meta.pb.h"

namespace dogfs {

// Shards that are moved at once: repairs and clients come first.
inline constexpr size_t kMaxRackMoves = 64;
// Rows that a round of a pass reads.
inline constexpr size_t kRackRowsPerRound = 1000;
// A pass waits while so many blocks are in turn.
inline constexpr size_t kMaxCrowdedInTurn = 1000;
// Blocks that cannot be spread now are counted beyond these, and found again by a later pass.
inline constexpr size_t kMaxCrowdedHeld = 2000;
inline constexpr Duration kHeldLookInterval = seconds(20);
// Between passes that no server gave rise to: for what was not remembered.
inline constexpr Duration kRackRecountInterval = std::chrono::hours(1);

class RackRepair {
 public:
  // This node was elected.
  void lead();
  // The leader has given shards of this block places that it may lie crowded in.
  void placed(BlockId block);
  // All servers, as they are now.
  void see(const std::vector<wire::ChunkServerRow>& rows);

  // What to look at in this round, and by which racks.
  struct Errand {
    struct Server {
      std::string rack;
      bool live = false;
      bool operator==(const Server&) const = default;
    };
    std::map<ServerId, Server> servers;
    std::vector<BlockId> blocks;
    bool scan = false;
    BlockId scan_after;
    bool is_empty() const { return blocks.empty() && !scan; }
  };
  Errand next(MonoTime now);

  struct Found {
    // Of the blocks that were asked for: those that are, or may be when what is under way with them has ended.
    std::vector<wire::BlockRow> crowded;
    std::vector<BlockId> spread;  // the others of them, and those that are gone
    // By the pass: likewise those that another rack could have a shard of, and the crowded ones that none could.
    std::vector<BlockId> movable;
    std::vector<BlockId> stuck;
    uint64_t rows = 0;
    BlockId scanned_to;  // none: to the end
  };
  static Result<Found> find(const MetaTables& tables, const Errand& errand);

  // At most `limit` whole blocks, in each of which the shard that is to leave is marked LEAVING. What the planner says of
  // them is to be told to `note`.
  std::vector<wire::BlockRow> take(Found found, const Errand& errand, size_t limit, MonoTime now);
  void note(const std::vector<RepairOutlook>& outlook, MonoTime now);

  wire::RackRepair describe() const;

 private:
  enum class State : uint8_t {
    kInTurn,
    kMoving,
    kHeld,  // for the reason
  };
  struct Crowded {
    State state = State::kInTurn;
    wire::RepairHindrance::Reason hindrance = wire::RepairHindrance::NONE;
    MonoTime look_at;
  };
  struct Uncounted {
    uint64_t blocks = 0;
    BlockId first;
  };

  bool is_wanted() const { return racks_ > 1; }
  void begin_pass();
  void end_pass(MonoTime now);
  void put(BlockId block, const Crowded& crowded);
  void hold(BlockId block, wire::RepairHindrance::Reason hindrance, MonoTime now);
  void drop(BlockId block);
  void clear();
  size_t in_turn() const { return blocks_.size() - held_; }
  // Of a block in Found::crowded.
  void judge(wire::BlockRow block, const Errand& errand, MonoTime now, size_t limit,
             std::vector<wire::BlockRow>& chosen);

  std::map<ServerId, Errand::Server> servers_;
  size_t racks_ = 0;
  // The pass.
  bool pass_wanted_ = false;
  bool passing_ = false;
  BlockId cursor_;
  uint64_t seen_ = 0;
  // A later pass is to find what was not remembered.
  bool recount_ = false;
  MonoTime passed_at_{};
  std::map<BlockId, Crowded> blocks_;
  std::set<std::pair<MonoTime, BlockId>> schedule_;
  size_t held_ = 0;
  // Stuck, and not remembered: by the last pass, and by this one.
  Uncounted beyond_;
  Uncounted counting_;
  uint64_t moves_ = 0;
  ProgressRate rate_;
};

}  // namespace dogfs
