// Branches that have not voted, at PostgreSQL: see
// participant/resources/database/branch_work.h.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_BRANCH_WORK_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_BRANCH_WORK_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "participant/resources/database/branch_work.h"
#include "participant/resources/postgresql/pool.h"
#include "participant/resources/postgresql/postgresql_resource_manager.h"
#include "participant/resources/postgresql/settler.h"
#include "participant/resources/postgresql/sql.h"

namespace concordat::participant::postgresql {

struct BranchTypes {
  using Connection = postgresql::Connection;
  using BatchResult = postgresql::BatchResult;
  using Statement = postgresql::Statement;
  using Backend = postgresql::Backend;
  using Settler = postgresql::Settler;
  using Counters = postgresql::Counters;
  using Options = PostgresqlOptions;
  static constexpr char kPrepare[] = "PREPARE TRANSACTION";
  static constexpr char kCommit[] = "COMMIT";
  static std::string NameOf(const Backend& backend) { return backend.pid; }
};

class BranchWork final : public database::BranchWork<BranchTypes> {
 public:
  using database::BranchWork<BranchTypes>::BranchWork;

  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override;

 private:
  // branch_work.cc
  [[nodiscard]] absl::Status Check(const wire::ExecuteRequest& request,
                                   Call* call) const override;
  [[nodiscard]] std::vector<Statement> MakeBatch(Branch* branch) override;
  void SendCall(Branch* branch, std::vector<Statement> batch) override;
  void OnCallDone(Branch* branch, const BatchResult& r) override;
  void OnCallPrepared(Branch* branch, const BatchResult& r) override;
  void OnCallFailed(Branch* branch, const BatchResult& r) override;
  [[nodiscard]] bool RanForItsTime(const Branch& branch) const;
  [[nodiscard]] std::vector<Statement> UndoStatements(const Branch& branch) override;
  [[nodiscard]] bool IsSpent(const Connection& connection) const override {
    return connection.plans_stale();
  }
  void ResetSession(Connection* connection) override { connection->Reset(); }

  // The rows of a call, and the interruption of one that returns too many: its result
  // counts when no cancel request can reach the session any more.
  struct Interruption {
    bool begun = false;
    bool cancel_ended = false;
    std::optional<BatchResult> result;
  };
  [[nodiscard]] bool AddRow(const BranchId& id, size_t statement, const PGresult* row,
                            const std::shared_ptr<Interruption>& interruption);
  void OnInterrupted(const BranchId& id,
                     const std::shared_ptr<Interruption>& interruption);
  void OnRowTooLarge(const BranchId& id, BatchResult r);
  [[nodiscard]] std::vector<wire::SqlResult> TakeRows(Branch* branch,
                                                      const BatchResult& r);

  // branch_end.cc
  [[nodiscard]] bool HasPrepared(const Branch& branch,
                                 const BatchResult& r) const override;
  [[nodiscard]] bool IsIdle(const BatchResult& r) const override {
    return r.transaction == PQTRANS_IDLE;
  }
  void HandToSettler(Branch* branch, bool clean) override;
  // `r` ends with the statements of Prepare, which have done it. The session serves on
  // when they say that nothing of the branch is left in it.
  void OnPreparedHere(Branch* branch, const BatchResult& r);
  void RollBackNow(Branch* branch, Callback<FinishResult> done) override;
  [[nodiscard]] std::vector<Statement> PrepareStatements(const BranchId& id) const;
  void CommitReadOnly(Branch* branch, Callback<PrepareResult> done);
  void OnPrepared(const BranchId& id,
                  const std::shared_ptr<Callback<PrepareResult>>& done, BatchResult r);
  void OnCommitted(const BranchId& id,
                   const std::shared_ptr<Callback<OnePhaseResult>>& done, BatchResult r);
};

// Why the statements of an end have not done it.
[[nodiscard]] std::string WhyNotEnded(const BatchResult& r);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_BRANCH_WORK_H_
