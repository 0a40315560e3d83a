// The checker finds each kind of violation: each test breaks one promise.
#include "coordinator/raft/invariants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "tests/unit/raft/test_node.h"

namespace concordat::raft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Message From(uint64_t from, uint64_t to, uint64_t term, Message::Body body) {
  return Message{GroupId(1), NodeId(from), NodeId(to), Term(term), std::move(body)};
}

Persist Write(HardState state, std::vector<Entry> entries = {}) {
  Persist persist;
  persist.hard_state = state;
  persist.entries = std::move(entries);
  return persist;
}

class Invariants : public testing::Test {
 protected:
  // Starts a node with this state, and tells the checker.
  std::unique_ptr<TestNode> Start(uint64_t id, RecoveredState state = {}) {
    auto node = std::make_unique<TestNode>(std::move(state), TestConfig(id));
    checker.AfterStart(node->raft);
    node->hold_applying = true;
    return node;
  }
  InvariantsChecker checker;
};

TEST_F(Invariants, TwoLeadersInATerm_AreFound) {
  auto a = Start(1);
  auto b = Start(2);
  a->BecomeLeader();
  b->BecomeLeader();
  checker.AfterStep(a->raft);
  EXPECT_TRUE(checker.ok());
  checker.AfterStep(b->raft);
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("two leaders, 1 and 2")));
}

TEST_F(Invariants, SameEntryWithOtherContent_IsFound) {
  auto a = Start(1, Recovered(1, {1}));
  RecoveredState other = Recovered(1, {1});
  other.entries[0].data = Payload("other");
  auto b = Start(2, other);
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("differs from another")));
}

TEST_F(Invariants, SameEntryBehindAnotherOne_IsFound) {
  auto a = Start(1, Recovered(3, {1, 3}));
  auto b = Start(2, Recovered(3, {2, 3}));
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("before entry 2/3 stands")));
}

TEST_F(Invariants, LeaderWithoutACommittedEntry_IsFound) {
  auto a = Start(1, Recovered(1, {1}));
  auto b = Start(2, Recovered(1, {1}));
  auto c = Start(3);
  a->Receive(2, 1, Append(1, 1, {}, 1));  // commits entry 1
  checker.AfterStep(a->raft);
  ASSERT_TRUE(checker.ok());
  c->Receive(1, 1, AppendResponse{});  // term 1
  c->BecomeLeader();                   // of term 2, with votes that were not given
  checker.AfterStep(c->raft);
  EXPECT_THAT(checker.violations(),
              ElementsAre(HasSubstr("lacks the committed entry 1/1")));
}

TEST_F(Invariants, CommittedWithoutAQuorumOnDisk_IsFound) {
  auto a = Start(1, Recovered(1, {1}));
  Start(2);
  Start(3);
  a->Receive(2, 1, Append(1, 1, {}, 1));
  checker.AfterStep(a->raft);
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("no quorum has on its disks")));
}

TEST_F(Invariants, DifferentEntriesCommittedAtOneIndex_AreFound) {
  auto a = Start(1, Recovered(2, {1}));
  auto b = Start(2, Recovered(2, {1}));
  auto c = Start(3, Recovered(2, {2}));
  a->Receive(2, 2, Append(1, 1, {}, 1));
  checker.AfterStep(a->raft);
  ASSERT_TRUE(checker.ok());
  c->Receive(2, 2, Append(1, 2, {}, 1));
  checker.AfterStep(c->raft);
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("committed 1/2, elsewhere")));
}

// The core never commits an inherited entry by counting copies. Here the checker sees a
// follower's commit only when that node is a leader.
TEST_F(Invariants, InheritedEntryCommittedByItsNewLeader_IsFound) {
  auto a = Start(1, Recovered(1, {1}));
  auto b = Start(2, Recovered(1, {1}));
  a->Receive(2, 1, Append(1, 1, {}, 1));
  a->BecomeLeader();
  checker.AfterStep(a->raft);  // both at once: the commit seems to be the leader's
  EXPECT_THAT(checker.violations(), testing::Contains(HasSubstr("by counting copies")));
}

TEST_F(Invariants, VoteGivenTwice_IsFound) {
  checker.OnDurable(NodeId(1), Write({Term(4), NodeId(2)}));
  checker.OnMessage(From(1, 2, 4, VoteResponse{true}));
  checker.OnMessage(From(1, 2, 4, VoteResponse{true}));
  checker.OnMessage(From(1, 3, 4, VoteResponse{false}));
  EXPECT_TRUE(checker.ok());
  checker.OnMessage(From(1, 3, 4, VoteResponse{true}));
  EXPECT_THAT(checker.violations(), testing::Contains(HasSubstr("voted twice")));
}

TEST_F(Invariants, VoteBeforeItIsDurable_IsFound) {
  checker.OnMessage(From(1, 2, 4, VoteResponse{true}));
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("before it was durable")));
}

TEST_F(Invariants, CandidateThatAsksBeforeItsOwnVoteIsDurable_IsFound) {
  checker.OnDurable(NodeId(1), Write({Term(4), NodeId(2)}));
  checker.OnMessage(From(1, 2, 4, VoteRequest{}));
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("before it was durable")));
}

TEST_F(Invariants, VoteForgottenByACrash_IsFound) {
  checker.OnDurable(NodeId(1), Write({Term(4), NodeId(2)}));
  checker.OnMessage(From(1, 2, 4, VoteResponse{true}));
  Start(1, Recovered(4, {}, 2));
  EXPECT_TRUE(checker.ok());
  Start(1, Recovered(4, {}));
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("forgot its vote in term 4")));
}

TEST_F(Invariants, TermForgottenByACrash_IsFound) {
  checker.OnDurable(NodeId(1), Write({Term(4), NodeId()}));
  Start(1, Recovered(3, {}));
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("forgot the term 4")));
}

TEST_F(Invariants, CommittedEntryLostByACrash_IsFound) {
  auto a = Start(1, Recovered(1, {1, 1}));
  auto b = Start(2, Recovered(1, {1, 1}));
  a->Receive(2, 1, Append(2, 1, {}, 2));
  checker.AfterStep(a->raft);
  Start(2, Recovered(1, {1}));
  EXPECT_THAT(checker.violations(),
              ElementsAre(HasSubstr("lost the committed entry 2/1")));
}

TEST_F(Invariants, AcknowledgementBeforeTheFlush_IsFound) {
  checker.OnDurable(NodeId(1), Write({Term(1), NodeId()}, Commands(1, {1})));
  checker.OnMessage(From(1, 2, 1, Accepted(1)));
  EXPECT_TRUE(checker.ok());
  checker.OnMessage(From(1, 2, 1, Accepted(2)));
  EXPECT_THAT(checker.violations(),
              ElementsAre(HasSubstr("acknowledged 2, durable is 1")));
}

TEST_F(Invariants, VoteOnDiskChangedWithinATerm_IsFound) {
  checker.OnDurable(NodeId(1), Write({Term(4), NodeId(2)}));
  checker.OnDurable(NodeId(1), Write({Term(4), NodeId(3)}));
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("vote on disk for term 4")));
}

TEST_F(Invariants, GapOnDisk_IsFound) {
  checker.OnDurable(NodeId(1), Write({Term(1), NodeId()}, Commands(2, {1})));
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("written behind 0")));
}

// Nodes 1 and 2 have committed entry 1 in term 2; node 3 has a copy of it.
class CommittedByOthers : public Invariants {
 protected:
  CommittedByOthers() {
    a = Start(1, Recovered(2, {1}));
    b = Start(2, Recovered(2, {1}));
    c = Start(3, Recovered(1, {1}));
    a->Receive(2, 2, Append(1, 1, {}, 1));
    checker.AfterStep(a->raft);
    EXPECT_TRUE(checker.ok());
  }
  std::unique_ptr<TestNode> a, b, c;
};

// Entry 1/1 is committed in term 4. Node 3, of term 1 on its disk, follows the leader of
// term 2 and hears of term 5 before it writes.
TEST_F(Invariants, CopyOverwrittenByAnOlderLeader_WrittenWithALaterTerm_IsAllowed) {
  auto a = Start(1, Recovered(4, {1}));
  auto b = Start(2, Recovered(4, {1}));
  auto c = Start(3, Recovered(1, {1}));
  a->Receive(2, 4, Append(1, 1, {}, 1));
  checker.AfterStep(a->raft);
  checker.OnDurable(NodeId(3), Write({Term(5), NodeId()}, Commands(1, {2})));
  EXPECT_TRUE(checker.ok()) << checker.violations().front();
}

TEST_F(CommittedByOthers, CopyOverwrittenInThatTerm_IsFound) {
  checker.OnDurable(NodeId(3), Write({Term(2), NodeId()}, Commands(1, {2})));
  EXPECT_THAT(checker.violations(),
              ElementsAre(HasSubstr("overwrites a committed entry on disk")));
}

// Entry 1/1 is committed in term 4; node 3 still follows a leader of an older term (seed
// 187027 of the simulator).
TEST_F(Invariants, CopyOverwrittenByWhoHasNotHeardOfThatTerm_IsNone) {
  auto a = Start(1, Recovered(4, {1}));
  auto b = Start(2, Recovered(4, {1}));
  auto c = Start(3, Recovered(1, {1}));
  a->Receive(2, 4, Append(1, 1, {}, 1));
  checker.AfterStep(a->raft);
  checker.OnDurable(NodeId(3), Write({Term(2), NodeId()}, Commands(1, {2})));
  EXPECT_TRUE(checker.ok());
}

TEST_F(Invariants, AppliedOutOfOrderOrUncommitted_IsFound) {
  auto a = Start(1, Recovered(1, {1, 1}));
  auto b = Start(2, Recovered(1, {1, 1}));
  a->hold_applying = false;
  a->Receive(2, 1, Append(1, 1, {}, 1));
  checker.AfterStep(a->raft);  // its applied index is 1, but nothing was reported
  EXPECT_THAT(checker.violations(), ElementsAre(HasSubstr("were applied")));
  checker.OnApplied(NodeId(2), Command(1, 1));
  EXPECT_EQ(checker.violations().size(), 1u);
  checker.OnApplied(NodeId(2), Command(2, 1));
  EXPECT_THAT(checker.violations().back(), HasSubstr("not the committed entry"));
}

TEST_F(Invariants, AppliedWithOtherContent_IsFound) {
  auto a = Start(1, Recovered(1, {1}));
  auto b = Start(2, Recovered(1, {1}));
  checker.OnApplied(NodeId(1), Command(1, 1));
  EXPECT_FALSE(checker.ok()) << "it is not committed yet";
  a->Receive(2, 1, Append(1, 1, {}, 1));
  checker.AfterStep(a->raft);
  Entry other = Command(1, 1);
  other.data = Payload("other");
  checker.OnApplied(NodeId(2), other);
  EXPECT_THAT(checker.violations().back(), HasSubstr("content unlike the log's"));
}

TEST_F(Invariants, OrderlyLife_HasNoViolations) {
  auto a = Start(1);
  a->BecomeCandidate();
  for (const Persist& persist : a->written) checker.OnDurable(NodeId(1), persist);
  a->written.clear();
  for (const Message& message : a->sent) checker.OnMessage(message);
  checker.AfterStep(a->raft);
  EXPECT_THAT(checker.violations(), IsEmpty());
}

}  // namespace
}  // namespace concordat::raft
