// Figure 2 of the Raft paper (extended version), the box "Rules for Servers": one
// test, or a few, for each bullet.
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

// --- All servers ------------------------------------------------------------------

TEST(Figure2, AllServers1_CommitIndexAboveLastApplied_AppliesInOrder) {
  TestNode node(Recovered(2, {1, 1, 2}));
  node.Receive(2, 2, Append(3, 2, {}, /*commit=*/3));
  EXPECT_EQ(node.applied, Commands(1, {1, 1, 2}));
  EXPECT_EQ(node.raft.applied_index(), LogIndex(3));
  node.Receive(2, 2, Append(3, 2, {}, /*commit=*/3));
  EXPECT_EQ(node.applied.size(), 3u);
}

TEST(Figure2, AllServers2_HigherTermInARequest_IsTakenOverByAFollower) {
  TestNode leader(Recovered(1, {1}));
  leader.BecomeLeader();
  leader.Receive(2, 9, Append(0, 0, {}));
  EXPECT_EQ(leader.raft.role(), Role::kFollower);
  EXPECT_EQ(leader.raft.term(), Term(9));
  EXPECT_EQ(leader.raft.leader(), NodeId(2));
}

TEST(Figure2, AllServers2_HigherTermInAResponse_IsTakenOverByAFollower) {
  TestNode leader(Recovered(1, {1}));
  leader.BecomeLeader();
  leader.Receive(2, 9, AppendResponse{});
  EXPECT_EQ(leader.raft.role(), Role::kFollower);
  EXPECT_EQ(leader.raft.term(), Term(9));
  EXPECT_EQ(leader.raft.leader(), NodeId());

  TestNode candidate(Recovered(1, {1}));
  candidate.BecomeCandidate();
  candidate.Receive(2, 9, VoteResponse{false});
  EXPECT_EQ(candidate.raft.role(), Role::kFollower);
  EXPECT_EQ(candidate.raft.term(), Term(9));
}

// --- Followers --------------------------------------------------------------------

TEST(Figure2, Followers1_RespondToCandidatesAndLeaders) {
  TestNode node;
  node.Receive(2, 1, VoteRequest{LogIndex(0), Term(0)});
  EXPECT_TRUE(node.Last<VoteResponse>(2).granted);
  node.Receive(2, 1, Append(0, 0, {}));
  EXPECT_TRUE(node.Last<AppendResponse>(2).success);
}

// With pre-vote (thesis, section 9.6) a follower becomes a candidate after its timeout
// only when a quorum would vote for it.
TEST(Figure2, Followers2_ElectionTimeout_ConvertsToCandidate) {
  TestNode node;
  node.PassElectionTimeout();
  EXPECT_EQ(node.raft.role(), Role::kPreCandidate);
  node.Receive(3, 0, PreVoteResponse{Term(1), true});
  EXPECT_EQ(node.raft.role(), Role::kCandidate);
}

TEST(Figure2, Followers2_AppendEntriesOfTheLeader_KeepsTheFollower) {
  TestNode node;
  for (int i = 0; i < 20; ++i) {
    node.Receive(2, 1, Append(0, 0, {}));
    node.Pass(Duration::Millis(150));
  }
  EXPECT_EQ(node.raft.role(), Role::kFollower);
}

TEST(Figure2, Followers2_AppendEntriesOfAnOldLeader_DoesNotKeepTheFollower) {
  TestNode node(Recovered(5, {}));
  for (int i = 0; i < 20; ++i) {
    node.Receive(2, 4, Append(0, 0, {}));
    node.Pass(Duration::Millis(150));
  }
  EXPECT_EQ(node.raft.role(), Role::kPreCandidate);
}

TEST(Figure2, Followers2_GrantingAVote_KeepsTheFollower) {
  TestNode node;
  for (uint64_t term = 1; term <= 20; ++term) {
    node.Receive(2, term, VoteRequest{LogIndex(0), Term(0)});
    node.Pass(Duration::Millis(150));
  }
  EXPECT_EQ(node.raft.role(), Role::kFollower);
}

TEST(Figure2, Followers2_RefusingAVote_DoesNotKeepTheFollower) {
  TestNode node(Recovered(1, {1}));
  for (uint64_t term = 2; term <= 21; ++term) {
    node.Receive(2, term, VoteRequest{LogIndex(0), Term(0)});
    node.Pass(Duration::Millis(150));
  }
  EXPECT_EQ(node.raft.role(), Role::kPreCandidate);
}

// --- Candidates -------------------------------------------------------------------

TEST(Figure2, Candidates1_StartOfAnElection_IncrementsTermVotesForItselfAndAsksAll) {
  TestNode node(Recovered(3, {1, 2}));
  node.BecomeCandidate();
  EXPECT_EQ(node.raft.hard_state(), (HardState{Term(4), NodeId(1)}));
  for (uint64_t peer : {uint64_t{2}, uint64_t{3}}) {
    ASSERT_EQ(node.Sent<VoteRequest>(peer).size(), 1u);
    EXPECT_EQ(node.Last<VoteRequest>(peer).last_log_index, LogIndex(2));
    EXPECT_EQ(node.Last<VoteRequest>(peer).last_log_term, Term(2));
  }
  EXPECT_EQ(node.LastTerm(), Term(4));
}

TEST(Figure2, Candidates1_StartOfAnElection_ResetsTheRandomTimer) {
  std::set<int64_t> timeouts;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Config config = TestConfig();
    config.seed = seed;
    TestNode node({}, config);
    node.BecomeCandidate();
    const Duration timeout = node.raft.NextDeadline() - node.now;
    EXPECT_GE(timeout, config.election_timeout_min);
    EXPECT_LE(timeout, config.election_timeout_max);
    timeouts.insert(timeout.micros());
  }
  EXPECT_GT(timeouts.size(), 15u) << "timeouts must differ (section 5.2)";
}

TEST(Figure2, Candidates1_OwnVote_IsDurableBeforeAnybodyIsAsked) {
  TestNode node;
  node.hold_disk = true;
  node.PassElectionTimeout();
  node.Receive(2, 0, PreVoteResponse{Term(1), true});
  EXPECT_TRUE(node.Sent<VoteRequest>().empty());
  node.Flush();
  EXPECT_EQ(node.Sent<VoteRequest>().size(), 2u);
}

TEST(Figure2, Candidates2_VotesFromAMajority_MakeALeader) {
  TestNode node({}, TestConfig(1, {1, 2, 3, 4, 5}));
  node.BecomeCandidate();
  node.Receive(2, 1, VoteResponse{true});
  node.Receive(2, 1, VoteResponse{true});  // one vote, even if it arrives twice
  node.Receive(3, 1, VoteResponse{false});
  EXPECT_EQ(node.raft.role(), Role::kCandidate);
  node.Receive(4, 1, VoteResponse{true});
  EXPECT_EQ(node.raft.role(), Role::kLeader);
}

TEST(Figure2, Candidates3_AppendEntriesFromTheNewLeader_MakesAFollower) {
  TestNode node;
  node.BecomeCandidate();
  node.Receive(2, 1, Append(0, 0, {}));
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  EXPECT_EQ(node.raft.leader(), NodeId(2));
  EXPECT_EQ(node.raft.hard_state(), (HardState{Term(1), NodeId(1)}));
}

TEST(Figure2, Candidates4_ElectionTimeout_StartsANewElection) {
  TestNode node;
  node.BecomeCandidate();
  EXPECT_EQ(node.raft.term(), Term(1));
  node.BecomeCandidate();
  EXPECT_EQ(node.raft.term(), Term(2));
  EXPECT_EQ(node.Sent<VoteRequest>(2).size(), 2u);
}

// --- Leaders ----------------------------------------------------------------------

TEST(Figure2, Leaders1_UponElection_SendAppendEntriesToEachAndRepeatThemWhenIdle) {
  TestNode node;
  node.BecomeLeader();
  EXPECT_EQ(node.Sent<AppendRequest>(2).size(), 1u);
  EXPECT_EQ(node.Sent<AppendRequest>(3).size(), 1u);
  for (size_t beats = 2; beats < 7; ++beats) {
    node.Pass(Duration::Millis(40));
    EXPECT_EQ(node.Sent<AppendRequest>(2).size(), beats);
    EXPECT_EQ(node.Sent<AppendRequest>(3).size(), beats);
    EXPECT_TRUE(node.Last<AppendRequest>(2).entries.empty());
  }
}

TEST(Figure2, Leaders2_Command_IsAppendedAndShownAppliedOnceCommitted) {
  TestNode node;
  node.BecomeSettledLeader();
  const size_t applied = node.applied.size();
  const LogIndex index = node.Propose({"x"});
  EXPECT_EQ(node.raft.log().last_index(), index);
  EXPECT_EQ(node.applied.size(), applied);
  node.Receive(2, 1, Accepted(index.value()));
  ASSERT_EQ(node.applied.size(), applied + 1);
  EXPECT_EQ(node.applied.back().data.view(), "x");
  EXPECT_EQ(node.applied.back().term, node.raft.term());
}

TEST(Figure2, Leaders3_FollowerBehind_GetsEntriesFromNextIndex) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Propose({"x", "y"});
  const AppendRequest append = node.Last<AppendRequest>(2);
  EXPECT_EQ(append.prev_log_index, LogIndex(1));
  EXPECT_EQ(append.prev_log_term, Term(1));
  ASSERT_EQ(append.entries.size(), 2u);
  EXPECT_EQ(append.entries[0].index, LogIndex(2));
}

TEST(Figure2, Leaders3_Success_UpdatesNextIndexAndMatchIndex) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Propose({"x", "y"});
  node.Receive(2, 1, Accepted(3));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).match, LogIndex(3));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).next, LogIndex(4));
}

TEST(Figure2, Leaders3_Inconsistency_DecrementsNextIndexAndRetries) {
  TestNode node(Recovered(3, {1, 1, 3}));
  node.BecomeLeader();
  ASSERT_EQ(node.Last<AppendRequest>(2).prev_log_index, LogIndex(3));
  node.Receive(2, 4, Rejected(3, 2, 1));
  EXPECT_EQ(node.Last<AppendRequest>(2).prev_log_index, LogIndex(2));
  EXPECT_EQ(node.Last<AppendRequest>(2).entries.size(), 2u);
  node.Receive(2, 4, Rejected(2, 0, 0));
  EXPECT_EQ(node.Last<AppendRequest>(2).prev_log_index, LogIndex(0));
  EXPECT_EQ(node.Last<AppendRequest>(2).entries.size(), 4u);
}

TEST(Figure2, Leaders4_MajorityHasAnEntryOfThisTerm_CommitsIt) {
  TestNode node({}, TestConfig(1, {1, 2, 3, 4, 5}));
  node.BecomeLeader();
  node.Propose({"x"});
  node.Receive(2, 1, Accepted(2));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(0));
  node.Receive(3, 1, Accepted(1));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(1));
  node.Receive(3, 1, Accepted(2));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(2));
}

// Section 5.4.2 and Figure 8.
TEST(Figure2, Leaders4_MajorityHasAnEntryOfAnEarlierTerm_DoesNotCommitItByCounting) {
  TestNode node(Recovered(3, {1, 2}));
  node.BecomeLeader();  // of term 4, its own entry at index 3
  node.Receive(2, 4, Accepted(2));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).match, LogIndex(2));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(0));
  node.Receive(2, 4, Accepted(3));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(3));
}

}  // namespace
}  // namespace concordat::raft
