// Branches that have not voted: each has a transaction on a connection of its own.
//
//   idle ──Execute──> waiting ──connection──> running ──answer──> idle
//    │ │                 │                      │ Rollback: KILL QUERY, XA ROLLBACK
//    │ └─Rollback────────┴──────────────────────┴──────> over
//    │
//    ├─Prepare───────> ending ──XA PREPARE──> the settler's, with the connection
//    ├─CommitOnePhase─> ending ──XA COMMIT ONE PHASE──> over
//    │                    │
//    │                    └─connection lost, or the server failed in just this
//    │                      statement──> uncertain ──the old session is gone, and what it
//    │                                               left was read──> over
//    └─(a statement ended the branch: conflict, lost connection)──> over
//
// A branch without a transaction (nothing was executed yet, or the first call failed and
// was undone) has no connection. For the loop's thread.
#ifndef PARTICIPANT_MARIADB_BRANCH_WORK_H_
#define PARTICIPANT_MARIADB_BRANCH_WORK_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "participant/mariadb/mariadb_resource_manager.h"
#include "participant/mariadb/pool.h"
#include "participant/mariadb/settler.h"
#include "participant/mariadb/sql.h"

namespace concordat::participant::mariadb {

class BranchWork {
 public:
  // `count` is the number of branches that Start has admitted; it goes down here.
  BranchWork(const MariadbOptions* options, ClusterId cluster, Pool* pool,
             Settler* settler, std::atomic<uint32_t>* count, Counters* counters);
  ~BranchWork();
  BranchWork(const BranchWork&) = delete;
  BranchWork& operator=(const BranchWork&) = delete;

  void Start(const BranchId& branch, std::string isolation_sql);
  // BRANCH_GONE when it is not here.
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done);
  // kRefused when it is not here.
  void Prepare(const BranchId& branch, Callback<PrepareResult> done);
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done);
  // The branch is not prepared, and is, or may be, here.
  void Rollback(const BranchId& branch, Callback<FinishResult> done);
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  [[nodiscard]] bool Has(const BranchId& branch) const {
    return branches_.contains(branch);
  }
  void CloseAll();

 private:
  struct Branch;
  struct Call;
  Branch* Find(const BranchId& id);
  // Takes the branch out; its connection goes back to the pool, if it may be used again.
  void Remove(Branch* branch, bool clean);
  void GiveBack(Branch* branch, bool clean);

  // Execute
  [[nodiscard]] absl::Status Check(const wire::ExecuteRequest& request, Call* call) const;
  void OnConnection(const BranchId& id, absl::StatusOr<ConnectionPtr> connection);
  void RunCall(Branch* branch);
  void OnCall(const BranchId& id, BatchResult r);
  [[nodiscard]] static bool MayHavePrepared(const Branch& branch, const BatchResult& r);
  void OnCallAfterRollback(Branch* branch, const BatchResult& r);
  void OnCallLost(Branch* branch, const BatchResult& r);
  void OnCallDone(Branch* branch, const BatchResult& r);
  void OnCallPrepared(Branch* branch, const BatchResult& r);
  // Its connection goes to the settler, the branch out of here.
  void HandToSettler(Branch* branch);
  [[nodiscard]] std::string TooManyRows() const;
  [[nodiscard]] bool Collect(const Branch& branch, const BatchResult& r,
                             wire::ExecuteReply* reply) const;
  void OnCallFailed(Branch* branch, const BatchResult& r);
  void UndoCall(Branch* branch, wire::Code::type code, std::string message);
  void EndWith(Branch* branch, wire::Code::type code, std::string message);
  void Answer(Branch* branch, wire::Code::type code, std::string message);

  // Ends
  // Calls back whether the branch has written; false also when it is over by then.
  void AskWhetherWritten(const BranchId& id, Callback<bool> done);
  void CommitReadOnly(const BranchId& id, Callback<std::string> done);
  // The last one is kXaPrepare.
  [[nodiscard]] std::vector<Statement> PrepareStatements(const Branch& branch) const;
  static constexpr size_t kXaPrepare = 2;
  void PrepareWritten(const BranchId& id, Callback<PrepareResult> done);
  void CommitWritten(const BranchId& id, Callback<OnePhaseResult> done);
  void OnPrepared(const BranchId& id,
                  const std::shared_ptr<Callback<PrepareResult>>& done, BatchResult r);
  void OnCommitted(const BranchId& id,
                   const std::shared_ptr<Callback<OnePhaseResult>>& done, BatchResult r);
  void BecomeUncertain(Branch* branch, const std::string& why);
  void ResolvePrepare(const BranchId& id, Callback<PrepareResult> done);
  void ResolveOnePhase(const BranchId& id, Callback<OnePhaseResult> done);
  // Takes the branch out unless the answer is kUnknown.
  void Resolve(const BranchId& id, Callback<Evidence> done);
  void UndoAlone(const BranchId& id, Callback<Evidence> done);
  void CancelAndRollBack(Branch* branch, Callback<FinishResult> done);
  void RollBackCanceled(Branch* branch);
  void RollBackNow(Branch* branch, Callback<FinishResult> done);
  void OnRolledBack(const BranchId& id, bool clean, Callback<FinishResult> done);
  void RollBackUncertain(const BranchId& id, Callback<FinishResult> done);

  const MariadbOptions& options_;
  const ClusterId cluster_;
  Pool* const pool_;
  Settler* const settler_;
  std::atomic<uint32_t>* const count_;
  Counters* const counters_;
  absl::flat_hash_map<BranchId, std::unique_ptr<Branch>> branches_;
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_MARIADB_BRANCH_WORK_H_
