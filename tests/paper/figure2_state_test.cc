// Figure 2 of the Raft paper (extended version), the box "State": one test for each
// variable.
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

TEST(Figure2, State_CurrentTerm_IsZeroOnFirstBootAndIncreases) {
  TestNode node;
  EXPECT_EQ(node.raft.term(), Term(0));
  node.Receive(2, 4, Append(0, 0, {}));
  EXPECT_EQ(node.raft.term(), Term(4));
  node.Receive(3, 2, Append(0, 0, {}));
  EXPECT_EQ(node.raft.term(), Term(4));
}

TEST(Figure2, State_CurrentTerm_IsDurableBeforeAnAnswerLeaves) {
  TestNode node;
  node.hold_disk = true;
  node.Receive(2, 4, Append(0, 0, {}));
  EXPECT_TRUE(node.sent.empty());
  ASSERT_EQ(node.disk.size(), 1u);
  EXPECT_EQ(node.disk[0].persist.hard_state->term, Term(4));
  node.Flush();
  EXPECT_TRUE(node.Last<AppendResponse>(2).success);
}

TEST(Figure2, State_VotedFor_IsNullInANewTerm) {
  TestNode node(Recovered(3, {}, /*vote=*/2));
  node.Receive(2, 4, Append(0, 0, {}));
  EXPECT_EQ(node.raft.hard_state().vote, NodeId());
}

TEST(Figure2, State_VotedFor_IsDurableBeforeTheVoteLeaves) {
  TestNode node;
  node.hold_disk = true;
  node.Receive(2, 4, VoteRequest{LogIndex(0), Term(0)});
  EXPECT_TRUE(node.Sent<VoteResponse>().empty());
  ASSERT_EQ(node.disk.size(), 1u);
  EXPECT_EQ(*node.disk[0].persist.hard_state, (HardState{Term(4), NodeId(2)}));
  node.Flush();
  EXPECT_TRUE(node.Last<VoteResponse>(2).granted);
}

TEST(Figure2, State_VotedFor_SurvivesARestart) {
  TestNode node(Recovered(4, {}, /*vote=*/2));
  node.Receive(3, 4, VoteRequest{LogIndex(9), Term(3)});
  EXPECT_FALSE(node.Last<VoteResponse>(3).granted);
}

TEST(Figure2, State_Log_FirstIndexIsOneAndEntriesHoldCommandAndTerm) {
  TestNode node;
  node.BecomeSettledLeader();
  EXPECT_EQ(node.raft.log().first_index(), LogIndex(1));
  const LogIndex index = node.Propose({"x"});
  EXPECT_EQ(node.raft.log().At(index).term, node.raft.term());
  EXPECT_EQ(node.raft.log().At(index).data.view(), "x");
}

TEST(Figure2, State_Log_IsDurableBeforeTheAcknowledgementLeaves) {
  TestNode node(Recovered(1, {}));
  node.hold_disk = true;
  node.Receive(2, 1, Append(0, 0, Commands(1, {1, 1})));
  EXPECT_TRUE(node.Sent<AppendResponse>().empty());
  ASSERT_EQ(node.disk.size(), 1u);
  EXPECT_EQ(node.disk[0].persist.entries, Commands(1, {1, 1}));
  node.Flush();
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(2));
}

TEST(Figure2, State_CommitIndex_IsZeroAtStartAndIncreases) {
  TestNode node(Recovered(1, {1, 1, 1}));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(0));
  node.Receive(2, 1, Append(3, 1, {}, /*commit=*/2));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(2));
  node.Receive(2, 1, Append(3, 1, {}, /*commit=*/1));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(2));
}

TEST(Figure2, State_LastApplied_IsZeroAtStartAndIncreases) {
  TestNode node(Recovered(1, {1, 1, 1}));
  EXPECT_EQ(node.raft.applied_index(), LogIndex(0));
  node.Receive(2, 1, Append(3, 1, {}, /*commit=*/2));
  EXPECT_EQ(node.raft.applied_index(), LogIndex(2));
}

TEST(Figure2, State_NextIndex_StartsBehindTheLeadersLastEntry) {
  TestNode node(Recovered(1, {1, 1, 1}));
  node.hold_disk = true;
  node.PassElectionTimeout();
  node.Receive(2, 1, PreVoteResponse{Term(2), true});
  node.Flush();
  ASSERT_TRUE(
      node.raft
          .Step(Message{GroupId(1), NodeId(2), NodeId(1), Term(2), VoteResponse{true}})
          .ok());
  // Index 4 is the leader's own first entry of its term.
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).next, LogIndex(4));
  EXPECT_EQ(node.raft.progress().at(NodeId(3)).next, LogIndex(4));
}

TEST(Figure2, State_MatchIndex_IsZeroAtElection) {
  TestNode node(Recovered(1, {1, 1, 1}));
  node.BecomeLeader();
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).match, LogIndex(0));
  node.Receive(2, 2, Accepted(4));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).match, LogIndex(4));
  EXPECT_EQ(node.raft.progress().at(NodeId(3)).match, LogIndex(0));
}

}  // namespace
}  // namespace concordat::raft
