#include "sim/linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <list>
#include <map>
#include <set>
#include <utility>

#include "core/wire/message_type.h"
#include "core/wire/rpc.h"

namespace dogfs::sim {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// The position of what is not in the log. The first entry has position 1; at position 0 nothing was applied yet.
constexpr uint64_t kNowhere = std::numeric_limits<uint64_t>::max();

// A change, as it was asked for and answered.
struct Change {
  const HistoryOperation* operation = nullptr;
  wire::MutateRequest request;
  wire::MutationResult result;
  uint64_t position = kNowhere;

  int64_t invoked() const { return operation->invoked_ns; }
  int64_t answered() const { return operation->answered_ns.value_or(kNever); }
};

struct Read {
  const HistoryOperation* operation = nullptr;
  wire::StatRequest stat;
  wire::ListRequest list;
  wire::GetBlocksRequest blocks;
  wire::RenewLeasesRequest leases;
  wire::ListTrashRequest trash;
  wire::GetQuotasRequest quotas;
  wire::SummaryRequest summary;
  wire::StatReply stat_reply;
  wire::ListReply list_reply;
  wire::GetBlocksReply blocks_reply;
  wire::RenewLeasesReply leases_reply;
  wire::ListTrashReply trash_reply;
  wire::GetQuotasReply quotas_reply;
  wire::SummaryReply summary_reply;
  uint64_t first = 0;  // the positions that real time leaves it
  uint64_t last = 0;
  bool placed = false;
  std::string mismatch;  // at the place that was tried last

  int64_t invoked() const { return operation->invoked_ns; }
  int64_t answered() const { return *operation->answered_ns; }
};

std::string describe(const HistoryOperation& operation, const google::protobuf::Message& request) {
  const std::string until = operation.answered_ns ? fmt::format("{}", *operation.answered_ns) : "?";
  return fmt::format("{} {{{}}} [{}..{} ns, {}]", message_type_name(operation.type), request.ShortDebugString(),
                     operation.invoked_ns, until, operation.answered_ns ? error_name(operation.code) : "unknown");
}

std::string describe(const Change& change) {
  if (change.operation->type == MessageType::kOpenSession)
    return describe(*change.operation, wire::OpenSessionRequest());
  return describe(*change.operation, change.request);
}

const google::protobuf::Message& request_of(const Read& read) {
  switch (read.operation->type) {
    case MessageType::kStat:
      return read.stat;
    case MessageType::kList:
      return read.list;
    case MessageType::kGetBlocks:
      return read.blocks;
    case MessageType::kListTrash:
      return read.trash;
    case MessageType::kGetQuotas:
      return read.quotas;
    case MessageType::kSummary:
      return read.summary;
    default:
      return read.leases;
  }
}

// Errors that a request may be refused with before it comes into the log.
bool may_be_refused_at_once(ErrorCode code) {
  return code == ErrorCode::kInvalidArgument || code == ErrorCode::kLimitExceeded || code == ErrorCode::kUnsupported;
}

wire::MutationResult without_addresses(wire::MutationResult result) {
  if (result.has_allocate_block()) {
    for (wire::Shard& shard : *result.mutable_allocate_block()->mutable_targets()) shard.clear_server_address();
  }
  if (result.has_replace_target()) result.mutable_replace_target()->mutable_target()->clear_server_address();
  return result;
}

class Checker {
 public:
  Checker(const std::vector<HistoryOperation>& history, const std::vector<CommittedEntry>& log) : log_(log) {
    for (const HistoryOperation& operation : history) add(operation);
  }

  MetadataModel replay() {
    place_changes();
    return std::move(model_);
  }

  LinearizabilityResult check() {
    place_changes();
    if (!failed()) check_all_placed();
    if (!failed()) check_real_time();
    if (!failed()) place_reads();
    return std::move(result_);
  }

 private:
  bool failed() const { return result_.violation.has_value(); }
  void fail(std::string what) {
    if (!failed()) result_.violation = std::move(what);
  }

  // --- The history
  void add(const HistoryOperation& operation) {
    if (operation.type == MessageType::kMutate) return add_change(operation);
    if (!operation.answered_ns) return;
    if (operation.type == MessageType::kOpenSession) return add_session(operation);
    add_read(operation);
  }

  template <class Message>
  void parse(Message& message, const std::string& bytes) {
    if (!message.ParseFromString(bytes))
      fail("the history has something that does not parse as " + message.GetTypeName());
  }

  void add_change(const HistoryOperation& operation) {
    Change& change = changes_.emplace_back();
    change.operation = &operation;
    if (!operation.answered_ns) ++result_.unknown;
    parse(change.request, operation.request);
    wire::MutateReply reply;
    if (operation.answered_ns && operation.code == ErrorCode::kOk) parse(reply, operation.reply);
    change.result = without_addresses(reply.result());
    by_name_[{change.request.session(), change.request.sequence()}] = &change;
  }

  void add_session(const HistoryOperation& operation) {
    if (operation.code != ErrorCode::kOk) return;
    Change& change = changes_.emplace_back();
    change.operation = &operation;
    wire::OpenSessionReply reply;
    parse(reply, operation.reply);
    if (!by_session_.emplace(reply.session(), &change).second) {
      fail(fmt::format("session {} was given to two clients", reply.session()));
    }
  }

  void add_read(const HistoryOperation& operation) {
    Read& read = reads_.emplace_back();
    read.operation = &operation;
    const bool good = operation.code == ErrorCode::kOk;
    const std::string& reply = operation.reply;
    switch (operation.type) {
      case MessageType::kStat:
        parse(read.stat, operation.request);
        if (good) parse(read.stat_reply, reply);
        return;
      case MessageType::kList:
        parse(read.list, operation.request);
        if (good) parse(read.list_reply, reply);
        return;
      case MessageType::kGetBlocks:
        parse(read.blocks, operation.request);
        if (good) parse(read.blocks_reply, reply);
        return;
      case MessageType::kRenewLeases:
        parse(read.leases, operation.request);
        if (good) parse(read.leases_reply, reply);
        return;
      case MessageType::kListTrash:
        parse(read.trash, operation.request);
        if (good) parse(read.trash_reply, reply);
        return;
      case MessageType::kGetQuotas:
        parse(read.quotas, operation.request);
        if (good) parse(read.quotas_reply, reply);
        return;
      case MessageType::kSummary:
        parse(read.summary, operation.request);
        if (good) parse(read.summary_reply, reply);
        return;
      default:
        reads_.pop_back();
    }
  }

  // --- Changes
  static wire::Command command_of(const CommittedEntry& entry) {
    wire::Command command;
    command.ParseFromString(entry.command);
    return command;
  }

  Change* asked_for(const wire::Command& command) {
    const auto found = by_name_.find({command.session(), command.sequence()});
    return found == by_name_.end() ? nullptr : found->second;
  }

  const wire::MutationResult* observed(const Change* change) const {
    const bool known = change != nullptr && change->operation->answered_ns && change->operation->code == ErrorCode::kOk;
    return known ? &change->result : nullptr;
  }

  // Runs the log through the model and compares what it answers.
  void place_changes() {
    uint64_t position = 0;
    for (const CommittedEntry& entry : log_) {
      if (failed()) return;
      if (entry.index.value() != ++position) return fail(fmt::format("entry {} is missing in the log", position));
      if (entry.command.empty()) continue;
      const wire::Command command = command_of(entry);
      Change* const change = command.has_mutation() ? asked_for(command) : nullptr;
      const MetadataModel::Applied applied = model_.apply(command, observed(change));
      if (applied.opened_session != 0) open_session(applied.opened_session, position);
      if (!command.has_mutation()) continue;
      if (change == nullptr) {
        if (by_session_.contains(command.session()))
          fail("a change that nobody asked for: " + command.ShortDebugString());
      } else if (!applied.took_effect) {
        if (change->position != kNowhere) ++result_.repeated;
      } else {
        place(*change, command, applied.answer, position);
      }
    }
  }

  void open_session(uint64_t session, uint64_t position) {
    const auto opened = by_session_.find(session);
    if (opened == by_session_.end()) return;
    opened->second->position = position;
    ++result_.changes;
  }

  void place(Change& change, const wire::Command& command, const ModelAnswer& answer, uint64_t position) {
    if (change.position != kNowhere) {
      return fail(fmt::format("{} took effect at {} and again at {}", describe(change), change.position, position));
    }
    change.position = position;
    ++result_.changes;
    if (command.mutation().SerializeAsString() != change.request.mutation().SerializeAsString()) {
      return fail(fmt::format("{} is in the log as {}", describe(change), command.mutation().ShortDebugString()));
    }
    if (change.operation->answered_ns) check_answer(change, answer);
  }

  void check_answer(const Change& change, const ModelAnswer& answer) {
    const ErrorCode code = change.operation->code;
    if (code != answer.code && !(answer.or_gone && code == ErrorCode::kGone)) {
      return fail(fmt::format("{} at {} must answer {}", describe(change), change.position, error_name(answer.code)));
    }
    if (code != ErrorCode::kOk) return;
    if (change.result.SerializeAsString() != answer.result.SerializeAsString()) {
      return fail(fmt::format("{} at {} answered {{{}}} instead of {{{}}}", describe(change), change.position,
                              change.result.ShortDebugString(), answer.result.ShortDebugString()));
    }
    for (const wire::Shard& shard : answer.result.allocate_block().targets()) check_generation(change, shard);
    if (answer.result.has_replace_target()) check_generation(change, answer.result.replace_target().target());
  }

  void check_generation(const Change& change, const wire::Shard& shard) {
    if (shard.generation() == 0 || !generations_.insert(shard.generation()).second) {
      fail(fmt::format("{} gave out generation {} again", describe(change), shard.generation()));
    }
  }

  void check_all_placed() {
    for (const Change& change : changes_) {
      if (change.position != kNowhere || !change.operation->answered_ns) continue;
      if (may_be_refused_at_once(change.operation->code)) continue;
      return fail(describe(change) + " was answered and is not in the log");
    }
  }

  // --- Real time
  // The changes that are in the log.
  std::vector<const Change*> placed_changes() const {
    std::vector<const Change*> placed;
    for (const Change& change : changes_) {
      if (change.position != kNowhere) placed.push_back(&change);
    }
    return placed;
  }

  // For each moment at which a change was answered, the one of the highest position among those answered by then.
  static std::map<int64_t, const Change*> highest_by_answer(std::vector<const Change*> changes) {
    std::ranges::sort(changes, {}, [](const Change* change) { return change->answered(); });
    std::map<int64_t, const Change*> highest;
    const Change* so_far = nullptr;
    for (const Change* change : changes) {
      if (so_far == nullptr || change->position > so_far->position) so_far = change;
      highest[change->answered()] = so_far;
    }
    return highest;
  }

  // The one of the highest position among those answered before `moment`; null if there is none.
  static const Change* answered_before(const std::map<int64_t, const Change*>& highest, int64_t moment) {
    const auto after = highest.lower_bound(moment);
    return after == highest.begin() ? nullptr : std::prev(after)->second;
  }

  void check_real_time() {
    const std::vector<const Change*> changes = placed_changes();
    const std::map<int64_t, const Change*> highest = highest_by_answer(changes);
    for (const Change* change : changes) {
      const Change* before = answered_before(highest, change->invoked());
      if (before == nullptr || before->position < change->position) continue;
      return fail(fmt::format("{} stands at {} in the log, behind {} at {}, which began after it was answered",
                              describe(*before), before->position, describe(*change), change->position));
    }
  }

  // --- Reads
  // Between which positions real time lets each read be.
  void bound_reads() {
    std::vector<const Change*> changes = placed_changes();
    const std::map<int64_t, const Change*> highest = highest_by_answer(changes);
    std::ranges::sort(changes, std::ranges::greater(), [](const Change* change) { return change->invoked(); });
    // For each moment at which a change began, the lowest position of those that began then or later.
    std::map<int64_t, uint64_t> lowest;
    uint64_t so_far = kNowhere;
    for (const Change* change : changes) {
      so_far = std::min(so_far, change->position);
      lowest[change->invoked()] = so_far;
    }
    for (Read& read : reads_) {
      const Change* before = answered_before(highest, read.invoked());
      read.first = before == nullptr ? 0 : before->position;
      const auto after = lowest.upper_bound(read.answered());
      read.last = after == lowest.end() ? log_.size() : after->second - 1;
    }
  }

  void place_reads() {
    bound_reads();
    reads_.sort([](const Read& a, const Read& b) { return a.invoked() < b.invoked(); });
    std::map<uint64_t, std::vector<const Read*>> by_last;
    for (Read& read : reads_) {
      by_last[read.last].push_back(&read);
      unplaced_.push_back(&read);
    }
    MetadataModel model;
    for (uint64_t position = 0; position <= log_.size() && !failed(); ++position) {
      if (position > 0) {
        const CommittedEntry& entry = log_[position - 1];
        if (!entry.command.empty()) {
          const wire::Command command = command_of(entry);
          model.apply(command, observed(command.has_mutation() ? asked_for(command) : nullptr));
        }
      }
      place_reads_at(model, position);
      if (const auto ending = by_last.find(position); ending != by_last.end()) check_ended(ending->second);
    }
  }

  // Places the reads that fit here, oldest first. One that began after another was answered must not come before it.
  void place_reads_at(const MetadataModel& model, uint64_t position) {
    int64_t unplaced_answered = kNever;
    for (auto at = unplaced_.begin(); at != unplaced_.end();) {
      Read& read = **at;
      if (read.invoked() > unplaced_answered) return;
      const MetadataModel::Mismatch mismatch = read.first > position
                                                   ? MetadataModel::Mismatch("what was answered before it began")
                                                   : mismatch_of(model, read);
      if (!mismatch) {
        read.placed = true;
        ++result_.reads;
        at = unplaced_.erase(at);
        continue;
      }
      read.mismatch = fmt::format("at {}: {}", position, *mismatch);
      unplaced_answered = std::min(unplaced_answered, read.answered());
      ++at;
    }
  }

  void check_ended(const std::vector<const Read*>& reads) {
    for (const Read* read : reads) {
      if (read->placed) continue;
      return fail(fmt::format("{} fits nowhere in the log from {} to {}: {}",
                              describe(*read->operation, request_of(*read)), read->first, read->last,
                              read->mismatch.empty() ? "a read before it fits nowhere earlier" : read->mismatch));
    }
  }

  static MetadataModel::Mismatch mismatch_of(const MetadataModel& model, const Read& read) {
    const ErrorCode code = read.operation->code;
    switch (read.operation->type) {
      case MessageType::kStat:
        return model.check_stat(read.stat, code, read.stat_reply);
      case MessageType::kList:
        return model.check_list(read.list, code, read.list_reply);
      case MessageType::kGetBlocks:
        return model.check_blocks(read.blocks, code, read.blocks_reply);
      case MessageType::kListTrash:
        return model.check_trash(read.trash, code, read.trash_reply);
      case MessageType::kGetQuotas:
        return model.check_quotas(read.quotas, code, read.quotas_reply);
      case MessageType::kSummary:
        return model.check_summary(read.summary, code, read.summary_reply);
      default:
        return model.check_leases(read.leases, code, read.leases_reply);
    }
  }

  const std::vector<CommittedEntry>& log_;
  std::list<Change> changes_;
  std::list<Read> reads_;
  std::map<std::pair<uint64_t, uint64_t>, Change*> by_name_;  // by session and sequence
  std::map<uint64_t, Change*> by_session_;                    // who opened it
  std::set<uint64_t> generations_;
  std::list<Read*> unplaced_;  // by beginning
  MetadataModel model_;
  LinearizabilityResult result_;
};

}  // namespace

LinearizabilityResult check_linearizability(const std::vector<HistoryOperation>& history,
                                            const std::vector<CommittedEntry>& log) {
  return Checker(history, log).check();
}

MetadataModel replay(const std::vector<HistoryOperation>& history, const std::vector<CommittedEntry>& log) {
  return Checker(history, log).replay();
}

}  // namespace dogfs::sim
