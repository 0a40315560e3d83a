// Members that change while money moves, on real processes, by the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/process/cluster.h"

namespace concordat::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// Transfers of one unit from kv to sql, one after the other.
class Money {
 public:
  explicit Money(Cluster* cluster)
      : client_(cluster->NewClient()), thread_([this] { Work(); }) {}
  ~Money() { Finish(); }
  void Finish() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] int64_t committed() const { return committed_; }
  // Waits until more has been moved.
  [[nodiscard]] bool Moves() {
    const int64_t before = committed_;
    return WaitUntil(kPatience, [&] { return committed_ > before + 3; });
  }

 private:
  void Work() {
    while (!stop_) {
      auto transaction = client_->Begin();
      if (!transaction.ok()) continue;
      const absl::Status worked = Cluster::Transfer(&*transaction, "from", "to", 1);
      client::CommitResult result =
          worked.ok() ? transaction->Commit() : transaction->Rollback("work failed");
      while (result.outcome == Outcome::kUnknown) result = client_->Ask(result.gtid);
      if (result.committed()) ++committed_;
    }
  }

  const std::unique_ptr<client::Client> client_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> committed_{0};
  std::thread thread_;
};

class MembersTest : public ::testing::Test {
 protected:
  // Runs `concordat members WORDS`; returns what it has printed.
  std::string Members(Cluster* cluster, const std::string& words, int status = 0) {
    std::string output;
    EXPECT_EQ(cluster->CommandLine("members " + words, &output), status)
        << words << ": " << output;
    return output;
  }
  void Add(Cluster* cluster, int id) {
    const size_t i = static_cast<size_t>(id) - 1;
    Members(cluster, absl::StrCat("add ", id, " --peer-address ",
                                  cluster->peer_addresses()[i], " --client-address ",
                                  cluster->client_addresses()[i], " --by test"));
  }
  // Waits until the learner has caught up, and lets it vote.
  void Promote(Cluster* cluster, int id) {
    std::string output;
    EXPECT_TRUE(WaitUntil(kPatience, [&] {
      return cluster->CommandLine(absl::StrCat("members promote ", id), &output) == 0;
    })) << output;
  }
  // Whether all the transfers, and nothing else, are in the banks.
  static void ExpectBalanced(Cluster* cluster, Money* money) {
    money->Finish();
    ASSERT_TRUE(cluster->WaitUntilSettled());
    EXPECT_EQ(cluster->SqlBalance("to"), money->committed());
    EXPECT_EQ(cluster->KvBalance("from"), -money->committed());
  }
};

TEST_F(MembersTest, Scenario46_GrowsFromOneToThreeAndBack_WhileMoneyMoves) {
  ClusterOptions options;
  options.nodes = 1;
  Cluster cluster(options);
  Money money(&cluster);
  for (int i = 0; i < 2; ++i) {
    const int id = cluster.StartJoiner();
    Add(&cluster, id);
    Promote(&cluster, id);
    ASSERT_TRUE(money.Moves());
  }
  EXPECT_THAT(
      Members(&cluster, "list"),
      AllOf(HasSubstr("leader"), Not(HasSubstr("learner")), HasSubstr("promote")));
  // The first node was the only one that clients and banks were started with.
  Members(&cluster, "transfer 2");
  Members(&cluster, "remove 1 --by test --reason smaller");
  cluster.node(1).Kill();
  ASSERT_TRUE(money.Moves());
  EXPECT_THAT(Members(&cluster, "list"),
              AllOf(HasSubstr("never to be used again: 1"),
                    HasSubstr("remove node 1, by test: smaller")));
  Members(&cluster, "remove 3");
  ASSERT_TRUE(money.Moves());
  ExpectBalanced(&cluster, &money);
}

TEST_F(MembersTest, Scenario44_LostFolder_IsSaid_AndTakenInAgain) {
  Cluster cluster;
  Money money(&cluster);
  ASSERT_TRUE(money.Moves());
  // The logs of all members are entered as they answer.
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    std::string output;
    return cluster.CommandLine("members list", &output) == 0 &&
           output.find("unknown") == std::string::npos;
  }));
  const int leader = cluster.Leader();
  const int lost = leader == 3 ? 2 : 3;
  cluster.LoseFolder(lost);
  EXPECT_TRUE(cluster.node(lost).WaitForLine(
      "this node has not the log of the member whose id it has", kPatience));
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    std::string output;
    return cluster.CommandLine("members list", &output) == 1 &&
           output.find("SILENT") != std::string::npos;
  }));
  ASSERT_TRUE(money.Moves());
  Members(&cluster, absl::StrCat("replace ", lost, " --by test"));
  Promote(&cluster, lost);
  EXPECT_THAT(Members(&cluster, "list"), Not(HasSubstr("learner")));
  // It holds everything: the others may go, one after the other.
  cluster.node(leader).Kill();
  ASSERT_TRUE(money.Moves());
  cluster.StartNode(leader);
  ExpectBalanced(&cluster, &money);
}

TEST_F(MembersTest, WhatWouldTakeTheMajorityAway_IsRefused_AndSaysWhy) {
  Cluster cluster;
  const int leader = cluster.Leader();
  const int down = leader % 3 + 1;
  const int alive = 6 - leader - down;
  // A mistyped address takes nothing away, and can be put right.
  Members(&cluster, "add 9 --peer-address 127.0.0.1:1 --client-address 127.0.0.1:1");
  EXPECT_THAT(Members(&cluster, "promote 9", 1), HasSubstr("not been heard of"));
  Members(&cluster, "remove 9");
  EXPECT_THAT(Members(&cluster,
                      "add 9 --peer-address 127.0.0.1:1 --client-address 127.0.0.1:1", 1),
              HasSubstr("choose another id"));
  cluster.node(down).Kill();
  ASSERT_TRUE(WaitUntil(kPatience, [&] {
    std::string output;
    return cluster.CommandLine("members list", &output) == 1 &&
           output.find("SILENT") != std::string::npos;
  }));
  EXPECT_THAT(Members(&cluster, absl::StrCat("remove ", alive, " --dry-run"), 1),
              AllOf(HasSubstr("only 1 of 2 voters"), HasSubstr("--force")));
  EXPECT_THAT(Members(&cluster, absl::StrCat("demote ", leader), 1),
              HasSubstr("hand leadership over first"));
  EXPECT_THAT(Members(&cluster, absl::StrCat("demote ", down, " --dry-run")),
              HasSubstr("a majority is 2"));
  EXPECT_THAT(Members(&cluster, absl::StrCat("remove ", alive, " --force"), 1),
              HasSubstr("needs a reason"));
  Members(&cluster, absl::StrCat("demote ", down));
  EXPECT_THAT(Members(&cluster, "list", 1), HasSubstr("learner"));
  cluster.StartNode(down);
  Promote(&cluster, down);
}

}  // namespace
}  // namespace concordat::testing
