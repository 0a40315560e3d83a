// A follower does not answer requests, and a leader that is not ready lets them wait.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/registry/harness.h"

namespace concordat::registry {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST(RegistryLeadership, Follower_SendsCallersOn) {
  Log log;
  Node node(&log);
  EXPECT_EQ(node.Said(node.Register(Bank("bank-a"))), "NOT_LEADER");
  EXPECT_EQ(node.Said(node.Retire("bank-a")), "NOT_LEADER");
  EXPECT_THAT(node.Appended(), IsEmpty());
}

TEST(RegistryLeadership, RequestsBeforeALeaderIsReady_AreDealtWithInTheirOrder) {
  Log log;
  Node node(&log);
  node.Lead(1, /*ready=*/false);
  const auto first = node.Register(Bank("bank-a", "here:1"));
  const auto second = node.Register(Bank("bank-a", "there:2"));
  node.Pass(Duration::Seconds(1));
  EXPECT_EQ(node.Said(first), "");
  EXPECT_THAT(node.Appended(), IsEmpty());
  node.Ready();
  node.CommitLog();
  EXPECT_EQ(node.Said(first), "REGISTERED");
  EXPECT_EQ(node.Said(second), "REGISTERED");
  EXPECT_EQ(node.resources().at("bank-a").address, "there:2");
}

TEST(RegistryLeadership, LeaderThatDoesNotBecomeReady_SaysSoInTheEnd) {
  Log log;
  Options options;
  options.max_not_ready = 1;
  Node node(&log, options);
  node.Lead(1, /*ready=*/false);
  const auto waits = node.Register(Bank("bank-a"));
  EXPECT_EQ(node.Said(node.Register(Bank("bank-b"))), "NOT_READY") << "one too many";
  EXPECT_EQ(node.registry().NextTimer(), node.now() + options.not_ready_wait);
  node.Pass(options.not_ready_wait);
  EXPECT_EQ(node.Said(waits), "NOT_READY");
  EXPECT_EQ(node.registry().NextTimer(), Timestamp::Infinite());
  node.Ready();
  EXPECT_THAT(node.Appended(), IsEmpty());
}

TEST(RegistryLeadership, LostBeforeReady_WhoWaitsIsSentOn) {
  Log log;
  Node node(&log);
  node.Lead(1, /*ready=*/false);
  const auto waits = node.Register(Bank("bank-a"));
  node.Lose();
  EXPECT_EQ(node.Said(waits), "NOT_LEADER");
}

// Heartbeats of thousands of resources must not delay Raft's own.
TEST(RegistryLeadership, ManyThatHaveWaited_AreDealtWithInPortions) {
  Log log;
  Options options;
  options.max_work_per_output = 10;
  Node node(&log, options);
  node.Lead(1, /*ready=*/false);
  for (int i = 0; i < 25; ++i) node.Register(Bank(absl::StrCat("bank-", i)));
  node.Ready();
  EXPECT_THAT(node.Appended(), SizeIs(10));
  EXPECT_TRUE(node.registry().HasMoreWork());
  EXPECT_EQ(node.registry().NextTimer(), node.now());
  node.Pass(Duration());
  EXPECT_THAT(node.Appended(), SizeIs(20));
  node.Pass(Duration());
  EXPECT_THAT(node.Appended(), SizeIs(25));
  EXPECT_FALSE(node.registry().HasMoreWork());
}

// The records may still be committed by the next leader. When this node leads again and
// the same requests come again, the earlier ones must not be answered a second time.
TEST(RegistryLeadership, Lost_WhatWasAskedForIsNotKnown) {
  Log log;
  Node node(&log);
  node.Lead(1);
  node.Register(Bank("bank-a"));
  node.CommitLog();
  node.Pass(Duration::Seconds(6));
  const std::vector<Request> requests = {RegisterResourceRequest{Bank("bank-b")},
                                         RetireResourceRequest{"bank-a", "ann"}};
  std::vector<group::RequestToken> asked;
  for (const Request& request : requests) asked.push_back(node.Submit(request));
  for (const auto token : asked) EXPECT_EQ(node.Said(token), "");
  node.Lose();
  for (const auto token : asked) EXPECT_EQ(node.Said(token), "UNDECIDED");

  node.Lead(2);
  node.Pass(Duration::Seconds(6));
  std::vector<group::RequestToken> anew;
  for (const Request& request : requests) anew.push_back(node.Submit(request));
  node.CommitLog();
  EXPECT_EQ(node.Said(anew[0]), "REGISTERED");
  EXPECT_EQ(node.Said(anew[1]), "RETIRED");
  for (const auto token : asked) EXPECT_EQ(node.Said(token), "UNDECIDED");
}

// A new leader has received no heartbeats, and does not take resources for silent before
// they have had time to send one.
TEST(RegistryLeadership, NewLeader_GivesEveryParticipantTheTimeToBeHeardOf) {
  Log log;
  Node old(&log);
  old.Lead(1);
  old.Register(Bank("bank-a"));
  old.CommitLog();
  Node next(&log);
  next.CatchUp();
  EXPECT_FALSE(next.View("bank-a").last_seen);
  next.Pass(Duration::Seconds(60));
  next.Lead(2);
  EXPECT_EQ(next.Said(next.Retire("bank-a")).substr(0, 14), "REFUSED in-use");
  next.Pass(Duration::Seconds(5));
  const auto retired = next.Retire("bank-a");
  next.CommitLog();
  EXPECT_EQ(next.Said(retired), "RETIRED");
}

TEST(RegistryLeadership, LostLeadership_DropsProposalsThatWereNotTaken) {
  FakeUsers users;
  Registry registry(Options(), &users);
  registry.BecomeLeader(Term(1), Timestamp());
  registry.LeaderReady(Term(1), Timestamp());
  registry.Submit(group::RequestToken(1), RegisterResourceRequest{Bank("bank-a")},
                  Timestamp());
  registry.LoseLeadership(Timestamp());
  EXPECT_THAT(registry.TakeProposals(), IsEmpty());
  EXPECT_THAT(registry.TakeOutput().answers, SizeIs(1));
}

// What was heard before is not known any more, and nobody has come back: a participant is
// heard of for the first time.
TEST(RegistryLeadership, LedAgain_NothingWasHeardBefore) {
  Log log;
  Node node(&log);
  node.Lead(1);
  node.Register(Bank("bank-a"));
  node.CommitLog();
  node.Register(Bank("bank-a"), "", "waiting for the database");
  node.Lose();
  node.Lead(2);
  EXPECT_FALSE(node.View("bank-a").last_seen);
  EXPECT_EQ(node.View("bank-a").unavailable, "");
  const size_t told = node.users.reachable.size();
  node.Pass(Duration::Seconds(60));
  node.Register(Bank("bank-a"));
  EXPECT_THAT(node.users.reachable, SizeIs(told));
}

TEST(RegistryLeadership, NextTermWithoutALossBetween_WhoWaitsIsAnsweredUndecided) {
  Log log;
  Node node(&log);
  node.Lead(1);
  const auto asked = node.Register(Bank("bank-a"));
  node.Lead(2);
  EXPECT_EQ(node.Said(asked), "UNDECIDED");
}

TEST(RegistryLeadership, EntryOfAnotherTerm_MakesNoLeaderReady) {
  FakeUsers users;
  Registry registry(Options(), &users);
  registry.BecomeLeader(Term(2), Timestamp());
  registry.LeaderReady(Term(1), Timestamp());
  registry.Submit(group::RequestToken(1), RegisterResourceRequest{Bank("bank-a")},
                  Timestamp());
  EXPECT_THAT(registry.TakeProposals(), IsEmpty());
  registry.LeaderReady(Term(2), Timestamp());
  EXPECT_THAT(registry.TakeProposals(), SizeIs(1));
}

TEST(RegistryLeadership, LostBeforeAllWhoHaveWaitedHadTheirTurn_TheRestIsSentOn) {
  Log log;
  Options options;
  options.max_work_per_output = 1;
  Node node(&log, options);
  node.Lead(1, /*ready=*/false);
  const auto first = node.Register(Bank("bank-a"));
  const auto second = node.Register(Bank("bank-b"));
  node.Ready();
  node.Lose();
  EXPECT_EQ(node.Said(first), "UNDECIDED");
  EXPECT_EQ(node.Said(second), "NOT_LEADER");
}

TEST(RegistryLeadership, SnapshotRestoredAtALeader_IsAProgrammersError) {
  Log log;
  Node node(&log);
  node.Lead(1);
  EXPECT_DEATH((void)Restore(&node.registry(), SnapshotOf(&node.registry()), LogIndex(1)),
               "a leader restores nothing");
}

}  // namespace
}  // namespace concordat::registry
