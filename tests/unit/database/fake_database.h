// A database for BranchWork whose answers the test gives, in the order it wants: to the
// calls, to the cancel requests, and to the question what became of a branch.
#ifndef TESTS_UNIT_DATABASE_FAKE_DATABASE_H_
#define TESTS_UNIT_DATABASE_FAKE_DATABASE_H_

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "participant/resources/database/branch_work.h"

namespace concordat::participant::database::fake {

struct Statement {
  std::string sql;
};

struct BatchResult {
  bool lost = false;
  bool failed = false;
  bool may_have_prepared = false;
  [[nodiscard]] bool ok() const { return !lost && !failed; }
  [[nodiscard]] std::string Error() const { return ok() ? "" : "it has failed"; }
};

struct Backend {
  std::string id;
};

struct Counters {
  std::atomic<uint64_t> lost_ends{0};
};

// The batch under way waits for Answer.
class Connection {
 public:
  struct Config {};
  using Counters = fake::Counters;
  Connection(rpc::EventLoop* /*loop*/, Config /*config*/, Counters* /*counters*/) {
    last_ = this;
  }
  void Connect(absl::AnyInvocable<void(absl::Status)> done) { done(absl::OkStatus()); }
  void Run(std::vector<Statement> batch, absl::AnyInvocable<void(BatchResult)> done) {
    sent_ = batch.empty() ? "" : batch[0].sql;
    done_ = std::move(done);
  }
  void Close(const std::string& /*why*/) {
    if (std::exchange(alive_, false) && done_) Answer({.lost = true});
  }
  void Answer(const BatchResult& r) {
    if (r.lost) alive_ = false;
    std::exchange(done_, nullptr)(r);
  }
  [[nodiscard]] bool alive() const { return alive_; }
  [[nodiscard]] bool busy() const { return static_cast<bool>(done_); }
  [[nodiscard]] const std::string& sent() const { return sent_; }
  [[nodiscard]] Backend backend() const { return {"7"}; }
  // The one that was made last.
  [[nodiscard]] static Connection* last() { return last_; }

 private:
  inline static Connection* last_ = nullptr;
  bool alive_ = true;
  std::string sent_;
  absl::AnyInvocable<void(BatchResult)> done_;
};

class Settler {
 public:
  void Cancel(const Backend& /*backend*/, Callback<bool> done) {
    cancel = std::move(done);
  }
  void FindOut(const Backend& /*backend*/, const BranchId& /*id*/,
               Callback<Evidence> done) {
    find_out = std::move(done);
  }
  void LookUp(const BranchId& /*id*/, Callback<Evidence> done) { done(Evidence::kNone); }
  void End(const BranchId& /*id*/, bool /*commit*/, Callback<FinishResult> done) {
    ++ended;
    done({FinishState::kDone, ""});
  }
  void AddPrepared(const BranchId& /*id*/) {}
  void Abandon(const Backend& /*backend*/) {}

  Callback<bool> cancel;
  Callback<Evidence> find_out;
  int ended = 0;
};

struct Options {
  uint64_t max_result_bytes = 1000;
};

struct Database {
  using Connection = fake::Connection;
  using BatchResult = fake::BatchResult;
  using Statement = fake::Statement;
  using Backend = fake::Backend;
  using Settler = fake::Settler;
  using Counters = fake::Counters;
  using Options = fake::Options;
  static constexpr char kPrepare[] = "PREPARE", kCommit[] = "COMMIT";
  static std::string NameOf(const Backend& backend) { return backend.id; }
  static void ToWire(const BatchResult&, size_t, wire::SqlResult*, uint64_t*) {}
};

class Work final : public BranchWork<Database> {
 public:
  using BranchWork<Database>::BranchWork;
  void Prepare(const BranchId& /*id*/, Callback<PrepareResult> done) override {
    done({Vote::kUnavailable, ""});
  }
  void CommitOnePhase(const BranchId& /*id*/, Callback<OnePhaseResult> done) override {
    done({OnePhase::kUnknown, ""});
  }

 private:
  [[nodiscard]] absl::Status Check(const wire::ExecuteRequest& /*request*/,
                                   Call* /*call*/) const override {
    return absl::OkStatus();
  }
  [[nodiscard]] std::vector<Statement> MakeBatch(Branch* branch) override {
    branch->prepare_at = branch->call.last ? 1 : 0;
    return {{"call"}};
  }
  [[nodiscard]] bool HasPrepared(const Branch& /*branch*/,
                                 const BatchResult& r) const override {
    return r.ok();
  }
  [[nodiscard]] bool MayHavePrepared(const Branch& branch,
                                     const BatchResult& r) const override {
    return branch.prepare_at > 0 && r.may_have_prepared;
  }
  void OnCallDone(Branch* branch, const BatchResult& /*r*/) override {
    branch->open = true;
    branch->phase = Phase::kIdle;
    Answer(branch, wire::Code::OK, "");
  }
  void OnCallPrepared(Branch* branch, const BatchResult& /*r*/) override {
    Answer(branch, wire::Code::OK, "");
    HandToSettler(branch, /*clean=*/true);
  }
  void OnCallFailed(Branch* branch, const BatchResult& r) override {
    UndoCall(branch, wire::Code::INVALID, r.Error());
  }
  [[nodiscard]] std::vector<Statement> UndoStatements(const Branch& /*b*/) override {
    return {{"undo"}};
  }
  [[nodiscard]] bool IsIdle(const BatchResult& /*r*/) const override { return true; }
  void HandToSettler(Branch* branch, bool clean) override { Remove(branch, clean); }
  void RollBackNow(Branch* branch, Callback<FinishResult> done) override {
    branch->phase = Phase::kEnding;
    branch->rolling_back = true;
    if (!branch->connection->alive()) {
      Remove(branch, /*clean=*/false);
      return done({FinishState::kDone, ""});
    }
    branch->connection->Run(
        {{"rollback"}},
        [this, id = branch->id, done = std::move(done)](BatchResult r) mutable {
          Branch* b = Find(id);
          Callback<FinishResult> also = std::move(b->rollback_done);
          Remove(b, r.ok());
          done({FinishState::kDone, ""});
          if (also) also({FinishState::kDone, ""});
        });
  }
};

}  // namespace concordat::participant::database::fake

#endif  // TESTS_UNIT_DATABASE_FAKE_DATABASE_H_
