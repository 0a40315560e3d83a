// Figure 2 of the Raft paper (extended version), the boxes "AppendEntries RPC" and
// "RequestVote RPC": one test, or a few, for each numbered rule of the receivers.
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

TEST(Figure2, AppendEntriesReceiver1_LowerTerm_RepliesFalseAndItsOwnTerm) {
  TestNode node(Recovered(5, {1}));
  node.Receive(2, 4, Append(1, 1, Commands(2, {4}), 2));
  EXPECT_FALSE(node.Last<AppendResponse>(2).success);
  EXPECT_EQ(node.LastTerm(), Term(5));
  EXPECT_EQ(node.LogTerms(), (std::vector<uint64_t>{1}));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(0));
  EXPECT_EQ(node.raft.leader(), NodeId());
}

TEST(Figure2, AppendEntriesReceiver2_NoEntryAtPrevLogIndex_RepliesFalse) {
  TestNode node(Recovered(2, {1, 1}));
  node.Receive(2, 2, Append(3, 2, Commands(4, {2}), 4));
  EXPECT_FALSE(node.Last<AppendResponse>(2).success);
  EXPECT_EQ(node.LogTerms(), (std::vector<uint64_t>{1, 1}));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(0));
}

TEST(Figure2, AppendEntriesReceiver2_OtherTermAtPrevLogIndex_RepliesFalse) {
  TestNode node(Recovered(3, {1, 1, 2}));
  node.Receive(2, 3, Append(3, 3, Commands(4, {3}), 4));
  EXPECT_FALSE(node.Last<AppendResponse>(2).success);
  EXPECT_EQ(node.LogTerms(), (std::vector<uint64_t>{1, 1, 2}));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(0));
}

TEST(Figure2, AppendEntriesReceiver3_ConflictingEntry_IsDeletedWithAllThatFollow) {
  TestNode node(Recovered(3, {1, 1, 2, 2, 2}));
  node.Receive(2, 3, Append(2, 1, Commands(3, {3})));
  EXPECT_TRUE(node.Last<AppendResponse>(2).success);
  EXPECT_EQ(node.LogTerms(), (std::vector<uint64_t>{1, 1, 3}));
  ASSERT_FALSE(node.written.empty());
  // On disk too: the first entry written voids those at its index and later.
  EXPECT_EQ(node.written.back().entries, Commands(3, {3}));
}

TEST(Figure2, AppendEntriesReceiver3_NoConflict_DeletesNothing) {
  // A late, shorter message of the same leader: later entries may be acknowledged.
  TestNode node(Recovered(2, {1, 1, 2, 2}));
  node.Receive(2, 2, Append(1, 1, Commands(2, {1})));
  EXPECT_TRUE(node.Last<AppendResponse>(2).success);
  EXPECT_EQ(node.LogTerms(), (std::vector<uint64_t>{1, 1, 2, 2}));
  node.Receive(2, 2, Append(2, 1, {}));
  EXPECT_EQ(node.LogTerms(), (std::vector<uint64_t>{1, 1, 2, 2}));
}

TEST(Figure2, AppendEntriesReceiver4_NewEntries_AreAppended) {
  TestNode node(Recovered(2, {1, 1}));
  node.Receive(2, 2, Append(1, 1, Commands(2, {1, 2, 2})));
  EXPECT_EQ(node.LogTerms(), (std::vector<uint64_t>{1, 1, 2, 2}));
  EXPECT_EQ(node.written.back().entries, Commands(3, {2, 2}));
  EXPECT_EQ(node.Last<AppendResponse>(2).match_index, LogIndex(4));
}

TEST(Figure2, AppendEntriesReceiver5_CommitIndexIsLeaderCommit) {
  TestNode node(Recovered(2, {1, 1}));
  node.Receive(2, 2, Append(2, 1, Commands(3, {2, 2}), /*commit=*/3));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(3));
}

TEST(Figure2, AppendEntriesReceiver5_CommitIndexIsCappedAtTheLastNewEntry) {
  // Entries 3 and 4 are from another leader, and were not compared with this one's log.
  TestNode node(Recovered(3, {1, 1, 2, 2}));
  node.Receive(2, 3, Append(2, 1, {}, /*commit=*/4));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(2));
  EXPECT_EQ(node.applied, Commands(1, {1, 1}));
  node.Receive(2, 3, Append(2, 1, Commands(3, {3, 3}), /*commit=*/4));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(4));
  EXPECT_EQ(node.applied, Commands(1, {1, 1, 3, 3}));
}

TEST(Figure2, AppendEntriesReceiver5_LowerLeaderCommit_ChangesNothing) {
  TestNode node(Recovered(2, {1, 1}));
  node.Receive(2, 2, Append(2, 1, {}, /*commit=*/2));
  node.Receive(2, 2, Append(2, 1, {}, /*commit=*/1));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(2));
}

TEST(Figure2, RequestVoteReceiver1_LowerTerm_RepliesFalseAndItsOwnTerm) {
  TestNode node(Recovered(5, {1}));
  node.Receive(2, 4, VoteRequest{LogIndex(9), Term(4)});
  EXPECT_FALSE(node.Last<VoteResponse>(2).granted);
  EXPECT_EQ(node.LastTerm(), Term(5));
  EXPECT_EQ(node.raft.hard_state(), (HardState{Term(5), NodeId()}));
}

TEST(Figure2, RequestVoteReceiver2_NotVotedAndUpToDate_Grants) {
  TestNode node(Recovered(5, {1, 2}));
  node.Receive(2, 5, VoteRequest{LogIndex(2), Term(2)});
  EXPECT_TRUE(node.Last<VoteResponse>(2).granted);
  EXPECT_EQ(node.raft.hard_state(), (HardState{Term(5), NodeId(2)}));
}

TEST(Figure2, RequestVoteReceiver2_VotedForTheCandidate_GrantsAgain) {
  TestNode node(Recovered(5, {1, 2}, /*vote=*/2));
  node.Receive(2, 5, VoteRequest{LogIndex(2), Term(2)});
  EXPECT_TRUE(node.Last<VoteResponse>(2).granted);
}

TEST(Figure2, RequestVoteReceiver2_VotedForAnother_Refuses) {
  TestNode node(Recovered(5, {1, 2}, /*vote=*/3));
  node.Receive(2, 5, VoteRequest{LogIndex(9), Term(4)});
  EXPECT_FALSE(node.Last<VoteResponse>(2).granted);
  EXPECT_EQ(node.raft.hard_state().vote, NodeId(3));
}

TEST(Figure2, RequestVoteReceiver2_CandidatesLogIsNotUpToDate_Refuses) {
  // Section 5.4.1: first the term of the last entry is compared, then the length.
  const struct {
    uint64_t last_index;
    uint64_t last_term;
    bool granted;
  } cases[] = {{3, 3, true},  {2, 3, true},  {4, 2, true}, {3, 2, true},
               {2, 2, false}, {9, 1, false}, {0, 0, false}};
  for (const auto& c : cases) {
    TestNode node(Recovered(5, {1, 1, 2}));
    node.Receive(2, 6, VoteRequest{LogIndex(c.last_index), Term(c.last_term)});
    EXPECT_EQ(node.Last<VoteResponse>(2).granted, c.granted)
        << c.last_index << "/" << c.last_term;
    EXPECT_EQ(node.raft.hard_state(),
              (HardState{Term(6), c.granted ? NodeId(2) : NodeId()}));
  }
}

}  // namespace
}  // namespace concordat::raft
