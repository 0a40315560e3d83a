// The application is killed at every step of a transaction on its own connections; so are
// the participant and the coordinator around it. Nothing is left prepared, and what the
// application was told is what the databases have.
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "coordinator/base/random.h"
#include "tests/databases/enlist_fixture.h"

namespace concordat::testing {
namespace {

using ::testing::IsEmpty;
using Keys = std::set<std::string>;

class EnlistKillTest : public EnlistTest {
 protected:
  EnlistKillTest() {
    StartNode();
    StartParticipant();
  }
  [[nodiscard]] bool PreparedWithin(double seconds, const std::string& count) {
    return WaitUntil(seconds, [&] { return PreparedCount() == count; });
  }
};

TEST_F(EnlistKillTest, NothingKilled_BothLedgersHaveIt) {
  EXPECT_EQ(StartApp("one", 30, "all")->WaitForExit(20), 0) << AppLog("one");
  EXPECT_NE(AppLog("one").find("outcome COMMITTED"), std::string::npos) << AppLog("one");
  EXPECT_EQ(Ledger("bank_a"), Keys{"one"});
  EXPECT_EQ(Ledger("bank_b"), Keys{"one"});
}

TEST_F(EnlistKillTest, KilledBeforePrepare_NothingIsLeft) {
  auto app = StartApp("one", 30, "worked");
  ASSERT_TRUE(app->WaitForLine("worked", 20)) << AppLog("one");
  app->Kill();
  EXPECT_EQ(PreparedCount(), "0");
  // The locks are gone with the connection: the key is free.
  EXPECT_EQ(StartApp("one", 30, "all")->WaitForExit(20), 0) << AppLog("one");
  EXPECT_EQ(Ledger("bank_b"), Keys{"one"});
}

TEST_F(EnlistKillTest, KilledWhileOneOfTwoIsPrepared_NothingIsLeft) {
  database_.Exec("DROP TRIGGER slow ON ledger", "bank_a");
  auto app = StartApp("slow", 3, "all");
  ASSERT_TRUE(PreparedWithin(20, "1")) << AppLog("slow");
  app->Kill();
  EXPECT_TRUE(NothingPreparedWithin(15));
  EXPECT_THAT(Ledger("bank_a"), IsEmpty());
  EXPECT_THAT(Ledger("bank_b"), IsEmpty());
}

// The deadline is counted from PREPARE, by the database's clock: the participant's
// restart in between neither shortens nor prolongs it.
TEST_F(EnlistKillTest,
       Scenario75_KilledBeforeTheCommitRequest_LeftAloneUntilTheDeadline) {
  auto app = StartApp("one", 7, "prepared");
  ASSERT_TRUE(app->WaitForLine("prepared", 20)) << AppLog("one");
  const double prepared_at = NowSeconds();
  EXPECT_EQ(PreparedCount(), "2");
  app->Kill();
  SleepMs(1000);
  participant_->Kill();
  SleepMs(3000);
  StartParticipant();
  while (NowSeconds() < prepared_at + 6) {
    ASSERT_EQ(PreparedCount(), "2");
    SleepMs(50);
  }
  EXPECT_TRUE(NothingPreparedWithin(4));
  EXPECT_LT(NowSeconds() - prepared_at, 10.0);  // anew from the restart: 11 s at least
  EXPECT_THAT(Ledger("bank_a"), IsEmpty());
  EXPECT_THAT(Ledger("bank_b"), IsEmpty());
}

// One branch is prepared for two seconds, is found and recovered by a new life of the
// participant, and only then the coordinator hears of it. As an ordinary branch in doubt
// it would have asked after 0.3 s, and the transaction would have aborted.
TEST_F(EnlistKillTest, Scenario75_FoundBeforeTheCommitRequest_CommitsAllTheSame) {
  database_.Exec("DROP TRIGGER slow ON ledger", "bank_a");
  auto app = StartApp("slow", 20, "all");
  ASSERT_TRUE(PreparedWithin(20, "1")) << AppLog("slow");
  participant_->Kill();
  StartParticipant();
  EXPECT_EQ(LogOf("rm-2.log").find("heuristic"), std::string::npos);
  EXPECT_NE(LogOf("rm-2.log").find("branch recovered"), std::string::npos);
  EXPECT_EQ(app->WaitForExit(20), 0);
  EXPECT_NE(AppLog("slow").find("outcome COMMITTED"), std::string::npos)
      << AppLog("slow");
  EXPECT_EQ(Ledger("bank_a"), Keys{"slow"});
  EXPECT_EQ(Ledger("bank_b"), Keys{"slow"});
}

// The request waits in the stopped coordinator's socket when its sender dies.
TEST_F(EnlistKillTest, KilledAfterTheCommitRequest_Commits) {
  auto app = StartApp("slow", 30, "all");
  ASSERT_TRUE(app->WaitForLine("committing", 20)) << AppLog("slow");
  node_->Pause();
  ASSERT_TRUE(PreparedWithin(20, "2")) << AppLog("slow");
  SleepMs(200);
  app->Kill();
  node_->Resume();
  EXPECT_TRUE(NothingPreparedWithin(10));
  EXPECT_EQ(Ledger("bank_a"), Keys{"slow"});
  EXPECT_EQ(Ledger("bank_b"), Keys{"slow"});
}

// The participant that is asked to prepare is another life than the one that named the
// branches, and had not heard of them.
TEST_F(EnlistKillTest, ParticipantAndApplicationKilled_TheNextLifeVotesAndCommits) {
  auto app = StartApp("slow", 30, "all");
  ASSERT_TRUE(app->WaitForLine("committing", 20)) << AppLog("slow");
  participant_->Pause();
  ASSERT_TRUE(PreparedWithin(20, "2")) << AppLog("slow");
  SleepMs(200);
  app->Kill();
  participant_->Kill();
  StartParticipant();
  EXPECT_TRUE(NothingPreparedWithin(15));
  EXPECT_EQ(Ledger("bank_a"), Keys{"slow"});
  EXPECT_EQ(Ledger("bank_b"), Keys{"slow"});
}

// Killed anywhere from BEGIN to the answer, the participant too.
TEST_F(EnlistKillTest, KilledAtAnyMoment_AllOrNothing_AndTheAnswersAreTrue) {
  constexpr int kApps = 60;
  Random random(20260101);
  Keys told;
  int killed = 0;
  for (int i = 0; i < kApps; ++i) {
    const std::string key = absl::StrCat("k", i);
    auto app = StartApp(key, 1, "all");
    (void)app->WaitForLine(i % 3 == 0 ? "enlisted" : "committing", 20);
    const int64_t wait_us = random.Between(0, i % 3 == 0 ? 4000 : 5000);
    const double end = NowSeconds() + static_cast<double>(wait_us) * 1e-6;
    while (NowSeconds() < end) {
    }
    if (i % 10 == 9) {
      participant_->Kill();
      app->Kill();
      StartParticipant();
    } else {
      app->Kill();
    }
    const std::string log = AppLog(key);
    if (log.find("outcome") == std::string::npos) ++killed;
    if (log.find("outcome COMMITTED") != std::string::npos) told.insert(key);
    // A participant that is killed cannot name a branch.
    const bool excused = i % 10 == 9 && log.find("UNAVAILABLE") != std::string::npos;
    EXPECT_TRUE(excused || log.find("failed") == std::string::npos) << log;
  }
  ASSERT_TRUE(NothingPreparedWithin(20));
  const Keys a = Ledger("bank_a");
  EXPECT_EQ(a, Ledger("bank_b"));
  EXPECT_TRUE(std::includes(a.begin(), a.end(), told.begin(), told.end()));
  EXPECT_GT(killed, kApps / 6);
  EXPECT_GT(a.size(), 0u);
  EXPECT_LT(a.size(), static_cast<size_t>(kApps));
  std::printf("  %d of %d killed before the answer, %zu committed, %zu told\n", killed,
              kApps, a.size(), told.size());
}

}  // namespace
}  // namespace concordat::testing
