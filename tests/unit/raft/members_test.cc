// Changes of the members at the leader and at the others (thesis, chapter 4).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

using Kind = MemberChange::Kind;
using ::testing::HasSubstr;

MemberChange Change(Kind kind, uint64_t node) {
  MemberChange change;
  change.kind = kind;
  change.node = NodeId(node);
  return change;
}

class Members : public ::testing::Test {
 protected:
  static Config WithLog(uint64_t log, std::vector<uint64_t> voters = {1, 2, 3}) {
    Config config = TestConfig(1, std::move(voters));
    config.log = LogId(log);
    config.new_cluster = kCluster;
    return config;
  }
  // A message of a node with that log, about this node's log `to_log`.
  static absl::Status Tell(TestNode* node, uint64_t from, Message::Body body,
                           uint64_t from_log, uint64_t to_log = 0) {
    Message message{GroupId(1),      NodeId(from),
                    NodeId(1),       std::max(Term(1), node->raft.term()),
                    std::move(body), kCluster,
                    LogId(from_log), LogId(to_log)};
    const absl::Status status = node->raft.Step(std::move(message));
    node->Pump();
    return status;
  }
  static uint64_t End(const TestNode& node) {
    return node.raft.log().last_index().value();
  }
  // A leader of three whose logs are known: 11, 12, 13.
  static std::unique_ptr<TestNode> Leader() {
    auto node = std::make_unique<TestNode>(RecoveredState(), WithLog(11));
    node->PassElectionTimeout();
    EXPECT_TRUE(Tell(node.get(), 2, PreVoteResponse{Term(1), true}, 12).ok());
    EXPECT_TRUE(Tell(node.get(), 2, VoteResponse{true}, 12).ok());
    EXPECT_TRUE(node->raft.is_leader());
    All(node.get());
    node->Pass(Duration::Millis(50));  // the logs that answered are entered
    All(node.get());
    node->Forget();
    return node;
  }
  // Nodes 2 and 3 have everything.
  static void All(TestNode* node) {
    for (const uint64_t peer : {2ull, 3ull}) Answers(node, peer, 10 + peer);
  }
  static void Answers(TestNode* node, uint64_t peer, uint64_t log) {
    EXPECT_TRUE(Tell(node, peer, Accepted(End(*node)), log).ok());
  }
  static absl::Status Try(TestNode* node, Kind kind, uint64_t member,
                          bool force = false) {
    const auto index = node->raft.ChangeMembers(Change(kind, member), force);
    node->Pump();
    return index.status();
  }
  static constexpr ClusterKey kCluster{5, 6};
};

TEST_F(Members, FirstConfiguration_HasTheLeadersLog_AndTheOthersAreEnteredAsTheyAnswer) {
  const auto node = Leader();
  const Configuration& members = node->raft.configuration();
  for (const uint64_t id : {1ull, 2ull, 3ull}) {
    EXPECT_EQ(members.Find(NodeId(id))->log, LogId(10 + id));
  }
  EXPECT_LE(node->raft.configuration_index(), node->raft.commit_index());
}

TEST_F(Members, LearnerThatIsAdded_IsSentTheLog_AndCountsForNothing) {
  const auto node = Leader();
  ASSERT_TRUE(Try(node.get(), Kind::kAdd, 4).ok());
  EXPECT_FALSE(node->Sent<AppendRequest>(4).empty());
  const LogIndex committed = node->raft.commit_index();
  Answers(node.get(), 4, 14);
  EXPECT_EQ(node->raft.commit_index(), committed) << "a learner's copy is no vote";
  Answers(node.get(), 2, 12);
  EXPECT_GT(node->raft.commit_index(), committed);
}

TEST_F(Members, SecondChange_WaitsForTheFirst) {
  const auto node = Leader();
  ASSERT_TRUE(Try(node.get(), Kind::kAdd, 4).ok());
  EXPECT_TRUE(absl::IsUnavailable(Try(node.get(), Kind::kAdd, 5)));
  Answers(node.get(), 2, 12);
  EXPECT_TRUE(Try(node.get(), Kind::kAdd, 5).ok());
}

TEST_F(Members, NewLeader_ChangesNothingBeforeItsOwnEntryIsCommitted) {
  TestNode node(Recovered(3, {1, 2}));
  node.BecomeLeader();
  EXPECT_TRUE(absl::IsUnavailable(Try(&node, Kind::kAdd, 4)));
  node.Receive(2, 4, Accepted(3));
  EXPECT_TRUE(Try(&node, Kind::kAdd, 4).ok());
}

TEST_F(Members, Scenario46_LearnerThatHasNotCaughtUp_IsNotPromoted) {
  const auto node = Leader();
  ASSERT_TRUE(Try(node.get(), Kind::kAdd, 4).ok());
  All(node.get());
  // Not heard of: perhaps its address is wrong.
  EXPECT_TRUE(absl::IsUnavailable(Try(node.get(), Kind::kPromote, 4)));
  EXPECT_TRUE(Tell(node.get(), 4, Rejected(End(*node) - 1, 0, 0), 14).ok());
  node->Pass(Duration::Millis(50));
  All(node.get());
  const absl::Status behind = Try(node.get(), Kind::kPromote, 4);
  EXPECT_TRUE(absl::IsAborted(behind)) << behind;
  EXPECT_THAT(std::string(behind.message()), HasSubstr("has not caught up"));
  for (int round = 0; round < 2; ++round) {
    node->Pass(Duration::Millis(50));
    Answers(node.get(), 4, 14);
    All(node.get());
  }
  ASSERT_TRUE(Try(node.get(), Kind::kPromote, 4).ok());
  EXPECT_EQ(node->raft.configuration().QuorumSize(), 3u);
  const LogIndex committed = node->raft.commit_index();
  Answers(node.get(), 2, 12);
  EXPECT_EQ(node->raft.commit_index(), committed) << "two of four are no quorum";
  Answers(node.get(), 4, 14);
  EXPECT_GT(node->raft.commit_index(), committed);
}

TEST_F(Members, ChangeThatLeavesNoLiveMajority_IsRefusedUnlessForced) {
  const auto node = Leader();
  for (int i = 0; i < 12; ++i) {  // node 3 is silent
    node->Pass(Duration::Millis(40));
    Answers(node.get(), 2, 12);
  }
  const absl::Status refused = Try(node.get(), Kind::kRemove, 2);
  EXPECT_TRUE(absl::IsAborted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("only 1 of 2"));
  EXPECT_TRUE(absl::IsAborted(Try(node.get(), Kind::kReplace, 2)));
  // The silent one may go, and a learner may come.
  const auto plan = node->raft.PlanChange(Change(Kind::kDemote, 3), false);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->live_voters, (std::vector<NodeId>{NodeId(1), NodeId(2)}));
  EXPECT_TRUE(Try(node.get(), Kind::kAdd, 4).ok());
  Answers(node.get(), 2, 12);
  EXPECT_TRUE(Try(node.get(), Kind::kRemove, 2, /*force=*/true).ok());
}

TEST_F(Members, AddressOfAVoter_IsOnlyChangedWhenTheOthersAreAMajority) {
  const auto node = Leader();
  MemberChange change = Change(Kind::kSetAddress, 2);
  change.peer_address = "mistyped:1";
  EXPECT_TRUE(node->raft.PlanChange(change, false).ok());
  for (int i = 0; i < 12; ++i) {
    node->Pass(Duration::Millis(40));
    Answers(node.get(), 2, 12);
  }
  EXPECT_TRUE(absl::IsAborted(node->raft.PlanChange(change, false).status()));
}

TEST_F(Members, Leader_DoesNotGiveUpItsOwnVote) {
  const auto node = Leader();
  for (const Kind kind : {Kind::kRemove, Kind::kDemote, Kind::kReplace}) {
    const absl::Status status = Try(node.get(), kind, 1, /*force=*/true);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("hand leadership over first"));
  }
}

TEST_F(Members, Follower_ChangesNothing) {
  TestNode node;
  EXPECT_TRUE(absl::IsFailedPrecondition(Try(&node, Kind::kAdd, 4)));
}

TEST_F(Members, OverwrittenChange_IsNotInForceAnyMore) {
  TestNode node(Recovered(1, {1}));
  Entry entry = Command(2, 1);
  entry.type = EntryType::kConfiguration;
  entry.data = Payload(EncodeConfiguration(
      AfterChange(TestConfig().members, Change(Kind::kAdd, 4)).value()));
  node.Receive(2, 1, Append(1, 1, {entry}));
  EXPECT_EQ(node.raft.configuration().members().size(), 4u);
  node.Receive(3, 2, Append(1, 1, Commands(2, {2})));
  EXPECT_EQ(node.raft.configuration().members().size(), 3u);
  EXPECT_EQ(node.raft.counters().configurations_reverted, 1u);
}

TEST_F(Members, Snapshot_HasTheMembersOfItsIndex) {
  TestNode node(Recovered(1, {1}));
  Entry entry = Command(3, 1);
  entry.type = EntryType::kConfiguration;
  entry.data = Payload(EncodeConfiguration(Configuration({NodeId(1), NodeId(2)})));
  node.Receive(2, 1, Append(1, 1, {Command(2, 1), entry}, 2));
  EXPECT_EQ(node.raft.configuration().voters().size(), 2u);
  const SnapshotMeta meta = node.raft.SnapshotMetaAt(LogIndex(2));
  EXPECT_EQ(meta.configuration.voters().size(), 3u);
}

TEST_F(Members, NodeThatWaitsToBeTakenIn_DoesNotStand_AndTakesTheGroupsLog) {
  Config config = TestConfig(1);
  config.members = Configuration();
  config.log = LogId(11);
  TestNode node({}, config);
  for (int i = 0; i < 5; ++i) node.PassElectionTimeout();
  EXPECT_TRUE(node.sent.empty());
  Entry first{Term(1), LogIndex(1), EntryType::kConfiguration,
              Payload(EncodeConfiguration(Configuration({NodeId(2)}, kCluster)))};
  Entry second{Term(1), LogIndex(2), EntryType::kConfiguration,
               Payload(EncodeConfiguration(
                   Configuration({{NodeId(1), MemberRole::kLearner, {}, {}, "", ""},
                                  {NodeId(2), MemberRole::kVoter, {}, {}, "", ""}},
                                 kCluster)))};
  Message message{
      GroupId(1), NodeId(2), NodeId(1), Term(1), Append(0, 0, {first, second}, 2),
      kCluster};
  ASSERT_TRUE(node.raft.Step(message).ok());
  node.Pump();
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(2));
  EXPECT_EQ(node.raft.cluster(), kCluster);
  for (int i = 0; i < 5; ++i) node.PassElectionTimeout();
  EXPECT_EQ(node.raft.role(), Role::kFollower) << "a learner does not stand";
}

TEST_F(Members, Scenario44_AnswersOfAnotherLog_AreNotCounted) {
  const auto node = Leader();
  node->Propose({"x"});
  const LogIndex committed = node->raft.commit_index();
  for (const uint64_t peer : {2ull, 3ull}) {
    const absl::Status status = Tell(node.get(), peer, Accepted(End(*node)), 99);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("members replace"));
  }
  EXPECT_EQ(node->raft.commit_index(), committed);
}

TEST_F(Members, Scenario44_NodeThatLostItsLog_TakesNothingAndDoesNotVote) {
  TestNode node({}, WithLog(77));
  const absl::Status refused = Tell(&node, 2, AppendRequest(), 12, 11);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("knows this node by log b"));
  VoteRequest vote{LogIndex(5), Term(1), true};
  EXPECT_FALSE(Tell(&node, 2, vote, 12, 11).ok());
  EXPECT_TRUE(node.sent.empty());
  ASSERT_EQ(node.notices.size(), 1u) << "said once";
  EXPECT_EQ(node.notices[0].kind, Notice::Kind::kNotThisMember);
}

TEST_F(Members, Scenario44_ReplacedMember_IsTakenInWithItsNewLogOnly) {
  const auto node = Leader();
  ASSERT_TRUE(Try(node.get(), Kind::kReplace, 3).ok());
  Answers(node.get(), 2, 12);
  EXPECT_FALSE(Tell(node.get(), 3, Accepted(End(*node)), 13).ok()) << "the lost log";
  ASSERT_TRUE(Tell(node.get(), 3, Rejected(End(*node) - 1, 0, 0), 99).ok());
  node->Pass(Duration::Millis(50));
  EXPECT_EQ(node->raft.configuration().Find(NodeId(3))->log, LogId(99));
}

// A leader that was replaced itself must be able to bring up to date who was away then.
TEST_F(Members, Scenario44_AnswerOfWhoKnowsTheLeadersLostLog_IsTaken) {
  const auto node = Leader();
  node->Propose({"x"});
  const LogIndex committed = node->raft.commit_index();
  EXPECT_TRUE(Tell(node.get(), 2, Accepted(End(*node)), 12, /*to_log=*/99).ok());
  EXPECT_GT(node->raft.commit_index(), committed);
}

TEST_F(Members, RequestOfANodeThatIsNoMemberHere_IsTaken) {
  TestNode node({}, WithLog(11));
  Entry first{Term(1), LogIndex(1), EntryType::kConfiguration,
              Payload(EncodeConfiguration(
                  Configuration({NodeId(1), NodeId(2), NodeId(3)}, kCluster)))};
  const absl::Status begun = Tell(&node, 2, Append(0, 0, {first}, 1), 12);
  ASSERT_TRUE(begun.ok()) << begun;
  for (int i = 0; i < 3; ++i) node.PassElectionTimeout();
  Message message{
      GroupId(1), NodeId(9), NodeId(1), Term(7), VoteRequest{LogIndex(3), Term(6)},
      kCluster};
  ASSERT_TRUE(node.raft.Step(message).ok());
  node.Pump();
  EXPECT_TRUE(node.Last<VoteResponse>(9).granted);
  message.body = VoteResponse{true};
  EXPECT_FALSE(node.raft.Step(message).ok()) << "its answers count for nothing";
}

TEST_F(Members, RemovedNode_IsToldSo_AndStandsNoMore) {
  const auto node = Leader();
  ASSERT_TRUE(Try(node.get(), Kind::kRemove, 3).ok());
  EXPECT_FALSE(node->raft.progress().contains(NodeId(3)));
  node->Forget();
  ASSERT_TRUE(Tell(node.get(), 3, PreVoteRequest{Term(9), {}, {}}, 13).ok());
  EXPECT_FALSE(node->Last<PreVoteResponse>(3).removed) << "not committed yet";
  Answers(node.get(), 2, 12);
  ASSERT_TRUE(Tell(node.get(), 3, PreVoteRequest{Term(9), {}, {}}, 13).ok());
  EXPECT_TRUE(node->Last<PreVoteResponse>(3).removed);

  TestNode removed;
  removed.PassElectionTimeout();
  removed.Receive(2, 1, PreVoteResponse{Term(1), false, true});
  EXPECT_TRUE(removed.raft.was_removed());
  removed.Forget();
  for (int i = 0; i < 3; ++i) removed.PassElectionTimeout();
  EXPECT_TRUE(removed.sent.empty());
}

TEST_F(Members, Leadership_IsHandedOnlyToVoters) {
  const auto node = Leader();
  ASSERT_TRUE(Try(node.get(), Kind::kAdd, 4).ok());
  Answers(node.get(), 4, 14);
  All(node.get());
  EXPECT_TRUE(absl::IsFailedPrecondition(node->raft.TransferLeadership(NodeId(4))));
  EXPECT_TRUE(node->raft.TransferLeadership(NodeId(3)).ok());
  node->Pump();
  EXPECT_EQ(node->Sent<TimeoutNow>(3).size(), 1u);
}

}  // namespace
}  // namespace concordat::raft
