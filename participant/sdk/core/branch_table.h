// The branches of one resource, as a pure state machine: no clock, no I/O, no threads, no
// callbacks. The participant feeds it requests, the results of the resource manager,
// answers to inquiries and the time, and executes what TakeOutput returns.
//
//   BranchTable table("bank-a", incarnation, options);
//   table.Recovered({...}, now);                  // from the resource manager
//   StartResult s = table.Start(gtid, Duration(), now);
//   table.Prepare(s.branch, token, now);
//   for (const Command& c : table.TakeOutput().commands) { … }   // kPrepare
//   table.OnPrepared(s.branch, {Vote::kPrepared, ""}, now);
//   for (const auto& a : table.TakeOutput().answers) { … }   // the vote, for the token
//
// The states of a branch:
//
//   Start --> active --Prepare--> preparing --kPrepared--> prepared <-- Recovered
//               |  ^                 |  |                   |    |
//               |  +--kUnavailable---+  |kReadOnly     Commit    Rollback
//               |                       |kRefused           |    |
//               |                       v                   v    v
//               |                      over          committing  rolling back
//               |                       ^                   |    |  (kRetry: prepared)
//               +--CommitOnePhase--> committing alone --+   v    v
//               +--Rollback, idle--> rolling back ------+-> over
//
//   (not there) --any request--> looking up --evidence--> answered; or prepared
//
// The rules, with the section of the design and the scenario that each comes from:
//   - Until Recovered is called, every request is answered UNAVAILABLE or RETRY, and no
//     PREPARE is refused (section 4.3; 68).
//   - A branch votes once. Another PREPARE joins a running prepare or repeats the vote
//     (14, 15, 70). ROLLBACK during a running prepare waits for its end, and the prepare
//     is then answered LOST; so is a PREPARE after a ROLLBACK (13).
//   - A call may prepare the branch in the same step (an unsolicited vote). The caller
//     must bring this vote to the coordinator. The branch does not inquire until the
//     caller may have given it up; then it is in doubt like any other. While such a call
//     runs, its caller may not give the branch up, since the vote may be on its way.
//   - A PREPARE while an Execute still runs is REFUSED, and the branch is rolled back:
//     the caller wants to commit work whose result it does not know (XAER_PROTO).
//   - PREPARE of a missing branch looks up its evidence. None: LOST (23). Committed long
//     ago: REFUSED (61). Committed in one phase: COMMITTED_ALONE (74).
//   - COMMIT of a branch that never voted is a protocol error: not done, reported.
//   - COMMIT of a missing branch with evidence: DONE (16, 25). Without evidence:
//       remembered as read-only, or below the watermark       DONE
//       of this incarnation, so this table has rolled it back HEURISTIC_ROLLBACK, alarm
//       of this incarnation, but its number was never used    protocol error
//       of an earlier incarnation: a READ_ONLY vote of it leaves no trace, and a
//         new leader tells all branches (4.6: "not there is acknowledged")   DONE
//         but if others can end branches in the store, one of them may have rolled it
//         back                                   HEURISTIC_HAZARD, alarm (26, 30)
//   - ROLLBACK of a missing branch with evidence of a commit: HEURISTIC_COMMIT (35).
//     Without: DONE (4.6).
//   - A branch that was told COMMIT is never rolled back, and one that was told ROLLBACK
//     is never committed, whatever a later request says.
//   - CommitOnePhase of a missing branch is answered from its evidence. Without evidence
//     it was rolled back, unless it is below the watermark: FORGOTTEN, never a guess.
//   - An application-managed branch does not ask before the grace period in its number
//     has ended (75) or a PREPARE has come for it. If it is missing, PREPARE is answered
//     LOST; if it is prepared after that, it is found, asks, and is told ROLLBACK.
//   - This table alone never ends a prepared branch: the branch asks (section 4, "a
//     branch in doubt pulls"; 32). It does end an active branch that gets no calls.
#ifndef PARTICIPANT_SDK_CORE_BRANCH_TABLE_H_
#define PARTICIPANT_SDK_CORE_BRANCH_TABLE_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/branch_io.h"
#include "participant/sdk/core/remembered_branches.h"
#include "participant/sdk/core/results.h"
#include "participant/sdk/core/rollback_reasons.h"

namespace concordat::participant {

// Not thread-safe. The times that are passed in never go back.
class BranchTable {
 public:
  // `incarnation` must never have been used for this resource.
  BranchTable(std::string resource, Incarnation incarnation, BranchTableOptions options);
  ~BranchTable();
  BranchTable(BranchTable&&) = delete;

  // --- recovery and stopping ---

  // The store is open, and these branches are prepared in it. Called once.
  void Recovered(const std::vector<RecoveredBranch>& prepared, Timestamp now);
  // A prepared branch was found in the store later (by a scan of a database). If the
  // branch is known, nothing happens, except that an application-managed branch may now
  // ask earlier.
  void Adopt(const RecoveredBranch& prepared, Timestamp now);
  // From now on starts are refused with kUnavailable. Everything else goes on.
  void StopStarting() { stopped_ = true; }
  // Rolls back all active branches.
  void RollBackActive(Timestamp now);

  // --- requests ---

  // Makes a new branch with an id that was never used. The caller then starts it at the
  // resource manager, and reports a failure with StartFailed. `idle_timeout` zero means
  // the default.
  [[nodiscard]] StartResult Start(const Gtid& gtid, Duration idle_timeout, Timestamp now);
  void StartFailed(const BranchId& branch);
  // Returns an id for a branch that the application runs and prepares on a connection of
  // its own (branch_number.h). The table does not keep it: it is looked up when it is to
  // be prepared or ended, or adopted when it is found. Until then it does not count for
  // kSecond, since the application knows what its two connections wait for.
  [[nodiscard]] StartResult StartApplicationManaged(const Gtid& gtid,
                                                    Duration grace_period);

  // Runs work in a branch. call_number is the last one plus 1, or the last one again. The
  // output is kExecute with this token, or an answer.
  void Execute(const BranchId& branch, uint64_t call_number, RequestToken token,
               const ExecuteOptions& options, Timestamp now);
  void Prepare(const BranchId& branch, RequestToken token, Timestamp now);
  void Commit(const BranchId& branch, RequestToken token, Timestamp now);
  // Called by a coordinator: the transaction is decided.
  void Rollback(const BranchId& branch, RequestToken token, Timestamp now);
  // A client gives the branch up. Once the branch may have voted, only a coordinator may
  // end it, since its vote may be part of a commit by now: then nothing is done, and the
  // answer is kRetry.
  void Abandon(const BranchId& branch, RequestToken token, Timestamp now);
  void CommitOnePhase(const BranchId& branch, RequestToken token, Timestamp now);

  // --- results of commands; they are ignored for branches that have ended ---

  void OnExecuted(const BranchId& branch, AfterExecute after, ExecuteReplyPtr reply,
                  Timestamp now);
  void OnPrepared(const BranchId& branch, PrepareResult result, Timestamp now);
  void OnCommitted(const BranchId& branch, FinishResult result, Timestamp now);
  void OnCommittedOnePhase(const BranchId& branch, OnePhaseResult result, Timestamp now);
  void OnRolledBack(const BranchId& branch, FinishResult result, Timestamp now);
  void OnEvidence(const BranchId& branch, Evidence evidence, Timestamp now);

  // --- from coordinators ---

  void OnInquiryAnswer(const BranchId& branch, InquiryAnswer answer, Timestamp now);
  // No coordinator will ask about transactions of this group below the watermark. It
  // never goes back: a lower one than before changes nothing.
  void OnWatermark(const Gtid& watermark);

  // --- time ---

  // To be called about every scan_interval.
  void Tick(Timestamp now);

  // Returns all output since the last call.
  [[nodiscard]] BranchTableOutput TakeOutput();
  [[nodiscard]] bool has_output() const { return !output_.empty(); }

  // --- for operators and tests ---

  [[nodiscard]] bool recovered() const { return recovered_; }
  // Sorted by id, without look-ups.
  [[nodiscard]] std::vector<HeldBranch> Held(Timestamp now) const;
  [[nodiscard]] BranchTableStats Stats(Timestamp now) const;
  [[nodiscard]] const std::string& resource() const { return resource_; }
  [[nodiscard]] Incarnation incarnation() const { return incarnation_; }

 private:
  enum class RequestKind : uint8_t { kPrepare, kCommit, kRollback, kCommitOnePhase };
  enum class Decision : uint8_t { kNothing, kCommit, kRollback };
  struct Waiting {
    RequestKind kind;
    RequestToken token;
  };
  struct Branch;

  // --- requests (branch_requests.cc) ---
  void Request(RequestKind kind, const BranchId& id, RequestToken token, Timestamp now);
  void RequestMissing(RequestKind kind, const BranchId& id, RequestToken token,
                      Timestamp now);
  void AnswerRemembered(RequestKind kind, RequestToken token,
                        const RememberedBranches::Record& record);
  void AnswerNeverStarted(RequestKind kind, const BranchId& id, RequestToken token);
  void PrepareHere(Branch* branch, RequestToken token, Timestamp now);
  void CommitHere(Branch* branch, RequestToken token, Timestamp now);
  void RollbackHere(Branch* branch, RequestToken token, Timestamp now);
  void CommitOnePhaseHere(Branch* branch, RequestToken token, Timestamp now);
  void BeginRollback(Branch* branch, RequestToken token, Timestamp now);

  // --- missing branches (branch_evidence.cc) ---
  void AnswerFromEvidence(const Waiting& request, const BranchId& id, Evidence evidence);
  [[nodiscard]] FinishAnswer CommitWithoutEvidence(const BranchId& id);
  [[nodiscard]] std::string WhyGone(const BranchId& id) const;

  // --- results (branch_results.cc) ---
  [[nodiscard]] static ExecuteAnswer AnswerOfRolledBack(const Branch& branch);
  void OnExecutedAndRollbackRuns(Branch* branch, AfterExecute after,
                                 ExecuteReplyPtr reply, Timestamp now);
  void OnPreparedAndRollbackWaits(Branch* branch, PrepareResult result, Timestamp now);
  void EnterPrepared(Branch* branch, Duration ask_after, Timestamp now);
  // Removes the branch, and handles its waiting requests as new ones.
  void EndBranch(Branch* branch, Timestamp now);
  void RequestAgain(const BranchId& id, std::vector<Waiting> waiting, Timestamp now);
  void EndHeuristically(Branch* branch, FinishResult result, Timestamp now);

  // --- the rest (branch_table.cc) ---
  void Take(const RecoveredBranch& prepared, std::string detail, Timestamp now);
  Branch* Find(const BranchId& id);
  Branch* Insert(const BranchId& id, BranchState state, Timestamp now);
  void Erase(const BranchId& id);
  [[nodiscard]] BranchId FirstOf(const Gtid& gtid) const;
  [[nodiscard]] bool IsBelowWatermark(const Gtid& gtid) const;
  void AskNoLaterThan(Branch* branch, Timestamp at);
  void TickActive(Branch* branch, Timestamp now);
  void TickPrepared(Branch* branch, Timestamp now);
  void Send(CommandKind kind, const BranchId& id, RequestToken token = RequestToken());
  void Emit(EventKind kind, const BranchId& id, std::string detail);
  template <class Body>
  void Respond(RequestToken token, Body body) {
    if (!token.is_none()) output_.answers.emplace_back(token, std::move(body));
  }
  template <class Body>
  void RespondAll(Branch* branch, const Body& body);
  void RespondProtocolError(const BranchId& id, RequestToken token, std::string detail);
  void AnswerExecutes(Branch* branch, const ExecuteAnswer& answer);
  void KeepReply(Branch* branch, ExecuteReplyPtr reply);
  void DropReply(Branch* branch);
  void AnswerDroppedReply(Branch* branch, RequestToken token, Timestamp now);

  const std::string resource_;
  const Incarnation incarnation_;
  const BranchTableOptions options_;
  bool recovered_ = false;    // Recovered was called
  bool stopped_ = false;      // StopStarting was called
  uint64_t last_number_ = 0;  // the highest number given out
  Timestamp next_scan_;       // when Tick next checks the branches
  // All branches here, including look-ups.
  absl::flat_hash_map<BranchKey, std::unique_ptr<Branch>> branches_;
  // How many of branches_ a transaction has. Used only with one_branch_a_transaction.
  absl::flat_hash_map<Gtid, uint32_t> of_transaction_;
  std::list<Branch*> kept_replies_;  // branches with last_reply, the oldest reply first
  size_t kept_reply_bytes_ = 0;      // of all last_reply
  RememberedBranches remembered_;    // branches that have ended without evidence
  RollbackReasons reasons_{1024};    // why this table has rolled branches back
  absl::flat_hash_map<GroupId, Gtid> watermarks_;  // see OnWatermark
  BranchTableOutput output_;                       // see TakeOutput
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_BRANCH_TABLE_H_
