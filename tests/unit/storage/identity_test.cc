// A data directory belongs to one node of one cluster with one set of members.
#include "coordinator/storage/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coordinator/base/check.h"
#include "coordinator/base/fault_env.h"

namespace concordat::storage {
namespace {

using testing::HasSubstr;

NodeIdentity Ours() { return {"payments", NodeId(1), {NodeId(1), NodeId(2), NodeId(3)}}; }

constexpr OpenedLog kNewLog{0xabc, true};
constexpr OpenedLog kUsedLog{0xabc, false};

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
  std::string Refusal(const NodeIdentity& identity) {
    const absl::Status status = ClaimDirectory(&env_, "/data", identity, kUsedLog);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    return std::string(status.message());
  }

  FaultEnv env_{1};
};

TEST_F(IdentityTest, FirstStart_ClaimsTheDirectoryForGood) {
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", Ours(), kNewLog).ok());
  env_.Crash();
  EXPECT_TRUE(ClaimDirectory(&env_, "/data", Ours(), kUsedLog).ok());
  EXPECT_TRUE(ClaimDirectory(&env_, "/data", Ours(), kNewLog).ok());
}

// Alone it would be its own majority.
TEST_F(IdentityTest, MemberOfThree_IsNotStartedAlone) {
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", Ours(), kNewLog).ok());
  NodeIdentity alone = Ours();
  alone.members = {NodeId(1)};
  const absl::Status status = CheckMembers(&env_, "/data", alone);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  const std::string why(status.message());
  EXPECT_TRUE(CheckMembers(&env_, "/data", Ours()).ok());
  EXPECT_THAT(why, HasSubstr("belongs to \"members 1 2 3\""));
  EXPECT_THAT(why, HasSubstr("started as \"members 1\""));
}

TEST_F(IdentityTest, NodeThatJoins_HasNoMembers_AndIsNotStartedAsOne) {
  NodeIdentity joins = Ours();
  joins.members.clear();
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", joins, kNewLog).ok());
  EXPECT_TRUE(CheckMembers(&env_, "/data", joins).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(CheckMembers(&env_, "/data", Ours())));
}

TEST_F(IdentityTest, AnotherNodeOrCluster_IsRefused) {
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", Ours(), kNewLog).ok());
  NodeIdentity other = Ours();
  other.node = NodeId(2);
  EXPECT_THAT(Refusal(other), HasSubstr("\"node 1\""));
  other = Ours();
  other.cluster_name = "orders";
  EXPECT_THAT(Refusal(other), HasSubstr("\"cluster payments\""));
  EXPECT_THAT(Refusal(other), HasSubstr("\"cluster orders\""));
}

TEST_F(IdentityTest, LogWithoutTheFile_IsRefused) {
  EXPECT_THAT(Refusal(Ours()), HasSubstr("holds a log"));
}

TEST_F(IdentityTest, Scenario78_TheFileNamesTheLogAndNoOtherIsTaken) {
  EXPECT_EQ(*RecordedLog(&env_, "/data", Ours()), 0u);
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", Ours(), kNewLog).ok());
  EXPECT_EQ(*RecordedLog(&env_, "/data", Ours()), 0xabcu);
  // A new one in its place: a mount is missing, and an empty folder was there instead.
  const absl::Status other = ClaimDirectory(&env_, "/data", Ours(), {0xdef, true});
  EXPECT_TRUE(absl::IsFailedPrecondition(other)) << other;
  EXPECT_THAT(other.message(), HasSubstr("0000000000000abc"));
  EXPECT_THAT(other.message(), HasSubstr("0000000000000def"));
}

TEST_F(IdentityTest, DamagedFile_IsReported) {
  const std::string good =
      "concordat coordinator node, format 2\ncluster payments\n"
      "node 1\nmembers 1 2 3\nlog 0000000000000abc\n";
  const std::string head = good.substr(0, good.find("log "));
  for (const std::string& text :
       {std::string("something else\n"), head, head + "log \n", head + "log xyz\n",
        head + "log 0000000000000000\n", good + "more\n"}) {
    MakeFile("node", text);
    EXPECT_TRUE(absl::IsDataLoss(ClaimDirectory(&env_, "/data", Ours(), kNewLog)))
        << text;
    EXPECT_TRUE(absl::IsDataLoss(RecordedLog(&env_, "/data", Ours()).status())) << text;
    ASSERT_TRUE(env_.Remove("/data/node").ok());
  }
  MakeFile("node", good);
  EXPECT_TRUE(ClaimDirectory(&env_, "/data", Ours(), kUsedLog).ok());
}

TEST_F(IdentityTest, ClusterNames_StandOnOneLine) {
  for (const std::string name : {"payments", "the bank", "a", "#!~"}) {
    EXPECT_TRUE(IsValidClusterName(name)) << name;
  }
  for (const std::string& name :
       {std::string(), std::string(" a"), std::string("a "), std::string("a\nnode 2"),
        std::string(65, 'x'), std::string("z\xc3\xbcrich")}) {
    EXPECT_FALSE(IsValidClusterName(name)) << name;
  }
}

TEST_F(IdentityTest, PowerCutAtEveryStepOfTheClaim_LeavesAClaimOrNone) {
  for (uint64_t step = 1; step < 10; ++step) {
    FaultEnv env(step);
    ASSERT_TRUE(env.CreateDir("/data").ok());
    env.PowerOffAfter(step);
    (void)ClaimDirectory(&env, "/data", Ours(), kNewLog).ok();
    env.Crash();
    EXPECT_TRUE(ClaimDirectory(&env, "/data", Ours(), kNewLog).ok()) << step;
  }
}

TEST_F(IdentityTest, FolderOfOthers_IsRefusedUntilItIsClaimed) {
  EXPECT_TRUE(CheckFolder(&env_, "/data").ok());
  EXPECT_TRUE(CheckFolder(&env_, "/not-there").ok());
  MakeFile("photo.jpg", "x");
  EXPECT_THAT(CheckFolder(&env_, "/data").message(), HasSubstr("photo.jpg"));
  ASSERT_TRUE(ClaimDirectory(&env_, "/data", Ours(), kNewLog).ok());
  EXPECT_TRUE(CheckFolder(&env_, "/data").ok());
}

}  // namespace
}  // namespace concordat::storage
