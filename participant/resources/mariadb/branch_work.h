// Branches that have not voted, at MariaDB: see
// participant/resources/database/branch_work.h.
#ifndef PARTICIPANT_RESOURCES_MARIADB_BRANCH_WORK_H_
#define PARTICIPANT_RESOURCES_MARIADB_BRANCH_WORK_H_

#include <memory>
#include <string>
#include <vector>

#include "participant/resources/database/branch_work.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"
#include "participant/resources/mariadb/pool.h"
#include "participant/resources/mariadb/settler.h"
#include "participant/resources/mariadb/sql.h"

namespace concordat::participant::mariadb {

struct BranchTypes {
  using Connection = mariadb::Connection;
  using BatchResult = mariadb::BatchResult;
  using Statement = mariadb::Statement;
  using Backend = mariadb::Backend;
  using Settler = mariadb::Settler;
  using Counters = mariadb::Counters;
  using Options = MariadbOptions;
  static constexpr char kPrepare[] = "XA PREPARE";
  static constexpr char kCommit[] = "XA COMMIT";
  static std::string NameOf(const Backend& backend) { return backend.id; }
  static void ToWire(const BatchResult& r, size_t index, wire::SqlResult* result,
                     uint64_t* bytes);
};

// What is said of a branch that wrote to a table whose engine cannot roll back.
inline constexpr char kWroteForGood[] =
    "a statement wrote to a table whose engine cannot roll back, and that write stays; "
    "the branch is rolled back: ALTER TABLE … ENGINE=InnoDB";
[[nodiscard]] bool WroteForGood(const BatchResult& r);

class BranchWork final : public database::BranchWork<BranchTypes> {
 public:
  using database::BranchWork<BranchTypes>::BranchWork;

  void Prepare(const BranchId& branch, Callback<PrepareResult> done) override;
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) override;

 private:
  // As XA START takes it.
  [[nodiscard]] std::string XidOf(const Branch& branch) const {
    return XidSql(cluster_, branch.id);
  }

  // branch_work.cc
  [[nodiscard]] absl::Status Check(const wire::ExecuteRequest& request,
                                   Call* call) const override;
  [[nodiscard]] std::vector<Statement> MakeBatch(Branch* branch) override;
  void OnCallDone(Branch* branch, const BatchResult& r) override;
  void OnCallPrepared(Branch* branch, const BatchResult& r) override;
  void OnCallFailed(Branch* branch, const BatchResult& r) override;
  [[nodiscard]] std::vector<Statement> UndoStatements(const Branch& branch) override;

  // branch_end.cc
  [[nodiscard]] bool HasPrepared(const Branch& branch,
                                 const BatchResult& r) const override;
  [[nodiscard]] bool MayHavePrepared(const Branch& branch,
                                     const BatchResult& r) const override;
  [[nodiscard]] bool IsIdle(const BatchResult& r) const override {
    return !r.in_transaction;
  }
  void ResetSession(Connection* connection) override { connection->Recycle(); }
  void HandToSettler(Branch* branch, bool clean) override;
  void RollBackNow(Branch* branch, Callback<FinishResult> done) override;
  void OnPreparedAlone(const BranchId& id, Callback<Evidence> done) override;
  // The last one is kXaPrepare.
  [[nodiscard]] std::vector<Statement> PrepareStatements(const Branch& branch) const;
  static constexpr size_t kXaPrepare = 4;  // and XA COMMIT ONE PHASE in its place
  // Calls back whether the branch has written; false also when it is over by then.
  void AskWhetherWritten(const BranchId& id, Callback<bool> done);
  void CommitReadOnly(const BranchId& id, Callback<PrepareResult> done);
  void PrepareWritten(const BranchId& id, Callback<PrepareResult> done);
  void CommitWritten(const BranchId& id, Callback<OnePhaseResult> done);
  void OnPrepared(const BranchId& id,
                  const std::shared_ptr<Callback<PrepareResult>>& done, BatchResult r);
  void OnCommitted(const BranchId& id,
                   const std::shared_ptr<Callback<OnePhaseResult>>& done, BatchResult r);
  void OnRolledBack(const BranchId& id, bool clean, Callback<FinishResult> done);
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_BRANCH_WORK_H_
