#include "core/meta/repair_survey.h"

#include <utility>

namespace dogfs {

void RepairSurvey::Shards::add(const RepairOutlook& outlook) {
  ++to_go;
  if (outlook.hindrance == wire::RepairHindrance::NONE) return;
  Held& hindered = held[outlook.hindrance];
  if (hindered.shards++ == 0) hindered.block = outlook.block;
}

uint64_t RepairSurvey::Shards::in_turn() const {
  uint64_t waiting = to_go;
  for (const auto& [reason, shards] : held) {
    if (reason != wire::RepairHindrance::BUSY) waiting -= shards.shards;
  }
  return waiting;
}

bool RepairSurvey::Shards::are_stuck() const {
  uint64_t stuck = 0;
  for (const auto& [reason, shards] : held) {
    switch (reason) {
      case wire::RepairHindrance::SOURCES_UNREACHABLE:
      case wire::RepairHindrance::TOO_FEW_SERVERS:
      case wire::RepairHindrance::NO_ROOM:
      case wire::RepairHindrance::UNDECODABLE:
      case wire::RepairHindrance::TOO_FEW_RACKS:
        stuck += shards.shards;
        break;
      default:
        break;
    }
  }
  return to_go > 0 && stuck == to_go;
}

void RepairSurvey::add(const std::vector<RepairOutlook>& outlook, size_t begin, size_t end) {
  for (const RepairOutlook& shard : outlook) {
    if (shard.position < begin || shard.position >= end) continue;
    counting_.all.add(shard);
    if (!shard.server.is_none()) counting_.servers[shard.server].add(shard);
  }
}

void RepairSurvey::end_pass(MonoTime now) {
  last_ = std::exchange(counting_, {});
  finished_ = now;
  rate_.note(last_.all.to_go, now);
  std::erase_if(server_rates_, [this](const auto& entry) { return !last_.servers.contains(entry.first); });
  for (const auto& [server, shards] : last_.servers) server_rates_[server].note(shards.to_go, now);
}

void RepairSurvey::clear() {
  counting_ = {};
  last_ = {};
  finished_.reset();
  rate_.clear();
  server_rates_.clear();
}

int64_t RepairSurvey::estimate_ms(ServerId server) const {
  const auto rate = server_rates_.find(server);
  return rate == server_rates_.end() ? -1 : estimate_ms(of(server), rate->second);
}

int64_t RepairSurvey::estimate_ms(const Shards& shards, const ProgressRate& rate) {
  if (shards.in_turn() == 0) return -1;
  const std::optional<milliseconds> time = rate.time_for(shards.in_turn());
  return time ? time->count() : -1;
}

RepairSurvey::Shards RepairSurvey::of(ServerId server) const {
  const auto found = last_.servers.find(server);
  return found == last_.servers.end() ? Shards() : found->second;
}

}  // namespace dogfs
