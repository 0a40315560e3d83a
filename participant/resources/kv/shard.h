// The KV shard without threads and files: branches, locks, rows and evidence. It appends
// to a log and is told when records are durable.
//
//   shard.Execute(branch, request, callback);
//   shard.TakeCompletions().Run();    // runs the callbacks that are due
//   shard.OnDurable(lsn);             // the log has flushed up to lsn
//   shard.TakeCompletions().Run();
//
// The states of a branch:
//
//   active --Prepare--> preparing --durable--> prepared --Commit, Rollback--> over
//     |  \-- wounded (by an older branch; its next call gets CONFLICT)
//     +--CommitOnePhase--> committing alone --durable--> over
//
// Isolation: strict two-phase locking, serializable. GET takes shared locks, RANGE takes
// range locks, and every verb that may write takes exclusive locks. Shared and range
// locks are released when the branch is asked to prepare or to commit in one phase,
// because all work of the transaction has ended by then. Exclusive locks are released
// when the branch ends.
//
// A two-phase commit is visible, and its locks are free, as soon as its record is in the
// log's queue: the decision is durable at the coordinators, so what other branches read
// cannot be lost any more, and what they write comes later in the log. A one-phase commit
// is decided only by its own record, so it is visible when that record is durable.
#ifndef PARTICIPANT_RESOURCES_KV_SHARD_H_
#define PARTICIPANT_RESOURCES_KV_SHARD_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"
#include "coordinator/base/xid.h"
#include "participant/resources/kv/checkpoint.h"
#include "participant/resources/kv/counted_log.h"
#include "participant/resources/kv/evidence_table.h"
#include "participant/resources/kv/lock_manager.h"
#include "participant/resources/kv/operations.h"
#include "participant/resources/kv/store.h"
#include "participant/sdk/resource_manager.h"
#include "wal/log.h"

namespace concordat::participant::kv {

struct ShardOptions {
  OperationLimits operations;
  // How many bytes of keys and values one branch may write: they go into one log record.
  size_t max_branch_bytes = 4u << 20;
  // How many keys and ranges one branch may lock, by reads too. Locks take memory, and
  // Prepare releases those of reads one by one.
  size_t max_branch_locks = 100'000;
};

// Callbacks that are due. They must run without the shard's mutex, because they may call
// the shard.
class Completions {
 public:
  template <class T>
  void Add(Callback<T> callback, T result) {
    std::get<std::vector<Done<T>>>(done_).push_back(
        {std::move(callback), std::move(result)});
  }
  void Run() {
    std::apply([](auto&... lists) { (RunList(&lists), ...); }, done_);
  }

 private:
  template <class T>
  struct Done {
    Callback<T> callback;
    T result;
  };
  template <class T>
  static void RunList(std::vector<Done<T>>* list) {
    for (Done<T>& done : *list) done.callback(std::move(done.result));
    list->clear();
  }
  std::tuple<std::vector<Done<wire::ExecuteReply>>, std::vector<Done<PrepareResult>>,
             std::vector<Done<FinishResult>>, std::vector<Done<OnePhaseResult>>>
      done_;
};

// Counters of the present state.
struct ShardStats {
  size_t rows = 0;
  size_t branches = 0;
  size_t prepared = 0;     // branches in doubt
  size_t locked_keys = 0;  // locked or waited for
  size_t waiting = 0;      // branches that wait for a lock
  size_t evidence = 0;     // committed branches that are remembered
};

// Not thread-safe. Its functions are those of ResourceManager, with the same promises.
class Shard {
 public:
  explicit Shard(ShardOptions options) : options_(options) {}
  ~Shard();

  // --- recovery: these are called in this order ---
  void Load(CheckpointState state);
  // Called with the records in order, from the checkpoint's start on. DATA_LOSS: the log
  // contradicts itself.
  [[nodiscard]] absl::Status Replay(wal::Lsn lsn, uint8_t type, std::string_view payload);
  // Takes the locks of the branches in doubt, and returns these branches.
  [[nodiscard]] std::vector<BranchId> FinishRecovery(CountedLog* log);

  // --- work ---
  [[nodiscard]] absl::Status Start(const BranchId& branch, const StartOptions& options);
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
               Callback<wire::ExecuteReply> done);
  void Prepare(const BranchId& branch, Callback<PrepareResult> done);
  void Commit(const BranchId& branch, Callback<FinishResult> done);
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done);
  void Rollback(const BranchId& branch, Callback<FinishResult> done);
  [[nodiscard]] Evidence LookUp(const BranchId& branch) const;
  void ForgetBelow(const Gtid& watermark) { evidence_.ForgetBelow(watermark); }
  // Rolls back every branch that has not voted.
  void RollBackActive();

  // Says that all records up to and including this one are durable.
  void OnDurable(wal::Lsn lsn);
  [[nodiscard]] Completions TakeCompletions() {
    return std::exchange(completions_, Completions());
  }

  // --- for checkpoints ---
  // Copies the branches that are in doubt now, and those with a one-phase commit under
  // way.
  void CopyUndecided(std::vector<BranchWrites>* prepared,
                     std::vector<BranchWrites>* alone) const;
  [[nodiscard]] const Rows& rows() const { return rows_; }
  [[nodiscard]] const EvidenceTable& evidence() const { return evidence_; }

  [[nodiscard]] ShardStats Stats() const;

 private:
  enum class State : uint8_t {
    kActive,
    kWounded,
    kPreparing,
    kPrepared,
    kCommittingAlone,
  };
  // A call that is being executed.
  struct Work {
    // The caller's, valid until `done` runs.
    const wire::ExecuteRequest* request = nullptr;
    size_t next = 0;          // index of the operation to run next
    size_t bytes = 0;         // written by the call so far
    size_t answer_bytes = 0;  // of all pairs in `reply`
    size_t answer_pairs = 0;  // the number of pairs in `reply`
    wire::ExecuteReply reply;
    std::vector<Undo> undo;  // to revert the call when it fails
    Callback<wire::ExecuteReply> done;
  };
  struct Branch final : LockOwner {
    Branch(const BranchId& id, const Gtid& age, uint64_t order)
        : LockOwner(age, id.gtid, order), id(id) {}
    const BranchId id;
    State state = State::kActive;
    WriteSet writes;           // not committed yet
    size_t bytes = 0;          // written so far
    std::optional<Work> work;  // the call under way
    wal::Lsn record;           // of a one-phase commit
  };
  // A callback that waits until its record is durable.
  struct Pending {
    wal::Lsn lsn;    // of the record
    Branch* branch;  // for Prepare and CommitOnePhase; otherwise null
    std::variant<Callback<PrepareResult>, Callback<FinishResult>,
                 Callback<OnePhaseResult>>
        done;
  };

  [[nodiscard]] Branch* Find(const BranchId& id) const;
  Branch* Insert(const BranchId& id, const Gtid& age);
  // Releases its locks. The pointer is invalid afterwards.
  void Erase(Branch* branch);

  // --- calls (shard_work.cc) ---
  [[nodiscard]] OperationStatus CheckCall(const wire::ExecuteRequest& request) const;
  void Continue(Branch* branch);
  [[nodiscard]] LockResult Lock(Branch* branch, const wire::KvOperation& operation);
  static bool CountAnswer(Work* work);
  void FailCall(Branch* branch, OperationStatus status);
  void EndCall(Branch* branch);
  // Ends the call under way, if there is one, because the branch has ended.
  void AbandonCall(Branch* branch, wire::Code::type code, std::string_view why);
  void HandleLockEvents();
  void OnWounded(Branch* branch);

  // --- durability (shard.cc) ---
  void FinishPending(Pending* pending);

  const ShardOptions options_;
  CountedLog* log_ = nullptr;  // set by FinishRecovery
  Rows rows_;                  // the committed rows
  EvidenceTable evidence_;     // of committed branches
  LockManager locks_;
  uint64_t last_order_ = 0;  // distinguishes branches of one transaction
  absl::flat_hash_map<BranchKey, std::unique_ptr<Branch>> branches_;
  std::deque<Pending> pending_;  // ordered by lsn
  Completions completions_;      // see TakeCompletions
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_SHARD_H_
