// Core: the state machine of transactions, of one Raft group at one coordinator node. It
// is handed requests, votes, log-committed records and the time, and says what is to be
// appended, sent and answered. Every node applies; only the leader does more.
//
//   Core core(GroupId(1), options);
//   core.BecomeLeader(term, now);              // Raft: this node won the term
//   core.LeaderReady(term, now);               // its empty entry is applied: go
//   core.Handle(SubmittedRequest{token, CommitRequest{...}}, now);
//   core.Handle(ReceivedVote{branch, Vote::kPrepared}, now);
//   status = core.Apply(index, bytes, now);    // a log-committed record
//   proposals = core.TakeProposals();          // after each input, or a batch of them
//   Output out = core.TakeOutput();            // then the rest
//
// group/state_machine.h says what is called when. Messages and answers may then leave in
// any order. They wait for no flush: what had to be log-committed before them was handed
// to Apply before.
//
// States of leadership:
//   follower --BecomeLeader--> leading --LeaderReady--> ready
//      ^-----------------------LoseLeadership---------------------/
// A request is answered NotLeader as follower, waits a while when leading, and is
// dealt with when ready.
#ifndef COORDINATOR_TXN_CORE_H_
#define COORDINATOR_TXN_CORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/disk_room.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/group/state_machine.h"
#include "coordinator/group/until_ready.h"
#include "coordinator/txn/input.h"
#include "coordinator/txn/options.h"
#include "coordinator/txn/output.h"
#include "coordinator/txn/reply.h"
#include "coordinator/txn/request.h"
#include "coordinator/txn/table.h"
#include "coordinator/txn/view.h"

namespace concordat::txn {

class CommitProtocol;
class Inheritance;
class WatermarkKeeper;

class Core final : public group::StateMachine {
 public:
  Core(GroupId group, const CoreOptions& options);
  ~Core() override;
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  void Handle(Input input, Timestamp now);
  // The resource can be reached again: what waits for it is due now. Looks at every
  // transaction in flight, so it is not for each heartbeat. No effect at a follower.
  void RetryNow(std::string_view resource, Timestamp now);
  // Messages, answers and events. Also proposals and reads that were not taken.
  [[nodiscard]] Output TakeOutput();

  // --- group::StateMachine. Indexes, terms and times grow (checked).

  // Errors of both as DecodeRecord's.
  [[nodiscard]] absl::Status Check(std::string_view record) const override;
  [[nodiscard]] absl::Status Apply(LogIndex index, std::string_view record,
                                   Timestamp now) override;
  void BecomeLeader(Term term, Timestamp now) override;
  void LeaderReady(Term term, Timestamp now) override;
  // Every waiting request is answered: NotLeaderReply if nothing was appended for it,
  // else UndecidedReply.
  void LoseLeadership(Timestamp now) override;
  // Only a ready leader, which knows what has begun, refuses for want of room; others
  // send the caller on. Without, records are made only for transactions that are staged
  // or decided, and not for the abort of a transaction that nobody has asked to commit.
  void AdmitNewWork(bool admit) override;
  // What is due, and as a new leader what is inherited, so that no output is larger than
  // CoreOptions::max_work_per_output allows. Its work is in what is due, not in what is
  // under way.
  void Tick(Timestamp now) override;
  [[nodiscard]] bool HasMoreWork() const override;
  [[nodiscard]] Timestamp NextTimer() const override;
  [[nodiscard]] std::vector<std::string> TakeProposals() override;
  [[nodiscard]] std::vector<group::ReadToken> TakeReads() override;
  void OnReadConfirmed(group::ReadToken token, Timestamp now) override;
  [[nodiscard]] std::unique_ptr<group::SnapshotSource> TakeSnapshot() override;
  // Its errors, beside: INVALID_ARGUMENT for another group's.
  [[nodiscard]] std::unique_ptr<group::SnapshotRestore> BeginRestore(
      LogIndex at) override;

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
  // Up to `limit`, in the order of their ids, after `after`.
  [[nodiscard]] std::vector<HeuristicView> Heuristics(const BranchId& after = {},
                                                      size_t limit = SIZE_MAX) const;

 private:
  enum class Role : uint8_t { kFollower, kLeading, kReady };
  class Restore;

  void Advance(Timestamp now);
  void Submit(RequestToken token, Request request, Timestamp now);
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
  DiskRoom room_;
  group::UntilReady<Request> until_ready_;
  // The leader's; they refer to what is above.
  std::unique_ptr<CommitProtocol> protocol_;
  std::unique_ptr<Inheritance> inheritance_;
  std::unique_ptr<WatermarkKeeper> watermark_;
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_CORE_H_
