// A BranchTable whose commands and answers a test can check one by one.
#ifndef TESTS_UNIT_SDK_BRANCH_FIXTURE_H_
#define TESTS_UNIT_SDK_BRANCH_FIXTURE_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "participant/sdk/core/branch_table.h"

namespace concordat::participant {

inline const Incarnation kThisIncarnation(500);
inline const Incarnation kEarlierIncarnation(400);

inline Gtid MakeGtid(uint64_t sequence) { return Gtid{GroupId(1), Term(7), sequence}; }

class TestReply : public ExecuteReply {
 public:
  explicit TestReply(std::string text) : text(std::move(text)) {}
  [[nodiscard]] size_t bytes() const override { return text.size(); }
  const std::string text;
};

class BranchTableTest : public ::testing::Test {
 protected:
  BranchTableTest() { Reset({}); }

  void Reset(BranchTableOptions options) {
    options_ = options;
    table_ = std::make_unique<BranchTable>("bank-a", kThisIncarnation, options);
    commands_.clear();
    answers_.clear();
    inquiries_.clear();
    events_.clear();
  }
  void Recover(std::vector<RecoveredBranch> prepared = {}) {
    table_->Recovered(prepared, now_);
    Drain();
  }
  BranchId Start(uint64_t sequence = 1) {
    const StartResult result = table_->Start(MakeGtid(sequence), Duration(), now_);
    EXPECT_EQ(result.refusal, StartRefusal::kNone);
    return result.branch;
  }
  BranchId StartPrepared(uint64_t sequence = 1) {
    const BranchId id = Start(sequence);
    table_->Prepare(id, Token(), now_);
    table_->OnPrepared(id, {Vote::kPrepared, ""}, now_);
    Drain();
    commands_.clear();
    answers_.clear();
    return id;
  }
  static BranchId OfEarlierIncarnation(uint64_t sequence) {
    return BranchId{MakeGtid(sequence), "bank-a", kEarlierIncarnation, 3};
  }

  RequestToken Token() { return RequestToken(++last_token_); }
  RequestToken Prepare(const BranchId& id) {
    const RequestToken token = Token();
    table_->Prepare(id, token, now_);
    Drain();
    return token;
  }
  RequestToken Commit(const BranchId& id) {
    const RequestToken token = Token();
    table_->Commit(id, token, now_);
    Drain();
    return token;
  }
  RequestToken Rollback(const BranchId& id) {
    const RequestToken token = Token();
    table_->Rollback(id, token, now_);
    Drain();
    return token;
  }
  RequestToken Abandon(const BranchId& id) {
    const RequestToken token = Token();
    table_->Abandon(id, token, now_);
    Drain();
    return token;
  }
  RequestToken CommitOnePhase(const BranchId& id) {
    const RequestToken token = Token();
    table_->CommitOnePhase(id, token, now_);
    Drain();
    return token;
  }
  RequestToken Execute(const BranchId& id, uint64_t number, bool may_prepare = false) {
    const RequestToken token = Token();
    table_->Execute(id, number, token, {now_ + Duration::Seconds(5), may_prepare}, now_);
    Drain();
    return token;
  }
  void Prepared(const BranchId& id, Vote vote) {
    table_->OnPrepared(id, {vote, ""}, now_);
    Drain();
  }
  void Committed(const BranchId& id, FinishState finish) {
    table_->OnCommitted(id, {finish, ""}, now_);
    Drain();
  }
  void RolledBack(const BranchId& id, FinishState finish = FinishState::kDone) {
    table_->OnRolledBack(id, {finish, ""}, now_);
    Drain();
  }
  void CommittedAlone(const BranchId& id, OnePhase outcome) {
    table_->OnCommittedOnePhase(id, {outcome, ""}, now_);
    Drain();
  }
  void Found(const BranchId& id, Evidence evidence) {
    table_->OnEvidence(id, evidence, now_);
    Drain();
  }
  void Executed(const BranchId& id, std::string text,
                AfterExecute after = AfterExecute::kActive) {
    table_->OnExecuted(id, after, std::make_shared<TestReply>(std::move(text)), now_);
    Drain();
  }
  void Advance(Duration by) {
    now_ = now_ + by;
    table_->Tick(now_);
    Drain();
  }

  void Drain() {
    BranchTableOutput out = table_->TakeOutput();
    for (Command& c : out.commands) commands_.push_back(std::move(c));
    for (Answer& a : out.answers) {
      EXPECT_TRUE(answers_.emplace(a.token, a).second) << "answered twice";
    }
    for (BranchId& b : out.inquiries) inquiries_.push_back(std::move(b));
    for (Event& e : out.events) events_.push_back(std::move(e));
  }

  // The kinds of the commands since the last call.
  std::vector<CommandKind> TakeCommands() {
    std::vector<CommandKind> kinds;
    for (const Command& c : commands_) kinds.push_back(c.kind);
    commands_.clear();
    return kinds;
  }
  [[nodiscard]] bool Answered(RequestToken token) const {
    return answers_.contains(token);
  }
  [[nodiscard]] Vote VoteOf(RequestToken token) const {
    return std::get<VoteAnswer>(answers_.at(token).body).vote;
  }
  [[nodiscard]] FinishAnswer FinishOf(RequestToken token) const {
    return std::get<FinishAnswer>(answers_.at(token).body);
  }
  [[nodiscard]] OnePhaseVerdict OnePhaseOf(RequestToken token) const {
    return std::get<OnePhaseAnswer>(answers_.at(token).body).verdict;
  }
  [[nodiscard]] ExecuteAnswer ExecuteOf(RequestToken token) const {
    return std::get<ExecuteAnswer>(answers_.at(token).body);
  }
  [[nodiscard]] std::string TextOf(RequestToken token) const {
    const auto answer = ExecuteOf(token);
    if (answer.reply == nullptr) return "";
    return static_cast<const TestReply&>(*answer.reply).text;
  }
  [[nodiscard]] size_t CountEvents(EventKind kind) const {
    size_t count = 0;
    for (const Event& e : events_) count += e.kind == kind ? 1 : 0;
    return count;
  }

  BranchTableOptions options_;
  std::unique_ptr<BranchTable> table_;
  Timestamp now_ = Timestamp::FromMicros(1'000'000);
  uint64_t last_token_ = 0;
  std::vector<Command> commands_;
  std::map<RequestToken, Answer> answers_;
  std::vector<BranchId> inquiries_;
  std::vector<Event> events_;
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_SDK_BRANCH_FIXTURE_H_
