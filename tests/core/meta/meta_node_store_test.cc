// A metadata node whose own store cannot be read ends, and its peers take over; what all of them lack ends nobody.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "core/meta/meta_node.h"
#include "core/meta/tables.h"
#include "tests/core/meta/meta_cluster.h"

namespace dogfs {
namespace {

using ::testing::HasSubstr;

constexpr sim::DiskTrouble kUnreadable{.row_read_errors_per_million = 1'000'000};

wire::ListRequest list_root() {
  wire::ListRequest request;
  request.set_path("/");
  return request;
}

InodeId inode_of(const sim::Node& node_with_entry, sim::KvDisk& rows, const std::string& name) {
  const auto entry = MetaTables(rows, GroupId()).entry(kRootInode, name);
  EXPECT_TRUE(entry.has_value() && entry.value().has_value()) << node_with_entry.name();
  return InodeId(entry.value()->inode());
}

void change_rows(sim::KvDisk& rows, const std::function<void(WriteBatch&)>& change) {
  WriteBatch batch;
  change(batch);
  rows.apply(batch);
  rows.mark_durable(rows.sequence());
}

class MetaNodeStore : public ::testing::Test {
 protected:
  MetaNodeStore() : cluster_(3) {
    cluster_.open_session();
    cluster_.add_servers(5);
    EXPECT_EQ(cluster_.mkdir("/a").error.code, ErrorCode::kOk);
    cluster_.world_.run_for(seconds(1));
    first_ = cluster_.leader();
  }

  sim::Node& node(size_t i) { return *cluster_.metas_[i]; }
  sim::KvDisk& rows(size_t i) { return *node(i).kv_disk(); }
  const std::string inode_key(size_t i) { return MetaKeys(GroupId()).inode(inode_of(node(i), rows(i), "a")); }

  // The first leader is asked, and ends; whoever asks again is answered by another.
  void expect_end(Request request, ErrorCode code) {
    const ErrorClass told = error_class(cluster_.ask_node(first_, std::move(request)).error.code);
    EXPECT_EQ(told, ErrorClass::kRetry);
    cluster_.world_.run_for(milliseconds(10));
    ASSERT_TRUE(node(first_).fatal().has_value());
    EXPECT_EQ(node(first_).fatal()->code, code);
    EXPECT_EQ(cluster_.ask_for<wire::ListReply>(MessageType::kList, list_root()).entries_size(), 1);
    EXPECT_NE(cluster_.leader(), first_);
  }

  MetaCluster cluster_;
  size_t first_ = 0;
};

TEST_F(MetaNodeStore, AReadThatItsStoreFailsEndsTheNode) {
  rows(first_).begin_trouble(kUnreadable);
  expect_end(make_request(MessageType::kList, GroupId(), list_root()), ErrorCode::kIoError);
}

TEST_F(MetaNodeStore, SoDoesOneOfManySteps) {
  wire::SummaryRequest request;
  request.set_path("/");
  rows(first_).begin_trouble(kUnreadable);
  expect_end(make_request(MessageType::kSummary, GroupId(), request), ErrorCode::kIoError);
}

// Of the blocks of the server that is to leave, one cannot be read.
TEST_F(MetaNodeStore, SoDoesTheJudgementOfADeparture) {
  cluster_.write_block(cluster_.create("/f"));
  cluster_.world_.run_for(seconds(1));
  std::string block_key;
  ASSERT_TRUE(rows(first_).scan(MetaKeys(GroupId()).block(BlockId()), {}, [&](std::string_view key, std::string_view) {
    block_key = key;
    return false;
  }));
  change_rows(rows(first_), [&](WriteBatch& batch) { batch.put(block_key, "\xff"); });
  wire::AdministerServerRequest request;
  request.set_server(cluster_.servers_[0].server());
  request.set_wanted(wire::DRAINING);
  const Reply reply = cluster_.ask_node(first_, make_request(MessageType::kAdministerServer, GroupId(), request));
  EXPECT_EQ(error_class(reply.error.code), ErrorClass::kRetry);
  ASSERT_TRUE(node(first_).fatal().has_value());
  EXPECT_THAT(node(first_).fatal()->detail, HasSubstr("does not parse as dogfs.wire.BlockRow"));
}

TEST_F(MetaNodeStore, SoDoesARowThatDoesNotParse) {
  const std::string key = inode_key(first_);
  change_rows(rows(first_), [&](WriteBatch& batch) { batch.put(key, "\xff"); });
  expect_end(make_request(MessageType::kList, GroupId(), list_root()), ErrorCode::kCorrupt);
}

TEST_F(MetaNodeStore, ALeadersOwnDutiesFindOut) {
  rows(first_).begin_trouble(kUnreadable);
  ASSERT_TRUE(cluster_.world_.run_until([&] { return node(first_).fatal().has_value(); }, seconds(2)));
  EXPECT_EQ(node(first_).fatal()->code, ErrorCode::kIoError);
}

TEST_F(MetaNodeStore, AFollowerThatIsAskedEndsToo) {
  const size_t follower = (first_ + 1) % 3;
  rows(follower).begin_trouble(kUnreadable);
  const Reply reply =
      cluster_.ask_node(follower, make_request(MessageType::kClusterStatus, GroupId(), wire::ClusterStatusRequest()));
  EXPECT_EQ(error_class(reply.error.code), ErrorClass::kRetry);
  EXPECT_TRUE(node(follower).fatal().has_value());
  EXPECT_EQ(cluster_.leader(), first_);
}

// It would fell one leader after the other.
TEST_F(MetaNodeStore, ARowThatAllLackEndsNobody) {
  for (size_t i = 0; i < 3; ++i) {
    const std::string key = inode_key(i);
    change_rows(rows(i), [&](WriteBatch& batch) { batch.erase(key); });
  }
  const Reply reply = cluster_.ask(MessageType::kList, list_root());
  EXPECT_EQ(reply.error.code, ErrorCode::kInternal);
  EXPECT_THAT(reply.error.detail, HasSubstr("is missing"));
  cluster_.world_.run_for(seconds(3));
  EXPECT_EQ(cluster_.leader(), first_);
  for (size_t i = 0; i < 3; ++i) EXPECT_FALSE(node(i).fatal().has_value());
}

}  // namespace
}  // namespace dogfs
