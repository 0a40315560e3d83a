// Leadership transfer (thesis, section 3.10).
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

TEST(Transfer, Leader_AsksTheFollowerThatHasEverything) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Propose({"x"});
  node.Receive(3, 1, Accepted(2));
  node.Forget();
  ASSERT_TRUE(node.raft.TransferLeadership().ok());
  node.Pump();
  EXPECT_EQ(node.Sent<TimeoutNow>(3).size(), 1u);
  EXPECT_TRUE(node.Sent<TimeoutNow>(2).empty());
}

TEST(Transfer, FollowerThatIsBehind_GetsTheRestFirst) {
  TestNode node;
  node.BecomeSettledLeader();
  node.Propose({"x"});
  ASSERT_TRUE(node.raft.TransferLeadership().ok());
  node.Pump();
  EXPECT_TRUE(node.Sent<TimeoutNow>().empty());
  const uint64_t target = node.notices.back().node.value();
  node.Receive(target, 1, Accepted(2));
  EXPECT_EQ(node.Sent<TimeoutNow>(target).size(), 1u);
}

TEST(Transfer, Proposals_AreNotTakenMeanwhile) {
  TestNode node;
  node.BecomeSettledLeader();
  ASSERT_TRUE(node.raft.TransferLeadership().ok());
  EXPECT_TRUE(absl::IsUnavailable(node.raft.Propose({"x"}).status()));
}

TEST(Transfer, NotTakenOverInTime_TheLeaderGoesOn) {
  TestNode node;
  node.BecomeSettledLeader();
  ASSERT_TRUE(node.raft.TransferLeadership().ok());
  for (int i = 0; i < 6; ++i) {
    node.Pass(Duration::Millis(40));
    for (const uint64_t peer : {2ull, 3ull}) node.Receive(peer, 1, Accepted(1));
  }
  EXPECT_GT(node.Sent<TimeoutNow>().size(), 1u) << "asked again: it may be lost";
  EXPECT_TRUE(node.raft.is_leader());
  EXPECT_FALSE(node.raft.is_transferring());
  EXPECT_TRUE(node.raft.Propose({"x"}).ok());
  EXPECT_EQ(node.raft.counters().transfers_failed, 1u);
}

TEST(Transfer, Nobody_WhoHasNoSpaceOrIsSilentOrLostItsTail) {
  TestNode node;
  node.BecomeSettledLeader();
  AppendResponse full = Accepted(1);
  full.no_space = true;
  node.Receive(2, 1, full);
  AppendResponse lost = Rejected(1, 0, 0);
  lost.lost_tail = true;
  node.Receive(3, 1, lost);
  EXPECT_TRUE(absl::IsFailedPrecondition(node.raft.TransferLeadership()));
  TestNode silent;
  silent.BecomeSettledLeader();
  silent.Pass(Duration::Millis(250));
  EXPECT_TRUE(absl::IsFailedPrecondition(silent.raft.TransferLeadership()));
  TestNode follower;
  EXPECT_TRUE(absl::IsFailedPrecondition(follower.raft.TransferLeadership()));
}

TEST(Transfer, Follower_StandsAtOnceWithoutAPreVote) {
  TestNode node;
  node.Receive(2, 1, Append(0, 0, Commands(1, {1})));
  node.Receive(2, 1, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::kCandidate);
  EXPECT_EQ(node.raft.term(), Term(2));
  EXPECT_TRUE(node.Sent<PreVoteRequest>().empty());
  EXPECT_TRUE(node.Last<VoteRequest>(3).leadership_transfer);
}

// It could not make its own vote durable, or would stand with a log that is about to be
// replaced. Without its tail: LostTail.FollowerThatIsAsked_DoesNotStandEither.
TEST(Transfer, FollowerWhoseDiskStandsStill_DoesNotStandWhenItIsAsked) {
  TestNode node;
  node.hold_disk = true;
  for (int i = 0; i < 11; ++i) {
    node.Receive(2, 1, Append(0, 0, Commands(1, {1})));
    node.Pass(Duration::Millis(40));
  }
  node.Receive(2, 1, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  while (!node.disk.empty()) node.Flush();
  node.Receive(2, 1, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::kCandidate);
}

TEST(Transfer, FollowerThatInstallsASnapshot_DoesNotStandWhenItIsAsked) {
  TestNode node;
  node.Receive(2, 4, SnapshotChunk{Snapshot(9, 3), 0, Payload("abc"), true});
  ASSERT_EQ(node.installs.size(), 1u);
  node.Receive(2, 4, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  node.raft.OnSnapshotInstalled(node.installs[0]);
  node.Pump();
  node.Receive(2, 4, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::kCandidate);
}

TEST(Transfer, TimeoutNowFromAnotherThanTheLeader_IsIgnored) {
  TestNode node;
  node.Receive(2, 1, Append(0, 0, {}));
  node.Receive(3, 1, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  node.Receive(2, 1, Append(0, 0, {}));
  EXPECT_EQ(node.raft.term(), Term(1));
}

TEST(Transfer, Voter_VotesAlthoughItHearsALeader) {
  TestNode node;
  node.Receive(2, 1, Append(0, 0, {}));
  node.Receive(3, 2, VoteRequest{LogIndex(), Term(), false});
  EXPECT_FALSE(node.Last<VoteResponse>(3).granted);
  node.Receive(3, 2, VoteRequest{LogIndex(), Term(), true});
  EXPECT_TRUE(node.Last<VoteResponse>(3).granted);
}

TEST(Transfer, OldLeader_VotesAndFollows) {
  TestNode node;
  node.BecomeSettledLeader();
  ASSERT_TRUE(node.raft.TransferLeadership().ok());
  node.Receive(3, 2, VoteRequest{LogIndex(1), Term(1), true});
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  EXPECT_TRUE(node.Last<VoteResponse>(3).granted);
  EXPECT_FALSE(node.raft.is_transferring());
}

// Scenario 49, before it steps down.
TEST(Transfer, Scenario49_LeaderWhoseDiskStandsStill_HandsOver) {
  TestNode node;
  node.BecomeSettledLeader();
  node.hold_disk = true;
  node.Propose({"x"});
  for (int i = 0; i < 11; ++i) {
    node.Pass(Duration::Millis(40));
    for (const uint64_t peer : {2ull, 3ull}) node.Receive(peer, 1, Accepted(2));
  }
  EXPECT_TRUE(node.raft.is_transferring());
  EXPECT_FALSE(node.Sent<TimeoutNow>().empty());
  for (int i = 0; i < 6; ++i) {
    node.Pass(Duration::Millis(40));
    for (const uint64_t peer : {2ull, 3ull}) node.Receive(peer, 1, Accepted(2));
  }
  EXPECT_EQ(node.raft.role(), Role::kFollower) << "nobody took over: it steps down";
  EXPECT_EQ(node.raft.counters().stepped_down_for_disk, 1u);
}

}  // namespace
}  // namespace concordat::raft
