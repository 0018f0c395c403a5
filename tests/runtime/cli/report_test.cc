#include "runtime/cli/report.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace dogfs::cli {
namespace {

TEST(DescribeFailure, NamesSubjectReasonAndDetail) {
  EXPECT_EQ(describe_failure("/a/b", Error(ErrorCode::kNotFound)), "/a/b: no such file or directory");
  EXPECT_EQ(describe_failure("/a/b", Error(ErrorCode::kNotFound, "/a/b")), "/a/b: no such file or directory");
  EXPECT_EQ(describe_failure("/a", Error(ErrorCode::kInsufficientServers, "6 of 7")),
            "/a: too few chunk servers: 6 of 7");
  EXPECT_EQ(describe_failure("/a\nb", Error(ErrorCode::kNotFound)), "$'/a\\nb': no such file or directory");
}

TEST(ExitCode, TellsWhatACallerMayDo) {
  EXPECT_EQ(exit_code_of(ErrorCode::kNotFound), ExitCode::kFailed);
  EXPECT_EQ(exit_code_of(ErrorCode::kInsufficientServers), ExitCode::kFailed);
  EXPECT_EQ(exit_code_of(ErrorCode::kIoError), ExitCode::kFailed);
  EXPECT_EQ(exit_code_of(ErrorCode::kNoLeader), ExitCode::kTryAgain);
  EXPECT_EQ(exit_code_of(ErrorCode::kTimeout), ExitCode::kTryAgain);
  EXPECT_EQ(exit_code_of(ErrorCode::kDataLoss), ExitCode::kDamaged);
}

TEST(ExitCode, TheGraverOfTwoIsKept) {
  EXPECT_EQ(worse_of(ExitCode::kOk, ExitCode::kFailed), ExitCode::kFailed);
  EXPECT_EQ(worse_of(ExitCode::kDamaged, ExitCode::kFailed), ExitCode::kDamaged);
  EXPECT_EQ(worse_of(ExitCode::kTryAgain, ExitCode::kInterrupted), ExitCode::kInterrupted);
}

TEST(LocalError, SpeaksAsTheClusterDoes) {
  EXPECT_EQ(local_error(ENOENT).code, ErrorCode::kNotFound);
  EXPECT_EQ(local_error(EACCES).code, ErrorCode::kPermissionDenied);
  EXPECT_EQ(local_error(EIO).code, ErrorCode::kIoError);
  EXPECT_FALSE(local_error(EMFILE).detail.empty());
}

TEST(EndsTransfer, OnlyWhatTheNextFileWouldMeetToo) {
  for (const ErrorCode code : {ErrorCode::kNoLeader, ErrorCode::kInsufficientServers, ErrorCode::kNoSpace}) {
    EXPECT_TRUE(ends_transfer(code));
  }
  for (const ErrorCode code : {ErrorCode::kNotFound, ErrorCode::kDataLoss, ErrorCode::kNameTooLong}) {
    EXPECT_FALSE(ends_transfer(code));
  }
}

}  // namespace
}  // namespace dogfs::cli
