#include "sim/standstill.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "core/base/check.h"
#include "core/meta/repairs.h"
#include "core/meta/tables.h"
#include "core/raft/describe.h"
#include "core/raft/raft.h"
#include "core/wire/message_type.h"
#include "sim/few.h"

namespace dogfs::sim {
namespace {

constexpr GroupId kGroup{0};

template <class Row, class Visit>
void each_row(const KvReader& rows, const KeyRange& range, Visit visit) {
  const Status scanned = scan_rows<Row>(rows, range, [&visit](std::string_view key, const Row& row) {
    visit(key, row);
    return true;
  });
  DOGFS_CHECK(scanned.has_value());
}

int64_t ms(Duration duration) {
  return duration / milliseconds(1);
}

class Explanation {
 public:
  explicit Explanation(const StandstillView& view)
      : view_(view), cluster_(view.cluster), leader_(view.cluster.leader()), rows_(view.atlas.newest_metadata()) {
    each_row<wire::ChunkServerRow>(rows_, keys_.servers(), [this](std::string_view, const wire::ChunkServerRow& row) {
      servers_.emplace(row.server(), row);
    });
  }

  std::string text() {
    tell_faults();
    tell_group();
    tell_servers();
    tell_clients();
    tell_blocks();
    tell_repair();
    tell_leftovers();
    if (text_.size() > kMostStandstillBytes) text_.resize(kMostStandstillBytes);
    return std::move(text_);
  }

 private:
  void line(const std::string& what) { text_ += "\n  " + what; }
  void list(const char* what, const Few& few) {
    if (!few.empty()) line(fmt::format("{}: {}", what, few.text()));
  }

  void tell_faults() {
    Few faults;
    for (const std::string& fault : view_.faults) faults.add(fault);
    list("under way", faults);
    Few cuts;
    for (const Node* from : cluster_.all_nodes()) {
      for (const Node* to : cluster_.all_nodes()) {
        if (cluster_.world().network().blocked(from->index(), to->index())) {
          cuts.add(fmt::format("{} > {}", from->name(), to->name()));
        }
      }
    }
    list("cut", cuts);
  }

  // --- The metadata group
  void tell_group() {
    size_t up = 0;
    size_t all = 0;
    for (const Node* node : cluster_.meta_nodes()) {
      if (cluster_.is_spare(*node)) continue;
      ++all;
      if (cluster_.raft(*node) != nullptr) ++up;
    }
    const std::string leads = leader_ == nullptr ? "nobody leads" : leader_->name() + " leads";
    line(fmt::format("{}; {} of {} metadata nodes are up", leads, up, all));
    for (const Node* node : cluster_.meta_nodes()) {
      if (!cluster_.is_spare(*node)) line(describe_member(*node));
    }
  }

  std::string describe_member(const Node& node) {
    const std::string who = fmt::format("{} (node {})", node.name(), cluster_.meta_id(node));
    if (cluster_.is_retired(node)) return who + " is gone for good";
    if (!node.up()) return who + " is down";
    const raft::Raft* raft = cluster_.raft(node);
    if (raft == nullptr) return who + " reads its log";
    std::string text = fmt::format("{}: {} of term {}, log {} to {}, committed {}, applied {}", who,
                                   role_name(raft->role()), raft->term(), raft->log().first_index(),
                                   raft::describe(raft->log().last()), raft->commit(), raft->applied());
    if (!raft->configuration().is_voter(raft->options().self)) text += ", no voter";
    if (!raft->is_counted()) text += ", has lost its disk";
    if (!raft->voted_for().is_none()) text += fmt::format(", voted for {}", raft->voted_for());
    if (raft->is_installing()) text += ", installs a snapshot";
    if (raft->role() == RaftRole::kLeader) text += describe_followers(*raft);
    return text;
  }

  static std::string describe_followers(const raft::Raft& leader) {
    Few behind;
    for (const auto& [id, progress] : leader.progress()) {
      if (progress.match() >= leader.log().last_index()) continue;
      behind.add(fmt::format("node {} has {} ({})", id, progress.match(), raft::progress_state_name(progress.state())));
    }
    return behind.empty() ? "" : "; " + behind.text();
  }

  // --- Chunk servers
  const wire::ChunkServerRow* row_of(const Node& node) const {
    const auto found =
        std::ranges::find_if(servers_, [&node](const auto& known) { return known.second.address() == node.name(); });
    return found == servers_.end() ? nullptr : &found->second;
  }

  std::string name_of(uint64_t server) const {
    const auto found = servers_.find(server);
    return found == servers_.end() ? fmt::format("server {}", server) : found->second.address();
  }

  std::string describe_server(const Node& node) {
    if (cluster_.is_retired(node)) return "gone for good";
    if (!node.up()) return "down";
    if (cluster_.chunk(node)->id().is_none()) return "not registered";
    const wire::ChunkServerRow* row = row_of(node);
    if (row == nullptr) return "not in the map";
    return row->state() == wire::LIVE ? "" : wire::ServerState_Name(row->state()) + " by the map";
  }

  void tell_servers() {
    Few odd;
    for (const Node* node : cluster_.chunk_nodes()) {
      const std::string how = describe_server(*node);
      if (!how.empty()) odd.add(fmt::format("{} is {}", node->name(), how));
    }
    list("chunk servers", odd);
  }

  // --- Clients
  void tell_clients() {
    Few hanging;
    for (const Node* node : cluster_.client_nodes()) {
      const auto state = view_.clients.find(node->name());
      if (state != view_.clients.end() && !state->second.idle) hanging.add(describe_client(*node, state->second));
    }
    list("at work", hanging);
  }

  std::string describe_client(const Node& node, const ClientState& state) const {
    if (!node.up()) return node.name() + " is down";
    std::string text = node.name();
    if (state.doing) text += fmt::format(": {} for {} ms", state.doing->what, ms(now() - state.doing->since));
    Few calls;
    for (const PendingCall& call : node.pending_calls()) {
      calls.add(fmt::format("{} of {} for {} ms", message_type_name(call.type),
                            cluster_.world().network().address_of(call.to).value, ms(now() - call.since)));
    }
    return text + (calls.empty() ? " (no answer is awaited)" : " (awaits " + calls.text() + ")");
  }

  // --- Blocks
  void tell_blocks() {
    Few short_of;
    each_row<wire::BlockRow>(rows_, keys_.blocks(), [&](std::string_view, const wire::BlockRow& block) {
      if (block.state() != wire::BlockRow::COMMITTED) return;
      const std::string lacking = describe_block(block);
      if (!lacking.empty()) short_of.add(lacking);
    });
    list("blocks", short_of);
  }

  bool is_kept(const wire::Shard& shard) const {
    if (shard.server() == 0 || shard.condition() != wire::Shard::INTACT) return false;
    const Node* node = cluster_.chunk_node_at(name_of(shard.server()));
    return node != nullptr && !cluster_.is_retired(*node);
  }

  // Empty for a block that lacks nothing.
  std::string describe_block(const wire::BlockRow& block) {
    Few lacking;
    for (const wire::Shard& shard : block.shards()) {
      if (is_kept(shard)) continue;
      lacking.add(shard.server() == 0 ? fmt::format("{} (nowhere)", shard.index())
                                      : fmt::format("{} (on {}, {})", shard.index(), name_of(shard.server()),
                                                    wire::Shard::Condition_Name(shard.condition())));
    }
    Few repairs;
    for (const wire::RepairReservation& repair : block.reservations()) {
      repairs.add(fmt::format("{} on {}", repair.index(), name_of(repair.target())));
    }
    if (lacking.empty() && repairs.empty()) return "";
    std::string text = fmt::format("{} of {} shards", block.block(), block.shards_size());
    if (!lacking.empty()) text += " lacks " + lacking.text();
    if (!repairs.empty()) text += "; repairs " + repairs.text();
    return text + "; " + describe_takers(block);
  }

  // Servers that have none of the block's shards, as the map and the world see them.
  std::string describe_takers(const wire::BlockRow& block) {
    std::set<uint64_t> taken;
    for (const wire::Shard& shard : block.shards()) taken.insert(shard.server());
    Few takers;
    for (const auto& [id, row] : servers_) {
      if (taken.contains(id) || row.state() != wire::LIVE) continue;
      const Node* node = cluster_.chunk_node_at(row.address());
      takers.add(node != nullptr && node->up() ? row.address() : row.address() + " (down)");
    }
    return takers.empty() ? "no live server is without a shard of it" : "could go to " + takers.text();
  }

  // As the leader sees it.
  void tell_repair() {
    if (leader_ == nullptr) return;
    const Repairs& repairs = cluster_.meta(*leader_)->repairs();
    if (repairs.in_safe_mode()) return line("repair: the leader is in safe mode");
    const RepairSurvey& survey = repairs.survey();
    if (!survey.finished() || survey.all().to_go == 0) return;
    Few reasons;
    for (const auto& [reason, held] : survey.all().held) {
      reasons.add(fmt::format("{} {} (block {})", held.shards, wire::RepairHindrance::Reason_Name(reason), held.block));
    }
    line(fmt::format("repair, as the leader saw it {} ms ago: {} shards to go, {}",
                     ms(leader_->env().clock.now() - *survey.finished()), survey.all().to_go,
                     reasons.empty() ? "none held up" : "held up: " + reasons.text()));
  }

  // --- What is open
  void tell_leftovers() {
    Few leases;
    each_row<wire::LeaseRow>(rows_, keys_.leases(InodeId()), [&](std::string_view key, const wire::LeaseRow& lease) {
      leases.add(fmt::format("inode {} by session {}", last_id(key), lease.session()));
    });
    list("leases", leases);
    Few sessions;
    each_row<wire::SessionRow>(
        rows_, keys_.sessions(SessionId()),
        [&](std::string_view, const wire::SessionRow& session) { sessions.add(fmt::format("{}", session.session())); });
    list("sessions", sessions);
    Few allocated;
    each_row<wire::BlockRow>(rows_, keys_.blocks(), [&](std::string_view, const wire::BlockRow& block) {
      if (block.state() != wire::BlockRow::COMMITTED) allocated.add(fmt::format("{}", block.block()));
    });
    list("blocks that are not committed", allocated);
    tell_garbage();
  }

  void tell_garbage() {
    std::map<ServerId, size_t> by_server;
    each_row<wire::GarbageRow>(rows_, keys_.all_garbage(), [&](std::string_view key, const wire::GarbageRow&) {
      ++by_server[garbage_shard(key).server];
    });
    Few garbage;
    for (const auto& [server, shards] : by_server) {
      const std::string name = name_of(server.value());
      const Node* node = cluster_.chunk_node_at(name);
      const std::string how = node == nullptr ? "" : describe_server(*node);
      garbage.add(fmt::format("{} on {}{}", shards, name, how.empty() ? "" : ", which is " + how));
    }
    list("shards to be deleted", garbage);
  }

  VirtualTime now() const { return cluster_.world().now(); }

  const StandstillView& view_;
  Cluster& cluster_;
  Node* leader_;
  const KvReader& rows_;
  const MetaKeys keys_{kGroup};
  std::map<uint64_t, wire::ChunkServerRow> servers_;
  std::string text_;
};

}  // namespace

std::string explain_standstill(const StandstillView& view) {
  return Explanation(view).text();
}

}  // namespace dogfs::sim
