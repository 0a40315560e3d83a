#include "coordinator/base/check.h"

#include <gtest/gtest.h>

namespace concordat {
namespace {

TEST(Check, True_GoesOn) { CONCORDAT_CHECK(1 + 1 == 2) << "never printed"; }

TEST(CheckDeathTest, False_EndsTheProcessWithTheMessage) {
  EXPECT_DEATH(CONCORDAT_CHECK(1 > 2) << "because " << 42,
               "check failed: 1 > 2 because 42");
}

TEST(CheckDeathTest, FatalIoError_ExitsWithItsStatusAndSaysWhatToDo) {
  EXPECT_EXIT(FatalIoError("fdatasync of x: EIO"),
              testing::ExitedWithCode(kExitStorageFailed), "fdatasync of x: EIO.*");
}

}  // namespace
}  // namespace concordat
