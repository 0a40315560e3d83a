// A hundred thousand transactions change their leader and time out together
// (scenario 80): counted in steps, not in time. No output is larger than the bound.
#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "coordinator/txn/record.h"
#include "tests/unit/txn/harness.h"

namespace concordat::txn {
namespace {

constexpr uint64_t kTransactions = 100'000;
constexpr size_t kPortion = 1000;

class Portions : public ::testing::Test {
 protected:
  Portions() : core_(kGroup, Options()) {
    for (uint64_t i = 1; i <= kTransactions; ++i) {
      const Gtid gtid = G(1, i);
      Apply(EncodeRecord(StagedRecord{
          .gtid = gtid, .branches = {A(gtid), B(gtid)}, .timeout_ms = 1000}));
    }
    core_.BecomeLeader(Term(2), now_);
  }
  static CoreOptions Options() {
    CoreOptions options;
    options.max_work_per_output = kPortion;
    return options;
  }
  void Apply(const std::string& record) {
    ASSERT_TRUE(core_.Apply(LogIndex(++index_), record, now_).ok());
  }
  // One step of a node: an output is taken, and it is within the bound.
  Output Step() {
    core_.Tick(now_);
    core_.Tick(now_);  // as when several messages arrive together
    Output out = core_.TakeOutput();
    EXPECT_LE(out.messages.size(), 4 * kPortion);
    EXPECT_LE(out.proposals.size(), kPortion + 2);
    EXPECT_LE(out.answers.size(), kPortion);
    return out;
  }

  Core core_;
  Timestamp now_ = Timestamp::FromMicros(1'000'000);
  uint64_t index_ = 0;
};

TEST_F(Portions, Scenario80_InheritedByANewLeader_AskedInPortions) {
  core_.LeaderReady(Term(2), now_);
  size_t messages = 0;
  size_t steps = 0;
  do {
    messages += Step().messages.size();
    ASSERT_LE(++steps, 2 * kTransactions / kPortion);
  } while (core_.HasMoreWork());
  EXPECT_EQ(messages, 2 * kTransactions);
  EXPECT_GE(steps, kTransactions / kPortion);
}

TEST_F(Portions, Scenario80_DueTogether_DecidedInPortions) {
  core_.LeaderReady(Term(2), now_);
  do {
    (void)Step();
  } while (core_.HasMoreWork());
  now_ = now_ + Duration::Millis(1100);
  size_t decisions = 0;
  size_t steps = 0;
  do {
    const Output out = Step();
    decisions += out.proposals.size();
    ASSERT_LE(++steps, 2 * kTransactions / kPortion);
  } while (core_.HasMoreWork());
  EXPECT_GE(decisions, kTransactions);
}

TEST_F(Portions, RequestForATransactionWhoseTurnIsToCome_FindsItInherited) {
  core_.LeaderReady(Term(2), now_);
  (void)core_.TakeOutput();
  const Gtid last = G(1, kTransactions);
  core_.Handle(
      SubmittedRequest{RequestToken(1),
                       CommitRequest{.gtid = last, .branches = {A(last), B(last)}}},
      now_);
  core_.Handle(ReceivedVote{A(last), Vote::kPrepared}, now_);
  core_.Handle(ReceivedVote{B(last), Vote::kPrepared}, now_);
  size_t decided = 0;
  for (const std::string& bytes : core_.TakeOutput().proposals) {
    const auto record = DecodeRecord(bytes);
    ASSERT_TRUE(record.ok());
    const auto* decision = std::get_if<DecidedRecord>(&*record);
    if (decision != nullptr && decision->gtid == last) {
      ++decided;
      EXPECT_EQ(decision->outcome, Outcome::kCommitted);
      Apply(bytes);
    }
  }
  EXPECT_EQ(decided, 1u);
  const Output out = core_.TakeOutput();
  ASSERT_EQ(out.answers.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<CommittedReply>(out.answers[0].reply));
  while (core_.HasMoreWork()) (void)Step();
}

TEST_F(Portions, RequestsThatWaitedForTheLeader_AreDealtWithInPortions) {
  constexpr uint64_t kRequests = 20'000;
  for (uint64_t i = 1; i <= kRequests; ++i) {
    core_.Handle(SubmittedRequest{RequestToken(i), AllocateGtidsRequest{1}}, now_);
  }
  core_.LeaderReady(Term(2), now_);
  size_t answers = 0;
  do {
    answers += Step().answers.size();
  } while (core_.HasMoreWork());
  EXPECT_EQ(answers, kRequests);
}

TEST_F(Portions, LeadershipLostInBetween_NothingIsLeft) {
  core_.Handle(SubmittedRequest{RequestToken(1), AllocateGtidsRequest{1}}, now_);
  core_.LeaderReady(Term(2), now_);
  (void)core_.TakeOutput();
  core_.LoseLeadership(now_);
  EXPECT_FALSE(core_.HasMoreWork());
  const Output out = core_.TakeOutput();
  ASSERT_EQ(out.answers.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<NotLeaderReply>(out.answers[0].reply));
  core_.BecomeLeader(Term(3), now_);
  core_.LeaderReady(Term(3), now_);
  size_t messages = 0;
  do {
    messages += Step().messages.size();
  } while (core_.HasMoreWork());
  EXPECT_EQ(messages, 2 * kTransactions);
}

}  // namespace
}  // namespace concordat::txn
