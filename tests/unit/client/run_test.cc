// Client::Run: which ends are tried again.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "coordinator/client/client.h"
#include "tests/unit/client/banks.h"

namespace concordat::client {
namespace {

class Run : public ::testing::Test {
 protected:
  // Takes Bob's row away from everybody younger, and commits.
  static void Overtake(Transaction* older) {
    ASSERT_TRUE(older->Kv("bank-a", {Add("bob", 100)}).ok());
    ASSERT_TRUE(older->Commit().committed());
  }

  Banks banks_;
};

class RunAtBanks : public Run,
                   public ::testing::WithParamInterface<std::vector<std::string>> {};

// The branch is rolled back while its client does not look: nothing but PREPARE, or the
// commit in one phase, can say so.
TEST_P(RunAtBanks, LocksLostAfterTheLastCall_IsRunAgain) {
  auto older = banks_.client()->Begin();
  ASSERT_TRUE(older.ok());
  int runs = 0;
  const CommitResult result = banks_.client()->Run([&](Transaction& t) -> absl::Status {
    for (const std::string& bank : GetParam()) {
      auto added = t.Kv(bank, {Add("bob", 1)});
      if (!added.ok()) return added.status();
    }
    if (++runs == 1) Overtake(&*older);
    return absl::OkStatus();
  });
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(banks_.Balance("bank-a", "bob"), 101);
}

INSTANTIATE_TEST_SUITE_P(Phases, RunAtBanks,
                         ::testing::Values(std::vector<std::string>{"bank-a"},
                                           std::vector<std::string>{"bank-a", "bank-b"}));

TEST_F(Run, IsolationOfABranch_ReachesItsResourceAlsoInARetry) {
  TransactionOptions options;
  options.isolation = {{"bank-a", "snapshot"}};
  for (const bool retry : {false, true}) {
    if (retry) options.age = banks_.client()->Begin()->gtid();
    auto transaction = banks_.client()->Begin(options);
    ASSERT_TRUE(transaction.ok());
    EXPECT_TRUE(transaction->Kv("bank-b", {Add("bob", 1)}).ok());
    const absl::Status refused = transaction->Kv("bank-a", {Add("bob", 1)}).status();
    EXPECT_NE(refused.message().find("not \"snapshot\""), absl::string_view::npos)
        << refused;
  }
}

TEST_F(Run, RefusedEveryTime_EndsWithTheLastAnswer) {
  RunOptions options;
  options.max_attempts = 3;
  int runs = 0;
  const CommitResult result = banks_.client()->Run(
      [&](Transaction& t) -> absl::Status {
        ++runs;
        (void)t.Share();
        return t.Merge(EncodeContext(
            {ClusterId(), t.gtid(), {{t.gtid(), "bank-b", Incarnation(5), 6}}}));
      },
      options);
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.cause, AbortCause::kLost) << result;
  EXPECT_EQ(runs, 3);
}

TEST_F(Run, ConditionThatDoesNotHold_IsNotRunAgain) {
  int runs = 0;
  const CommitResult result = banks_.client()->Run([&](Transaction& t) -> absl::Status {
    ++runs;
    return t.Kv("bank-a", {AddIfAtLeast("bob", -1, 0)}).status();
  });
  EXPECT_EQ(result.outcome, Outcome::kAborted);
  EXPECT_EQ(result.cause, AbortCause::kRolledBack) << result;
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace concordat::client
