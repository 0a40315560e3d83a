// The KV shard without threads and files: branches, locks, rows and evidence, over a
// log that it appends to and is told about.
//
//   shard.Execute(branch, request, callback);
//   shard.TakeCompletions().Run();    // what can be called back by now
//   shard.OnDurable(lsn);             // the log has flushed up to there
//   shard.TakeCompletions().Run();
//
// A branch:
//
//   active --Prepare--> preparing --durable--> prepared --Commit, Rollback--> over
//     |  \-- wounded (by an older one; told so at its next call)
//     +--CommitOnePhase--> committing alone --durable--> over
//
// Isolation: strict two-phase locking, serializable. GET takes shared locks, RANGE range
// locks, everything that may write exclusive ones; shared and range locks are let go
// when the branch is asked to prepare (all work of the transaction is over by then),
// exclusive ones when it ends.
//
// A two-phase commit is visible, and its locks are free, as soon as its record is in the
// log's queue: the decision is durable at the coordinators, so what others read can no
// longer go away, and whatever they write stands behind it in the log. A one-phase
// commit is decided by its own record only: visible when that is durable.
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
#include "participant/resources/kv/evidence.h"
#include "participant/resources/kv/lock_manager.h"
#include "participant/resources/kv/operations.h"
#include "participant/resources/kv/store.h"
#include "participant/sdk/resource_manager.h"
#include "wal/log.h"

namespace concordat::participant::kv {

struct ShardOptions {
  OperationLimits operations;
  // Keys and values that one branch may write together: they go into one log record.
  size_t max_branch_bytes = 4u << 20;
  // Keys and ranges that one branch may lock, by reading too. They take memory, and
  // Prepare lets those go that were only read.
  size_t max_branch_locks = 100'000;
};

// The log as the shard uses it; see wal/log_writer.h.
class ShardLog {
 public:
  virtual ~ShardLog() = default;
  [[nodiscard]] virtual absl::StatusOr<wal::Lsn> Append(uint8_t type,
                                                        std::string_view payload,
                                                        wal::Reserve use) = 0;
  [[nodiscard]] virtual bool HasSpace() const = 0;  // for new work
};

// Callbacks that are due. They must run without the shard's mutex: they may call back
// into it.
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

struct ShardStats {
  size_t rows = 0;
  size_t branches = 0;
  size_t prepared = 0;
  size_t locked_keys = 0;
  size_t waiting = 0;
  size_t evidence = 0;
};

// Not thread-safe. The calls are those of ResourceManager, with its promises.
class Shard {
 public:
  explicit Shard(ShardOptions options) : options_(options) {}
  ~Shard();

  // --- recovery, in this order ---
  void Load(CheckpointState state);
  // Records in order, from the checkpoint's start on. DATA_LOSS: the log contradicts
  // itself.
  [[nodiscard]] absl::Status Replay(wal::Lsn lsn, uint8_t type, std::string_view payload);
  // Takes the locks of what is in doubt, and lists it.
  [[nodiscard]] std::vector<BranchId> FinishRecovery(ShardLog* log);

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
  // All that has not voted.
  void RollBackActive();

  // Everything up to and including this record is durable.
  void OnDurable(wal::Lsn lsn);
  [[nodiscard]] Completions TakeCompletions() {
    return std::exchange(completions_, Completions());
  }

  // --- for checkpoints ---
  // What is in doubt, and what is being committed in one phase, now.
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
  // A call that is being carried out.
  struct Work {
    const wire::ExecuteRequest* request = nullptr;
    size_t next = 0;
    size_t bytes = 0;  // that it writes
    size_t answer_bytes = 0;
    size_t answer_pairs = 0;
    wire::ExecuteReply reply;
    std::vector<Undo> undo;
    Callback<wire::ExecuteReply> done;
  };
  struct Branch final : LockOwner {
    Branch(const BranchId& id, const Gtid& age, uint64_t order)
        : LockOwner(age, id.gtid, order), id(id) {}
    const BranchId id;
    State state = State::kActive;
    WriteSet writes;
    size_t bytes = 0;
    std::optional<Work> work;
    wal::Lsn record;  // of a one-phase commit
  };
  // Waits for its record.
  struct Pending {
    wal::Lsn lsn;
    Branch* branch;  // of Prepare and CommitOnePhase
    std::variant<Callback<PrepareResult>, Callback<FinishResult>,
                 Callback<OnePhaseResult>>
        done;
  };

  [[nodiscard]] Branch* Find(const BranchId& id) const;
  Branch* Insert(const BranchId& id, const Gtid& age);
  // Lets go of its locks; the pointer is void then.
  void Erase(Branch* branch);

  // shard_work.cc
  [[nodiscard]] OperationStatus CheckCall(const wire::ExecuteRequest& request) const;
  void Continue(Branch* branch);
  [[nodiscard]] LockResult Lock(Branch* branch, const wire::KvOperation& operation);
  static bool CountAnswer(Work* work);
  void FailCall(Branch* branch, OperationStatus status);
  void EndCall(Branch* branch);
  // Ends the call, if one runs, because the branch is over.
  void AbandonCall(Branch* branch, wire::Code::type code, std::string_view why);
  void HandleLockNews();
  void OnWounded(Branch* branch);

  // shard.cc
  void FinishPending(Pending* pending);

  const ShardOptions options_;
  ShardLog* log_ = nullptr;
  Rows rows_;
  EvidenceTable evidence_;
  LockManager locks_;
  uint64_t last_order_ = 0;
  absl::flat_hash_map<BranchKey, std::unique_ptr<Branch>> branches_;
  std::deque<Pending> pending_;  // by lsn
  Completions completions_;
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_SHARD_H_
