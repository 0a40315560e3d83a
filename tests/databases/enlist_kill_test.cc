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
  // In seconds, both by the database's clock.
  double DatabaseNow() { return Number("SELECT extract(epoch FROM clock_timestamp())"); }
  double PreparedAt() {
    return Number("SELECT extract(epoch FROM max(prepared)) FROM pg_prepared_xacts");
  }
  double Number(const std::string& sql) { return std::stod(database_.Exec(sql)); }
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
  EXPECT_THAT(Ledger("bank_a"), IsEmpty());
  EXPECT_THAT(Ledger("bank_b"), IsEmpty());
}

// The deadline is counted from PREPARE, by the database's clock: the participant's
// restart in between neither shortens nor prolongs it. A count that began anew with the
// restart would end nine seconds after the bound below.
TEST_F(EnlistKillTest,
       Scenario75_KilledBeforeTheCommitRequest_LeftAloneUntilTheDeadline) {
  constexpr int kPatienceS = 15;
  constexpr double kRestartAt = 10;
  auto app = StartApp("one", kPatienceS, "prepared");
  ASSERT_TRUE(app->WaitForLine("prepared", 20)) << AppLog("one");
  EXPECT_EQ(PreparedCount(), "2");
  const double prepared_at = PreparedAt();
  app->Kill();
  participant_->Kill();
  while (DatabaseNow() < prepared_at + kRestartAt) SleepMs(50);
  EXPECT_EQ(PreparedCount(), "2");
  StartParticipant();
  EXPECT_TRUE(NothingPreparedWithin(60));
  const double gone_after = DatabaseNow() - prepared_at;
  EXPECT_GT(gone_after, kPatienceS - 0.5);
  EXPECT_LT(gone_after, kRestartAt + kPatienceS - 1);
  EXPECT_THAT(Ledger("bank_a"), IsEmpty());
  EXPECT_THAT(Ledger("bank_b"), IsEmpty());
}

// One branch is prepared for two seconds, is found and recovered by a new incarnation of
// the participant, and only then the coordinator hears of it. As an ordinary branch in
// doubt it would have asked after 0.3 s, and the transaction would have aborted.
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
  ASSERT_TRUE(NodeIsAskedWithin(20, *app));
  app->Kill();
  node_->Resume();
  EXPECT_TRUE(NothingPreparedWithin(60));
  EXPECT_EQ(Ledger("bank_a"), Keys{"slow"});
  EXPECT_EQ(Ledger("bank_b"), Keys{"slow"});
}

// The participant that is asked to prepare is another incarnation than the one that named
// the branches, and had not heard of them.
TEST_F(EnlistKillTest,
       ParticipantAndApplicationKilled_TheNextIncarnationVotesAndCommits) {
  auto app = StartApp("slow", 30, "all");
  ASSERT_TRUE(app->WaitForLine("committing", 20)) << AppLog("slow");
  participant_->Pause();
  ASSERT_TRUE(PreparedWithin(20, "2")) << AppLog("slow");
  ASSERT_TRUE(ParticipantIsAskedWithin(20));
  app->Kill();
  participant_->Kill();
  StartParticipant();
  EXPECT_TRUE(NothingPreparedWithin(60));
  EXPECT_EQ(Ledger("bank_a"), Keys{"slow"});
  EXPECT_EQ(Ledger("bank_b"), Keys{"slow"});
}

// Killed anywhere from BEGIN to the answer, the participant too: until enough have been
// killed before their answer, however many that takes on this machine.
TEST_F(EnlistKillTest, KilledAtAnyMoment_AllOrNothing_AndTheAnswersAreTrue) {
  constexpr int kApps = 60;
  constexpr int kAppsAtMost = 600;
  constexpr int kKilled = kApps / 6;
  Random random(20260101);
  Keys told;
  int apps = 0;
  int killed = 0;
  for (; apps < kApps || (killed < kKilled && apps < kAppsAtMost); ++apps) {
    const int i = apps;
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
    // A participant that was killed cannot start a branch.
    const bool excused = i % 10 == 9 && log.find("UNAVAILABLE") != std::string::npos;
    EXPECT_TRUE(excused || log.find("failed") == std::string::npos) << log;
  }
  ASSERT_TRUE(NothingPreparedWithin(60));
  const Keys a = Ledger("bank_a");
  EXPECT_EQ(a, Ledger("bank_b"));
  EXPECT_TRUE(std::includes(a.begin(), a.end(), told.begin(), told.end()));
  EXPECT_GE(killed, kKilled);
  std::printf("  %d of %d killed before the answer, %zu committed, %zu told\n", killed,
              apps, a.size(), told.size());
}

}  // namespace
}  // namespace concordat::testing
