// A data directory belongs to one node of one cluster with one set of members.
#include "coordinator/storage/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/base/check.h"
#include "wal/fault_env.h"

namespace concordat::storage {
namespace {

using testing::HasSubstr;

Identity Ours() {
  return {ClusterId(0xabc), NodeId(1), {NodeId(1), NodeId(2), NodeId(3)}};
}

class IdentityTest : public testing::Test {
 protected:
  IdentityTest() { CONCORDAT_CHECK(env_.CreateDir("/data").ok()); }

  void MakeFile(const std::string& name, const std::string& text) {
    auto file = env_.Create("/data/" + name);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->WriteAt(0, text).ok());
    ASSERT_TRUE((*file)->Sync().ok());
    ASSERT_TRUE(env_.SyncDir("/data").ok());
  }
  std::string Refusal(const Identity& identity) {
    const absl::Status status = ClaimDirectory(&env_, "/data", identity, false);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    return std::string(status.message());
  }

  wal::FaultEnv env_{1};
};

TEST_F(IdentityTest, FirstStart_ClaimsTheDirectoryForGood) {
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", Ours(), true).ok());
  env_.Crash();
  EXPECT_TRUE(ClaimDirectory(&env_, "/data", Ours(), false).ok());
  EXPECT_TRUE(ClaimDirectory(&env_, "/data", Ours(), true).ok());
}

// Alone it would be its own majority.
TEST_F(IdentityTest, MemberOfThree_IsNotStartedAlone) {
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", Ours(), true).ok());
  Identity alone = Ours();
  alone.members = {NodeId(1)};
  const std::string why = Refusal(alone);
  EXPECT_THAT(why, HasSubstr("belongs to \"members 1 2 3\""));
  EXPECT_THAT(why, HasSubstr("started as \"members 1\""));
}

TEST_F(IdentityTest, AnotherNodeOrCluster_IsRefused) {
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", Ours(), true).ok());
  Identity other = Ours();
  other.node = NodeId(2);
  EXPECT_THAT(Refusal(other), HasSubstr("\"node 1\""));
  other = Ours();
  other.cluster = ClusterId(1);
  EXPECT_THAT(Refusal(other), HasSubstr("\"cluster 0000000000000abc\""));
}

TEST_F(IdentityTest, LogWithoutTheFile_IsRefused) {
  EXPECT_THAT(Refusal(Ours()), HasSubstr("holds a log"));
}

TEST_F(IdentityTest, DamagedFile_IsReported) {
  MakeFile("node", "something else\n");
  EXPECT_TRUE(absl::IsDataLoss(ClaimDirectory(&env_, "/data", Ours(), true)));
}

TEST_F(IdentityTest, PowerCutAtEveryStepOfTheClaim_LeavesAClaimOrNone) {
  for (uint64_t step = 1; step < 10; ++step) {
    wal::FaultEnv env(step);
    ASSERT_TRUE(env.CreateDir("/data").ok());
    env.PowerOffAfter(step);
    (void)ClaimDirectory(&env, "/data", Ours(), true).ok();
    env.Crash();
    EXPECT_TRUE(ClaimDirectory(&env, "/data", Ours(), true).ok()) << step;
  }
}

TEST_F(IdentityTest, FolderOfOthers_IsRefusedUntilItIsClaimed) {
  EXPECT_TRUE(CheckFolder(&env_, "/data").ok());
  EXPECT_TRUE(CheckFolder(&env_, "/not-there").ok());
  MakeFile("photo.jpg", "x");
  EXPECT_THAT(CheckFolder(&env_, "/data").message(), HasSubstr("photo.jpg"));
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", Ours(), true).ok());
  EXPECT_TRUE(CheckFolder(&env_, "/data").ok());
}

}  // namespace
}  // namespace concordat::storage
