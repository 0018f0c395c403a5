#include "sim/scenario.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cstdlib>
// architecture: allow file: scenarios are read before a run begins
#include <filesystem>
// architecture: allow file: scenarios are read before a run begins
#include <fstream>
#include <iterator>
#include <vector>

#include "core/base/limits.h"
#include "core/ec/geometry.h"
#include "sim/fault_kinds.h"
#include "sim/selector.h"

namespace dogfs::sim {
namespace {

// architecture: allow file: scenarios are read before a run begins
namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".textproto";
constexpr uint32_t kMaxNodes = 100;
constexpr uint32_t kMillion = 1'000'000;
constexpr int32_t kMaxDriftPpm = 200'000;
// Of one thing that an operator does, without the waiting: the run must end in time (sim/run.cc).
constexpr uint32_t kMaxOperatorMs = 30'000;

// Of a writer, or of a node: the run must end in time.
constexpr uint32_t kMaxPauseMs = 30'000;

class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, int column, const std::string& message) override {
    if (text_.empty()) text_ = fmt::format("line {}, column {}: {}", line + 1, column + 1, message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

Error invalid(std::string what) {
  return Error(ErrorCode::kInvalidArgument, std::move(what));
}

void set_defaults(proto::Scenario& scenario) {
  if (scenario.meta_nodes() == 0) scenario.set_meta_nodes(3);
  if (scenario.chunk_servers() == 0) scenario.set_chunk_servers(9);
  if (scenario.clients() == 0) scenario.set_clients(2);
  proto::Policy& policy = *scenario.mutable_policy();
  if (policy.data_shards() == 0) policy.set_data_shards(6);
  if (policy.parity_shards() == 0) policy.set_parity_shards(3);
  if (policy.cell_bytes() == 0) policy.set_cell_bytes(kMinCellBytes);
  if (policy.block_bytes() == 0) policy.set_block_bytes(uint64_t{4} * policy.data_shards() * policy.cell_bytes());
  proto::Work& work = *scenario.mutable_work();
  if (work.for_ms() == 0) work.set_for_ms(20'000);
  if (work.think_max_ms() == 0) work.set_think_max_ms(700);
  if (work.largest_file_blocks() == 0) work.set_largest_file_blocks(2);
  if (scenario.converge_within_ms() == 0) scenario.set_converge_within_ms(60'000);
}

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Every string of the kind is a selector.
Status validate_nodes(const proto::Fault& fault) {
  const Message& kind = fault_kind_message(fault);
  const std::string name = fault_kind_name(fault_kind_of(fault));
  const bool rest_allowed = fault.has_partition() || fault.has_flap();
  for (int i = 0; i < kind.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = kind.GetDescriptor()->field(i);
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) continue;
    const std::string selector = kind.GetReflection()->GetString(kind, field);
    const auto wrong = [&](std::string_view what) {
      return invalid(fmt::format("{}: {}: {}", name, field->name(), what));
    };
    if (selector.empty()) return wrong("which nodes is not said");
    const Status valid = validate_selector(selector);
    if (!valid) return wrong(valid.error().detail);
    if (selector == "rest" && !rest_allowed) return wrong("\"rest\" is for one side of a partition");
  }
  return ok();
}

Status validate_sides(const proto::Fault& fault, const std::string& a, const std::string& b) {
  if (a == "rest" && b == "rest") return invalid("both sides are \"rest\"");
  return validate_nodes(fault);
}

// Whatever the message and its parts count in a million is no more than all.
Status validate_parts(const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_UINT32 && field->name().ends_with("per_million") &&
        message.GetReflection()->GetUInt32(message, field) > kMillion) {
      return invalid(fmt::format("{}: {} is more than a million", message.GetDescriptor()->name(), field->name()));
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      DOGFS_TRYV(validate_parts(message.GetReflection()->GetMessage(message, field)));
      continue;
    }
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
      DOGFS_TRYV(validate_parts(message.GetReflection()->GetRepeatedMessage(message, field, i)));
    }
  }
  return ok();
}

// How long a fault lasts, or those of its class.
Status validate_times(const proto::Fault& fault, uint32_t shortest_ms, uint32_t longest_ms) {
  if (fault.has_pause() && longest_ms > kMaxPauseMs) {
    return invalid(fmt::format("pause: for {} ms, of at most {}", longest_ms, kMaxPauseMs));
  }
  if (fault.has_rolling_restart() && shortest_ms == 0) {
    return invalid("rolling_restart: for_ms, or for_min_ms of a class, is not said");
  }
  return ok();
}

Status validate_maintenance(const proto::Fault& fault) {
  const proto::MaintainServer& maintenance = fault.maintain_server();
  if (maintenance.announced_ms() == 0) return invalid("maintain_server without announced_ms");
  if (maintenance.announced_ms() > kMaxOperatorMs) return invalid("maintain_server: announced_ms is too long");
  if (maintenance.away_ms() > kMaxOperatorMs) return invalid("maintain_server: away_ms is too long");
  return validate_nodes(fault);
}

Status validate_balancing(const proto::Fault& fault) {
  const proto::BalanceServers& balancing = fault.balance_servers();
  const bool in_range = balancing.threshold_percent() >= 1 && balancing.threshold_percent() <= 100;
  if (!in_range) return invalid("balance_servers: threshold_percent is 1 to 100");
  if (balancing.most_ms() > kMaxOperatorMs) return invalid("balance_servers: most_ms is too long");
  return validate_nodes(fault);
}

Status validate_fault(const proto::Fault& fault) {
  switch (fault.kind_case()) {
    case proto::Fault::kPartition:
      return validate_sides(fault, fault.partition().a(), fault.partition().b());
    case proto::Fault::kFlap:
      return validate_sides(fault, fault.flap().a(), fault.flap().b());
    case proto::Fault::KIND_NOT_SET:
      return invalid("a fault without a kind");
    case proto::Fault::kSlowDisk:
      if (fault.slow_disk().min_us() > fault.slow_disk().max_us()) return invalid("slow_disk: min_us > max_us");
      break;
    case proto::Fault::kClockDrift:
      if (fault.clock_drift().parts_per_million() > kMaxDriftPpm ||
          fault.clock_drift().parts_per_million() < -kMaxDriftPpm) {
        return invalid("clock_drift: too much");
      }
      break;
    case proto::Fault::kDrainServer:
      if (fault.drain_server().stay_ms() > kMaxOperatorMs) return invalid("drain_server: stay_ms is too long");
      break;
    case proto::Fault::kMaintainServer:
      return validate_maintenance(fault);
    case proto::Fault::kBalanceServers:
      return validate_balancing(fault);
    default:
      break;
  }
  return validate_nodes(fault);
}

Status validate_class(const proto::FaultClass& drawn) {
  DOGFS_TRYV(validate_fault(drawn.fault()));
  if (drawn.mean_interval_ms() == 0) return invalid("a fault class without mean_interval_ms");
  if (drawn.for_min_ms() > drawn.for_max_ms()) return invalid("for_min_ms > for_max_ms");
  return validate_times(drawn.fault(), drawn.for_min_ms(), drawn.for_max_ms());
}

Status validate(const proto::Scenario& scenario) {
  DOGFS_TRYV(validate_parts(scenario));
  if (scenario.meta_disk().sync_min_us() > scenario.meta_disk().sync_max_us()) {
    return invalid("meta_disk: sync_min_us > sync_max_us");
  }
  if (scenario.meta_disk().snapshot_part_bytes() > kSnapshotChunkBytes) {
    return invalid(fmt::format("meta_disk: snapshot_part_bytes is more than {}", kSnapshotChunkBytes));
  }
  if (scenario.network().delay_min_us() > scenario.network().delay_max_us()) {
    return invalid("network: delay_min_us > delay_max_us");
  }
  if (scenario.network().corrupt_per_million() > 0) return invalid("network: corrupt_per_million is for faults");
  const proto::Policy& policy = scenario.policy();
  const proto::Work& work = scenario.work();
  if (uint64_t{work.appends_per_hundred()} + work.truncations_per_hundred() + work.conversions_per_hundred() > 100 ||
      work.syncs_per_hundred() > 100) {
    return invalid("work: more than a hundred in a hundred");
  }
  for (const uint32_t part :
       {work.trash_operations_per_hundred(), work.quota_operations_per_hundred(), work.lease_recoveries_per_hundred(),
        work.policy_changes_per_hundred(), work.range_reads_per_hundred(), work.summaries_per_hundred(),
        work.pauses_per_hundred()}) {
    if (part > 100) return invalid("work: more than a hundred in a hundred");
  }
  if (work.longest_pause_ms() > kMaxPauseMs) return invalid("work: longest_pause_ms is too long");
  if (work.trash_operations_per_hundred() > 0 && work.trash_period_ms() == 0) {
    return invalid("work: operations on the trash without a trash_period_ms");
  }
  for (const uint32_t nodes : {scenario.meta_nodes(), scenario.chunk_servers(), scenario.clients()}) {
    if (nodes > kMaxNodes) return invalid("too many nodes");
  }
  if (uint64_t{scenario.meta_nodes()} + scenario.spare_meta_nodes() > kMaxNodes) return invalid("too many spare nodes");
  if (scenario.disks() > kMaxDisksPerServer) return invalid("too many disks");
  const Status geometry = dogfs::validate(Geometry{.data_shards = policy.data_shards(),
                                                   .parity_shards = policy.parity_shards(),
                                                   .cell_bytes = policy.cell_bytes(),
                                                   .block_bytes = policy.block_bytes()});
  if (!geometry) return invalid("policy: " + geometry.error().detail);
  // No block is committed below that (core/client/block_verdict.h).
  const uint32_t required = policy.data_shards() + 1;
  if (scenario.chunk_servers() < required) {
    return invalid(fmt::format("chunk_servers: {}, where a block of RS({},{}) takes {} to be stored",
                               scenario.chunk_servers(), policy.data_shards(), policy.parity_shards(), required));
  }
  for (const proto::Fault& fault : scenario.faults()) {
    DOGFS_TRYV(validate_fault(fault));
    DOGFS_TRYV(validate_times(fault, fault.for_ms(), fault.for_ms()));
    // A server that finds nothing on its only disk is a new server.
    if (fault.has_disk_emptied() && scenario.disks() < 2) return invalid("disk_emptied: servers of one disk");
    if (fault.has_meta_disk_emptied() && scenario.spare_meta_nodes() > 0)
      return invalid("meta_disk_emptied: spare nodes");
  }
  for (const proto::FaultClass& drawn : scenario.fault_classes()) {
    DOGFS_TRYV(validate_class(drawn));
    if (drawn.fault().has_disk_emptied() && scenario.disks() < 2) return invalid("disk_emptied: servers of one disk");
    if (drawn.fault().has_meta_disk_emptied() && scenario.spare_meta_nodes() > 0) {
      return invalid("meta_disk_emptied: spare nodes");
    }
  }
  return ok();
}

}  // namespace

Result<proto::Scenario> parse_scenario(const std::string& text) {
  proto::Scenario scenario;
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &scenario)) return invalid(error.text());
  set_defaults(scenario);
  DOGFS_TRYV(validate(scenario));
  return scenario;
}

Result<proto::Scenario> load_scenario(const std::string& directory, const std::string& name) {
  const fs::path in_directory = fs::path(directory) / (name + std::string(kSuffix));
  const fs::path path = fs::exists(in_directory) ? in_directory : fs::path(name);
  // architecture: allow file: scenarios are read before a run begins
  std::ifstream file(path);
  if (fs::is_directory(path) || !file) {
    return Error(ErrorCode::kNotFound, "no scenario " + name + " (dogfs-sim list shows them)");
  }
  const std::string text(std::istreambuf_iterator<char>(file), {});
  if (file.bad()) return Error(ErrorCode::kIoError, "cannot read " + path.string());
  Result<proto::Scenario> scenario = parse_scenario(text);
  if (!scenario.has_value()) return Error(scenario.error().code, path.string() + ": " + scenario.error().detail);
  return scenario;
}

std::vector<std::string> list_scenarios(const std::string& directory) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() == kSuffix) names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace dogfs::sim
