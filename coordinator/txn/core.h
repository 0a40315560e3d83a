// Core: the transaction side of one Raft group at one coordinator node. Pure: it is
// handed requests, votes, log-committed records and the time, and says what is to be
// appended, sent and answered. Every node applies; only the leader does more.
//
//   Core core(GroupId(1), options);
//   core.BecomeLeader(term, now);              // Raft: this node won the term
//   core.LeaderReady(term, now);       // its empty entry is applied: go
//   core.Submit(token, CommitRequest{...}, now);
//   core.OnVote(branch, Vote::kPrepared, "", now);
//   status = core.Apply(index, bytes, now);    // a log-committed record
//   Output out = core.TakeOutput();            // after each input, or a batch of them
//
// What the node must do with an Output, in this order:
//   1. append the proposals to the Raft log, all, in order, before the next input
//      reaches the core. They may wait for Raft's flow control, but none may be lost
//      or overtaken while this node leads the same term, and none appended in another.
//      If one cannot be appended, call LoseLeadership.
//   2. then send messages and answers, in any order. They wait for no flush: what
//      had to be log-committed before them was handed to Apply before.
//   3. for each of `reads`: when others have confirmed that this node still leads
//      (Raft's read index), and all that was log-committed before that is applied,
//      call OnReadConfirmed.
// Raft steps down -> LoseLeadership, before any entry of another leader is applied.
// PREPARE that cannot be delivered (no address, no connection) -> OnVote with
// Vote::kUnavailable; COMMIT or ROLLBACK -> OnAcknowledged with kUnavailable.
//
// States of leadership:
//   follower --BecomeLeader--> leading --LeaderReady--> ready
//      ^-----------------------LoseLeadership---------------------/
// A request is answered NotLeader as follower, waits a while when leading, and is
// dealt with when ready.
#ifndef COORDINATOR_TXN_CORE_H_
#define COORDINATOR_TXN_CORE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/txn/options.h"
#include "coordinator/txn/output.h"
#include "coordinator/txn/reply.h"
#include "coordinator/txn/request.h"
#include "coordinator/txn/table.h"
#include "coordinator/txn/view.h"

namespace concordat::txn {

class CommitProtocol;
class Inheritance;
class Registrar;
class WatermarkKeeper;

class Core {
 public:
  Core(GroupId group, const CoreOptions& options);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // --- Leadership. `now` never goes back (checked), here and everywhere below.

  // The term is higher than any before (checked).
  void BecomeLeader(Term term, Timestamp now);
  // The first entry of the leader's own term is applied (Raft, section 8): everything
  // that earlier leaders had log-committed is in the table. Another term's is ignored.
  void LeaderReady(Term term, Timestamp now);
  // Every waiting request is answered: NotLeaderReply if nothing was appended for it,
  // else UndecidedReply. No effect at a follower.
  void LoseLeadership(Timestamp now);
  // Whether the node has room for work that has not begun: true at first. Only a ready
  // leader, which knows what has begun, refuses for it; others send the caller on. With
  // no room, records are made only for transactions that are staged or decided: not for
  // registrations and what else changes a resource, nor for the abort of a transaction
  // that nobody has asked to commit.
  void AdmitNewWork(bool admit);

  // --- The log.

  // Applies a log-committed record; indexes grow (checked). Fails, with nothing
  // changed, as DecodeRecord does: the node must then stop, for it cannot tell what
  // the others know. It should have refused the entry before acknowledging it.
  absl::Status Apply(LogIndex index, std::string_view record, Timestamp now);
  // The table as bytes, and its replacement by another node's. Only a follower
  // restores (checked). Errors as TransactionTable::DecodeSnapshot, or
  // INVALID_ARGUMENT for another group's; DATA_LOSS when it holds more than what was
  // committed up to entry `at`, which the snapshot is said to end with. Nothing is
  // changed then.
  [[nodiscard]] std::string EncodeSnapshot() const;
  absl::Status RestoreSnapshot(std::string_view bytes, LogIndex at);

  // --- Requests: each token gets one Answer, now or in a later output.

  void Submit(RequestToken token, Request request, Timestamp now);

  // The table shows what was log-committed when `token` was taken from Output::reads, or
  // later. No effect when its request was answered meanwhile.
  void OnReadConfirmed(RequestToken token, Timestamp now);

  // --- From resource managers. Unexpected ones change nothing.

  void OnVote(const BranchId& branch, Vote vote, std::string_view detail, Timestamp now);
  void OnAcknowledged(const BranchId& branch, FinishState result, std::string_view detail,
                      Timestamp now);

  // --- Time.

  // Does what is due, and as a new leader what is inherited: a portion of it, so that
  // no output is larger than CoreOptions::max_work_per_output allows. Its work is in
  // what is due, not in what is under way.
  void Tick(Timestamp now);
  // Tick has more to do at once, when this output is taken.
  [[nodiscard]] bool HasMoreWork() const;
  // When Tick has something to do next; Infinite if only other inputs can bring it.
  [[nodiscard]] Timestamp NextTimer() const;

  [[nodiscard]] Output TakeOutput();

  // --- Views, at any node.

  [[nodiscard]] const TransactionTable& table() const { return table_; }
  [[nodiscard]] bool is_leader() const { return role_ != Role::kFollower; }
  [[nodiscard]] bool is_ready() const { return role_ == Role::kReady; }
  [[nodiscard]] StatusView Status() const;
  // Up to `limit` transactions that are not over, oldest gtid first, after `after`.
  [[nodiscard]] std::vector<TransactionView> List(const Gtid& after, size_t limit,
                                                  Timestamp now) const;
  // Any gtid, also ended (state and outcome only), forgotten or unknown.
  [[nodiscard]] TransactionView Show(const Gtid& gtid, Timestamp now) const;
  [[nodiscard]] std::vector<ResourceView> Resources(Timestamp now) const;
  // Up to `limit`, in the order of their ids, after `after`.
  [[nodiscard]] std::vector<HeuristicView> Heuristics(const BranchId& after = {},
                                                      size_t limit = SIZE_MAX) const;

 private:
  enum class Role : uint8_t { kFollower, kLeading, kReady };
  struct Waiting {
    RequestToken token;
    Request request;
    uint64_t arrival;  // requests are dealt with in the order of their arrival
  };

  void Advance(Timestamp now);
  // Until this leader is ready.
  void Await(RequestToken token, Request request, Timestamp now);
  void Dispatch(RequestToken token, Request request, Timestamp now);
  void Handle(RequestToken token, const AllocateGtidsRequest& request, Timestamp now);
  // False, and answered, when no such gtid can have been handed out.
  [[nodiscard]] bool CheckGtid(RequestToken token, const Gtid& gtid, Timestamp now);
  void Emit(EventKind kind, Timestamp now, uint64_t number = 0);
  void ExpireWaiting(Timestamp now);
  // Goes on with what is inherited, with the requests that waited for it, and with what
  // is due, as far as this output may hold it.
  void WorkOff(Timestamp now);

  const CoreOptions options_;
  TransactionTable table_;
  Output out_;
  size_t work_in_output_ = 0;
  Role role_ = Role::kFollower;
  Term term_;
  Timestamp now_;
  uint64_t next_sequence_ = 1;
  std::multimap<Timestamp, Waiting> waiting_;  // by when they are answered at the latest
  uint64_t arrivals_ = 0;
  std::deque<Waiting> waited_;  // when ready: their turn is to come
  // The leader's; they refer to options_, table_ and out_.
  std::unique_ptr<CommitProtocol> protocol_;
  std::unique_ptr<Inheritance> inheritance_;
  std::unique_ptr<Registrar> registrar_;
  std::unique_ptr<WatermarkKeeper> watermark_;
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_CORE_H_
