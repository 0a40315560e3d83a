// A database whose answers the test gives, in any order: to calls, to cancel requests,
// and to questions what became of a branch. A batch has the name of its last statement,
// and waits for Answer. Used on the loop's thread only.
#ifndef TESTS_UNIT_DATABASE_FAKE_DIALECT_H_
#define TESTS_UNIT_DATABASE_FAKE_DIALECT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "participant/resources/database/dialect.h"

namespace concordat::participant::database {

// How a batch is answered.
struct FakeAnswer {
  bool lost = false;
  bool failed = false;       // its second statement, if it has one
  bool failed_last = false;  // its last statement
};

class FakeSession final : public Session {
 public:
  FakeSession(rpc::EventLoop* loop, Counters* counters)
      : Session(loop, Duration::Seconds(10), counters) {}
  void Reset() override {}

  void Answer(const FakeAnswer& answer) {
    if (answer.lost) return Close("the test has cut the line");
    BatchResult r;
    r.results.resize(batch_.size());
    if (answer.failed || answer.failed_last) {
      const size_t at = answer.failed_last ? batch_.size() - 1 : batch_.size() > 1;
      r.results[at].state = StatementResult::State::kFailed;
      r.results[at].error = "it has failed";
    }
    const bool over = r.ok() && (sent() == "rollback" || sent() == "prepare" ||
                                 sent() == "commit here");
    r.transaction = over ? TransactionState::kNone : TransactionState::kOpen;
    std::exchange(done_, nullptr)(std::move(r));
  }
  [[nodiscard]] bool busy() const { return static_cast<bool>(done_); }
  [[nodiscard]] std::string sent() const {
    return batch_.empty() ? "" : batch_.back().sql;
  }

 private:
  void BeginConnect() override {
    state_ = State::kReady;
    id_.id = "7";
    Connected(absl::OkStatus());
  }
  void Send(std::vector<Statement> batch, BatchDone done,
            std::shared_ptr<ClientRows> /*rows*/) override {
    batch_ = std::move(batch);
    done_ = std::move(done);
  }
  std::vector<Owed> Drop() override {
    std::vector<Owed> owed;
    if (done_) owed.push_back({std::exchange(done_, nullptr)});
    return owed;
  }
  void OnFdEvent(bool /*readable*/, bool /*writable*/) override {}

  std::vector<Statement> batch_;
  BatchDone done_;
};

class FakeDialect final : public Dialect {
 public:
  explicit FakeDialect(bool prepared_stays)
      : Dialect({.kind = "fake",
                 .name = "Fake",
                 .prepare = "PREPARE",
                 .commit = "COMMIT",
                 .out_of_reach = "elsewhere",
                 .write_question = WriteQuestion::kWithEachCall,
                 .prepared_stays_with_session = prepared_stays}) {}
  // The session that was made last for that use. Null: there was none.
  [[nodiscard]] std::shared_ptr<FakeSession> session(SessionUse use) {
    return last_[static_cast<size_t>(use)];
  }

  absl::Status CheckUrl() const override { return absl::OkStatus(); }
  absl::StatusOr<std::string> BeginSql(const std::string&) const override {
    return "begin";
  }
  void Open(rpc::EventLoop* loop, const Owner&, std::shared_ptr<const std::string>,
            Counters* counters) override {
    loop_ = loop;
    counters_ = counters;
  }
  std::shared_ptr<Session> NewSession(SessionUse use) override {
    return last_[static_cast<size_t>(use)] =
               std::make_shared<FakeSession>(loop_, counters_);
  }
  void Close() override {
    for (auto& session : last_) session.reset();
  }
  std::vector<Statement> StartChecks() const override { return {}; }
  absl::StatusOr<std::string> TakeStartChecks(const BatchResult&) override { return ""; }
  // All statements count as statements that write.
  absl::StatusOr<ClientStatement> TakeStatement(
      const wire::SqlStatement& statement) const override {
    ClientStatement taken;
    taken.statement.sql = statement.sql;
    taken.writes = true;
    return taken;
  }
  std::vector<Statement> Begin(const BranchId&, const std::string& begin_sql,
                               Session*) const override {
    return {{begin_sql}};
  }
  Statement AskWritten() const override { return {"written?"}; }
  std::string WrittenAnswer(const StatementResult&) const override { return "some"; }
  EndStatements Prepare(const BranchId&) const override {
    return {{{"evidence"}, {"prepare"}}, 1};
  }
  EndStatements CommitOnePhase(const BranchId&) const override {
    return {{{"evidence"}, {"commit"}}, 1};
  }
  std::vector<Statement> CommitReadOnly(const BranchId&) const override {
    return {{"commit"}};
  }
  std::vector<Statement> RollBack(const BranchId&) const override {
    return {{"rollback"}};
  }
  std::vector<Statement> FinishInItsSession(const BranchId&, bool commit) const override {
    return {{commit ? "commit here" : "rollback here"}};
  }
  std::vector<Statement> Finish(const BranchId&, bool commit) const override {
    return {{commit ? "commit prepared" : "rollback prepared"}};
  }
  std::string NameOf(const BranchId& branch) const override { return ToString(branch); }
  std::vector<Statement> LookUp(const BranchId&) const override {
    return {{"prepared?"}, {"evidence?"}};
  }
  Evidence EvidenceFrom(const BatchResult&, const BranchId&) const override {
    return Evidence::kNone;
  }
  Statement ScanPrepared() const override { return {"scan"}; }
  PreparedScan PreparedFrom(const StatementResult&) const override { return {}; }
  std::vector<Statement> Forget(const Gtid&) const override { return {{"forget"}}; }
  bool ForgotAFullBatch(const BatchResult&) const override { return false; }
  std::vector<Statement> ReadGeneration() const override { return {{"generation?"}}; }
  Statement SetGeneration(uint64_t, uint64_t) const override { return {"generation"}; }
  GenerationAnswer GenerationFrom(const BatchResult&) const override {
    return GenerationAnswer::kSet;
  }
  Statement Cancel(const SessionId&) const override { return {"cancel"}; }
  Statement AskSession(const SessionId&) const override { return {"session?"}; }
  bool IsGone(const StatementResult&) const override { return true; }
  Statement OtherSessions(bool) const override { return {"others?"}; }
  std::vector<Statement> TryLock(bool, const SessionId&) const override {
    return {{"lock"}};
  }
  LockAnswer LockFrom(const BatchResult&, const SessionId&,
                      const SessionId&) const override {
    return {.taken = true};
  }
  wire::Code::type Classify(const StatementResult&) const override {
    return wire::Code::INVALID;
  }
  bool IsInterruption(const StatementResult&) const override { return false; }
  bool IsTransient(const StatementResult&) const override { return false; }
  bool IsNotThere(const StatementResult&) const override { return false; }

 private:
  rpc::EventLoop* loop_ = nullptr;
  Counters* counters_ = nullptr;
  std::shared_ptr<FakeSession> last_[3];
};

}  // namespace concordat::participant::database

#endif  // TESTS_UNIT_DATABASE_FAKE_DIALECT_H_
