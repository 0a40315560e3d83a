// What Commit and Enlist make of the answers of coordinator nodes: the client library's
// side of scenarios 76 and 77.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "coordinator/client/context.h"
#include "tests/unit/client/banks.h"
#include "tests/unit/client/scripted_cluster.h"

namespace concordat::client {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const std::vector<std::string> kBothBanks = {"bank-a", "bank-b"};
constexpr Duration kSoon = Duration::Millis(300);

TEST(CommitAnswers, Scenario76_BegunAndLeft_ThenRefused_IsAskedUntilALeaderKnows) {
  for (const Code::type refusal : {Code::OVERLOADED, Code::VERSION, Code::INVALID}) {
    for (const Code::type begun : {Code::UNDECIDED, Code::UNKNOWN}) {
      ScriptedCluster cluster;
      cluster.Answer({begun, {Code::NOT_LEADER, ""}, refusal, refusal, Code::OK});
      auto t = cluster.Worked(kBothBanks);
      const CommitResult result = t.Commit();
      EXPECT_TRUE(result.committed()) << result << " after " << begun;
      EXPECT_THAT(cluster.calls(), Not(Contains(HasSubstr("rollback"))));
    }
  }
}

// The coordinators forget a gtid that is used late, and would take it for one that is
// over.
TEST(CommitAnswers, GtidsThatWereKeptForLong_AreNotUsed) {
  ScriptedCluster cluster;
  cluster.GtidsAreValidFor(2);
  const auto first = cluster.client()->Begin();
  ASSERT_TRUE(first.ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  const auto second = cluster.client()->Begin();
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(first->gtid().sequence, 1u);
  EXPECT_EQ(second->gtid().sequence, 101u);
}

TEST(CommitAnswers, Scenario76_BegunAndThenRefusedUntilTimeIsUp_IsUnknown) {
  for (const Code::type begun : {Code::UNDECIDED, Code::UNKNOWN}) {
    ScriptedCluster cluster(kSoon);
    cluster.Answer({begun, Code::OVERLOADED});
    auto t = cluster.Worked(kBothBanks);
    const CommitResult result = t.Commit();
    EXPECT_EQ(result.outcome, Outcome::kUnknown) << result;
    EXPECT_THAT(cluster.calls(), Not(Contains(HasSubstr("rollback"))));
  }
}

// The branches are prepared: the rollback that tells them would be a second word about a
// transaction that may commit.
TEST(CommitAnswers, Scenario76_BegunWithPreparedBranches_IsNotRolledBackEither) {
  ScriptedCluster cluster(kSoon);
  cluster.Answer({Code::UNKNOWN, Code::OVERLOADED});
  auto t = cluster.Worked({});
  for (const std::string& bank : kBothBanks) {
    ASSERT_TRUE(t.AtCommit(bank, {Add("alice", 1)}).ok());
  }
  EXPECT_EQ(t.Commit().outcome, Outcome::kUnknown);
  EXPECT_THAT(cluster.calls(), Not(Contains(HasSubstr("rollback"))));
}

TEST(CommitAnswers, RefusedByTheLeader_AndNeverBegun_IsAborted) {
  for (const Code::type refusal : {Code::OVERLOADED, Code::VERSION, Code::INVALID}) {
    ScriptedCluster cluster;
    cluster.Answer({{Code::NOT_LEADER, "node-2"}, refusal});
    auto t = cluster.Worked(kBothBanks);
    const CommitResult result = t.Commit();
    EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
    EXPECT_EQ(result.cause, AbortCause::kRefused);
    EXPECT_EQ(result.detail, "as the script says");
    EXPECT_THAT(cluster.calls(), ElementsAre("commit node-1", "commit node-2",
                                             "rollback at bank-a", "rollback at bank-b"));
  }
}

TEST(CommitAnswers, Scenario77_NodeThatRefusesAndDoesNotLead_IsLeft) {
  for (const Code::type refusal : {Code::OVERLOADED, Code::VERSION}) {
    ScriptedCluster cluster;
    cluster.Answer({{refusal, "node-2"}, Code::OK});
    EXPECT_TRUE(cluster.Worked(kBothBanks).Commit().committed());
    EXPECT_THAT(cluster.calls(), ElementsAre("commit node-1", "commit node-2"));
    ScriptedCluster unled;
    unled.Answer({{refusal, ""}, Code::OK});
    EXPECT_TRUE(unled.Worked(kBothBanks).Commit().committed());
    EXPECT_THAT(unled.calls(), ElementsAre("commit node-1", "commit node-2"));
  }
}

TEST(CommitAnswers, NobodyLeadsUntilTimeIsUp_IsAborted) {
  ScriptedCluster cluster(kSoon);
  cluster.Answer({{Code::NOT_LEADER, ""}, Code::NOT_READY, {Code::NOT_LEADER, ""}});
  const CommitResult result = cluster.Worked(kBothBanks).Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_EQ(result.cause, AbortCause::kRefused);
}

TEST(CommitAnswers, Forgotten_IsAbortedForAFirstAttempt_AndUnknownAfterALostOne) {
  ScriptedCluster first, second;
  first.Answer({Code::FORGOTTEN});
  second.Answer({Code::UNKNOWN, Code::FORGOTTEN});
  const CommitResult never_begun = first.Worked(kBothBanks).Commit();
  EXPECT_EQ(never_begun.outcome, Outcome::kAborted) << never_begun;
  EXPECT_EQ(never_begun.cause, AbortCause::kRefused);
  EXPECT_THAT(first.calls(), Contains("rollback at bank-a"));
  EXPECT_EQ(second.Worked(kBothBanks).Commit().outcome, Outcome::kUnknown);
}

// Others may speak for it too: the coordinators are asked to roll it back, and what they
// say counts.
TEST(CommitAnswers, RefusedWhenShared_EndsAsTheCoordinatorsSay) {
  ScriptedCluster cluster;
  cluster.Answer({Code::OVERLOADED, Code::OK});
  auto t = cluster.Worked(kBothBanks);
  (void)t.Share();
  const CommitResult result = t.Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_EQ(result.cause, AbortCause::kRefused);
  EXPECT_THAT(cluster.calls(), Contains("rollback node-1"));

  ScriptedCluster other;
  Said committed(Code::OK);
  committed.committed_to_rollback = true;
  other.Answer({Code::OVERLOADED, committed});
  auto u = other.Worked(kBothBanks);
  (void)u.Share();
  EXPECT_TRUE(u.Commit().committed());
}

TEST(EnlistAnswers, Scenario76_RefusedAfterItMayHaveBegun_IsNotKnown) {
  ScriptedCluster cluster(kSoon);
  cluster.Answer({Code::UNKNOWN, Code::INVALID});
  auto t = cluster.Worked({"bank-a"});
  EXPECT_TRUE(absl::IsUnavailable(t.Enlist()));
}

TEST(EnlistAnswers, TooLate_IsTheEndWhateverCameBefore) {
  ScriptedCluster cluster;
  cluster.Answer({Code::UNKNOWN, Code::TOO_LATE});
  auto t = cluster.Worked({"bank-a"});
  EXPECT_TRUE(absl::IsFailedPrecondition(t.Enlist()));
}

TEST(AskAnswers, NobodyHasAskedToCommit_IsNotAskedAgain) {
  ScriptedCluster cluster;
  cluster.Answer({Code::UNDECIDED, Code::NOT_FOUND});
  auto t = cluster.Worked({});
  EXPECT_EQ(cluster.client()->Ask(t.gtid()).outcome, Outcome::kUnknown);
  EXPECT_THAT(cluster.calls(), ElementsAre("outcome node-1", "outcome node-1"));
}

// Against a real coordinator: the limit is 128.
TEST(CommitAnswers, MoreBranchesThanAllowed_AreAbortedWithTheReason_AndTold) {
  Banks banks;
  auto t = banks.client()->Begin();
  ASSERT_TRUE(t.ok());
  ASSERT_TRUE(t->Kv("bank-a", {Add("alice", 5)}).ok());
  auto context = ParseContext(t->Share());
  ASSERT_TRUE(context.ok());
  for (uint64_t i = 1; i <= 128; ++i) {
    context->branches.push_back({context->gtid, "bank-b", Incarnation(7), i});
  }
  ASSERT_TRUE(t->Merge(EncodeContext(*context)).ok());
  const Gtid gtid = t->gtid();
  const CommitResult result = t->Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_EQ(result.cause, AbortCause::kRefused);
  EXPECT_THAT(result.detail, HasSubstr("129 branches, at most 128"));
  EXPECT_EQ(banks.client()->Ask(gtid).outcome, Outcome::kAborted);
  EXPECT_EQ(banks.Balance("bank-a", "alice"), 0);  // not locked any more
}

}  // namespace
}  // namespace concordat::client
