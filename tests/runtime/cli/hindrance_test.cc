#include "runtime/cli/hindrance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace dogfs::cli {
namespace {

using testing::HasSubstr;
using testing::Not;
using Hindrance = wire::RepairHindrance;

std::string describe(Hindrance::Reason reason) {
  Hindrance hindrance;
  hindrance.set_reason(reason);
  hindrance.set_shards(3);
  hindrance.set_block(17);
  return describe_hindrance(hindrance);
}

TEST(Hindrance, EveryReasonHasWordsOfItsOwn) {
  std::set<std::string> texts;
  for (int number = Hindrance::GRACE; number <= Hindrance::Reason_MAX; ++number) {
    const std::string text = describe(static_cast<Hindrance::Reason>(number));
    EXPECT_THAT(text, HasSubstr("3 shards, as of block 17: "));
    EXPECT_THAT(text, Not(HasSubstr("does not know"))) << number;
    EXPECT_TRUE(texts.insert(text).second) << text;
  }
  EXPECT_THAT(describe(static_cast<Hindrance::Reason>(Hindrance::Reason_MAX + 1)), HasSubstr("does not know"));
}

TEST(Hindrance, WhatOnlyAnOperatorCanChangeSaysWhatToDo) {
  EXPECT_THAT(describe(Hindrance::TOO_FEW_SERVERS), HasSubstr("add servers"));
  EXPECT_THAT(describe(Hindrance::NO_ROOM), HasSubstr("add disks or servers"));
  EXPECT_THAT(describe(Hindrance::UNDECODABLE), HasSubstr("bring back"));
  EXPECT_THAT(describe(Hindrance::TOO_FEW_RACKS), HasSubstr("add racks"));
  for (const auto reason :
       {Hindrance::TOO_FEW_SERVERS, Hindrance::NO_ROOM, Hindrance::UNDECODABLE, Hindrance::TOO_FEW_RACKS}) {
    EXPECT_TRUE(needs_operator(reason));
  }
  for (const auto reason : {Hindrance::NONE, Hindrance::GRACE, Hindrance::MANY_VANISHED, Hindrance::SOURCES_UNREACHABLE,
                            Hindrance::BUSY, Hindrance::TARGETS_FAILED}) {
    EXPECT_FALSE(needs_operator(reason)) << reason;
  }
}

}  // namespace
}  // namespace dogfs::cli
