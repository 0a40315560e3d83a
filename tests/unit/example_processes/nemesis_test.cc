// When the nemesis kills, whom, and how it tells that they are back.
#include "examples/processes/nemesis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace concordat::example {
namespace {

using ::testing::ElementsAre;

// A cluster on paper: writes down what is done to it.
class PaperCluster final : public Victims {
 public:
  std::optional<LeaderView> Leader() const override { return leader; }
  std::optional<int64_t> AppliedIndex(size_t) const override { return applied; }
  absl::Status KillNode(size_t node) override { return Note("kill node", node); }
  absl::Status RestartNode(size_t node) override { return Note("restart node", node); }
  absl::Status KillServerOf(const std::string& resource) override {
    done.push_back("kill " + resource);
    return absl::OkStatus();
  }
  absl::Status RestartServerOf(const std::string& resource) override {
    done.push_back("restart " + resource);
    return absl::OkStatus();
  }
  absl::Status KillDatabaseOf(const std::string& resource) override {
    done.push_back("kill database " + resource);
    return absl::OkStatus();
  }
  absl::Status RestartDatabaseOf(const std::string& resource) override {
    done.push_back("restart database " + resource);
    return absl::OkStatus();
  }

  std::optional<LeaderView> leader = LeaderView{1, 5, 100, {{"kv", 1}}};
  std::optional<int64_t> applied;
  std::vector<std::string> done;

 private:
  absl::Status Note(const std::string& what, size_t node) {
    done.push_back(what + " " + std::to_string(node));
    return absl::OkStatus();
  }
};

// Counts what is begun and ended.
class PaperWatch final : public FaultWatch {
 public:
  size_t BeginFault(Timestamp) override { return begun++; }
  void EndFault(size_t fault, Timestamp) override {
    EXPECT_EQ(fault, ended);
    ++ended;
  }

  size_t begun = 0;
  size_t ended = 0;
};

class NemesisTest : public ::testing::Test {
 protected:
  Nemesis Make(size_t leader_kills, std::vector<std::string> databases = {}) {
    Nemesis::Plan plan;
    plan.databases = std::move(databases);
    plan.leader_kills = leader_kills;
    plan.resources = {"kv"};
    return Nemesis(plan, &cluster_, &watch_, 1, [](const std::string&) {});
  }
  absl::Status Tick(Nemesis* nemesis, int64_t millis, double progress) {
    return nemesis->Tick(Timestamp::FromMicros(millis * 1000), progress, 64);
  }

  PaperCluster cluster_;
  PaperWatch watch_;
};

TEST_F(NemesisTest, LeaderKill_NewLeaderAndCaughtUp_IsOver) {
  Nemesis nemesis = Make(2);  // with the participant, three steps
  EXPECT_DOUBLE_EQ(nemesis.allowed(), 1.0 / 3);
  ASSERT_TRUE(Tick(&nemesis, 0, 0.1).ok());
  EXPECT_TRUE(cluster_.done.empty());

  ASSERT_TRUE(Tick(&nemesis, 10, 0.2).ok());
  EXPECT_THAT(cluster_.done, ElementsAre("kill node 1"));
  // The old leader's last report does not count.
  ASSERT_TRUE(Tick(&nemesis, 20, 0.3).ok());
  EXPECT_THAT(cluster_.done, ElementsAre("kill node 1"));

  cluster_.leader = LeaderView{2, 6, 120, {{"kv", 1}}};
  ASSERT_TRUE(Tick(&nemesis, 330, 0.3).ok());
  EXPECT_THAT(cluster_.done, ElementsAre("kill node 1", "restart node 1"));
  EXPECT_EQ(nemesis.faults()[0].outage, Duration::Millis(320));
  EXPECT_EQ(nemesis.faults()[0].in_flight, 64u);

  cluster_.applied = 119;
  ASSERT_TRUE(Tick(&nemesis, 340, 0.3).ok());
  EXPECT_DOUBLE_EQ(nemesis.allowed(), 1.0 / 3);
  cluster_.applied = 120;
  ASSERT_TRUE(Tick(&nemesis, 350, 0.3).ok());
  EXPECT_DOUBLE_EQ(nemesis.allowed(), 2.0 / 3);
}

TEST_F(NemesisTest, ParticipantKill_AnotherIncarnationRegistered_IsOver) {
  Nemesis nemesis = Make(1);
  ASSERT_TRUE(Tick(&nemesis, 0, 0.5).ok());
  cluster_.leader = LeaderView{0, 6, 10, {{"kv", 1}}};
  cluster_.applied = 10;
  ASSERT_TRUE(Tick(&nemesis, 10, 0.5).ok());
  ASSERT_TRUE(Tick(&nemesis, 20, 0.5).ok());
  cluster_.done.clear();

  ASSERT_TRUE(Tick(&nemesis, 30, 0.8).ok());
  EXPECT_THAT(cluster_.done, ElementsAre("kill kv"));
  ASSERT_TRUE(Tick(&nemesis, 40, 0.8).ok());  // it stays down for a moment
  EXPECT_THAT(cluster_.done, ElementsAre("kill kv"));
  ASSERT_TRUE(Tick(&nemesis, 400, 0.8).ok());
  EXPECT_THAT(cluster_.done, ElementsAre("kill kv", "restart kv"));

  ASSERT_TRUE(Tick(&nemesis, 410, 0.8).ok());
  EXPECT_FALSE(nemesis.done());  // the registry still has the old incarnation
  cluster_.leader->alive["kv"] = 2;
  ASSERT_TRUE(Tick(&nemesis, 420, 0.8).ok());
  EXPECT_TRUE(nemesis.done());
  EXPECT_DOUBLE_EQ(nemesis.allowed(), 1);
  EXPECT_EQ(watch_.begun, 2u);
  EXPECT_EQ(watch_.ended, 2u);
}

TEST_F(NemesisTest, DatabaseServers_EachIsKilledOnceBetweenLeaders) {
  Nemesis nemesis = Make(2, {"postgresql-1", "mariadb-1"});  // and the participant
  int64_t now = 0;
  cluster_.applied = 1000;
  for (int i = 0; i < 100 && !nemesis.done(); ++i) {
    ASSERT_TRUE(Tick(&nemesis, now += 200, 1).ok());
    // A killed node is replaced.
    if (!cluster_.done.empty() && cluster_.done.back().rfind("kill node", 0) == 0) {
      ++cluster_.leader->term;
    }
    cluster_.leader->alive["kv"] = now;
  }
  EXPECT_THAT(cluster_.done,
              ElementsAre("kill node 1", "restart node 1", "kill kv", "restart kv",
                          "kill database postgresql-1", "restart database postgresql-1",
                          "kill database mariadb-1", "restart database mariadb-1",
                          "kill node 1", "restart node 1"));
  EXPECT_EQ(nemesis.faults()[2].who, "server of postgresql-1");
}

TEST_F(NemesisTest, NobodyTakesOver_IsAnErrorInTheEnd) {
  Nemesis nemesis = Make(1);
  ASSERT_TRUE(Tick(&nemesis, 0, 0.5).ok());
  ASSERT_TRUE(Tick(&nemesis, 29'000, 0.5).ok());
  const absl::Status status = Tick(&nemesis, 31'000, 0.5);
  EXPECT_EQ(status.message(),
            "after the kill of the leader, node 2 nobody took over in 30 seconds");
}

TEST_F(NemesisTest, NothingToKill_EverythingMayBegin) {
  Nemesis nemesis = Make(0);
  EXPECT_TRUE(nemesis.done());
  EXPECT_DOUBLE_EQ(nemesis.allowed(), 1);
}

}  // namespace
}  // namespace concordat::example
