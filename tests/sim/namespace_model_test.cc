#include "sim/namespace_model.h"

#include <gtest/gtest.h>

#include "sim/content.h"

namespace dogfs::sim {
namespace {

const ModelFile kFile{7, 100, 3};
const ModelFile kOther{8, 50, 3};

bool can_be(const NamespaceModel& model, const std::string& path, Observed observed) {
  std::vector<ModelFile> candidates;
  return is_possible(model.uncertain().at(path), observed, candidates);
}

constexpr Observed kAbsent{};
constexpr Observed kDirectory{Observed::Kind::kDirectory, 0};
constexpr Observed file_of(uint64_t length) {
  return {Observed::Kind::kFile, length};
}

NamespaceModel with_tree() {
  NamespaceModel model;
  for (const char* directory : {"/r", "/r/d", "/r/d/e"}) {
    model.begin_make_directory(directory);
    model.made_directory(directory);
  }
  model.begin_write("/r/d/f", kFile);
  model.written("/r/d/f", kFile);
  return model;
}

TEST(NamespaceModel, WhatWasAcknowledgedIsCertain) {
  const NamespaceModel model = with_tree();
  EXPECT_EQ(model.directories(), (std::vector<std::string>{"/r", "/r/d", "/r/d/e"}));
  EXPECT_EQ(model.files(), (std::vector<std::string>{"/r/d/f"}));
  EXPECT_EQ(model.names_in("/r/d"), (std::vector<std::string>{"e", "f"}));
  EXPECT_TRUE(model.uncertain().empty());
}

TEST(NamespaceModel, AWriteThatFailedMayHaveLeftABeginning) {
  NamespaceModel model = with_tree();
  model.begin_write("/r/new", kFile);
  EXPECT_TRUE(can_be(model, "/r/new", kAbsent));
  EXPECT_TRUE(can_be(model, "/r/new", file_of(60)));
  EXPECT_FALSE(can_be(model, "/r/new", file_of(101)));
  EXPECT_FALSE(can_be(model, "/r/new", kDirectory));
  model.created("/r/new");
  EXPECT_FALSE(can_be(model, "/r/new", kAbsent));
}

TEST(NamespaceModel, WhatWasSyncedIsThereHoweverTheWriteEnds) {
  NamespaceModel model = with_tree();
  model.begin_write("/r/new", kFile);
  model.created("/r/new");
  model.synced("/r/new", 60);
  EXPECT_FALSE(can_be(model, "/r/new", file_of(59)));
  EXPECT_TRUE(can_be(model, "/r/new", file_of(60)));
  EXPECT_TRUE(can_be(model, "/r/new", file_of(100)));
}

TEST(NamespaceModel, AnAppendThatFailedTookNothingAway) {
  NamespaceModel model = with_tree();
  model.begin_append("/r/d/f", appended(kFile, 9, 20));
  EXPECT_FALSE(can_be(model, "/r/d/f", kAbsent));
  EXPECT_FALSE(can_be(model, "/r/d/f", file_of(99)));
  EXPECT_TRUE(can_be(model, "/r/d/f", file_of(100)));
  EXPECT_TRUE(can_be(model, "/r/d/f", file_of(120)));
  EXPECT_FALSE(can_be(model, "/r/d/f", file_of(121)));
}

TEST(NamespaceModel, ATruncationThatFailedLeftWhatWasToStay) {
  NamespaceModel model = with_tree();
  model.begin_truncate("/r/d/f", 40);
  EXPECT_FALSE(can_be(model, "/r/d/f", file_of(39)));
  EXPECT_TRUE(can_be(model, "/r/d/f", file_of(40)));
  EXPECT_TRUE(can_be(model, "/r/d/f", file_of(100)));
}

TEST(ModelFile, HasTheBytesOfEachAppendFromWhereItBegan) {
  const ModelFile file = appended(truncated(appended(kFile, 9, 20), 110), 10, 5);
  EXPECT_EQ(file.length, 115u);
  const auto of = [](uint64_t content, uint64_t offset, size_t length) {
    return BytesChain(make_content(content, offset, length));
  };
  EXPECT_TRUE(is_in_file(file, 0, of(7, 0, 100)));
  EXPECT_TRUE(is_in_file(file, 100, of(9, 100, 10)));
  EXPECT_TRUE(is_in_file(file, 110, of(10, 110, 5)));
  EXPECT_FALSE(is_in_file(file, 110, of(9, 110, 5))) << "what was cut away has come back";
  BytesChain across = of(7, 95, 5);
  for (const BytesChain& part : {of(9, 100, 10), of(10, 110, 2)}) {
    for (const Bytes& bytes : part.pieces()) across.append(bytes);
  }
  EXPECT_TRUE(is_in_file(file, 95, across));
  EXPECT_FALSE(is_in_file(file, 94, across));
  EXPECT_TRUE(truncated(file, 50).appended.empty());
}

TEST(NamespaceModel, AReplacementThatFailedLeavesTheOldOrABeginningOfTheNew) {
  NamespaceModel model = with_tree();
  model.begin_write("/r/d/f", kOther);
  EXPECT_FALSE(can_be(model, "/r/d/f", kAbsent));
  EXPECT_TRUE(can_be(model, "/r/d/f", file_of(100)));
  EXPECT_TRUE(can_be(model, "/r/d/f", file_of(20)));
  EXPECT_FALSE(can_be(model, "/r/d/f", file_of(80)));
  model.created("/r/d/f");
  EXPECT_FALSE(can_be(model, "/r/d/f", file_of(100)));
}

TEST(NamespaceModel, ARenameMovesTheWholeTree) {
  NamespaceModel model = with_tree();
  model.begin_write("/r/d/doubtful", kOther);
  model.begin_rename("/r/d", "/r/g");
  EXPECT_EQ(model.directories(), (std::vector<std::string>{"/r"}));
  EXPECT_TRUE(can_be(model, "/r/d/f", file_of(100)));
  EXPECT_TRUE(can_be(model, "/r/g/f", file_of(100)));
  EXPECT_TRUE(can_be(model, "/r/g/f", kAbsent));
  model.renamed("/r/d", "/r/g");
  EXPECT_EQ(model.files(), (std::vector<std::string>{"/r/g/f"}));
  EXPECT_FALSE(model.uncertain().contains("/r/d/f"));
  EXPECT_FALSE(model.uncertain().contains("/r/d/doubtful"));
  EXPECT_TRUE(can_be(model, "/r/g/doubtful", file_of(50)));
  EXPECT_TRUE(model.may_contain("/r/g", "doubtful"));
}

TEST(NamespaceModel, ARemovalTakesTheWholeTree) {
  NamespaceModel model = with_tree();
  model.begin_remove("/r/d");
  EXPECT_TRUE(can_be(model, "/r/d/e", kDirectory));
  EXPECT_TRUE(can_be(model, "/r/d/e", kAbsent));
  model.removed("/r/d");
  EXPECT_EQ(model.directories(), (std::vector<std::string>{"/r"}));
  EXPECT_TRUE(model.uncertain().empty());
}

TEST(NamespaceModel, WhatWasRemovedComesBackWhole) {
  NamespaceModel model = with_tree();
  model.begin_write("/r/d/doubtful", kOther);
  const NamespaceModel::Subtree tree = model.subtree_at("/r/d");
  model.begin_remove("/r/d");
  model.removed("/r/d");
  model.begin_restore(tree, "/r/g");
  EXPECT_TRUE(can_be(model, "/r/g/f", file_of(100)));
  EXPECT_TRUE(can_be(model, "/r/g/f", kAbsent));
  model.restored(tree, "/r/g");
  EXPECT_EQ(model.files(), (std::vector<std::string>{"/r/g/f"}));
  EXPECT_TRUE(can_be(model, "/r/g/doubtful", file_of(50)));
  EXPECT_TRUE(can_be(model, "/r/g/doubtful", kAbsent));
}

TEST(NamespaceModel, WhatDidNotComeBackIsNotThere) {
  NamespaceModel model = with_tree();
  const NamespaceModel::Subtree tree = model.subtree_at("/r/d");
  model.begin_remove("/r/d");
  model.removed("/r/d");
  model.begin_restore(tree, "/r/g");
  model.not_restored("/r/g");
  EXPECT_EQ(model.directories(), (std::vector<std::string>{"/r"}));
  EXPECT_TRUE(model.uncertain().empty());
}

TEST(Content, IsToldFromOtherContentAtEveryOffset) {
  const Bytes whole = make_content(1, 0, 100);
  for (const size_t offset : {0, 1, 7, 8, 33}) {
    EXPECT_EQ(make_content(1, offset, 20).view(), whole.slice(offset, 20).view());
    BytesChain pieces(whole.slice(offset, 3));
    pieces.append(whole.slice(offset + 3, 20));
    EXPECT_TRUE(is_content(1, offset, pieces));
    EXPECT_FALSE(is_content(2, offset, pieces));
    EXPECT_FALSE(is_content(1, offset + 1, pieces));
  }
}

}  // namespace
}  // namespace dogfs::sim
