// Linearizable reads (thesis, section 6.4).
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

TEST(ReadIndex, Follower_IsRefused) {
  TestNode node;
  EXPECT_EQ(node.raft.ReadIndex(ReadToken(1)).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(ReadIndex, QuorumConfirmsTheLeader_AnswersWithTheCommitIndexOfTheStart) {
  TestNode node({}, TestConfig(1, {1, 2, 3, 4, 5}));
  node.BecomeSettledLeader();
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(7)).ok());
  node.Pump();
  EXPECT_TRUE(node.reads.empty());
  const uint64_t round = node.Last<AppendRequest>(2).read_round;
  EXPECT_EQ(node.Last<AppendRequest>(5).read_round, round);
  node.Receive(2, 1, Accepted(1, round));
  EXPECT_TRUE(node.reads.empty());
  node.Receive(2, 1, Accepted(1, round));
  EXPECT_TRUE(node.reads.empty()) << "one node, however often it answers";
  node.Receive(3, 1, Accepted(1, round));
  ASSERT_EQ(node.reads.size(), 1u);
  EXPECT_EQ(node.reads[0].token, ReadToken(7));
  EXPECT_EQ(node.reads[0].index, LogIndex(1));
}

TEST(ReadIndex, AnswerToAnEarlierRound_DoesNotConfirm) {
  TestNode node;
  node.BecomeSettledLeader();
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(1)).ok());
  node.Pump();
  const uint64_t round = node.Last<AppendRequest>(2).read_round;
  node.Receive(2, 1, Accepted(1, round));
  ASSERT_EQ(node.reads.size(), 1u);
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(2)).ok());
  node.Pump();
  node.Receive(2, 1, Accepted(1, round));
  EXPECT_EQ(node.reads.size(), 1u);
  // A later round confirms an earlier read as well.
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(3)).ok());
  node.Pump();
  node.Receive(3, 1, Accepted(1, node.Last<AppendRequest>(3).read_round));
  EXPECT_EQ(node.reads.size(), 3u);
}

// A new leader's commit index may be lower than that of its predecessor's answers.
TEST(ReadIndex, BeforeTheOwnEntryIsCommitted_Waits) {
  TestNode node(Recovered(3, {1, 2, 3}));
  node.BecomeLeader();
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(1)).ok());
  node.Pump();
  EXPECT_EQ(node.Last<AppendRequest>(2).read_round, 0u);
  node.Pass(Duration::Millis(40));
  node.Receive(3, 4, Accepted(3, node.Last<AppendRequest>(3).read_round));
  EXPECT_TRUE(node.reads.empty());
  node.Receive(2, 4, Accepted(4));
  EXPECT_TRUE(node.reads.empty());
  node.Receive(2, 4, Accepted(4, node.Last<AppendRequest>(2).read_round));
  ASSERT_EQ(node.reads.size(), 1u);
  EXPECT_EQ(node.reads[0].index, LogIndex(4));
}

TEST(ReadIndex, LostRound_IsRepeatedByTheHeartbeat) {
  TestNode node;
  node.BecomeSettledLeader();
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(1)).ok());
  node.Pump();
  node.Forget();
  node.Pass(Duration::Millis(40));
  node.Receive(2, 1, Accepted(1, node.Last<AppendRequest>(2).read_round));
  EXPECT_EQ(node.reads.size(), 1u);
}

TEST(ReadIndex, RejectedAppendOfThisTerm_ConfirmsTheLeaderToo) {
  TestNode node;
  node.BecomeSettledLeader();
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(1)).ok());
  node.Pump();
  AppendResponse response = Rejected(1, 0, 0);
  response.read_round = node.Last<AppendRequest>(2).read_round;
  node.Receive(2, 1, response);
  EXPECT_EQ(node.reads.size(), 1u);
}

TEST(ReadIndex, LeaderSteppedDown_ReadsAreDropped) {
  TestNode node;
  node.BecomeSettledLeader();
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(1)).ok());
  node.Pump();
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(2)).ok());
  node.Receive(3, 2, Append(0, 0, {}));
  ASSERT_EQ(node.soft_states.back().role, Role::kFollower);
  // The answers of the old term are too late.
  node.Receive(2, 1, Accepted(1, 1));
  EXPECT_TRUE(node.reads.empty());
  // The next leadership confirms its own reads only.
  node.BecomeSettledLeader();
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(3)).ok());
  node.Pump();
  node.Receive(2, node.raft.term().value(),
               Accepted(node.raft.log().last_index().value(),
                        node.Last<AppendRequest>(2).read_round));
  ASSERT_EQ(node.reads.size(), 1u);
  EXPECT_EQ(node.reads[0].token, ReadToken(3));
}

TEST(ReadIndex, SingleNode_IsItsOwnQuorum) {
  TestNode node({}, TestConfig(1, {1}));
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(1)).ok());
  node.Pump();
  ASSERT_EQ(node.reads.size(), 1u);
  EXPECT_EQ(node.reads[0].index, node.raft.commit_index());
}

}  // namespace
}  // namespace concordat::raft
