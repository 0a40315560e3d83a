// The transactions and the registry share a group: what each needs of the other.
#include "coordinator/machines/machines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/check.h"

namespace concordat::machines {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using group::RequestToken;
using txn::Verb;

constexpr GroupId kGroup{1};

BranchId BranchAt(const Gtid& gtid, const std::string& resource) {
  return BranchId{gtid, resource, Incarnation(0x5f3c), 1};
}
BranchId A(const Gtid& gtid) { return BranchAt(gtid, "bank-a"); }
BranchId B(const Gtid& gtid) { return BranchAt(gtid, "bank-b"); }

registry::ResourceRecord Bank(const std::string& name, uint64_t generation = 0,
                              const std::string& address = "here:1") {
  registry::ResourceRecord resource;
  resource.name = name;
  resource.address = address;
  resource.kind = "kv";
  resource.incarnation = Incarnation(0x5f3c);
  resource.store = "1";
  resource.generation = generation;
  return resource;
}

// A leader whose log the test commits by hand.
class MachinesTest : public ::testing::Test {
 protected:
  MachinesTest() {
    machines.set()->BecomeLeader(Term(1), now);
    machines.set()->LeaderReady(Term(1), now);
    Collect();
  }

  RequestToken Submit(txn::Request request) {
    const RequestToken token(++last_token_);
    machines.transactions().Handle(txn::SubmittedRequest{token, std::move(request)}, now);
    Collect();
    return token;
  }
  RequestToken Submit(registry::Request request) {
    const RequestToken token(++last_token_);
    machines.registry().Submit(token, std::move(request), now);
    Collect();
    return token;
  }
  RequestToken Register(const registry::ResourceRecord& resource,
                        const std::string& unavailable = "") {
    return Submit(registry::RegisterResourceRequest{resource, "", unavailable});
  }
  RequestToken Retire(const std::string& name) {
    return Submit(registry::RetireResourceRequest{name, "ann"});
  }

  Gtid NewGtid() {
    Submit(txn::AllocateGtidsRequest{1});
    return Gtid{kGroup, Term(1), ++last_sequence_};
  }
  RequestToken Commit(const Gtid& gtid, std::vector<BranchId> branches,
                      Duration timeout = Duration::Seconds(10)) {
    return Submit(
        txn::CommitRequest{gtid, std::move(branches), CommitMode::kDecided, timeout});
  }
  void Prepared(const std::vector<BranchId>& branches) {
    for (const BranchId& branch : branches) {
      machines.transactions().Handle(txn::ReceivedVote{branch, Vote::kPrepared}, now);
    }
    Collect();
  }
  void Ack(const BranchId& branch, FinishState result = FinishState::kDone,
           const std::string& detail = "") {
    machines.transactions().Handle(txn::ReceivedAck{branch, result, detail}, now);
    Collect();
  }
  void Pass(Duration time) {
    now = now + time;
    machines.set()->Tick(now);
    Collect();
  }
  // Applies what was proposed, here and at a follower.
  void CommitLog() {
    while (!pending_.empty()) {
      for (const std::string& command : std::exchange(pending_, {})) {
        index_ = LogIndex(index_.value() + 1);
        ASSERT_TRUE(machines.set()->Apply(index_, command, now).ok());
        ASSERT_TRUE(follower.set()->Check(command).ok());
        ASSERT_TRUE(follower.set()->Apply(index_, command, now).ok());
        Collect();
      }
    }
    EXPECT_EQ(follower.StateHash(), machines.StateHash());
  }

  [[nodiscard]] std::string Said(RequestToken token) const {
    const auto found = answers_.find(token);
    return found == answers_.end() ? "" : found->second;
  }
  [[nodiscard]] int Sent(Verb verb, const BranchId& branch) const {
    int count = 0;
    for (const txn::Message& message : messages_) {
      if (message.verb == verb && message.branch == branch) ++count;
    }
    return count;
  }

  Timestamp now = Timestamp::FromMicros(1'000'000);
  Machines machines{kGroup, txn::CoreOptions(), registry::Options()};
  Machines follower{kGroup, txn::CoreOptions(), registry::Options()};

 private:
  void Collect() {
    for (std::string& command : machines.set()->TakeProposals()) {
      pending_.push_back(std::move(command));
    }
    for (const auto& answer : machines.registry().TakeOutput().answers) {
      answers_[answer.token] = registry::Describe(answer.reply);
    }
    txn::Output out = machines.transactions().TakeOutput();
    for (const auto& answer : out.answers) {
      answers_[answer.token] = txn::Describe(answer.reply);
    }
    for (txn::Message& message : out.messages) messages_.push_back(std::move(message));
  }

  LogIndex index_;
  uint64_t last_token_ = 0;
  uint64_t last_sequence_ = 0;
  std::vector<std::string> pending_;
  std::vector<txn::Message> messages_;
  std::map<RequestToken, std::string> answers_;
};

// The COMMIT was repeated with ever longer pauses meanwhile.
TEST_F(MachinesTest, Scenario86_HeartbeatAfterASilence_WhatWaitsForItIsSentAtOnce) {
  Register(Bank("bank-a"));
  Register(Bank("bank-b"));
  CommitLog();
  const Gtid g = NewGtid();
  Commit(g, {A(g), B(g)});
  CommitLog();
  Prepared({A(g), B(g)});
  CommitLog();
  Ack(B(g));
  for (int i = 0; i < 20; ++i) {
    Pass(Duration::Seconds(1));
    Register(Bank("bank-b"));
  }
  const int sent = Sent(Verb::kCommit, A(g));
  Register(Bank("bank-a"));
  Pass(Duration::Millis(10));
  EXPECT_EQ(Sent(Verb::kCommit, A(g)), sent + 1);
  // After a heartbeat that is in time nothing is sent earlier.
  Register(Bank("bank-a"));
  Pass(Duration::Millis(10));
  EXPECT_EQ(Sent(Verb::kCommit, A(g)), sent + 1);
}

TEST_F(MachinesTest, ResourceThatComesBack_IsAskedAtOnce) {
  const Gtid g = NewGtid();
  Commit(g, {A(g), B(g)}, Duration::Seconds(600));
  CommitLog();
  Pass(Duration::Seconds(100));
  const int a = Sent(Verb::kPrepare, A(g));
  const int b = Sent(Verb::kPrepare, B(g));
  Register(Bank("bank-a", 0, "there:2"));
  CommitLog();
  Pass(Duration::Micros(1));
  EXPECT_EQ(Sent(Verb::kPrepare, A(g)), a + 1);
  EXPECT_EQ(Sent(Verb::kPrepare, B(g)), b);
}

// A new generation comes every few seconds. Messages that wait are not sent earlier for
// that.
TEST_F(MachinesTest, GrownGeneration_HurriesNothing) {
  const Gtid g = NewGtid();
  Register(Bank("bank-a", 10));
  Commit(g, {A(g), B(g)}, Duration::Seconds(600));
  CommitLog();
  Pass(Duration::Seconds(100));
  // The resource is heard of again after a silence: for that they are.
  Register(Bank("bank-a", 10));
  Pass(Duration::Micros(1));
  const int asked = Sent(Verb::kPrepare, A(g));
  Register(Bank("bank-a", 20));
  CommitLog();
  Pass(Duration::Micros(1));
  EXPECT_EQ(Sent(Verb::kPrepare, A(g)), asked);
}

TEST_F(MachinesTest, Scenario85_ServedOrNeededResource_IsNotRetired) {
  Register(Bank("bank-a"));
  CommitLog();
  EXPECT_THAT(Said(Retire("bank-a")), HasSubstr("end its participant"));
  const Gtid g = NewGtid();
  Commit(g, {A(g)});
  Prepared({A(g)});
  CommitLog();
  Pass(Duration::Seconds(6));
  EXPECT_THAT(Said(Retire("bank-a")),
              AllOf(HasSubstr("REFUSED in-use"), HasSubstr(ToString(g))));
  Ack(A(g));
  Pass(Duration::Millis(200));
  CommitLog();
  const auto retired = Retire("bank-a");
  CommitLog();
  EXPECT_EQ(Said(retired), "RETIRED");
}

// When the leader checked there was no commit request, but one comes earlier in the log.
// Both nodes decide the same, at the same index.
TEST_F(MachinesTest, Scenario85_TransactionThatComesFirstInTheLog_KeepsTheName) {
  Register(Bank("bank-a"));
  CommitLog();
  Pass(Duration::Seconds(6));
  const Gtid g = NewGtid();
  Commit(g, {A(g)});
  const auto retired = Retire("bank-a");
  CommitLog();
  EXPECT_THAT(Said(retired), HasSubstr("REFUSED in-use"));
  EXPECT_NE(machines.registry().table().Find("bank-a"), nullptr);
  EXPECT_NE(follower.registry().table().Find("bank-a"), nullptr);
}

// Trial 23: a branch that waits for its database shows the reason.
TEST_F(MachinesTest, BranchThatWaitsForAResourceThatCannotBeUsed_ShowsWhy) {
  const Gtid g = NewGtid();
  Commit(g, {A(g), B(g)});
  Prepared({A(g), B(g)});
  CommitLog();
  const auto details = [&] {
    std::vector<std::string> all;
    for (const auto& b : machines.Show(g, now).branches) all.push_back(b.detail);
    EXPECT_EQ(machines.List(Gtid{}, 1, now)[0].branches[0].detail, all[0]);
    return all;
  };
  EXPECT_THAT(details(), ElementsAre("", ""));
  Register(Bank("bank-a"), "waiting for the database");
  CommitLog();
  EXPECT_THAT(details(), ElementsAre("waiting for the database", ""));
  Ack(A(g), FinishState::kRetry, "the connection was lost");
  EXPECT_THAT(details(), ElementsAre("the connection was lost", ""));
  Ack(A(g));
  EXPECT_THAT(details(), ElementsAre("", ""));
}

TEST_F(MachinesTest, SnapshotOfBoth_StandsInForTheLog) {
  Register(Bank("bank-a", 10));
  const Gtid g = NewGtid();
  Commit(g, {A(g)});
  CommitLog();
  Machines restored(kGroup, txn::CoreOptions(), registry::Options());
  const auto restore = restored.set()->BeginRestore(LogIndex(100));
  const auto source = machines.set()->TakeSnapshot();
  while (const auto portion = source->Next()) ASSERT_TRUE(restore->Append(*portion).ok());
  ASSERT_TRUE(restore->Finish().ok());
  restore->Install();
  EXPECT_EQ(restored.StateHash(), machines.StateHash());
  EXPECT_EQ(restored.registry().table().Find("bank-a")->generation, 10u);
  EXPECT_EQ(restored.transactions().table().StateOf(g), txn::TxnState::kStaged);
}

}  // namespace
}  // namespace concordat::machines
