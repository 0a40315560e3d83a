// Pre-vote, check-quorum and the stability of a leader (thesis, sections 6.2 and 9.6),
// votes across crashes, and clocks that go wrong.
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

TEST(PreVote, AskingForAnElection_ChangesNoTermAnywhere) {
  TestNode asker(Recovered(7, {1, 7}));
  for (int i = 0; i < 50; ++i) asker.PassElectionTimeout();
  EXPECT_EQ(asker.raft.role(), Role::kPreCandidate);
  EXPECT_EQ(asker.raft.hard_state(), (HardState{Term(7), NodeId()}));
  EXPECT_TRUE(asker.written.empty());
  const PreVoteRequest request = asker.Last<PreVoteRequest>(2);
  EXPECT_EQ(request.campaign_term, Term(8));
  EXPECT_EQ(request.last_log_index, LogIndex(2));

  TestNode asked(Recovered(3, {1}));
  asked.Receive(2, 7, request);
  EXPECT_TRUE(asked.Last<PreVoteResponse>(2).granted);
  EXPECT_EQ(asked.raft.hard_state(), (HardState{Term(3), NodeId()}));
  // A pre-vote promises nothing, so another node may get one too.
  asked.Receive(3, 7, request);
  EXPECT_TRUE(asked.Last<PreVoteResponse>(3).granted);
}

TEST(PreVote, FollowerThatHearsALeader_Refuses) {
  TestNode node(Recovered(1, {}));
  node.Receive(2, 1, Append(0, 0, {}));
  node.Pass(Duration::Millis(199));
  node.Receive(3, 1, PreVoteRequest{Term(2), LogIndex(9), Term(1)});
  EXPECT_FALSE(node.Last<PreVoteResponse>(3).granted);
  EXPECT_EQ(node.raft.counters().votes_refused_for_live_leader, 1u);
  node.Pass(Duration::Millis(1));
  node.Receive(3, 1, PreVoteRequest{Term(2), LogIndex(9), Term(1)});
  EXPECT_TRUE(node.Last<PreVoteResponse>(3).granted);
}

TEST(PreVote, CandidateWithAShorterLogOrAnOldTerm_IsRefused) {
  TestNode node(Recovered(5, {1, 4}));
  node.Receive(2, 5, PreVoteRequest{Term(6), LogIndex(9), Term(3)});
  EXPECT_FALSE(node.Last<PreVoteResponse>(2).granted);
  node.Receive(2, 4, PreVoteRequest{Term(5), LogIndex(9), Term(4)});
  EXPECT_FALSE(node.Last<PreVoteResponse>(2).granted);
  EXPECT_EQ(node.LastTerm(), Term(5));
}

TEST(PreVote, RefusalFromALaterTerm_IsTakenOver) {
  TestNode node(Recovered(3, {}));
  node.PassElectionTimeout();
  node.Receive(2, 6, PreVoteResponse{Term(4), false});
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  EXPECT_EQ(node.raft.term(), Term(6));
}

TEST(PreVote, GrantForAnotherCampaign_DoesNotCount) {
  TestNode node(Recovered(3, {}));
  node.PassElectionTimeout();
  node.Receive(2, 2, PreVoteResponse{Term(3), true});
  EXPECT_EQ(node.raft.role(), Role::kPreCandidate);
  node.Receive(2, 2, PreVoteResponse{Term(4), true});
  EXPECT_EQ(node.raft.role(), Role::kCandidate);
}

// A peer may have heard from the old leader a little later, and refuse at first.
TEST(PreVote, Refused_IsRepeatedWithinOneElectionTimeout) {
  TestNode node;
  node.PassElectionTimeout();
  ASSERT_EQ(node.Sent<PreVoteRequest>(2).size(), 1u);
  node.Pass(Duration::Millis(200));
  EXPECT_EQ(node.Sent<PreVoteRequest>(2).size(), 2u);
}

TEST(Vote, FollowerThatHearsALeader_RefusesAndKeepsItsTerm) {
  TestNode node(Recovered(1, {}));
  node.Receive(2, 1, Append(0, 0, {}));
  node.Receive(3, 8, VoteRequest{LogIndex(9), Term(7)});
  EXPECT_FALSE(node.Last<VoteResponse>(3).granted);
  EXPECT_EQ(node.raft.hard_state(), (HardState{Term(1), NodeId()}));
  EXPECT_EQ(node.raft.leader(), NodeId(2));
}

TEST(Vote, Leader_IsNotDeposedByACandidateThatLostTouch) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Receive(3, 8, VoteRequest{LogIndex(9), Term(7)});
  EXPECT_EQ(node.raft.role(), Role::kLeader);
  // But it learns of the later term when that node answers it.
  node.Receive(3, 8, AppendResponse{});
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  EXPECT_EQ(node.raft.term(), Term(8));
}

TEST(Vote, Scenario43_CrashBeforeTheVoteIsDurable_NobodyWasTold) {
  TestNode node(Recovered(3, {}));
  node.hold_disk = true;
  node.Receive(2, 4, VoteRequest{LogIndex(0), Term(0)});
  EXPECT_TRUE(node.Sent<VoteResponse>().empty());
  // The vote was lost in the crash, so the node may vote for another one.
  TestNode again(Recovered(3, {}));
  again.Receive(3, 4, VoteRequest{LogIndex(0), Term(0)});
  EXPECT_TRUE(again.Last<VoteResponse>(3).granted);
}

TEST(Vote, Scenario43_CrashAfterTheVoteIsDurable_NoSecondVoteInThatTerm) {
  TestNode node(Recovered(3, {}));
  node.Receive(2, 4, VoteRequest{LogIndex(0), Term(0)});
  ASSERT_TRUE(node.Last<VoteResponse>(2).granted);
  TestNode again(RecoveredState{*node.written.back().hard_state, {}, {}});
  again.Receive(3, 4, VoteRequest{LogIndex(5), Term(3)});
  EXPECT_FALSE(again.Last<VoteResponse>(3).granted);
  again.Receive(2, 4, VoteRequest{LogIndex(0), Term(0)});
  EXPECT_TRUE(again.Last<VoteResponse>(2).granted);
}

TEST(Vote, OwnVoteOfACandidate_CountsWhenItIsDurable) {
  TestNode node({}, TestConfig(1, {1, 2, 3}));
  node.hold_disk = true;
  node.PassElectionTimeout();
  node.Receive(2, 0, PreVoteResponse{Term(1), true});
  // Its requests were not sent, so this answers a request from before the restart.
  node.Receive(2, 1, VoteResponse{true});
  EXPECT_EQ(node.raft.role(), Role::kCandidate);
  node.Flush();
  EXPECT_EQ(node.raft.role(), Role::kLeader);
}

TEST(CheckQuorum, LeaderThatHearsNoQuorum_StepsDownInItsTerm) {
  TestNode node({}, TestConfig(1, {1, 2, 3, 4, 5}));
  node.BecomeSettledLeader();
  for (int i = 0; i < 20; ++i) {
    node.Pass(Duration::Millis(100));
    node.Receive(2, 1, Accepted(1));
    node.Receive(3, 1, Accepted(1));
  }
  ASSERT_EQ(node.raft.role(), Role::kLeader);
  for (int i = 0; i < 6; ++i) {
    node.Pass(Duration::Millis(100));
    node.Receive(2, 1, Accepted(1));
  }
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  EXPECT_EQ(node.raft.term(), Term(1));
  EXPECT_EQ(node.raft.leader(), NodeId());
  EXPECT_EQ(node.raft.counters().stepped_down_without_quorum, 1u);
}

// Scenario 9: the process was stopped past an election, then resumed.
TEST(CheckQuorum, LeaderResumedAfterAPause_StepsDownAtItsFirstTick) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Propose({"x"});
  ASSERT_TRUE(node.raft.ReadIndex(ReadToken(1)).ok());
  node.Pump();
  node.Forget();
  node.Pass(Duration::Seconds(30));
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  EXPECT_TRUE(node.Sent<AppendRequest>().empty());
  ASSERT_FALSE(node.soft_states.empty());
  EXPECT_EQ(node.soft_states.back().role, Role::kFollower);
  EXPECT_EQ(node.raft.Propose({"y"}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  // Acknowledgements that waited in its socket change nothing.
  node.Receive(2, 1, Accepted(2));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(1));
  EXPECT_TRUE(node.reads.empty());
}

TEST(CheckQuorum, LeaderWithAStalledDisk_StepsDown) {
  TestNode node;
  node.BecomeSettledLeader();
  node.hold_disk = true;
  node.Propose({"x"});
  // First it asks a follower to take over, and none does.
  for (int i = 0; i < 8; ++i) {
    node.Pass(Duration::Millis(100));
    node.Receive(2, 1, Accepted(2));
    node.Receive(3, 1, Accepted(2));
  }
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  EXPECT_EQ(node.raft.counters().stepped_down_for_disk, 1u);
  // And it does not stand for election while its own vote could not become durable.
  for (int i = 0; i < 5; ++i) node.PassElectionTimeout();
  EXPECT_EQ(node.raft.counters().pre_votes_started, 1u);
  node.Flush();
  node.PassElectionTimeout();
  EXPECT_EQ(node.raft.counters().pre_votes_started, 2u);
}

TEST(SingleNode, ElectsItselfAtOnceAndCommitsWhatIsOnItsDisk) {
  TestNode node({}, TestConfig(1, {1}));
  EXPECT_EQ(node.raft.role(), Role::kLeader);
  EXPECT_TRUE(node.raft.is_ready_leader());
  node.hold_disk = true;
  const LogIndex index = node.Propose({"x"});
  EXPECT_LT(node.raft.commit_index(), index);
  node.Flush();
  EXPECT_EQ(node.raft.commit_index(), index);
  EXPECT_EQ(node.applied.back().data.view(), "x");
}

TEST(SingleNode, StalledDisk_DoesNotDepose) {
  TestNode node({}, TestConfig(1, {1}));
  node.hold_disk = true;
  node.Propose({"x"});
  node.Pass(Duration::Seconds(10));
  EXPECT_EQ(node.raft.role(), Role::kLeader);
}

TEST(Leader, IsReadyOnceItsOwnEntryIsApplied) {
  TestNode node(Recovered(3, {1, 2}));
  node.BecomeLeader();
  EXPECT_FALSE(node.raft.is_ready_leader());
  node.Receive(2, 4, Accepted(3));
  EXPECT_TRUE(node.raft.is_ready_leader());
  ASSERT_EQ(node.applied.size(), 3u);
  EXPECT_EQ(node.applied[2].type, EntryType::kTermStart);
}

TEST(Leader, RoleAndLeaderChanges_AreReported) {
  TestNode node;
  node.BecomeLeader();
  node.Receive(2, 5, Append(0, 0, {}));
  const std::vector<SoftState> expected = {{Role::kPreCandidate, NodeId(), Term(0)},
                                           {Role::kCandidate, NodeId(), Term(1)},
                                           {Role::kLeader, NodeId(1), Term(1)},
                                           {Role::kFollower, NodeId(2), Term(5)}};
  EXPECT_EQ(node.soft_states, expected);
}

// Scenario 48.
TEST(Time, ClockThatGoesBackwards_ArmsTheTimersAnew) {
  TestNode node;
  node.Receive(2, 1, Append(0, 0, {}));
  node.now = Timestamp::FromMicros(0);
  node.raft.Tick(node.now);
  EXPECT_LE(node.raft.NextDeadline(), node.now + Duration::Millis(400));
  node.PassElectionTimeout();
  EXPECT_EQ(node.raft.role(), Role::kPreCandidate);

  TestNode leader;
  leader.BecomeSettledLeader();
  leader.now = Timestamp::FromMicros(0);
  leader.raft.Tick(leader.now);
  leader.Pump();
  EXPECT_EQ(leader.raft.role(), Role::kLeader);
  leader.Pass(Duration::Seconds(1));
  EXPECT_EQ(leader.raft.role(), Role::kFollower);
}

TEST(Time, SameSeedAndInputs_GiveTheSameTimeouts) {
  TestNode a;
  TestNode b;
  EXPECT_EQ(a.raft.NextDeadline(), b.raft.NextDeadline());
  a.PassElectionTimeout();
  b.PassElectionTimeout();
  EXPECT_EQ(a.raft.NextDeadline(), b.raft.NextDeadline());
}

}  // namespace
}  // namespace concordat::raft
