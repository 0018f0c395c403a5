// Transcripts: scripts of inputs, each followed by the effects that it must have, in testdata/*.txt.
//
// After etcd-io/raft's testdata. A script is a list of paragraphs: command lines, a line `----`, and what they print. To
// write the outputs anew after a change that is meant: DOGFS_REWRITE_TRANSCRIPTS=1 raft_transcript_test; then read the
// difference. The commands:
//   cluster N [option=value ...]   nodes 1..N; options append_bytes, append_entries, inflight, uncommitted_bytes,
//                                  cached_bytes, lease_ms (the drift bound of leases), keep_entries, hold_entries (of
//                                  the log), patience_ms (with who is sent a snapshot), disk_patience_ms (of a leader),
//                                  named_stores (0 or 1: whether a lost disk is noticed)
//   campaign N | propose N C...    (each C is a command) | read N CONTEXT
//   wait MS                        time passes, nobody is ticked
//   tick N                         node N looks at the clock
//   persist N [all]                N's oldest disk write (or all) is done
//   apply N                        what N was given to apply is applied
//   fetch N                        N's log reads are answered
//   read_state N                   the part of its state that N is to send is read
//   stage N                        the part of a snapshot that N has received is durable
//   install N                      the snapshot that N has received takes the place of its state
//   deliver A->B [all]             the oldest message on that way (or all that are on it now) arrives
//   drop A->B [all]                ... or is lost
//   join N                         a new node with an empty disk waits to be added
//   change N what=NODE[,NODE]...   what: add, promote, demote, remove
//   transfer N TARGET              N is to hand leadership over
//   settle                         everything goes well until nothing is left to do, silently
//   crash N [keep=K] | restart N   all but K unsynced writes are lost
//   lose_disk N                    ... or all that it ever wrote
//   status N... | log N | network  print
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/base/check.h"
#include "core/raft/describe.h"
#include "tests/core/raft/cluster.h"

namespace dogfs::raft {
namespace {

using Words = std::vector<std::string>;

Words split(const std::string& line) {
  std::istringstream in(line);
  Words words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

NodeId parse_node(const std::string& word) {
  return NodeId(std::stoull(word));
}

class Runner {
 public:
  // What `line` prints.
  std::string run(const std::string& line) {
    out_.clear();
    const Words words = split(line);
    execute(words);
    if (cluster_ && cluster_->violation()) print("VIOLATION " + *cluster_->violation());
    return out_;
  }

 private:
  void print(const std::string& line) { out_ += line + "\n"; }

  void execute(const Words& words) {
    const std::string& command = words.at(0);
    if (command == "cluster") return create(words);
    if (command == "wait") return cluster_->advance(milliseconds(std::stoll(words.at(1))));
    if (command == "network") return print_network();
    if (command == "status") return print_statuses(words);
    if (command == "log") return print_log(parse_node(words.at(1)));
    if (command == "deliver" || command == "drop") return move(words, command == "deliver");
    if (command == "settle") return settle();
    if (command == "join") return join(parse_node(words.at(1)));
    const NodeId node = parse_node(words.at(1));
    const size_t sent_before = cluster_->network().size();
    execute_at(node, words);
    report(node, sent_before);
  }

  void execute_at(NodeId node, const Words& words) {
    const std::string& command = words.at(0);
    if (command == "campaign") return cluster_->campaign(node);
    if (command == "tick") return cluster_->tick(node);
    if (command == "persist") return words.size() > 2 ? cluster_->persist_all(node) : persist_one(node);
    if (command == "apply") return cluster_->apply(node);
    if (command == "fetch") return cluster_->answer_fetches(node);
    if (command == "read_state") return cluster_->read_snapshots(node);
    if (command == "stage") return cluster_->stage(node);
    if (command == "install") return cluster_->install(node);
    if (command == "restart") return restart(node);
    if (command == "lose_disk") return cluster_->lose_disk(node);
    if (command == "crash") {
      const size_t keep = words.size() > 2 ? std::stoull(words[2].substr(words[2].find('=') + 1)) : 0;
      return cluster_->crash(node, keep, LogIndex(cluster_->node(node).disk.machine.size()));
    }
    if (command == "propose") {
      if (!cluster_->propose(node, Words(words.begin() + 2, words.end()))) print("refused");
      return;
    }
    if (command == "change") return change(node, words);
    if (command == "transfer") {
      const Status begun = cluster_->node(node).raft->transfer_leadership(parse_node(words.at(2)));
      if (!begun) print("refused: " + begun.error().detail);
      return cluster_->collect(node);
    }
    if (command == "read") {
      if (!cluster_->read(node, std::stoull(words.at(2)))) print("refused");
      return;
    }
    print("unknown command " + command);
  }

  void join(NodeId node) {
    cluster_->join(node);
    standing_[node] = standing(node);
    configurations_[node] = configuration(node);
  }

  void change(NodeId node, const Words& words) {
    MembershipChange change;
    for (size_t i = 2; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      const std::string what = words[i].substr(0, equals);
      std::istringstream list(words[i].substr(equals + 1));
      for (std::string id; std::getline(list, id, ',');) {
        if (what == "add") change.add.emplace(parse_node(id), Address());
        if (what == "promote") change.promote.push_back(parse_node(id));
        if (what == "demote") change.demote.push_back(parse_node(id));
        if (what == "remove") change.remove.push_back(parse_node(id));
      }
    }
    const Result<LogPosition> begun = cluster_->change(node, change);
    if (!begun) print("refused: " + begun.error().detail);
  }

  void restart(NodeId node) {
    shown_batch_[node] = 0;
    commits_[node] = LogIndex();
    given_[node] = LogIndex();
    cluster_->restart(node);
  }

  void persist_one(NodeId node) {
    if (cluster_->node(node).disk.unsynced.empty()) return print("nothing to persist");
    cluster_->persist_one(node);
  }

  void create(const Words& words) {
    Options options;
    TestStores stores = TestStores::kNameless;
    for (size_t i = 2; i < words.size(); ++i) {
      const size_t equals = words[i].find('=');
      const std::string name = words[i].substr(0, equals);
      const size_t value = std::stoull(words[i].substr(equals + 1));
      if (name == "append_bytes") options.append.max_bytes = value;
      if (name == "append_entries") options.append.max_entries = value;
      if (name == "inflight") options.flow.max_inflight_appends = value;
      if (name == "uncommitted_bytes") options.max_uncommitted_bytes = value;
      if (name == "cached_bytes") options.max_cached_bytes = value;
      if (name == "keep_entries") options.compaction.keep.max_entries = value;
      if (name == "hold_entries") options.compaction.hold.max_entries = value;
      if (name == "disk_patience_ms") options.disk_patience = milliseconds(static_cast<int64_t>(value));
      if (name == "patience_ms") options.snapshot_patience = milliseconds(static_cast<int64_t>(value));
      if (name == "named_stores") stores = value == 0 ? TestStores::kNameless : TestStores::kNamed;
      if (name == "lease_ms") options.lease_drift_bound = milliseconds(static_cast<int64_t>(value));
    }
    cluster_.emplace(std::stoull(words.at(1)), options, 1, stores);
    standing_.clear();
    configurations_.clear();
    shown_batch_.clear();
    commits_.clear();
    given_.clear();
    for (const auto& [id, node] : cluster_->nodes()) {
      standing_[id] = standing(id);
      configurations_[id] = configuration(id);
    }
  }

  void move(const Words& words, bool deliver) {
    const size_t arrow = words.at(1).find("->");
    const NodeId from = parse_node(words[1].substr(0, arrow));
    const NodeId to = parse_node(words[1].substr(arrow + 2));
    std::vector<Message> taken;
    std::erase_if(cluster_->network(), [&](const Message& message) {
      if (message.from != from || message.to != to || (words.size() < 3 && !taken.empty())) return false;
      taken.push_back(message);
      return true;
    });
    if (taken.empty()) return print("nothing to " + words[0]);
    for (const Message& message : taken) {
      print(words[0] + " " + describe(message));
      const size_t sent_before = cluster_->network().size();
      if (deliver) cluster_->deliver(message);
      report(to, sent_before);
    }
  }

  void settle() {
    cluster_->settle();
    for (auto& [id, node] : cluster_->nodes()) {
      node.reads.clear();
      node.failed_reads.clear();
      standing_[id] = standing(id);
      configurations_[id] = configuration(id);
      if (!node.raft) continue;
      commits_[id] = node.raft->commit();
      // Everything that was handed out is written: the next batch is a new one.
      shown_batch_[id] = node.raft->last_batch();
    }
  }

  std::string standing(NodeId id) {
    const TestNode& node = cluster_->node(id);
    if (!node.raft) return "down";
    const Raft& raft = *node.raft;
    return fmt::format("{} of term {}, leader {}", role_name(raft.role()), raft.term(), raft.leader());
  }

  std::string configuration(NodeId id) {
    const TestNode& node = cluster_->node(id);
    return node.raft ? describe(node.raft->configuration()) : configurations_[id];
  }

  // The effects at `id` since there were so many messages on the network.
  void report(NodeId id, size_t sent_before) {
    TestNode& node = cluster_->node(id);
    const std::string now = standing(id);
    if (standing_[id] != now) print(fmt::format("  {} is {}", id, now));
    standing_[id] = now;
    const std::string members = configuration(id);
    if (configurations_[id] != members) print(fmt::format("  {} knows {}", id, members));
    configurations_[id] = members;
    for (const PersistBatch& batch : node.disk.unsynced) {
      if (batch.number > shown_batch_[id]) print_write(id, batch);
      shown_batch_[id] = std::max(shown_batch_[id], batch.number);
    }
    for (size_t i = sent_before; i < cluster_->network().size(); ++i) print("  " + describe(cluster_->network()[i]));
    for (const CompletedReads& reads : std::exchange(node.reads, {})) {
      print(fmt::format("  {} may read {} at {}", id, fmt::join(reads.contexts, " "), reads.index));
    }
    for (const uint64_t read : std::exchange(node.failed_reads, {})) print(fmt::format("  {} fails read {}", id, read));
    for (const LogFetch& fetch : node.fetches) {
      print(fmt::format("  {} fetches from {} for {}", id, fetch.first, fetch.peer));
    }
    for (const SnapshotRead& read : node.snapshot_reads) {
      print(fmt::format("  {} reads part {} of snapshot #{} for {}", id, read.chunk, read.snapshot, read.peer));
    }
    if (node.stage) print(fmt::format("  {} stages part {}", id, node.stage->chunk->number));
    if (node.disk.install) print(fmt::format("  {} installs the state at {}", id, describe(*node.disk.install)));
    print_commit(id);
  }

  void print_write(NodeId id, const PersistBatch& batch) {
    std::string line = fmt::format("  {} writes #{} term {} vote {}", id, batch.number, batch.hard_state.term,
                                   batch.hard_state.voted_for);
    if (batch.truncate_from) line += fmt::format(" erase {}..", *batch.truncate_from);
    for (const Entry& entry : batch.entries) line += " [" + describe(entry) + "]";
    if (batch.compaction) line += fmt::format(", drops the log up to {}", describe(batch.compaction->base));
    print(line);
  }

  void print_commit(NodeId id) {
    const TestNode& node = cluster_->node(id);
    if (!node.raft) return;
    const LogIndex commit = node.raft->commit();
    if (commit > commits_[id]) print(fmt::format("  {} has committed {}", id, commit));
    commits_[id] = commit;
    if (!node.to_apply.empty() && node.to_apply.back().index != given_[id]) {
      print(fmt::format("  {} may apply {}..{}", id, node.to_apply.front().index, node.to_apply.back().index));
      given_[id] = node.to_apply.back().index;
    }
  }

  void print_network() {
    for (const Message& message : cluster_->network()) print("  " + describe(message));
    if (cluster_->network().empty()) print("  nothing");
  }

  void print_statuses(const Words& words) {
    for (size_t i = 1; i < words.size(); ++i) print_status(parse_node(words[i]));
  }

  void print_status(NodeId id) {
    const TestNode& node = cluster_->node(id);
    std::string line = fmt::format("  {} is {}", id, standing(id));
    if (node.raft) {
      line += fmt::format(", last {}, durable {}, commit {}, applied {}", describe(node.raft->log().last()),
                          node.raft->log().durable(), node.raft->commit(), node.raft->applied());
      for (const auto& [peer, progress] : node.raft->progress()) {
        line += fmt::format("\n    {}: {} match {} next {} in flight {}", peer, progress_state_name(progress.state()),
                            progress.match(), progress.next(), progress.inflight().count());
      }
    }
    print(line);
  }

  void print_log(NodeId id) {
    const Log& log = cluster_->node(id).raft->log();
    if (log.last_index().is_none()) return print("  empty");
    if (log.first_index() > log.last_index()) return print("  nothing behind " + describe(log.base()));
    const EntryLimits all{SIZE_MAX, SIZE_MAX};
    for (const Entry& entry : log.cached(log.first_cached(), log.last_index(), all)) print("  " + describe(entry));
  }

  std::optional<TestCluster> cluster_;
  std::string out_;
  std::map<NodeId, std::string> standing_;
  std::map<NodeId, std::string> configurations_;
  std::map<NodeId, uint64_t> shown_batch_;
  std::map<NodeId, LogIndex> commits_;
  std::map<NodeId, LogIndex> given_;
};

// The script with its outputs as they are now.
std::string replay(std::istream& script) {
  Runner runner;
  std::string result;
  std::string printed;
  bool in_output = false;
  for (std::string line; std::getline(script, line);) {
    if (line.empty()) {
      in_output = false;
      result += "\n";
    } else if (line == "----") {
      result += "----\n" + (printed.empty() ? "  ok\n" : printed);
      printed.clear();
      in_output = true;
    } else if (line.starts_with("#")) {
      result += line + "\n";
    } else if (!in_output) {
      result += line + "\n";
      printed += runner.run(line);
    }
  }
  return result;
}

std::filesystem::path testdata() {
  const char* source = std::getenv("DOGFS_SOURCE_DIR");
  return std::filesystem::path(source == nullptr ? "." : source) / "tests/core/raft/testdata";
}

std::vector<std::string> transcripts() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(testdata())) {
    if (file.path().extension() == ".txt") names.push_back(file.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(RaftTranscript, EveryScriptHasTheEffectsThatItSays) {
  const std::vector<std::string> names = transcripts();
  ASSERT_GE(names.size(), 10U);
  for (const std::string& name : names) {
    const std::filesystem::path path = testdata() / (name + ".txt");
    std::stringstream expected;
    expected << std::ifstream(path).rdbuf();
    std::istringstream script(expected.str());
    const std::string actual = replay(script);
    if (std::getenv("DOGFS_REWRITE_TRANSCRIPTS") != nullptr) {
      std::ofstream(path) << actual;
    } else {
      EXPECT_EQ(actual, expected.str()) << path;
    }
    EXPECT_EQ(actual.find("VIOLATION"), std::string::npos) << path;
  }
}

}  // namespace
}  // namespace dogfs::raft
