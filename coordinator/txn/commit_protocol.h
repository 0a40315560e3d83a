// CommitProtocol: the commit protocol at a ready leader. It proposes STAGED, asks for
// votes, appends the decision, tells the branches and ends the transaction; and it
// answers the requests that wait for any of this. docs/protocol.md has the rules.
//
// It acts on the table's state only, never on "I appended it": the node's log decides.
// Checking whether a decision may be appended and appending it are one step.
// Used by Core alone; gtids that reach it have passed Core's check.
//
//   commit_protocol_requests.cc  what is asked of it     commit_protocol_votes.cc   up to
//   the decision commit_protocol_finish.cc    after the decision      commit_protocol.cc
//   timers, sending
#ifndef COORDINATOR_TXN_COMMIT_PROTOCOL_H_
#define COORDINATOR_TXN_COMMIT_PROTOCOL_H_

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/base/disk_room.h"
#include "coordinator/txn/in_flight.h"
#include "coordinator/txn/input.h"
#include "coordinator/txn/options.h"
#include "coordinator/txn/output.h"
#include "coordinator/txn/request.h"
#include "coordinator/txn/table.h"

namespace concordat::txn {

class CommitProtocol {
 public:
  // All of them outlive it. What has begun goes on without room on the disk.
  CommitProtocol(const CoreOptions& options, const TransactionTable& table,
                 const DiskRoom& room, Output* out)
      : options_(options), table_(table), room_(room), out_(*out) {}

  // Requests (request.h).
  void Commit(RequestToken token, const CommitRequest& request, Timestamp now);
  void Rollback(RequestToken token, const RollbackRequest& request, Timestamp now);
  void Enlist(RequestToken token, const EnlistRequest& request, Timestamp now);
  void Inquire(RequestToken token, const InquireRequest& request, Timestamp now);
  void AskOutcome(RequestToken token, const OutcomeRequest& request, Timestamp now);
  void ForgetHeuristic(RequestToken token, const ForgetHeuristicRequest& request);
  void OnReadConfirmed(RequestToken token, Timestamp now);

  // From resource managers.
  void OnVote(const ReceivedVote& received, Timestamp now);
  void OnAcknowledged(const ReceivedAck& received, Timestamp now);

  // After the table has applied the record.
  void OnStaged(const StagedEffect& effect, Timestamp now);
  void OnDecided(const DecidedRecord& record, const DecidedEffect& effect, Timestamp now);
  void OnEnlisted(const EnlistedEffect& effect, Timestamp now);
  void OnEnded(const EndedRecord& record, const EndedEffect& effect, Timestamp now);
  void OnHeuristic(const HeuristicRecord& record);

  // For Inheritance: goes on with what earlier leaders began. The entry is
  // staged or decided (checked).
  void Inherit(const Gtid& gtid, const TransactionTable::Entry& entry, Timestamp now);

  // A resource can be reached again: what is due for it later is due now. Looks at
  // every transaction, so it is for registrations that changed something.
  void RetryNow(std::string_view resource, Timestamp now);
  // Fires no more than `limit` timers that are due; how many there were.
  size_t Tick(size_t limit, Timestamp now);
  [[nodiscard]] Timestamp NextTimer() const;
  // Leadership is lost: forgets all. Waiting requests are answered Undecided, since what
  // was appended for them may be log-committed by the next leader; inquiries and reads,
  // which were promised nothing, NotLeader.
  void Abandon();

  [[nodiscard]] const InFlight* Find(const Gtid& gtid) const;
  [[nodiscard]] size_t size() const { return in_flight_.size(); }

 private:
  // commit_protocol_requests.cc
  void Refuse(RequestToken token, const Gtid& gtid, RefusedReply refusal, Timestamp now);
  [[nodiscard]] bool CheckBranch(RequestToken token, const BranchId& branch,
                                 Timestamp now);
  // Why the request itself is wrong; none: it is right.
  [[nodiscard]] std::optional<RefusedReply> WrongCommit(
      const CommitRequest& request) const;
  // True, and answered, when the outcome is known or forgotten.
  [[nodiscard]] bool AnswerIfOver(RequestToken token, const Gtid& gtid);
  // True, and refused: nothing is staged or decided of it, and the disk is full.
  [[nodiscard]] bool RefuseForSpace(RequestToken token, const Gtid& gtid);
  // True, and refused: nothing has begun for it, and nothing new is to.
  [[nodiscard]] bool RefuseNewWork(RequestToken token, const Gtid& gtid);
  void Stage(InFlight* txn, const CommitRequest& request, Timestamp now);
  // True: all of the set have, and there is a set.
  [[nodiscard]] static bool TakeEarlyVotes(InFlight* txn, const CommitRequest& request);
  // How long a request waits that wants an answer within that time (0: does not say).
  [[nodiscard]] static Duration WaitOf(Duration answer_within, Duration most);
  void Attach(InFlight* txn, RequestToken token, Duration answer_within, Timestamp now);
  void AwaitEnlisted(InFlight* txn, RequestToken token, const EnlistRequest& request,
                     Timestamp now);
  void RefuseEnlistment(RequestToken token, const BranchId& branch, Timestamp now);
  // False: as far as this table shows, nobody has asked to commit it.
  [[nodiscard]] bool AnswerIfStaged(RequestToken token, const OutcomeRequest& request,
                                    Timestamp now);
  [[nodiscard]] static UndecidedReply Undecided(const InFlight* txn);

  // commit_protocol_votes.cc
  void TakeVote(InFlight* txn, BranchProgress* progress, Vote vote,
                std::string_view detail, Timestamp now);
  void SyncSet(InFlight* txn);
  void OnStagedAndCommitted(InFlight* txn, Timestamp now);
  void TryCommit(InFlight* txn, Timestamp now);
  void OnDeadline(InFlight* txn, Timestamp now);
  // The client may have been told COMMITTED by an earlier leader.
  [[nodiscard]] static bool MayHaveBeenAnswered(const InFlight& txn);
  void AppendDecision(InFlight* txn, DecidedRecord record, Timestamp now);
  void NoteHeuristic(BranchProgress* progress, Heuristic what, std::string_view detail,
                     Timestamp now);

  // commit_protocol_finish.cc
  void Finish(InFlight* txn, Outcome outcome, Timestamp now);
  void AnswerWaiters(InFlight* txn, const Reply& client_reply);
  // Branches that were named for a transaction that goes on, or went, without them.
  void AddUnlisted(const Gtid& gtid, const std::vector<BranchId>& branches,
                   Timestamp now);
  void Forget(InFlight* txn, Timestamp now);
  // Queues ENDED, and drops the transaction or sets its timer: it may be gone after it.
  void Settle(InFlight* txn, Timestamp now);
  void FlushEnded();

  // commit_protocol.cc
  InFlight* FindInFlight(const Gtid& gtid);
  InFlight* Open(const Gtid& gtid, Timestamp now);
  void Erase(InFlight* txn);
  static BranchProgress* AddBranch(InFlight* txn, const BranchId& id);
  void Fire(const Gtid& gtid, Timestamp now);
  void ExpireWaiters(InFlight* txn, Timestamp now);
  // What is to be sent to the branch next; none: nothing is.
  [[nodiscard]] static std::optional<Verb> NextMessage(const InFlight& txn,
                                                       const BranchProgress& progress);
  void SendDue(InFlight* txn, Timestamp now);
  void RetrySoon(InFlight* txn, BranchProgress* progress, Timestamp now);
  void Schedule(InFlight* txn);
  void SetTimer(InFlight* txn, Timestamp at);

  void Propose(const Record& record) { out_.proposals.push_back(EncodeRecord(record)); }
  void Respond(RequestToken token, Reply reply) {
    out_.answers.push_back(Answer{token, std::move(reply)});
  }
  Event& Emit(EventKind kind, const Gtid& gtid, Timestamp now);
  Event& Emit(EventKind kind, const BranchId& branch, Timestamp now);

  const CoreOptions& options_;
  const TransactionTable& table_;
  const DiskRoom& room_;
  Output& out_;
  std::map<Gtid, InFlight> in_flight_;
  std::set<std::pair<Timestamp, Gtid>> timers_;
  std::map<RequestToken, OutcomeRequest> reading_;  // until it is confirmed who leads
  // Operators who wait for the record that says that they have dealt with the branch.
  std::vector<std::pair<RequestToken, BranchId>> forgetting_;
  std::vector<Gtid> ended_;
  Timestamp ended_due_ = Timestamp::Infinite();
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_COMMIT_PROTOCOL_H_
