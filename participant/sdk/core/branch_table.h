// The branches of one resource: a pure state machine (no clock, no I/O, no threads,
// no callbacks). The participant feeds it requests, the resource manager's results,
// inquiry answers and time; it carries out what TakeOutput returns.
//
//   BranchTable table("bank-a", incarnation, options);
//   table.Recovered({...}, now);                  // from the resource manager
//   StartResult s = table.Start(gtid, Duration(), now);
//   table.Prepare(s.branch, token, now);
//   for (const Command& c : table.TakeOutput().commands) { … }   // kPrepare
//   table.OnPrepared(s.branch, {Vote::kPrepared, ""}, now);
//   for (const auto& a : table.TakeOutput().answers) { … }   // the vote, for the token
//
// A branch:
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
// The rules, with the section of the design and the scenario each comes from:
//   - Until Recovered was called, everything is answered UNAVAILABLE or RETRY, never
//     REFUSED (section 4.3; 68).
//   - A branch votes once. PREPARE again joins a running prepare or repeats the vote
//     (14, 15, 70). ROLLBACK during a running prepare waits behind it, and the prepare
//     is then answered REFUSED; a PREPARE after a ROLLBACK is REFUSED (13).
//   - A call may prepare the branch in the same step (an unsolicited vote). The vote is
//   the
//     caller's to bring to the coordinator; until it may have been given up the branch is
//     not asked about, and then it is in doubt like any other. While such a call runs,
//     its caller may not give the branch up: the vote may be on its way.
//   - A PREPARE while an Execute still runs is REFUSED, and the branch rolled back:
//     somebody wants to commit work whose result nobody knows (XAER_PROTO).
//   - PREPARE of a missing branch asks for evidence: none, or committed long ago:
//     REFUSED (23, 61); committed in one phase: COMMITTED_ALONE (74).
//   - COMMIT of a branch that never voted is a protocol error: not done, reported.
//   - COMMIT of a missing branch: with evidence DONE (16, 25). Without it:
//       remembered as read-only, or below the watermark     DONE
//       of this incarnation: this table has rolled it back   HEURISTIC_ROLLBACK, alarm
//       of this one, with a number never given out           protocol error
//       of an earlier incarnation: a READ_ONLY vote leaves nothing behind, and
//         a new leader tells all branches (4.6: "not there is acknowledged")   DONE
//         but if others can settle branches in the store, one of them may have rolled
//         it back                                HEURISTIC_HAZARD, alarm (26, 30)
//   - ROLLBACK of a missing branch: committed evidence: HEURISTIC_COMMIT (35), else DONE
//     (4.6).
//   - What was told COMMIT is never rolled back and the other way round, whoever asks.
//   - CommitOnePhase of a missing branch is answered from evidence; without evidence it
//     was rolled back, unless the watermark has passed it: FORGOTTEN, never a guess.
//   - An application-managed branch is not asked about before the grace period in its
//     number is over (75), or PREPARE has come for it. "Not there" is REFUSED, and
//     what is prepared after that is found, asks, and is told ROLLBACK.
//   - A prepared branch is never ended by this table alone; it asks (section 4, "a
//     branch in doubt pulls"; 32). An active one is, when nobody calls.
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
#include "participant/sdk/core/remembered.h"
#include "participant/sdk/core/results.h"
#include "participant/sdk/core/rollback_reasons.h"

namespace concordat::participant {

// Not thread-safe. Time handed in never goes back.
class BranchTable {
 public:
  // `incarnation` was never used before for this resource.
  BranchTable(std::string resource, Incarnation incarnation, BranchTableOptions options);
  ~BranchTable();
  BranchTable(BranchTable&&) = delete;

  // --- life ---

  // The store is open; these branches are prepared in it. Once.
  void Recovered(const std::vector<RecoveredBranch>& prepared, Timestamp now);
  // Another prepared branch was found in the store later (a scan of a database). When
  // it is known nothing happens, but that an application-managed one may now be asked
  // about earlier.
  void Adopt(const RecoveredBranch& prepared, Timestamp now);
  // From now on starts are refused with kUnavailable. The rest goes on.
  void StopStarting() { stopped_ = true; }
  // Rolls back all active branches.
  void RollBackActive(Timestamp now);

  // --- requests ---

  // A new branch, with an id that was never used. The caller then starts it at the
  // resource manager, and reports a failure with StartFailed. `idle_timeout` zero:
  // the default.
  [[nodiscard]] StartResult Start(const Gtid& gtid, Duration idle_timeout, Timestamp now);
  void StartFailed(const BranchId& branch);
  // A name for a branch that the application runs and prepares on a connection of its
  // own (branch_number.h). Nothing is kept of it: it is looked up when somebody asks to
  // prepare or to end it, or adopted when it is found. Until then it is none of those
  // that kSecond is about: what two connections of one application wait for is known
  // to the application.
  [[nodiscard]] StartResult StartApplicationManaged(const Gtid& gtid,
                                                    Duration grace_period);

  // Work in a branch: call_number is the last one plus 1, or the last one again.
  // Gives kExecute with this token, or an answer.
  void Execute(const BranchId& branch, uint64_t call_number, RequestToken token,
               const ExecuteOptions& options, Timestamp now);
  void Prepare(const BranchId& branch, RequestToken token, Timestamp now);
  void Commit(const BranchId& branch, RequestToken token, Timestamp now);
  // A coordinator's word: the transaction is decided.
  void Rollback(const BranchId& branch, RequestToken token, Timestamp now);
  // A client gives the branch up. Once it may have voted only a coordinator may end it
  // (its vote may be part of a commit by now): then nothing is done, and kRetry says so.
  void Abandon(const BranchId& branch, RequestToken token, Timestamp now);
  void CommitOnePhase(const BranchId& branch, RequestToken token, Timestamp now);

  // --- results of commands; of branches that are over by now they are ignored ---

  void OnExecuted(const BranchId& branch, AfterExecute after, ExecuteReplyPtr reply,
                  Timestamp now);
  void OnPrepared(const BranchId& branch, PrepareResult result, Timestamp now);
  void OnCommitted(const BranchId& branch, FinishResult result, Timestamp now);
  void OnCommittedOnePhase(const BranchId& branch, OnePhaseResult result, Timestamp now);
  void OnRolledBack(const BranchId& branch, FinishResult result, Timestamp now);
  void OnEvidence(const BranchId& branch, Evidence evidence, Timestamp now);

  // --- from coordinators ---

  void OnInquiryAnswer(const BranchId& branch, InquiryAnswer answer, Timestamp now);
  // No coordinator will ask about transactions of this group below it. Never goes
  // back; a lower one than before changes nothing.
  void OnWatermark(const Gtid& watermark);

  // --- time ---

  // Call it every scan_interval or so.
  void Tick(Timestamp now);

  // Everything since the last call.
  [[nodiscard]] BranchTableOutput TakeOutput();
  [[nodiscard]] bool has_output() const { return !output_.empty(); }

  // --- for operators and tests ---

  [[nodiscard]] bool recovered() const { return recovered_; }
  [[nodiscard]] std::vector<HeldBranch> Held(Timestamp now) const;  // sorted by id
  [[nodiscard]] BranchTableStats Stats(Timestamp now) const;
  [[nodiscard]] const std::string& resource() const { return resource_; }
  [[nodiscard]] Incarnation incarnation() const { return incarnation_; }

 private:
  enum class RequestKind : uint8_t { kPrepare, kCommit, kRollback, kCommitOnePhase };
  enum class Told : uint8_t { kNothing, kCommit, kRollback };
  struct Waiting {
    RequestKind kind;
    RequestToken token;
  };
  struct Branch;

  // branch_requests.cc
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

  // branch_evidence.cc
  void AnswerFromEvidence(const Waiting& request, const BranchId& id, Evidence evidence);
  [[nodiscard]] FinishAnswer CommitWithoutEvidence(const BranchId& id);
  [[nodiscard]] std::string WhyGone(const BranchId& id) const;

  // branch_results.cc
  [[nodiscard]] static ExecuteAnswer RolledBackMeanwhile(const Branch& branch);
  void OnExecutedAndRollbackRuns(Branch* branch, AfterExecute after,
                                 ExecuteReplyPtr reply, Timestamp now);
  void OnPreparedAndRollbackWaits(Branch* branch, PrepareResult result, Timestamp now);
  void EnterPrepared(Branch* branch, Duration ask_after, Timestamp now);
  // Takes the branch out, answers its waiting requests by asking anew.
  void EndBranch(Branch* branch, Timestamp now);
  void RequestAgain(const BranchId& id, std::vector<Waiting> waiting, Timestamp now);
  void EndHeuristically(Branch* branch, FinishResult result, Timestamp now);

  // branch_table.cc
  void Take(const RecoveredBranch& prepared, std::string detail, Timestamp now);
  Branch* Find(const BranchId& id);
  Branch* Insert(const BranchId& id, BranchState state, Timestamp now);
  void Erase(const BranchId& id);
  [[nodiscard]] BranchId FirstOf(const Gtid& gtid) const;
  [[nodiscard]] bool IsBelowWatermark(const Gtid& gtid) const;
  void AskBy(Branch* branch, Timestamp at);
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
  bool recovered_ = false;
  bool stopped_ = false;
  uint64_t last_number_ = 0;
  Timestamp next_scan_;
  absl::flat_hash_map<BranchKey, std::unique_ptr<Branch>> branches_;
  // How many of branches_ a transaction has; only with one_branch_a_transaction.
  absl::flat_hash_map<Gtid, uint32_t> of_transaction_;
  std::list<Branch*> kept_replies_;  // the oldest first
  size_t kept_reply_bytes_ = 0;
  RememberedBranches remembered_;
  RollbackReasons reasons_{1024};
  absl::flat_hash_map<GroupId, Gtid> watermarks_;
  BranchTableOutput output_;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_BRANCH_TABLE_H_
