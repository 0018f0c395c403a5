// The checker on histories made by hand, good ones and one of each kind of bad one; and against a search through all
// orders on tiny ones.
#include "sim/linearizability.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

#include "core/base/hash.h"
#include "tests/sim/history_harness.h"

namespace dogfs::sim {
namespace {

using testing::HasSubstr;

TEST(Linearizability, AnEmptyHistoryIsGood) {
  EXPECT_EQ(HistoryHarness().violation(), "");
}

TEST(Linearizability, OperationsOneAfterTheOtherAreGood) {
  HistoryHarness harness;
  harness.make_directory("/a", {1, 2});
  harness.create("/a/f", {3, 4});
  harness.stat("/a/f", {5, 6});
  harness.rename("/a", "/b", {7, 8});
  harness.list("/b", {9, 10});
  harness.stat("/a/f", {11, 12});
  harness.remove("/b", {13, 14});
  harness.list("/", {15, 16});
  EXPECT_EQ(harness.violation(), "");
  const LinearizabilityResult result = check_linearizability(harness.history, harness.machine.log);
  EXPECT_EQ(result.changes, 4u);
  EXPECT_EQ(result.reads, 4u);
}

TEST(Linearizability, OverlappingOperationsMayBeInEitherOrder) {
  HistoryHarness before;
  before.stat("/a", {1, 10});
  before.make_directory("/a", {2, 9});
  EXPECT_EQ(before.violation(), "");
  HistoryHarness after;
  after.make_directory("/a", {2, 9});
  after.stat("/a", {1, 10});
  EXPECT_EQ(after.violation(), "");
}

TEST(Linearizability, AWrittenFileIsGood) {
  HistoryHarness harness;
  harness.create("/f", {1, 2});
  wire::Mutation allocate;
  allocate.mutable_allocate_block()->set_inode(2);
  allocate.mutable_allocate_block()->set_lease_epoch(1);
  harness.change(allocate, {3, 4}, {1, 2, 3, 4, 5});
  harness.blocks("/f", {5, 6});
  const wire::BlockRow block = MetaTables(harness.machine.rows, GroupId()).required_block(BlockId(1)).value();
  wire::Mutation commit;
  commit.mutable_commit_block()->set_inode(2);
  commit.mutable_commit_block()->set_lease_epoch(1);
  commit.mutable_commit_block()->set_block(1);
  commit.mutable_commit_block()->set_length(kTestGeometry.block_bytes);
  const BlockLayout layout(kTestGeometry, kTestGeometry.block_bytes);
  for (wire::Shard shard : block.shards()) {
    shard.set_length(layout.shard_length(ShardIndex(shard.index())));
    *commit.mutable_commit_block()->add_shards() = shard;
  }
  const size_t committed = harness.change(commit, {7, 8});
  ASSERT_EQ(harness.history[committed].code, ErrorCode::kOk);
  harness.blocks("/f", {9, 10});
  harness.stat("/f", {11, 12});
  EXPECT_EQ(harness.violation(), "");
}

TEST(Linearizability, AStaleReadIsFound) {
  HistoryHarness harness;
  harness.stat("/a", {5, 6});  // answers that there is none, and began when the directory was acknowledged
  harness.make_directory("/a", {1, 2});
  EXPECT_THAT(harness.violation(), HasSubstr("fits nowhere"));
}

TEST(Linearizability, AReadOfTheFutureIsFound) {
  HistoryHarness harness;
  harness.make_directory("/a", {5, 6});
  harness.stat("/a", {1, 2});
  EXPECT_THAT(harness.violation(), HasSubstr("fits nowhere"));
}

TEST(Linearizability, ReadsThatGoBackAreFound) {
  HistoryHarness harness;
  harness.stat("/a", {5, 6});
  harness.make_directory("/a", {1, 20});
  harness.stat("/a", {3, 4});  // saw it, before the other one did not
  EXPECT_THAT(harness.violation(), HasSubstr("fits nowhere"));
}

// What is in the trash at the end of the harness's own log, and how it came back.
size_t delete_and_look(HistoryHarness& harness) {
  EXPECT_EQ(harness.machine.set_trash_period(1000), ErrorCode::kOk);
  harness.make_directory("/a", {1, 2});
  harness.remove("/a", {3, 4});
  const size_t look = harness.list_trash({5, 6});
  wire::Mutation restore;
  restore.mutable_restore_trash()->set_inode(2);
  harness.change(restore, {7, 8});
  harness.list_trash({9, 10});
  harness.stat("/a", {11, 12});
  return look;
}

TEST(Linearizability, WhatWasDeletedAndRestoredIsGood) {
  HistoryHarness harness;
  delete_and_look(harness);
  EXPECT_EQ(harness.violation(), "");
  EXPECT_EQ(check_linearizability(harness.history, harness.machine.log).reads, 3u);
}

TEST(Linearizability, AWrongLookIntoTheTrashIsFound) {
  HistoryHarness harness;
  const size_t look = delete_and_look(harness);
  wire::ListTrashReply reply;
  ASSERT_TRUE(reply.ParseFromString(harness.history[look].reply));
  ASSERT_EQ(reply.entries_size(), 1);
  reply.mutable_entries(0)->set_expires_ms(reply.entries(0).expires_ms() + 1);
  harness.history[look].reply = reply.SerializeAsString();
  EXPECT_THAT(harness.violation(), HasSubstr("instead of"));
  reply.clear_entries();
  harness.history[look].reply = reply.SerializeAsString();
  EXPECT_THAT(harness.violation(), HasSubstr("something is missing"));
}

TEST(Linearizability, AQuotaThatIsChargedWrongIsFound) {
  HistoryHarness harness;
  harness.make_directory("/a", {1, 2});
  wire::Mutation quota;
  quota.mutable_set_quota()->set_path("/a");
  quota.mutable_set_quota()->set_max_names(2);
  harness.change(quota, {3, 4});
  harness.make_directory("/a/b", {5, 6});
  const size_t refused = harness.make_directory("/a/c", {7, 8});
  EXPECT_EQ(harness.history[refused].code, ErrorCode::kQuotaExceeded);
  const size_t shown = harness.quotas("/a/b", {9, 10});
  EXPECT_EQ(harness.violation(), "");
  wire::GetQuotasReply reply;
  ASSERT_TRUE(reply.ParseFromString(harness.history[shown].reply));
  reply.mutable_quotas(0)->set_names(1);
  harness.history[shown].reply = reply.SerializeAsString();
  EXPECT_THAT(harness.violation(), HasSubstr("instead of"));
  harness.history.pop_back();
  harness.history[refused].code = ErrorCode::kOk;
  EXPECT_THAT(harness.violation(), HasSubstr("must answer QuotaExceeded"));
}

TEST(Linearizability, ASummaryThatIsAddedUpWrongIsFound) {
  HistoryHarness harness;
  harness.make_directory("/a", {1, 2});
  harness.make_directory("/a/b", {3, 4});
  harness.create("/a/f", {5, 6});
  const size_t sum = harness.summary("/", {7, 8});
  harness.summary("/none", {9, 10});
  EXPECT_EQ(harness.violation(), "");
  EXPECT_EQ(check_linearizability(harness.history, harness.machine.log).reads, 2u);
  wire::SummaryReply reply;
  ASSERT_TRUE(reply.ParseFromString(harness.history[sum].reply));
  EXPECT_EQ(reply.directories(), 3U) << "the root, too";
  const auto violation_of = [&](const wire::SummaryReply& falsified) {
    harness.history[sum].reply = falsified.SerializeAsString();
    return harness.violation();
  };
  wire::SummaryReply one_file_more = reply;
  one_file_more.set_files(2);
  EXPECT_THAT(violation_of(one_file_more), HasSubstr("instead of"));
  wire::SummaryReply too_much = reply;
  too_much.set_stored_bytes(1);
  EXPECT_THAT(violation_of(too_much), HasSubstr("instead of"));
  EXPECT_EQ(violation_of(reply), "");
}

TEST(Linearizability, ASummaryOfTheStateBeforeIsFound) {
  HistoryHarness harness;
  harness.summary("/", {5, 6});
  harness.make_directory("/a", {1, 2});
  EXPECT_THAT(harness.violation(), HasSubstr("fits nowhere"));
}

TEST(Linearizability, AWrongListingIsFound) {
  HistoryHarness harness;
  harness.make_directory("/a", {1, 2});
  harness.make_directory("/b", {3, 4});
  const size_t list = harness.list("/", {5, 6});
  wire::ListReply reply;
  ASSERT_TRUE(reply.ParseFromString(harness.history[list].reply));
  reply.mutable_entries()->RemoveLast();
  harness.history[list].reply = reply.SerializeAsString();
  EXPECT_THAT(harness.violation(), HasSubstr("an entry is missing"));
}

TEST(Linearizability, ALostUpdateIsFound) {
  HistoryHarness harness;
  harness.make_directory("/a", {1, 2});
  harness.make_directory("/b", {3, 4});
  harness.machine.log.pop_back();
  EXPECT_THAT(harness.violation(), HasSubstr("is not in the log"));
}

TEST(Linearizability, ARefusalThatNeverRanIsFound) {
  HistoryHarness harness;
  harness.make_directory("/a/b", {1, 2});  // NotFound
  harness.machine.log.pop_back();
  EXPECT_THAT(harness.violation(), HasSubstr("is not in the log"));
}

TEST(Linearizability, ADoubledCommandThatRanTwiceIsFound) {
  HistoryHarness harness;
  harness.create("/a", {1, 2});
  harness.machine.log.push_back(harness.machine.log.back());
  harness.machine.log.back().index = harness.machine.log.back().index.next();
  // The session has it run once only: what the next one is answered must be so.
  EXPECT_EQ(harness.violation(), "");
  const size_t next = harness.create("/b", {3, 4});
  EXPECT_EQ(harness.violation(), "");
  wire::MutateReply reply;
  ASSERT_TRUE(reply.ParseFromString(harness.history[next].reply));
  reply.mutable_result()->mutable_create_file()->set_inode(reply.result().create_file().inode() + 1);
  harness.history[next].reply = reply.SerializeAsString();
  EXPECT_THAT(harness.violation(), HasSubstr("instead of"));
}

TEST(Linearizability, AReorderedRenameIsFound) {
  HistoryHarness harness;
  harness.make_directory("/a", {1, 2});
  harness.rename("/a", "/b", {5, 6});
  harness.rename("/b", "/c", {3, 4});  // stands behind a rename that began after it was answered
  EXPECT_THAT(harness.violation(), HasSubstr("which began after it was answered"));
}

TEST(Linearizability, AWrongResultIsFound) {
  HistoryHarness harness;
  harness.make_directory("/a", {1, 2});
  const size_t again = harness.make_directory("/a", {3, 4});
  harness.history[again].code = ErrorCode::kOk;
  EXPECT_THAT(harness.violation(), HasSubstr("must answer AlreadyExists"));
}

TEST(Linearizability, AnUnknownOutcomeMayBeAnywhereOrNowhere) {
  HistoryHarness happened;
  happened.make_directory("/a", {1, std::nullopt});
  happened.stat("/a", {2, 3});
  EXPECT_EQ(happened.violation(), "");
  HistoryHarness late;
  late.stat("/a", {20, 30});
  late.make_directory("/a", {1, std::nullopt});
  late.stat("/a", {40, 50});
  EXPECT_EQ(late.violation(), "");
  HistoryHarness never;
  never.make_directory("/a", {1, std::nullopt});
  never.machine.log.pop_back();
  EXPECT_EQ(never.violation(), "");
}

TEST(Linearizability, AnUnknownOutcomeIsNotBeforeItsBeginning) {
  HistoryHarness harness;
  harness.make_directory("/a", {10, std::nullopt});
  harness.stat("/a", {1, 2});
  EXPECT_THAT(harness.violation(), HasSubstr("fits nowhere"));
}

TEST(Linearizability, AChangeThatNobodyAskedForIsFound) {
  HistoryHarness harness;
  HistoryOperation opened;
  opened.type = MessageType::kOpenSession;
  opened.answered_ns = 1;
  wire::OpenSessionReply reply;
  reply.set_session(harness.machine.session.value());
  opened.reply = reply.SerializeAsString();
  harness.history.push_back(opened);
  harness.make_directory("/a", {2, 3});
  harness.history.pop_back();
  EXPECT_THAT(harness.violation(), HasSubstr("nobody asked for"));
}

TEST(Linearizability, AChangeThatTheLogHasOtherwiseIsFound) {
  HistoryHarness harness;
  const size_t made = harness.make_directory("/a", {1, 2});
  wire::MutateRequest request;
  ASSERT_TRUE(request.ParseFromString(harness.history[made].request));
  request.mutable_mutation()->mutable_make_directory()->set_path("/b");
  harness.history[made].request = request.SerializeAsString();
  EXPECT_THAT(harness.violation(), HasSubstr("is in the log as"));
}

TEST(Linearizability, AGapInTheLogIsFound) {
  HistoryHarness harness;
  harness.make_directory("/a", {1, 2});
  harness.make_directory("/b", {3, 4});
  harness.machine.log.erase(harness.machine.log.end() - 2);
  EXPECT_THAT(harness.violation(), HasSubstr("is missing in the log"));
}

TEST(History, SurvivesItsFile) {
  HistoryHarness harness;
  harness.make_directory("/a", {1, 2});
  harness.make_directory("/a", {3, 4});
  harness.stat("/a", {5, std::nullopt});
  const auto back = history_from_text(history_to_text(harness.history)).value();
  ASSERT_EQ(back.size(), harness.history.size());
  for (size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i].type, harness.history[i].type);
    EXPECT_EQ(back[i].request, harness.history[i].request);
    EXPECT_EQ(back[i].reply, harness.history[i].reply);
    EXPECT_EQ(back[i].code, harness.history[i].code);
    EXPECT_EQ(back[i].answered_ns, harness.history[i].answered_ns);
  }
  EXPECT_EQ(code_of(history_from_text("operations { nonsense")), ErrorCode::kInvalidArgument);
}

// --- Against a search through all orders -----------------------------------------------------------------------------

// Whether some order of all operations keeps the log's order of changes and real time, and gives these answers.
class Search {
 public:
  Search(const std::vector<HistoryOperation>& history, const std::vector<CommittedEntry>& log)
      : history_(history), log_(log), order_(history.size()) {
    std::iota(order_.begin(), order_.end(), size_t{0});
  }

  bool finds_order() {
    do {
      if (keeps_real_time() && gives_the_answers()) return true;
    } while (std::ranges::next_permutation(order_).found);
    return false;
  }

 private:
  bool keeps_real_time() const {
    for (size_t i = 0; i < order_.size(); ++i) {
      for (size_t j = i + 1; j < order_.size(); ++j) {
        const HistoryOperation& later = history_[order_[j]];
        if (later.answered_ns && *later.answered_ns < history_[order_[i]].invoked_ns) return false;
      }
    }
    return true;
  }

  // The command of the next change in the order must be the next one of the log.
  bool gives_the_answers() const {
    MetadataModel model;
    size_t next = 0;
    const auto apply_others = [&] {
      while (next < log_.size() && !command(next).has_mutation()) model.apply(command(next++), nullptr);
    };
    for (const size_t number : order_) {
      apply_others();
      const HistoryOperation& operation = history_[number];
      if (operation.type == MessageType::kStat) {
        wire::StatRequest request;
        wire::StatReply reply;
        request.ParseFromString(operation.request);
        reply.ParseFromString(operation.reply);
        if (model.check_stat(request, operation.code, reply)) return false;
        continue;
      }
      wire::MutateRequest request;
      wire::MutateReply reply;
      request.ParseFromString(operation.request);
      reply.ParseFromString(operation.reply);
      if (next == log_.size() || command(next).sequence() != request.sequence()) return false;
      const ModelAnswer answer = model.apply(command(next++), nullptr).answer;
      if (!operation.answered_ns) continue;
      if (answer.code != operation.code) return false;
      const bool same = answer.result.SerializeAsString() == reply.result().SerializeAsString();
      if (answer.code == ErrorCode::kOk && !same) return false;
    }
    return true;
  }

  wire::Command command(size_t i) const {
    wire::Command command;
    command.ParseFromString(log_[i].command);
    return command;
  }

  const std::vector<HistoryOperation>& history_;
  const std::vector<CommittedEntry>& log_;
  std::vector<size_t> order_;
};

RC_GTEST_PROP(Linearizability, AgreesWithASearchThroughAllOrders, ()) {
  HistoryHarness harness;
  const auto path = [] { return *rc::gen::element<std::string>("/a", "/b", "/a/b"); };
  const size_t count = *rc::gen::inRange<size_t>(1, 6);
  for (size_t i = 0; i < count; ++i) {
    const int64_t invoked = *rc::gen::inRange<int64_t>(0, 12);
    const int64_t answered = invoked + *rc::gen::inRange<int64_t>(0, 8);
    const int kind = *rc::gen::inRange(0, 5);
    if (kind == 0) harness.make_directory(path(), {invoked, answered});
    if (kind == 1) harness.rename(path(), path(), {invoked, answered});
    if (kind == 2) harness.remove(path(), {invoked, answered});
    if (kind >= 3) harness.stat(path(), {invoked, answered});
  }
  const bool good = Search(harness.history, harness.machine.log).finds_order();
  RC_CLASSIFY(good, "linearizable");
  RC_ASSERT(harness.violation().empty() == good);
}

TEST(Linearizability, ManyOverlappingOperationsAreGood) {
  HistoryHarness harness;
  run_overlapping_operations(harness, 2'000);
  const LinearizabilityResult result = check_linearizability(harness.history, harness.machine.log);
  EXPECT_EQ(result.violation, std::nullopt);
  EXPECT_EQ(result.changes + result.reads, 2'000u);
}

}  // namespace
}  // namespace dogfs::sim
