// The judge sees every branch, every log-committed record and every answer, and fails the
// run at the first violation of the protocol (docs/protocol.md). It keeps its own,
// independent account of the protocol, and forgets nothing that nodes forget.
//
// It checks, each as early as it can be seen:
//   - a branch commits only after a log-committed DECIDED(commit) whose set it is in,
//     or in one phase;
//   - a prepared branch rolls back only after a log-committed DECIDED that excludes it,
//     or below the watermark;
//   - DECIDED(commit) is applied only when every branch of the set has prepared or has
//     written nothing;
//   - votes, acknowledgements, COMMIT and ROLLBACK messages, and answers say only what
//     is on a disk or log-committed when they are sent;
//   - no leader sends COMMIT to a branch that has voted READ_ONLY: the next incarnation
//     of its participant would not know the branch;
//   - ENDED covers only transactions all of whose branches have ended, and the watermark
//     passes no staged or committed transaction that has not ended;
//   - clients are told only one outcome for a gtid, and it is the one that happens;
//   - money: what is committed, plus what the open branches of decided transactions will
//     add, is what there was at the beginning;
//   - every node's table has the same hash at the same index.
#ifndef TESTS_SIMULATION_JUDGE_H_
#define TESTS_SIMULATION_JUDGE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/machines/machines.h"
#include "coordinator/txn/record.h"
#include "coordinator/txn/table.h"
#include "tests/simulation/world.h"

namespace concordat::simulation {

enum class BranchFact : uint8_t {
  kActive,
  kPrepared,    // durably
  kReadOnly,    // voted READ_ONLY
  kCommitted,   // durably, as decided
  kAlone,       // durably, in one phase
  kRolledBack,  // or lost with its process before it was prepared
};
[[nodiscard]] std::string_view ToString(BranchFact fact);

class Judge {
 public:
  Judge(World* world, GroupId group)
      : world_(world), machines_(group, txn::CoreOptions(), registry::Options()) {}

  // --- Participants. A fact is reported when it is durable.

  void OnStarted(const BranchId& branch);
  // `delta`: the sum of the branch's changes.
  void OnPrepared(const BranchId& branch, int64_t delta);
  void OnReadOnly(const BranchId& branch);
  void OnCommitted(const BranchId& branch);
  void OnCommittedAlone(const BranchId& branch, int64_t delta);
  void OnRolledBack(const BranchId& branch);

  // What a participant sends.
  void OnVoteSent(const BranchId& branch, Vote vote);
  void OnAcknowledgementSent(const BranchId& branch, txn::Verb verb, FinishState ack);
  void OnOnePhaseAnswerSent(const BranchId& branch, bool committed);

  // --- Coordinators.

  // A node applies a log-committed command, of the transactions or the registry.
  void OnApplied(NodeId node, LogIndex index, Term term, std::string_view command);
  // The hash of a node's state after the command at that index.
  void OnStateHash(NodeId node, LogIndex index, uint64_t hash);
  // What a node sends.
  void OnVerbSent(NodeId node, txn::Verb verb, const BranchId& branch);
  void OnOutcomeSent(NodeId node, const Gtid& gtid, Outcome outcome);
  void OnFateSent(NodeId node, const BranchId& branch, bool commit);
  void OnEnlistmentConfirmed(const BranchId& branch);
  // A leader of this term answers COMMITTED before the decision is in the log.
  void OnAnsweredEarly(const Gtid& gtid, Term term);

  // --- Clients.

  void OnClientTold(const Gtid& gtid, Outcome outcome);
  // A client tells its user ABORTED because no node has begun to commit it.
  void OnClientConcluded(const Gtid& gtid);

  // --- At the end, when every branch must have ended.

  [[nodiscard]] bool IsAllSettled() const;
  // Fails, and names what is not.
  void CheckAllSettled();

  // --- Views.

  [[nodiscard]] std::optional<BranchFact> FactOf(const BranchId& branch) const;
  [[nodiscard]] std::optional<Outcome> DecisionOf(const Gtid& gtid) const;
  [[nodiscard]] bool IsStaged(const Gtid& gtid) const;
  [[nodiscard]] bool InSet(const BranchId& branch) const;
  [[nodiscard]] std::optional<Outcome> ToldAbout(const Gtid& gtid) const;
  [[nodiscard]] uint64_t commits() const { return commits_; }
  [[nodiscard]] uint64_t aborts() const { return aborts_; }
  [[nodiscard]] LogIndex applied() const { return machines_.last_applied(); }
  // The sum of the changes of all committed branches of the resource.
  [[nodiscard]] int64_t CommittedDelta(const std::string& resource) const;
  // The sum over all resources that is missing because some branches of decided
  // transactions have not committed yet.
  [[nodiscard]] int64_t Outstanding() const { return outstanding_; }

 private:
  struct Branch {
    BranchFact fact = BranchFact::kActive;
    int64_t delta = 0;
    bool voted = false;  // has sent a PREPARED vote
  };
  struct Transaction {
    bool staged = false;
    bool ended = false;
    Term staged_in;          // the term of the entry
    Term answered_early_in;  // 0: was not answered early
    CommitMode mode = CommitMode::kDecided;
    std::set<BranchId> enlisted;
    std::set<BranchId> set;  // from STAGED on
    std::optional<Outcome> decision;
    std::optional<Outcome> told;
    std::set<BranchId> confirmed;  // enlistments that were answered OK
  };

  void CountDecision(const txn::DecidedRecord& record, const Transaction& transaction);
  void Put(const txn::StagedRecord& record);
  void Put(const txn::DecidedRecord& record);
  void Put(const txn::EndedRecord& record);
  void Put(const txn::EnlistedRecord& record);
  void Put(const txn::WatermarkRecord& record);
  void Put(const txn::HeuristicRecord& record);
  void OnCommitDecision(const Gtid& gtid, const Transaction& transaction);
  void CheckCommitDecision(const Gtid& gtid, const Transaction& transaction);
  void CheckEnlistments(const Gtid& gtid, const Transaction& transaction);
  void CheckReference(const Gtid& gtid);
  void CheckOutcomeIsTrue(const Gtid& gtid, Outcome outcome, std::string_view who);
  [[nodiscard]] bool MayRollBack(const BranchId& branch) const;
  [[nodiscard]] bool MayCommit(const BranchId& branch) const;
  [[nodiscard]] Branch& Known(const BranchId& branch);
  void SetFact(Branch* branch, BranchFact fact);
  [[nodiscard]] const Transaction* FindTransaction(const Gtid& gtid) const;

  World* world_;
  absl::flat_hash_map<BranchId, Branch> branches_;
  std::map<Gtid, Transaction> transactions_;
  std::map<std::string, int64_t> committed_delta_;  // by resource
  int64_t outstanding_ = 0;
  size_t open_branches_ = 0;     // active or prepared
  size_t undecided_ = 0;         // staged and not decided
  machines::Machines machines_;  // they follow the node that applies first
  const txn::TransactionTable& reference_ = machines_.transactions().table();
  std::vector<uint64_t> hashes_;  // [i]: of machines_ at index i; 0: no command
  Term entry_term_;               // of the entry that is being checked
  uint64_t commits_ = 0;
  uint64_t aborts_ = 0;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_JUDGE_H_
