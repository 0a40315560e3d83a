// Branches that have not voted, at a database with a two-phase commit of its own: each
// has a transaction on a connection of its own. What the databases have in common; the
// rest is in the classes that derive from it
// (participant/resources/postgresql/branch_work.h,
// participant/resources/mariadb/branch_work.h).
//
//   idle ──Execute──> waiting ──connection──> running ──answer──> idle
//    │ │                 │                      │
//    │ │                 │                      └─Rollback──> canceling ──the call's
//    │ │                 │                          answer and the cancel's: roll back
//    │ │                 │                          (prepared: the settler's; lost and
//    │ │                 │                          may be prepared: uncertain)
//    │ └─Rollback────────┴─────────────────────────────────────────────────────> over
//    │
//    ├─Prepare───────> ending ──the database's prepare──> the settler's
//    ├─CommitOnePhase─> ending ──its commit─────────────> over
//    │                    │
//    │                    └─answer lost──> uncertain ──the old session is gone, and what
//    │                                                 it left was read──> over
//    └─(a statement ended the branch: conflict, lost connection)──> over
//
// A branch without a transaction (nothing was executed yet, or the first call failed and
// was undone) has no connection. For the loop's thread.
//
// Database says which types are meant:
//
//   struct Database {
//     using Connection = …;   // with Run, Close, alive, backend
//     using BatchResult = …;  // with lost, ok, Error, results
//     using Statement = …;  using Backend = …;  using Settler = …;
//     using Counters = …;   // with lost_ends
//     using Options = …;    // with max_result_bytes
//     static constexpr char kPrepare[] = "XA PREPARE", kCommit[] = "XA COMMIT";
//     static std::string NameOf(const Backend&);                     // for the log
//     // One statement's result; adds its size to `bytes`.
//     static void ToWire(const BatchResult&, size_t index, wire::SqlResult*,
//                        uint64_t* bytes);
//   };
#ifndef PARTICIPANT_RESOURCES_DATABASE_BRANCH_WORK_H_
#define PARTICIPANT_RESOURCES_DATABASE_BRANCH_WORK_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/database/pool.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::database {

[[nodiscard]] inline wire::ExecuteReply MakeReply(wire::Code::type code,
                                                  std::string message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  if (!message.empty()) reply.result.__set_message(std::move(message));
  return reply;
}

// For a callback that is wanted in more than one place.
template <class T>
[[nodiscard]] std::shared_ptr<Callback<T>> Shared(Callback<T> done) {
  return std::make_shared<Callback<T>>(std::move(done));
}

inline constexpr char kLostBefore[] =
    "the connection was lost before, and the database has rolled the branch back";
inline constexpr char kLostAtItsEnd[] =
    "the branch was lost while it was ending, and the database has rolled it back";
inline constexpr char kNotThere[] = "the branch is not there";

// A vote that is no vote for the commit, of a branch that was to commit in one phase.
[[nodiscard]] inline OnePhase AsOnePhase(Vote refusal) {
  if (refusal == Vote::kConflict) return OnePhase::kConflict;
  return refusal == Vote::kLost ? OnePhase::kLost : OnePhase::kRefused;
}

template <class Database>
class BranchWork {
 public:
  using Connection = typename Database::Connection;
  using ConnectionPtr = std::shared_ptr<Connection>;
  using Pool = database::Pool<Connection>;
  using BatchResult = typename Database::BatchResult;
  using Statement = typename Database::Statement;
  using Settler = typename Database::Settler;
  using Options = typename Database::Options;
  using Counters = typename Database::Counters;

  // `count` is the number of branches that Start has admitted; it goes down here.
  BranchWork(const Options* options, ClusterId cluster, Pool* pool, Settler* settler,
             std::atomic<uint32_t>* count, Counters* counters)
      : options_(*options),
        cluster_(cluster),
        pool_(pool),
        settler_(settler),
        count_(count),
        counters_(counters) {}
  virtual ~BranchWork() = default;
  BranchWork(const BranchWork&) = delete;
  BranchWork& operator=(const BranchWork&) = delete;

  // `begin_sql` goes before the first statement.
  void Start(const BranchId& branch, std::string begin_sql);
  // BRANCH_GONE when it is not here.
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done);
  // kRefused when it is not here.
  virtual void Prepare(const BranchId& branch, Callback<PrepareResult> done) = 0;
  virtual void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) = 0;
  // The branch is not prepared, and is, or may be, here.
  void Rollback(const BranchId& branch, Callback<FinishResult> done);
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  [[nodiscard]] bool Has(const BranchId& branch) const {
    return branches_.contains(branch);
  }
  // Finds out about branches whose commit in one phase was not answered, and lets them
  // go. Their clients may never ask again (scenario 98). Called every few seconds.
  void ResolveForgotten();
  void CloseAll();

 protected:
  // A call, once it has been found good.
  struct Call {
    std::vector<Statement> statements;
    bool writes = false;
    bool may_write = false;
    bool taints = false;  // the session is not fit for others afterwards
    bool last = false;    // it may prepare the branch
  };

  // What a call has returned so far, when its rows are taken in while they arrive.
  struct Rows {
    std::vector<wire::SqlResult> results;
    uint64_t bytes = 0;
    uint64_t values = 0;
    bool too_many = false;  // the call is being interrupted, and will be undone
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
    ConnectionPtr connection;  // held while a transaction is open, and to open one
    bool open = false;         // a transaction is
    bool savepoint = false;    // and has a savepoint, from before the last call
    bool written = false;      // it has, or must be taken to have, written
    bool may_write = false;    // it may have
    bool tainted = false;      // the session is not fit for others

    // The call under way.
    Call call;
    Timestamp sent;         // when it was
    bool opens = false;     // it began the transaction
    size_t first = 0;       // its first statement's place in the batch
    bool asks = false;      // the batch has a question in it whether anything was written
    size_t prepare_at = 0;  // where the statements of Prepare begin in it; 0: without
    Rows rows;
    Callback<wire::ExecuteReply> execute_done;
    // A Rollback that came while it ran (kCanceling), or while its end is being rolled
    // back. The former goes on when both have come, in any order: the answer to the call,
    // and that to the cancel request, which cannot reach the session any more then.
    Callback<FinishResult> rollback_done;
    CallEnd call_end = CallEnd::kNotYet;
    std::string why_lost;
    bool cancel_ended = false;
    bool rolling_back = false;  // that is under way

    bool alone = false;                  // commit in one phase was sent
    bool resolving = false;              // what became of it is being found out
    typename Database::Backend suspect;  // of an uncertain branch
  };

  // --- what each database does in its own way

  // INVALID_ARGUMENT: the work cannot be done here; fills `call` else.
  [[nodiscard]] virtual absl::Status Check(const wire::ExecuteRequest& request,
                                           Call* call) const = 0;
  // The statements of the call, with all that goes around them. A branch that may have
  // written nothing is never prepared by its call: it keeps its locks, and votes when it
  // is asked.
  [[nodiscard]] virtual std::vector<Statement> MakeBatch(Branch* branch) = 0;
  // The statements of Prepare, at the end of the call's batch, have done it.
  [[nodiscard]] virtual bool HasPrepared(const Branch& branch,
                                         const BatchResult& r) const = 0;
  // They have failed, and may have done it all the same.
  [[nodiscard]] virtual bool MayHavePrepared(const Branch& /*branch*/,
                                             const BatchResult& /*r*/) const {
    return false;
  }
  // Runs the batch; OnCall is told its result, once.
  virtual void SendCall(Branch* branch, std::vector<Statement> batch) {
    branch->connection->Run(std::move(batch), [this, id = branch->id](BatchResult r) {
      OnCall(id, std::move(r));
    });
  }
  virtual void OnCallDone(Branch* branch, const BatchResult& r) = 0;
  virtual void OnCallPrepared(Branch* branch, const BatchResult& r) = 0;
  virtual void OnCallFailed(Branch* branch, const BatchResult& r) = 0;
  [[nodiscard]] virtual std::vector<Statement> UndoStatements(const Branch& branch) = 0;
  // No transaction is open after the batch.
  [[nodiscard]] virtual bool IsIdle(const BatchResult& r) const = 0;
  [[nodiscard]] virtual bool IsSpent(const Connection& /*connection*/) const {
    return false;
  }
  // The session goes to another branch: nothing of this one may stay in it.
  virtual void ResetSession(Connection* /*connection*/) {}
  // The branch is prepared: out of here.
  virtual void HandToSettler(Branch* branch, bool clean) = 0;
  virtual void RollBackNow(Branch* branch, Callback<FinishResult> done) = 0;
  // A branch that was to commit in one phase (`alone`) is found prepared. For a database
  // that prepares on the way to such a commit.
  virtual void OnPreparedAlone(const BranchId& /*id*/, Callback<Evidence> done) {
    done(Evidence::kPrepared);
  }

  // --- what they share

  [[nodiscard]] Branch* Find(const BranchId& id);
  // Takes the branch out; its connection goes back to the pool, if it may be used again.
  void Remove(Branch* branch, bool clean);
  void GiveBack(Branch* branch, bool clean);

  // branch_calls.h
  void OnCall(const BranchId& id, BatchResult r);
  [[nodiscard]] bool Collect(const Branch& branch, const BatchResult& r,
                             wire::ExecuteReply* reply) const;
  [[nodiscard]] std::string TooManyRows() const;
  void UndoCall(Branch* branch, wire::Code::type code, std::string message);
  void EndWith(Branch* branch, wire::Code::type code, std::string message);
  void Answer(Branch* branch, wire::Code::type code, std::string message);

  // branch_ends.h
  // CommitOnePhase, of a branch that has written nothing.
  [[nodiscard]] static Callback<PrepareResult> AsReadOnly(Callback<OnePhaseResult> done);
  void BecomeUncertain(Branch* branch, const std::string& why);
  void ResolvePrepare(const BranchId& id, Callback<PrepareResult> done);
  void ResolveOnePhase(const BranchId& id, Callback<OnePhaseResult> done);

  const Options& options_;
  const ClusterId cluster_;
  Pool* const pool_;
  Settler* const settler_;
  std::atomic<uint32_t>* const count_;
  Counters* const counters_;
  absl::flat_hash_map<BranchId, std::unique_ptr<Branch>> branches_;

 private:
  void OnConnection(const BranchId& id, absl::StatusOr<ConnectionPtr> connection);
  void RunCall(Branch* branch);
  void OnCanceledCall(Branch* branch, const BatchResult& r);
  void OnCallLost(Branch* branch, const BatchResult& r);
  // Takes the branch out unless the answer is kUnknown.
  void Resolve(const BranchId& id, Callback<Evidence> done);
  void CancelAndRollBack(Branch* branch, Callback<FinishResult> done);
  void OnCancelEnded(const BranchId& id, bool sent);
  void RollBackCanceled(Branch* branch);
  void RollBackUncertain(const BranchId& id, Callback<FinishResult> done);
};

template <class Database>
void BranchWork<Database>::Start(const BranchId& id, std::string begin_sql) {
  auto branch = std::make_unique<Branch>();
  branch->id = id;
  branch->begin_sql = std::move(begin_sql);
  branches_.emplace(id, std::move(branch));
}

template <class Database>
auto BranchWork<Database>::Find(const BranchId& id) -> Branch* {
  const auto it = branches_.find(id);
  return it == branches_.end() ? nullptr : it->second.get();
}

template <class Database>
void BranchWork<Database>::GiveBack(Branch* branch, bool clean) {
  branch->open = false;
  branch->savepoint = false;
  if (branch->connection == nullptr) return;
  const ConnectionPtr connection = std::exchange(branch->connection, nullptr);
  if (!connection->alive() && branch->phase != Phase::kUncertain) {
    settler_->Abandon(connection->backend());
  }
  if (!clean || branch->tainted || IsSpent(*connection)) {
    connection->Close("it is not used again");
  }
  if (connection->alive()) ResetSession(connection.get());
  branch->tainted = false;
  pool_->Release(connection);
}

template <class Database>
void BranchWork<Database>::Remove(Branch* branch, bool clean) {
  const std::unique_ptr<Branch> out = std::move(branches_.at(branch->id));
  branches_.erase(out->id);
  count_->fetch_sub(1, std::memory_order_relaxed);
  GiveBack(out.get(), clean);
}

// What still runs is called back by the pool, which closes its connections.
template <class Database>
void BranchWork<Database>::CloseAll() {
  std::vector<BranchId> idle;
  for (const auto& [id, branch] : branches_) {
    if (branch->phase == Phase::kIdle) idle.push_back(id);
  }
  for (const BranchId& id : idle) Remove(Find(id), /*clean=*/false);
}

}  // namespace concordat::participant::database

#include "participant/resources/database/branch_calls.h"  // IWYU pragma: export
#include "participant/resources/database/branch_ends.h"   // IWYU pragma: export

#endif  // PARTICIPANT_RESOURCES_DATABASE_BRANCH_WORK_H_
