// Runs the branches that have not voted, at a database with a two-phase commit of its
// own: each has a transaction in a session of its own.
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
// A branch without a transaction (nothing was executed yet, or the first call failed and
// was undone) has no session. For the loop's thread.
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
  // `count` is the number of branches that Start has admitted; it goes down here.
  BranchExecutor(const DatabaseOptions* options, const Dialect* dialect, Pool* pool,
                 InDoubtResolver* resolver, std::atomic<uint32_t>* count,
                 Counters* counters);
  BranchExecutor(const BranchExecutor&) = delete;
  BranchExecutor& operator=(const BranchExecutor&) = delete;

  // `begin_sql` is what Dialect::BeginSql has given.
  void Start(const BranchId& branch, std::string begin_sql);
  // BRANCH_GONE when it is not here.
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done);
  // kLost when it is not here.
  void Prepare(const BranchId& branch, Callback<PrepareResult> done);
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done);
  // The branch is not prepared, and is, or may be, here.
  void Rollback(const BranchId& branch, Callback<FinishResult> done);
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  [[nodiscard]] bool Has(const BranchId& branch) const {
    return branches_.contains(branch);
  }
  // Finds out about branches whose commit in one phase was not answered, and lets them
  // go. Their clients may never ask again (scenario 98). Called every few seconds.
  void ResolveForgotten();
  // Lets all idle branches go. What still runs is called back by the pool, which closes
  // its sessions.
  void CloseAll();

 private:
  // A call, once it has been found good.
  struct Call {
    std::vector<Statement> statements;
    size_t count = 0;  // of them, also when they have gone into the batch
    bool writes = false;
    bool may_write = false;
    bool last = false;  // it may prepare the branch
  };

  enum class Phase : uint8_t {
    kIdle,
    kWaiting,
    kRunning,
    kCanceling,
    kEnding,
    kUncertain
  };
  // How the call ended that a Rollback has interrupted.
  enum class CallEnd : uint8_t { kNotYet, kOver, kPrepared, kLost };

  struct Branch {
    BranchId id;
    std::string begin_sql;
    Phase phase = Phase::kIdle;
    SessionPtr session;      // held while a transaction is open, and to open one
    bool open = false;       // a transaction is
    bool savepoint = false;  // and has a savepoint, from before the last call
    bool written = false;    // it has, or must be taken to have, written
    bool may_write = false;  // it may have

    // The call under way.
    Call call;
    Timestamp sent;      // when it was
    bool opens = false;  // it began the transaction
    size_t first = 0;    // its first statement's place in the batch
    bool asks = false;   // the batch has a question in it how much was written
    // Where the statements of Prepare begin in it (0: without), and the one that
    // prepares.
    size_t prepare_at = 0;
    size_t prepare_end = 0;
    std::shared_ptr<ClientRows> rows;
    Callback<wire::ExecuteReply> execute_done;
    // A Rollback that came while it ran (kCanceling), or while its end is being rolled
    // back. The former goes on when both have come, in any order: the answer to the call,
    // and that to the cancel request, which cannot reach the session any more then.
    Callback<FinishResult> rollback_done;
    CallEnd call_end = CallEnd::kNotYet;
    std::string why_lost;
    bool cancel_ended = false;
    bool rolling_back = false;  // that is under way

    bool alone = false;      // commit in one phase was sent
    bool resolving = false;  // what became of it is being found out
    SessionId suspect;       // of an uncertain branch: it may still be ending it
  };
  // The interruption of a call that returns too many rows: the call's result counts when
  // no cancel request can reach the session any more.
  struct Interruption {
    bool begun = false;
    bool cancel_ended = false;
    std::optional<BatchResult> result;
  };

  [[nodiscard]] Branch* Find(const BranchId& id);
  // Takes the branch out; its session goes back to the pool, if it may be used again.
  void Remove(Branch* branch, bool clean);
  void GiveBack(Branch* branch, bool clean);

  // branch_calls.cc
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

  // branch_ends.cc
  // Calls back whether the branch has written; false also when it is over by then.
  void AskWhetherWritten(const BranchId& id, Callback<bool> done);
  // `done` gets kReadOnly, or why it failed. When the answer is lost it counts as failed:
  // there was nothing to commit.
  void CommitReadOnly(const BranchId& id, Callback<PrepareResult> done);
  void PrepareWritten(const BranchId& id, Callback<PrepareResult> done);
  void OnPrepared(const BranchId& id, size_t end, Callback<PrepareResult> done,
                  const BatchResult& r);
  void CommitWritten(const BranchId& id, Callback<OnePhaseResult> done);
  void OnCommitted(const BranchId& id, size_t end, Callback<OnePhaseResult> done,
                   const BatchResult& r);
  // The statements of an end may have done it, though one of them has failed.
  [[nodiscard]] bool MayHaveEnded(const BatchResult& r, size_t end) const;
  // The branch is prepared: out of here.
  void HandOver(Branch* branch, bool clean);

  // branch_lost.cc
  void BecomeUncertain(Branch* branch, const std::string& why);
  // Takes the branch out unless the answer is kUnknown.
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

  const DatabaseOptions& options_;
  const Dialect& dialect_;
  Pool* const pool_;
  InDoubtResolver* const resolver_;
  std::atomic<uint32_t>* const count_;
  Counters* const counters_;
  absl::flat_hash_map<BranchId, std::unique_ptr<Branch>> branches_;
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_BRANCH_EXECUTOR_H_
