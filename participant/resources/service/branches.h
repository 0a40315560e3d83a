// The branches of a service without threads and files: what was requested, what the
// user's functions have answered, and what must be called next.
//
//   branches.Commit(id, done);
//   Work work = branches.TakeWork();      // calls to make, callbacks that are due
//   branches.OnSettled(reservation, absl::OkStatus());
//
// The states of a branch:
//
//   active --Prepare--> preparing --durable--> prepared --Commit, Rollback--> settling
//     |  (Execute: a record "trying" is flushed, then Try is called)            | ^  |
//     |                                                          a call failed  | |  |
//     +--CommitOnePhase, one reservation-----------> settling <-----------------+-+  |
//     +--CommitOnePhase, several--> deciding --durable--> settling                   |
//     +--Rollback, Conflict, Failed----------------> settling --all done--> over <---+
//
// After a start, for the branches that are open in the log, once all their reservations
// have been looked up:
//
//   prepared, all confirmed             over: committed, its record was lost
//   prepared                            prepared: in doubt, listed by Recover
//   deciding                            settling: confirm; it was decided
//   trying, one reservation confirmed   over: committed in one phase, its record was lost
//   trying                              settling: cancel (presumed abort)
//
// "Settling" means for each reservation: Lookup, if a call may have been made and was not
// answered; then Confirm or Cancel, unless that is done already. If a call fails, wait,
// then Lookup again.
#ifndef PARTICIPANT_RESOURCES_SERVICE_BRANCHES_H_
#define PARTICIPANT_RESOURCES_SERVICE_BRANCHES_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "participant/resources/service/journal.h"
#include "participant/resources/service/records.h"
#include "participant/resources/service/service.h"
#include "participant/resources/service/stats.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::service {

struct BranchesOptions {
  size_t max_reservations = 100;  // of one branch
  size_t max_answer_bytes = kMaxAnswerBytes;
  // The pauses between attempts of a call that has failed: the first pause, and the
  // longest. Each pause is twice the one before.
  Duration first_retry = Duration::Millis(100);
  Duration max_retry = Duration::Seconds(10);
};

// A call of one of the user's functions.
struct ServiceCall {
  enum class Kind : uint8_t { kTry, kQuery, kConfirm, kCancel, kLookup };
  Kind kind = Kind::kLookup;
  Reservation reservation;
  std::string request;  // of kTry and kQuery
};

// Work to be done without the mutex.
struct Work {
  struct Retry {
    BranchKey branch;
    Duration delay;
  };
  std::vector<ServiceCall> calls;
  std::vector<Retry> retries;
  std::vector<Gtid> forget;  // watermarks for the user's store
  std::vector<absl::AnyInvocable<void()>> callbacks;
};

// Not thread-safe. Its functions are those of ResourceManager.
class Branches {
 public:
  Branches(Journal* journal, const Clock* clock, BranchesOptions options)
      : journal_(journal), clock_(clock), options_(options) {}
  ~Branches();

  // Takes over what the log has. `recovered` is called with the branches in doubt when
  // every reservation has been looked up.
  void Load(LogState state, Callback<absl::StatusOr<std::vector<BranchId>>> recovered);

  [[nodiscard]] absl::Status Start(const BranchId& branch);
  void Execute(const BranchId& branch, const wire::ExecuteRequest& request, bool query,
               Callback<wire::ExecuteReply> done);
  void Prepare(const BranchId& branch, Callback<PrepareResult> done);
  void Commit(const BranchId& branch, Callback<FinishResult> done);
  void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done);
  void Rollback(const BranchId& branch, Callback<FinishResult> done);
  [[nodiscard]] Evidence LookUp(const BranchId& branch) const;
  void ForgetBelow(const Gtid& watermark);
  // Cancels the active branches and repeats no call any more. The caller must then wait
  // until idle().
  void BeginClose();

  // --- results ---
  void OnDurable(wal::Lsn lsn);
  void OnTried(const Reservation& reservation, TryResult result);
  void OnQueried(const Reservation& reservation, QueryResult result);
  void OnSettled(const Reservation& reservation, const absl::Status& status);
  void OnLookedUp(const Reservation& reservation, const absl::StatusOr<State>& state);
  void OnRetry(const BranchKey& branch);

  [[nodiscard]] Work TakeWork() { return std::exchange(work_, Work()); }
  // True: no call runs, and nothing waits for the log.
  [[nodiscard]] bool idle() const { return calls_running_ == 0 && pending_.empty(); }

  // --- for checkpoints and operators ---
  [[nodiscard]] std::string EncodeAllOpen(uint64_t* count) const;
  [[nodiscard]] const EvidenceMap& evidence() const { return evidence_; }
  [[nodiscard]] ServiceStats Stats() const;

 private:
  enum class Phase : uint8_t {
    kLookingUp,
    kActive,
    kPreparing,
    kPrepared,
    kDeciding,
    kSettling,
    kOver,  // ended against the decision; kept until the watermark has passed it
  };
  enum class Goal : uint8_t { kNone, kConfirm, kCancel };
  enum class Fate : uint8_t {
    kHeld,     // tried, as far as is known
    kNothing,  // Try has reserved nothing
    kConfirmed,
    kCancelled,
    kMissing,  // the store has no trace of it
  };
  struct Item {
    uint64_t number = 0;  // of the Try within the branch, from 1
    Fate fate = Fate::kHeld;
    bool doubtful = false;  // a call was made whose result is not known
  };
  struct Branch {
    BranchId id;
    Phase phase = Phase::kActive;
    Logged logged = Logged::kNothing;  // the last record of it that is in the log
    Goal goal = Goal::kNone;           // how it ends; kNone: not decided
    bool calling = false;              // a call runs, or waits for its record
    bool recovered = false;            // read from the log at the start
    bool alone = false;                // it is to be committed in one phase
    int64_t last_call = 0;             // number of the last call of a client
    std::vector<Item> items;           // its reservations
    // Callbacks that wait.
    Callback<wire::ExecuteReply> execute;  // of the call of a client under way
    // For `execute`, when the branch is cancelled.
    std::optional<wire::ExecuteReply> cancel_reply;
    Callback<PrepareResult> prepare;
    Callback<OnePhaseResult> one_phase;
    std::vector<Callback<FinishResult>> finish;  // of Commit and Rollback
    // The present failure; all are unset while nothing fails.
    uint64_t attempts = 0;    // calls that have failed since one succeeded
    Timestamp failing_since;  // when the first of them failed
    Duration delay;
    bool retry_waits = false;  // a retry is scheduled
    std::string error;         // of the last failed call
    FinishResult verdict;      // of kOver: how it ended
  };
  struct Pending {
    enum class What : uint8_t { kTry, kVote, kDecision, kForget };
    wal::Lsn lsn;
    What what;  // what to do when the record is durable
    BranchKey branch;
    uint64_t number = 0;
    std::string request;
    Gtid watermark;
  };
  // How the reservations of a branch ended.
  struct Results {
    size_t confirmed = 0;
    size_t cancelled = 0;
    size_t missing = 0;
  };

  [[nodiscard]] Branch* Find(const BranchKey& key) const;
  [[nodiscard]] Item* FindItem(Branch* branch, uint64_t number) const;
  void Erase(Branch* branch);
  template <class T>
  void CallBack(Callback<T> callback, T result);
  void AnswerExecute(Branch* branch, wire::Code::type code, std::string why);
  void AnswerFinish(Branch* branch, const FinishResult& result);
  void Call(Branch* branch, ServiceCall::Kind kind, const Item& item);
  [[nodiscard]] static std::vector<uint64_t> HeldNumbers(const Branch& branch);

  // --- calls and votes (branches.cc) ---
  void BeginTry(Branch* branch, const std::string& request,
                Callback<wire::ExecuteReply> done);
  void RunTry(Branch* branch, Pending* pending);
  void EndVote(Branch* branch);
  // For a branch that is not active. Null: the branch is not there.
  [[nodiscard]] static PrepareResult VoteAgain(const Branch* branch);

  // --- settling (settling.cc) ---
  void BeginSettling(Branch* branch, Goal goal);
  void Settle(Branch* branch);
  void Fail(Branch* branch, std::string error);
  void FinishConfirmed(Branch* branch);
  void FinishCancelled(Branch* branch);
  void EndCommitted(Branch* branch, bool alone);
  void EndCancelled(Branch* branch);
  void EndHeuristically(Branch* branch, const Results& results);
  [[nodiscard]] static Results CountResults(const Branch& branch);
  // --- recovery (settling.cc) ---
  void LookUpItems(Branch* branch);
  void Classify(Branch* branch);
  void MaybeFinishRecovery();

  Journal* const journal_;
  const Clock* const clock_;
  const BranchesOptions options_;
  // Ordered, so that the order of calls does not differ from run to run.
  absl::btree_map<BranchKey, std::unique_ptr<Branch>> branches_;
  EvidenceMap evidence_;         // of committed branches
  std::deque<Pending> pending_;  // ordered by lsn
  Work work_;                    // see TakeWork
  size_t calls_running_ = 0;     // calls of the user's functions without an answer
  bool closing_ = false;         // BeginClose was called
  size_t looking_up_ = 0;        // branches whose reservations are being looked up
  // The callback of Load; null after it was called.
  Callback<absl::StatusOr<std::vector<BranchId>>> recovered_;
  BranchKey highest_started_;  // of one incarnation
  ServiceStats counts_;        // only the counters since the start
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_BRANCHES_H_
