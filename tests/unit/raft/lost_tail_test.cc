// A follower whose disk has lost what it had acknowledged (scenario 82): the leader is
// told, no longer counts these entries and sends them again. Until then the follower
// takes no part in an election that could lose what was committed by its promise.
#include <gtest/gtest.h>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

AppendRequest Knowing(AppendRequest request, uint64_t acknowledged, uint64_t promised,
                      uint64_t promised_term, uint64_t loss_round = 0) {
  request.acknowledged_index = LogIndex(acknowledged);
  request.promised_index = LogIndex(promised);
  request.promised_term = Term(promised_term);
  request.loss_round = loss_round;
  return request;
}

AppendResponse LostTail(uint64_t end, uint64_t end_term, uint64_t loss_round = 0) {
  AppendResponse response = Rejected(5, end, end_term);
  response.lost_tail = true;
  response.loss_round = loss_round;
  return response;
}

size_t NoticesOf(const TestNode& node, Notice::Kind kind) {
  return static_cast<size_t>(
      std::count_if(node.notices.begin(), node.notices.end(),
                    [kind](const Notice& notice) { return notice.kind == kind; }));
}

// Leader of term 1 whose followers have all of its entries, 1 to 5.
void Settle(TestNode* node) {
  node->BecomeSettledLeader();
  node->Propose({"a", "b", "c", "d"});
  for (const uint64_t peer : {2ull, 3ull}) node->Receive(peer, 1, Accepted(5));
  ASSERT_EQ(node->raft.commit_index(), LogIndex(5));
  node->Forget();
}

TEST(LostTail, Scenario82_FollowerRestartedWithAShorterLog_IsRefilled) {
  TestNode leader;
  Settle(&leader);
  TestNode follower(Recovered(1, {}), TestConfig(2));
  leader.Propose({"e"});
  int rounds = 0;
  while (follower.raft.log().last_index() < leader.raft.log().last_index()) {
    ASSERT_LT(++rounds, 5);
    follower.Receive(1, 1, leader.Last<AppendRequest>(2));
    leader.Receive(2, 1, follower.Last<AppendResponse>(1));
  }
  EXPECT_EQ(leader.raft.progress().at(NodeId(2)).match, LogIndex(6));
  EXPECT_FALSE(leader.raft.progress().at(NodeId(2)).lost_tail());
  EXPECT_FALSE(follower.raft.lost_tail());
  EXPECT_EQ(NoticesOf(leader, Notice::Kind::kPeerTailLost), 1u);
  EXPECT_EQ(NoticesOf(follower, Notice::Kind::kTailLost), 1u);
  EXPECT_EQ(NoticesOf(follower, Notice::Kind::kTailRefilled), 1u);
}

// It is found by a heartbeat too, when there is nothing to append.
TEST(LostTail, Heartbeat_FindsIt) {
  TestNode leader;
  Settle(&leader);
  TestNode follower(Recovered(1, {1, 1}), TestConfig(2));
  leader.Pass(Duration::Millis(40));
  follower.Receive(1, 1, leader.Last<AppendRequest>(2));
  EXPECT_TRUE(follower.Last<AppendResponse>(1).lost_tail);
  EXPECT_TRUE(follower.raft.lost_tail());
}

TEST(LostTail, WhatWasLost_DoesNotCountForAQuorum) {
  TestNode node;
  Settle(&node);
  node.Propose({"e", "f"});  // 6 and 7
  node.Receive(2, 1, LostTail(2, 1));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).match, LogIndex());
  EXPECT_TRUE(node.raft.progress().at(NodeId(2)).lost_tail());
  // A late answer from before the loss.
  node.Receive(2, 1, Accepted(7));
  EXPECT_EQ(node.raft.commit_index(), LogIndex(5));
  EXPECT_EQ(node.raft.counters().answers_from_before_a_loss, 1u);
  AppendResponse anew = Accepted(7);
  anew.loss_round = 1;
  node.Receive(2, 1, anew);
  EXPECT_EQ(node.raft.commit_index(), LogIndex(7));
}

TEST(LostTail, AnswerRepeatedAfterTheRefill_ChangesNothing) {
  TestNode node;
  Settle(&node);
  node.Receive(2, 1, LostTail(2, 1));
  EXPECT_EQ(node.Last<AppendRequest>(2).prev_log_index, LogIndex(2));
  EXPECT_EQ(node.Last<AppendRequest>(2).loss_round, 1u);
  AppendResponse anew = Accepted(5);
  anew.loss_round = 1;
  node.Receive(2, 1, anew);
  node.Receive(2, 1, LostTail(2, 1));
  EXPECT_EQ(node.raft.progress().at(NodeId(2)).match, LogIndex(5));
  EXPECT_EQ(node.raft.counters().peer_tails_lost, 1u);
}

TEST(LostTail, LostAgainDuringTheRefill_IsFoundAgain) {
  TestNode node;
  Settle(&node);
  node.Receive(2, 1, LostTail(2, 1));
  AppendResponse part = Accepted(4);
  part.loss_round = 1;
  node.Receive(2, 1, part);
  node.Receive(2, 1, LostTail(0, 0, 1));
  EXPECT_EQ(node.Last<AppendRequest>(2).prev_log_index, LogIndex(0));
  EXPECT_EQ(node.Last<AppendRequest>(2).promised_index, LogIndex(5));
  EXPECT_EQ(node.Last<AppendRequest>(2).loss_round, 2u);
}

TEST(LostTail, OldLogIsCompacted_TheSnapshotIsSent) {
  TestNode node;
  Settle(&node);
  node.raft.OnSnapshotTaken(node.raft.SnapshotMetaAt(LogIndex(5)));
  node.Pump();
  node.Receive(2, 1, LostTail(0, 0));
  ASSERT_EQ(node.snapshot_reads.size(), 1u);
  EXPECT_EQ(node.snapshot_reads[0].to, NodeId(2));
}

// The leader may have committed entry 5 by this node's promise and then died. A candidate
// whose log ends before it must not win by this node's vote.
TEST(LostTail, Vote_IsGivenAsIfTheTailWereThere) {
  TestNode node(Recovered(1, {1, 1}));
  node.Receive(2, 1, Knowing(Append(5, 1, {}), 5, 5, 1));
  ASSERT_TRUE(node.raft.lost_tail());
  node.Pass(Duration::Millis(250));
  node.Receive(3, 2, VoteRequest{LogIndex(4), Term(1)});
  EXPECT_FALSE(node.Last<VoteResponse>(3).granted);
  EXPECT_EQ(node.raft.counters().votes_refused_for_lost_tail, 1u);
  node.Receive(3, 3, VoteRequest{LogIndex(5), Term(1)});
  EXPECT_TRUE(node.Last<VoteResponse>(3).granted);
}

TEST(LostTail, FollowerWithoutIt_DoesNotStandForElection) {
  TestNode node(Recovered(1, {1, 1}));
  node.Receive(2, 1, Knowing(Append(5, 1, {}), 5, 5, 1));
  for (int i = 0; i < 5; ++i) node.PassElectionTimeout();
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  EXPECT_TRUE(node.Sent<PreVoteRequest>().empty());
  node.Receive(2, 1, Knowing(Append(2, 1, Commands(3, {1, 1, 1})), 0, 5, 1, 1));
  EXPECT_FALSE(node.raft.lost_tail());
  node.PassElectionTimeout();
  EXPECT_FALSE(node.Sent<PreVoteRequest>().empty());
}

TEST(LostTail, FollowerThatIsAsked_DoesNotStandEither) {
  TestNode node(Recovered(1, {1, 1}));
  node.Receive(2, 1, Knowing(Append(5, 1, {}), 5, 5, 1));
  ASSERT_TRUE(node.raft.lost_tail());
  node.Receive(2, 1, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::kFollower);
  EXPECT_EQ(node.raft.term(), Term(1));
  node.Receive(2, 1, Knowing(Append(2, 1, Commands(3, {1, 1, 1})), 0, 5, 1, 1));
  node.Receive(2, 1, TimeoutNow{});
  EXPECT_EQ(node.raft.role(), Role::kCandidate);
}

// The follower is in REPLICATE again, but does not have all entries yet.
TEST(LostTail, FollowerThatIsBeingRefilled_IsNotHandedTheLeadership) {
  TestNode node;
  Settle(&node);
  node.Receive(2, 1, LostTail(2, 1));
  AppendResponse full = Accepted(5);
  full.no_space = true;
  node.Receive(3, 1, full);
  AppendResponse part = Accepted(4);
  part.loss_round = 1;
  node.Receive(2, 1, part);
  ASSERT_EQ(node.raft.progress().at(NodeId(2)).state, ProgressState::kReplicate);
  EXPECT_TRUE(absl::IsFailedPrecondition(node.raft.TransferLeadership()));
  part.match_index = LogIndex(5);
  node.Receive(2, 1, part);
  EXPECT_TRUE(node.raft.TransferLeadership().ok());
}

// The loss rounds of one leader mean nothing to the next, which would take the answer for
// one from before a loss that it has found itself.
TEST(LostTail, NextLeadersFirstChunk_IsAnsweredWithoutTheRoundsOfTheLastOne) {
  TestNode node(Recovered(1, {1, 1}));
  node.Receive(2, 1, Knowing(Append(2, 1, {}, 2), 0, 2, 1, /*loss_round=*/1));
  EXPECT_EQ(node.Last<AppendResponse>(2).loss_round, 1u);
  node.Receive(3, 2, SnapshotChunk{Snapshot(2, 1), 0, Payload("abc"), true});
  EXPECT_EQ(node.Last<AppendResponse>(3).loss_round, 0u);
}

// The follower restarts again before it has all entries. The leader no longer counts
// them, but still says what was promised.
TEST(LostTail, RestartDuringTheRefill_DoesNotMakeItForgotten) {
  TestNode leader;
  Settle(&leader);
  leader.Receive(2, 1, LostTail(2, 1));
  TestNode again(Recovered(1, {1, 1, 1}), TestConfig(2));
  again.Receive(1, 1, leader.Last<AppendRequest>(2));
  EXPECT_FALSE(again.raft.lost_tail()) << "the append itself refills it";
  TestNode short_again(Recovered(1, {1}), TestConfig(2));
  leader.Pass(Duration::Millis(40));
  short_again.Receive(1, 1, leader.Last<AppendRequest>(2));
  EXPECT_TRUE(short_again.raft.lost_tail());
}

TEST(LostTail, MalformedPromises_AreRefused) {
  TestNode node;
  const auto refused = [&node](AppendRequest request) {
    return !node.raft.Step(Message{GroupId(1), NodeId(2), NodeId(1), Term(1), request})
                .ok();
  };
  EXPECT_TRUE(refused(Knowing(Append(0, 0, {}), 2, 1, 1)));
  EXPECT_TRUE(refused(Knowing(Append(0, 0, {}), 0, 1, 0)));
  EXPECT_TRUE(refused(Knowing(Append(0, 0, {}), 1, 1, 2)));
  EXPECT_FALSE(refused(Knowing(Append(0, 0, {}), 0, 0, 0)));
}

}  // namespace
}  // namespace concordat::raft
