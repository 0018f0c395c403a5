// Writes the seed corpora: `make_fuzz_seeds fuzz/corpus` (what `./dev fuzz --make-seeds` does).
//
// Decoders get one good example of each thing that they decode, so that the fuzzer begins behind the magic numbers.
// Targets that read a schedule from their bytes get some noise: any bytes are a schedule. Raft's gets the usual course of
// things besides (fuzz/raft_seeds.h), which noise seldom comes to.
#include <google/protobuf/message_lite.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "core/base/check.h"
#include "core/base/checksum.h"
#include "core/base/hash.h"
#include "core/chunk/shard_format.h"
#include "core/ec/policy_wire.h"
#include "core/raft/codec.h"
#include "core/wire/chunk.pb.h"
#include "core/wire/command.pb.h"
#include "core/wire/frame.h"
#include "core/wire/meta.pb.h"
#include "core/wire/rpc.h"
#include "fuzz/raft_seeds.h"

namespace dogfs::fuzz {
namespace {

class Corpus {
 public:
  explicit Corpus(std::filesystem::path directory) : directory_(std::move(directory)) {}

  void add(const std::string& target, const std::string& name, std::string_view bytes) const {
    std::filesystem::create_directories(directory_ / target);
    std::ofstream file(directory_ / target / name, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    DOGFS_CHECK(file.good(), "a seed could not be written");
  }

 private:
  std::filesystem::path directory_;
};

std::string noise(uint64_t seed, size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(combine64(seed, i));
  return bytes;
}

// As Input::bytes() reads it.
std::string sized(std::string_view bytes) {
  std::string text{static_cast<char>(bytes.size()), static_cast<char>(bytes.size() >> 8)};
  return text.append(bytes);
}

wire::MutateRequest example_mutation() {
  wire::MutateRequest request;
  request.set_session(1);
  request.set_sequence(2);
  request.set_low_water(1);
  wire::CreateFile& create = *request.mutable_mutation()->mutable_create_file();
  create.set_path("/a/b");
  create.set_parents(true);
  return request;
}

void add_frames(const Corpus& corpus) {
  // A mended frame, read in portions of 8 bytes.
  const std::string options{'\1', '\7'};
  Request request = make_request(MessageType::kMutate, GroupId(), example_mutation());
  request.principal = "alice";
  corpus.add("frame", "request", options + encode_request(request, FrameKind::kRequest, 7, seconds(1)).value().prefix);
  request.type = MessageType::kRaft;
  corpus.add("frame", "one_way", options + encode_request(request, FrameKind::kOneWay, 0, seconds(1)).value().prefix);
  request.payload = BytesChain(Bytes::copy_of("payload"));
  corpus.add("frame", "payload",
             options + encode_request(request, FrameKind::kRequest, 8, seconds(1)).value().prefix + "payload");
  Reply reply = error_reply(Error(ErrorCode::kNotLeader, "not here"));
  reply.leader = {"meta-2"};
  corpus.add("frame", "redirect", options + encode_reply(reply, MessageType::kStat, 7).value().prefix);
  wire::StatReply stat;
  stat.mutable_status()->set_inode(1);
  corpus.add("frame", "reply", options + encode_reply(make_reply(stat), MessageType::kStat, 7).value().prefix);
}

void add_paths(const Corpus& corpus) {
  corpus.add("path", "root", "/");
  corpus.add("path", "file", "/a/directory/file");
  corpus.add("path", "dots", "/a/../b/./c");
  corpus.add("path", "relative", "a//b/");
}

void add_raft_messages(const Corpus& corpus) {
  raft::Message message;
  message.kind = raft::MessageKind::kAppend;
  message.from = NodeId(1);
  message.to = NodeId(2);
  message.term = Term(3);
  message.log = {LogIndex(4), Term(2)};
  message.commit = LogIndex(4);
  message.entries = {{LogIndex(5), Term(3), raft::EntryType::kNoop, nullptr},
                     {LogIndex(6), Term(3), raft::EntryType::kCommand, std::make_shared<const std::string>("command")}};
  wire::RaftMessages all;
  raft::encode_message(message, *all.add_messages());
  message.entries.clear();
  for (const auto kind : {raft::MessageKind::kPreVote, raft::MessageKind::kVoteReply, raft::MessageKind::kAppendReply,
                          raft::MessageKind::kHeartbeat}) {
    message.kind = kind;
    raft::encode_message(message, *all.add_messages());
  }
  corpus.add("raft_message", "messages", all.SerializeAsString());
  wire::RaftConfiguration configuration;
  for (const uint64_t node : {1, 2, 3}) {
    configuration.add_voters(node);
    configuration.add_members()->set_node(node);
    configuration.mutable_members()->rbegin()->set_address("meta:1");
  }
  configuration.set_last_id(3);
  corpus.add("raft_message", "configuration", configuration.SerializeAsString());

  wire::RaftEntry entry;
  entry.set_index(1);
  entry.set_term(1);
  entry.set_command("command");
  wire::RaftHardState state;
  state.set_term(1);
  state.set_last_index(1);
  state.set_last_term(1);
  // A new store; then entry 1 and the hard state that covers it, with good checksums.
  corpus.add("raft_store", "one_entry",
             std::string{'\1'} + std::string{'\2', '\1', '\1'} + sized(entry.SerializeAsString()) +
                 std::string{'\1', '\1'} + sized(state.SerializeAsString()));
}

void add_shard_files(const Corpus& corpus) {
  const ShardKey key{BlockId(3), ShardIndex(1), ShardGeneration(9)};
  const Bytes header = encode_shard_header({std::string(kUuidBytes, 'C'), key, kDefaultGeometry});
  // Only its beginning: the target adds the zeros and the checksum.
  corpus.add("shard_format", "header", std::string{'\0', '\1'} + std::string(header.view().substr(0, 80)));
  const std::string data(70000, 'x');
  const ShardFooter footer{key,
                           data.size(),
                           crc32c(data),
                           {crc32c(std::string_view(data).substr(0, kChecksumPieceBytes)),
                            crc32c(std::string_view(data).substr(kChecksumPieceBytes))}};
  std::string end(shard_footer_bytes(data.size()), '\0');
  encode_shard_footer(footer, std::as_writable_bytes(std::span(end.data(), end.size())));
  corpus.add("shard_format", "footer", std::string{'\0', '\0'} + end);
  corpus.add("shard_format", "trailer", std::string{'\1', '\1'} + end.substr(end.size() - 64));
  corpus.add("shard_format", "file_name", std::string{'\0', '\0'} + shard_file_name(key));
  corpus.add("shard_format", "record_key", std::string{'\0', '\0'} + shard_record_key(key));
}

void add_identities(const Corpus& corpus) {
  corpus.add("data_directory", "ours", "dogfs identity 1\ncluster c\nnode 1\nrole meta\nformatted yes\n");
  corpus.add("data_directory", "another", "dogfs identity 1\ncluster d\nnode 2\nrole chunk\nformatted no\n");
  corpus.add("data_directory", "cut", "dogfs identity 1\ncluster c\nno");
}

// Faults as fault_schedule.cc draws them. Selectors are given by their place in its list.
enum Nodes : char {
  kLeader = 0,
  kMinority = 2,
  kMeta1 = 3,
  kMeta2 = 4,
  kChunk1 = 6,
  kChunk3 = 8,
  kClient = 10,
  kAllMeta = 11,
  kAllChunk = 12,
  kAll = 13,
  kSomeChunk = 14
};

std::string fault(uint16_t at_ms, uint16_t for_ms, const std::string& kind) {
  std::string bytes;
  for (const uint16_t time : {at_ms, for_ms}) {
    bytes.append({static_cast<char>(time), static_cast<char>(time >> 8)});
  }
  return bytes.append(kind);
}
std::string fault_of_time(char kind, const std::string& rest) {
  return std::string{'\0', kind}.append(rest);
}
std::string fault_of_disks(char kind, const std::string& rest) {
  return std::string{'\1', kind}.append(rest);
}
std::string fault_of_nodes(char kind, const std::string& rest) {
  return std::string{'\2', kind}.append(rest);
}
std::string crash(Nodes nodes, bool power) {
  return fault_of_nodes('\7', {nodes, static_cast<char>(power)});
}

// The beginnings of the usual stories; what comes of them together is the fuzzer's to find.
void add_fault_schedules(const Corpus& corpus) {
  using std::string;
  const auto add = [&corpus](const string& name, const string& faults) {
    corpus.add("fault_schedule", name, string{'\1'} + faults);  // the seed of the run
  };
  const string cut_off = fault_of_nodes('\0', {kLeader, '\1', '\0'});
  const string cut_off_one_way = fault_of_nodes('\0', {kLeader, '\1', '\1'});
  const string lossy = fault_of_nodes('\3', {'\20', '\100', '\100', '\100', '\50'});
  const string transfer = fault_of_nodes('\5', {kMeta2});
  add("leaders_crash", fault(500, 700, crash(kLeader, true)) + fault(1500, 500, crash(kLeader, false)));
  add("leader_cut_off", fault(600, 900, cut_off) + fault(1900, 600, cut_off_one_way));
  add("power_cut", fault(1000, 300, crash(kAll, true)));
  add("minority_away", fault(400, 1500, crash(kMinority, true)) + fault(900, 500, crash(kSomeChunk, true)));
  add("handed_over_in_loss", fault(300, 1500, lossy) + fault(800, 1, transfer));
  add("paused_leader", fault(700, 800, fault_of_nodes('\4', {kLeader})) + fault(1200, 400, crash(kClient, true)));
  add("clocks", fault(300, 1800, fault_of_time('\1', {kMeta1, '\377'})) +
                    fault(900, 1, fault_of_time('\2', {kLeader, '\100', '\0'})));
  add("damage", fault(600, 800, fault_of_disks('\0', {kChunk1, '\0', '\20'})) +
                    fault(900, 1, fault_of_disks('\4', {kSomeChunk, '\2'})) +
                    fault(1200, 1, fault_of_disks('\11', {kSomeChunk, '\7'})));
  add("full_slow_and_lying", fault(400, 900, fault_of_disks('\5', {kChunk3})) +
                                 fault(700, 900, fault_of_disks('\6', {kAllMeta, '\40'})) +
                                 fault(1000, 500, fault_of_disks('\7', {kSomeChunk})));
  add("emptied_during_loss", fault(500, 1, fault_of_disks('\10', {kChunk3})) + fault(500, 800, lossy) +
                                 fault(900, 400, crash(kAllChunk, false)));
}

void add_schedules(const Corpus& corpus) {
  for (const char* target : {"raft_schedule", "raft_hostile", "meta_command", "meta_request", "chunk_request",
                             "chunk_disk", "fault_schedule"}) {
    for (const size_t size : {40, 400, 2000}) {
      corpus.add(target, "noise_" + std::to_string(size), noise(hash64(target), size));
    }
  }
  for (const auto& [name, bytes] : raft_schedule_seeds()) corpus.add("raft_schedule", name, bytes);
  add_fault_schedules(corpus);
}

void make_all(const Corpus& corpus) {
  add_frames(corpus);
  add_paths(corpus);
  add_raft_messages(corpus);
  add_shard_files(corpus);
  add_identities(corpus);
  add_schedules(corpus);
}

}  // namespace
}  // namespace dogfs::fuzz

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: make_fuzz_seeds DIRECTORY\n");
    return 2;
  }
  dogfs::fuzz::make_all(dogfs::fuzz::Corpus(arguments[1]));
  return 0;
}
