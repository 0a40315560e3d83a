// The example itself: what it does to money while processes die, what it says, how it
// ends, and that nothing of it stays.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <map>
#include <string>

#include "tests/process/transfer_test/example_run.h"

namespace concordat::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Enough for a slow machine with a sanitizer; a run takes a few seconds.
constexpr double kRunSeconds = 150;

class TransferExample : public ::testing::Test {
 protected:
  // Transfers round and round among three banks, each on a resource of its own, and
  // inside the first one.
  std::string WriteTransfers(size_t rows, const std::string& extra = "") const {
    const std::string file = dir_.path() + "/transfers.csv";
    std::ofstream out(file);
    out << "from,to,amount\n" << extra;
    const std::string banks[] = {"a", "b", "c", "a"};
    for (size_t n = 0; n < rows; ++n) {
      out << banks[n % 4] << ":" << n % 17 << "," << banks[(n + 1) % 4] << ":x" << n % 13
          << "," << n % 90 << "." << 10 + n % 90 << "\n";
    }
    return file;
  }

  static void ExpectMoneyAndOutcomesAgree(const ExampleRun& run) {
    auto table = run.Table();
    EXPECT_FALSE(table["before"].empty());
    EXPECT_EQ(table["before"], table["after"]) << run.output();
    EXPECT_EQ(table["branches still in doubt"], "0");
    EXPECT_EQ(table["transactions still open"], "0");
    EXPECT_THAT(run.output(), HasSubstr("OK: every cent is there"));
    EXPECT_THAT(run.LeftFolders(), IsEmpty());
  }

  const TempDir dir_{::testing::TempDir()};
};

TEST_F(TransferExample, TwoLeadersAndAParticipantKilled_EveryCentIsThere) {
  ExampleRun run({"--csv", WriteTransfers(400), "--kills", "2", "--clients", "16"});
  ASSERT_TRUE(run.WaitForOutput("accounts are open", 60)) << run.errors();
  EXPECT_THAT(run.Daemons(), SizeIs(6));
  ASSERT_EQ(run.WaitForEnd(kRunSeconds), 0) << run.output() << run.errors();
  ExpectMoneyAndOutcomesAgree(run);
  EXPECT_THAT(run.output(), AllOf(HasSubstr("SIGKILL to the leader, node "),
                                  HasSubstr("SIGKILL to the participant of ")));
  auto table = run.Table();
  EXPECT_GE(std::stoi(table["survived"]), 2);
  EXPECT_EQ(
      std::stoi(table["committed"]) + std::stoi(table["rolled back: not enough money"]),
      400);
  EXPECT_FALSE(table["longest gap seen by a client"].empty());
  EXPECT_TRUE(run.DaemonsAreGoneWithin(0)) << "processes are left";
}

TEST_F(TransferExample, RealDatabases_TheirServersKilledToo_EveryCentIsThere) {
  ExampleRun run({"--csv", WriteTransfers(400), "--kills", "1", "--clients", "16",
                  "--banks", "postgresql,mariadb,sqlite,kv"});
  ASSERT_EQ(run.WaitForEnd(kRunSeconds), 0) << run.output() << run.errors();
  ExpectMoneyAndOutcomesAgree(run);
  EXPECT_THAT(run.output(), AllOf(HasSubstr("SIGKILL to the server of postgresql-1"),
                                  HasSubstr("SIGKILL to the server of mariadb-1")));
  EXPECT_TRUE(run.DaemonsAreGoneWithin(0)) << "processes are left";
}

TEST_F(TransferExample, ModeParallel_LeaderKilled_EveryCentIsThere) {
  ExampleRun run({"--csv", WriteTransfers(300), "--kills", "1", "--clients", "16",
                  "--mode", "parallel"});
  ASSERT_EQ(run.WaitForEnd(kRunSeconds), 0) << run.output() << run.errors();
  ExpectMoneyAndOutcomesAgree(run);
  EXPECT_TRUE(run.DaemonsAreGoneWithin(0));
}

TEST_F(TransferExample, SmallBank_LeaderKilled_EveryCentIsThere) {
  ExampleRun run({"--smallbank", "--transactions", "600", "--kills", "1", "--customers",
                  "50", "--clients", "16"});
  ASSERT_EQ(run.WaitForEnd(kRunSeconds), 0) << run.output() << run.errors();
  auto table = run.Table();
  EXPECT_THAT(run.output(), HasSubstr("OK: every cent is there"));
  EXPECT_EQ(table["branches still in doubt"], "0");
  EXPECT_FALSE(table["paid in and out by the committed"].empty());
  EXPECT_TRUE(run.DaemonsAreGoneWithin(0));
}

TEST_F(TransferExample, Embedded_DoesTheSameInOneProcess) {
  ExampleRun run({"--embedded", "--csv", WriteTransfers(400)});
  ASSERT_EQ(run.WaitForEnd(kRunSeconds), 0) << run.output() << run.errors();
  ExpectMoneyAndOutcomesAgree(run);
}

TEST_F(TransferExample, Embedded_AccountsTooSmall_OverdraftsAreRefusedAndCounted) {
  ExampleRun run({"--embedded", "--csv", WriteTransfers(400), "--opening", "50"});
  ASSERT_EQ(run.WaitForEnd(kRunSeconds), 0) << run.output() << run.errors();
  ExpectMoneyAndOutcomesAgree(run);
  auto table = run.Table();
  EXPECT_GT(std::stoi(table["rolled back: not enough money"]), 10);
}

TEST_F(TransferExample, BadRow_IsNamedByLineAndSkipped) {
  ExampleRun run({"--embedded", "--csv", WriteTransfers(20, "a:1,b:2,much\n")});
  ASSERT_EQ(run.WaitForEnd(kRunSeconds), 0) << run.output() << run.errors();
  EXPECT_THAT(run.output(), HasSubstr("skipped: line 2: "));
  EXPECT_EQ(run.Table()["committed"], "20");
}

TEST_F(TransferExample, BadRowAndStrict_EndsBeforeAnythingMoves) {
  ExampleRun run({"--strict", "--csv", WriteTransfers(20, "a:1,b:2,much\n")});
  EXPECT_EQ(run.WaitForEnd(kRunSeconds), 65);
  EXPECT_THAT(run.errors(), HasSubstr("line 2: "));
  EXPECT_THAT(run.output(), IsEmpty());
  EXPECT_THAT(run.LeftFolders(), IsEmpty());
}

TEST_F(TransferExample, MissingFile_IsNamed) {
  ExampleRun run({"--csv", dir_.path() + "/none.csv"});
  EXPECT_EQ(run.WaitForEnd(kRunSeconds), 66);
  EXPECT_THAT(run.errors(), HasSubstr("none.csv: No such file or directory"));
}

TEST_F(TransferExample, WrongFlag_IsNamed) {
  ExampleRun run({"--kill"});
  EXPECT_EQ(run.WaitForEnd(kRunSeconds), 64);
  EXPECT_THAT(run.errors(), HasSubstr("--kill"));
}

TEST_F(TransferExample, CtrlC_LeavesNothingRunning) {
  ExampleRun run({"--smallbank", "--seconds", "100", "--kills", "1"});
  ASSERT_TRUE(run.WaitForOutput("accounts are open", 60)) << run.errors();
  EXPECT_THAT(run.Daemons(), SizeIs(6));
  run.Signal(SIGINT);
  EXPECT_EQ(run.WaitForEnd(20), 128 + SIGINT);
  EXPECT_TRUE(run.DaemonsAreGoneWithin(0));
  EXPECT_THAT(run.errors(), HasSubstr("nothing is left running"));
  EXPECT_THAT(run.LeftFolders(), IsEmpty());
}

TEST_F(TransferExample, Killed_TakesItsDaemonsWithIt) {
  ExampleRun run({"--smallbank", "--seconds", "100", "--kills", "1"});
  ASSERT_TRUE(run.WaitForOutput("accounts are open", 60)) << run.errors();
  EXPECT_THAT(run.Daemons(), SizeIs(6));
  run.Signal(SIGKILL);
  EXPECT_EQ(run.WaitForEnd(20), 128 + SIGKILL);
  EXPECT_TRUE(run.DaemonsAreGoneWithin(5));
}

}  // namespace
}  // namespace concordat::testing
