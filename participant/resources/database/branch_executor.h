// Runs the branches that have not voted, at a database that has a two-phase commit
// itself. Each branch has a transaction in a session that no other branch uses.
//
//   idle ──Execute──> waiting ──session──> running ──answer──> idle
//    │ │                 │                   │
//    │ │                 │                   └─Rollback──> canceling ──the call's answer
//    │ │                 │                       and the cancel's: roll back (prepared:
//    │ │                 │                       the resolver's; lost and may be
//    │ │                 │                       prepared: uncertain)
//    │ └─Rollback────────┴─────────────────────────────────────────────────────> over
//    │
//    ├─Prepare────────> ending ──the database's prepare──> the resolver's
//    ├─CommitOnePhase─> ending ──its commit─────────────> over
//    │                    │
//    │                    └─answer lost──> uncertain ──the old session is gone, and what
//    │                                                 it left was read──> over
//    └─(a statement ended the branch: conflict, lost connection)──> over
//
// A branch without a transaction has no session: nothing was executed in it yet, or its
// first call failed and was undone. Used on the loop's thread only.
#ifndef PARTICIPANT_RESOURCES_DATABASE_BRANCH_EXECUTOR_H_
#define PARTICIPANT_RESOURCES_DATABASE_BRANCH_EXECUTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "participant/resources/database/dialect.h"
#include "participant/resources/database/in_doubt_resolver.h"
#include "participant/resources/database/pool.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::database {

class BranchExecutor {
 public:
  // `count` is the number of branches that the resource manager's Start has admitted. It
  // is decremented here when a branch is over. All pointers outlive this.
  BranchExecutor(const DatabaseOptions* options, const Dialect* dialect, Pool* pool,
                 InDoubtResolver* resolver, std::atomic<uint32_t>* count,
                 Counters* counters);
  BranchExecutor(const BranchExecutor&) = delete;
  BranchExecutor& operator=(const BranchExecutor&) = delete;

  // `begin_sql` is what Dialect::BeginSql returned.
  void Start(const BranchId& branch, std::string begin_sql);
  // BRANCH_GONE: the branch is not here.
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done);
  // kLost: the branch is not here.
  void Prepare(const BranchId& branch, Callback<PrepareResult> done);
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done);
  // For a branch that is not known to be prepared. It may be here or not.
  void Rollback(const BranchId& branch, Callback<FinishResult> done);
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  [[nodiscard]] bool Has(const BranchId& branch) const {
    return branches_.contains(branch);
  }
  // Finds out what became of branches whose commit in one phase was not answered, and
  // removes them. Their clients may never ask again (scenario 98). Called every few
  // seconds.
  void ResolveForgotten();
  // Removes all idle branches. The calls that still run are called back when the pool
  // closes their sessions.
  void CloseAll();

 private:
  // A call whose statements have been checked.
  struct Call {
    std::vector<Statement> statements;  // empty once they were moved into the batch
    size_t count = 0;                   // of the statements
    bool writes = false;                // one of them writes
    bool may_write = false;             // one of them may write
    bool last = false;                  // it may prepare the branch
  };

  enum class Phase : uint8_t {
    kIdle,
    kWaiting,
    kRunning,
    kCanceling,
    kEnding,
    kUncertain
  };
  // How a call ended that a Rollback has interrupted.
  enum class CallEnd : uint8_t { kNotYet, kOver, kPrepared, kLost };

  struct Branch {
    BranchId id;
    std::string begin_sql;  // begins its transaction
    Phase phase = Phase::kIdle;
    // Null while there is no transaction and none is being opened.
    SessionPtr session;
    bool open = false;       // the session has a transaction open
    bool savepoint = false;  // that has a savepoint from before the last call
    bool written = false;    // it has written, or counts as having written
    bool may_write = false;  // it may have written

    // --- The call under way.
    Call call;
    Timestamp sent;      // when its batch was sent
    bool opens = false;  // its batch begins the transaction
    size_t first = 0;    // the index of its first statement in the batch
    bool asks = false;   // its batch asks whether the branch has written
    // The indexes, in the batch, of the first statement of Prepare (0: the batch does not
    // prepare) and of the statement that prepares.
    size_t prepare_at = 0;
    size_t prepare_end = 0;
    std::shared_ptr<ClientRows> rows;
    Callback<wire::ExecuteReply> execute_done;  // null once it is called back

    // --- A Rollback that came while the call ran (kCanceling), or while its failed end
    // --- is being rolled back. The first case goes on when two answers have come, in any
    // --- order: that of the call, and that of the cancel request, which cannot reach the
    // --- session any more then.
    Callback<FinishResult> rollback_done;  // null: there is none
    CallEnd call_end = CallEnd::kNotYet;
    std::string why_lost;       // with CallEnd::kLost
    bool cancel_ended = false;  // the cancel request was answered, or has failed
    bool rolling_back = false;  // ROLLBACK was sent

    bool alone = false;      // its commit in one phase was sent
    bool resolving = false;  // it is being found out what became of it
    // Of an uncertain branch: the session that may still be ending it.
    SessionId suspect;
  };
  // The interruption of a call that returns too many rows. The call's result counts once
  // no cancel request can reach the session any more.
  struct Interruption {
    bool begun = false;                 // the cancel request was sent
    bool cancel_ended = false;          // it was answered, or has failed
    std::optional<BatchResult> result;  // of the call, once that has ended
  };

  // Null: it is not here.
  [[nodiscard]] Branch* Find(const BranchId& id);
  // Removes the branch. Its session goes back to the pool if it is `clean`: it may be
  // used again.
  void Remove(Branch* branch, bool clean);
  void GiveBack(Branch* branch, bool clean);

  // --- in branch_calls.cc
  [[nodiscard]] absl::Status Check(const wire::ExecuteRequest& request, Call* call) const;
  void OnSession(const BranchId& id, absl::StatusOr<SessionPtr> session);
  void RunCall(Branch* branch);
  [[nodiscard]] std::vector<Statement> MakeBatch(Branch* branch);
  void SendCall(Branch* branch, std::vector<Statement> batch);
  void Interrupt(const BranchId& id, const std::shared_ptr<Interruption>& interruption);
  void OnInterrupted(const BranchId& id,
                     const std::shared_ptr<Interruption>& interruption);
  void OnRowTooLarge(const BranchId& id, BatchResult r);
  void OnCall(const BranchId& id, const BatchResult& r);
  void OnCanceledCall(Branch* branch, const BatchResult& r);
  void OnCallLost(Branch* branch, const BatchResult& r);
  void OnCallFailed(Branch* branch, const BatchResult& r);
  void OnCallPrepared(Branch* branch, const BatchResult& r);
  void OnCallDone(Branch* branch, const BatchResult& r);
  [[nodiscard]] bool MayHavePrepared(const Branch& branch, const BatchResult& r) const;
  [[nodiscard]] bool RanForItsTime(const Branch& branch) const;
  [[nodiscard]] std::string TooManyRows() const;
  void UndoCall(Branch* branch, wire::Code::type code, std::string message);
  void EndWith(Branch* branch, wire::Code::type code, std::string message);
  void Answer(Branch* branch, wire::Code::type code, std::string message);

  // --- in branch_ends.cc
  // Calls back whether the branch has written. False also when the branch is over by
  // then.
  void AskWhetherWritten(const BranchId& id, Callback<bool> done);
  // `done` gets kReadOnly, or why the commit failed. A lost answer counts as a failure,
  // since there was nothing to commit.
  void CommitReadOnly(const BranchId& id, Callback<PrepareResult> done);
  void PrepareWritten(const BranchId& id, Callback<PrepareResult> done);
  void OnPrepared(const BranchId& id, size_t end, Callback<PrepareResult> done,
                  const BatchResult& r);
  void CommitWritten(const BranchId& id, Callback<OnePhaseResult> done);
  void OnCommitted(const BranchId& id, size_t end, Callback<OnePhaseResult> done,
                   const BatchResult& r);
  // Whether the statements may have ended the branch, although one of them failed.
  [[nodiscard]] bool MayHaveEnded(const BatchResult& r, size_t end) const;
  // The branch is prepared: hands it to the resolver.
  void HandOver(Branch* branch, bool clean);

  // --- in branch_lost.cc
  void BecomeUncertain(Branch* branch, const std::string& why);
  // Finds out what became of the branch, and removes it unless the answer is kUnknown.
  void Resolve(const BranchId& id, Callback<Evidence> done);
  void OnPreparedAlone(const BranchId& id, Callback<Evidence> done);
  void ResolvePrepare(const BranchId& id, Callback<PrepareResult> done);
  void ResolveOnePhase(const BranchId& id, Callback<OnePhaseResult> done);
  void CancelAndRollBack(Branch* branch, Callback<FinishResult> done);
  void OnCancelEnded(const BranchId& id, bool sent);
  void RollBackCanceled(Branch* branch);
  void RollBackUncertain(const BranchId& id, Callback<FinishResult> done);
  void RollBackNow(Branch* branch, Callback<FinishResult> done);
  void OnRolledBack(const BranchId& id, bool clean, Callback<FinishResult> done);

  // All of these outlive this.
  const DatabaseOptions& options_;
  const Dialect& dialect_;
  Pool* const pool_;                    // of the sessions for work
  InDoubtResolver* const resolver_;     // takes the branches that are prepared
  std::atomic<uint32_t>* const count_;  // see the constructor
  Counters* const counters_;
  absl::flat_hash_map<BranchId, std::unique_ptr<Branch>> branches_;
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_BRANCH_EXECUTOR_H_
