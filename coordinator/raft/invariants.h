// Checks Raft's safety properties (paper, Figure 3), and the promises that they rest on,
// over all nodes of one group. It sees the nodes from outside. For tests and the
// simulator.
//
//   InvariantsChecker checker;
//   // A node was made, new or from its disk, before its first input:
//   checker.AfterStart(raft);
//   // After every input and every TakeOutput:
//   checker.AfterStep(raft);
//   // A persist is on the disk, or the part that a crash has left; before OnPersisted:
//   checker.OnDurable(node, persist);
//   // A message really leaves the node:
//   checker.OnMessage(message);
//   // The state machine applies an entry, before OnApplied:
//   checker.OnApplied(node, entry);
//   if (!checker.ok()) Report(checker.violations());
//
// The checker remembers all that it has seen, also across restarts of the nodes. A crash
// needs no call. A check costs time in proportion to what has changed since the last one.
#ifndef COORDINATOR_RAFT_INVARIANTS_H_
#define COORDINATOR_RAFT_INVARIANTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/configuration.h"
#include "coordinator/raft/output.h"
#include "coordinator/raft/raft.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

class InvariantsChecker {
 public:
  void AfterStart(const Raft& raft);
  void AfterStep(const Raft& raft);
  void OnDurable(NodeId node, const Persist& persist);
  void OnMessage(const Message& message);
  void OnApplied(NodeId node, const Entry& entry);

  // The disk of a node that is down has lost the entries after `last`. Raft does not
  // provide for this fault, so the simulator may cause it only from FirstThatMayBeLost
  // on.
  void OnTailLost(NodeId node, LogIndex last);
  // The disk of a node that is down is empty: a new one, or one that was lost. What the
  // node had promised is forgotten; it has another log from here on, and whoever counts
  // it as the member that it was makes a mistake that shows in what is committed.
  void OnDiskLost(NodeId node);
  // The index from which on the node's disk may lose all entries: each of them is on the
  // disks of a quorum without this node, by every
  // configuration that is in force anywhere, so that nothing depends on this copy. One
  // more than DurableEnd when there is no such entry.
  [[nodiscard]] LogIndex FirstThatMayBeLost(NodeId node) const;
  // The last entry on the node's disk.
  [[nodiscard]] LogIndex DurableEnd(NodeId node) const;

  [[nodiscard]] bool ok() const { return violations_.empty(); }
  // One sentence each, in the order found; no more than a hundred.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  // The highest index known to be committed.
  [[nodiscard]] LogIndex committed() const { return LogIndex(committed_.size()); }

 private:
  struct KnownEntry {
    Term previous_term;  // term of the entry at the index before
    EntryType type = EntryType::kCommand;
    Payload data;
  };
  // The terms of a part of a log: the entry at base + 1 + i has the term terms[i].
  struct TermLog {
    LogIndex base;
    Term base_term;
    std::vector<Term> terms;

    [[nodiscard]] LogIndex last() const { return LogIndex(base.value() + terms.size()); }
    [[nodiscard]] std::optional<Term> At(LogIndex index) const;
    // Drops the entries after `index`.
    void KeepUpTo(LogIndex index);
    // Drops the entries up to `index`, which becomes the base. Drops all of them when the
    // entry at `index` has another term.
    void CompactTo(LogIndex index, Term term);
  };
  struct NodeView {
    // In memory, as of the last step.
    Term term;
    Role role = Role::kFollower;
    LogIndex commit;
    LogIndex applied;             // by OnApplied
    Configuration configuration;  // in force
    LogIndex configuration_index;
    TermLog log;
    // On disk.
    HardState durable_state;
    TermLog durable_log;
    // What was on the disk that was lost last. A leader may count it: it was there when
    // it was acknowledged, and the disk may as well have been lost after the commit.
    TermLog lost_log;
  };
  struct Committed {
    Term term;     // the entry's own term
    Term in_term;  // the term of the leader that committed it
  };

  template <class... Parts>
  void Violation(const Parts&... parts);
  void CheckLeader(const Raft& raft, const NodeView& view);
  void CheckLeaderIsComplete(const Raft& raft);
  void CheckMemberChange(const Raft& raft, const NodeView& view);
  void CheckLog(const Raft& raft, TermLog* known);
  void CheckEntry(NodeId node, const Entry& entry, Term previous_term);
  void CheckCommit(const Raft& raft, const NodeView& view);
  void CheckNewlyCommitted(const Raft& raft, LogIndex index, Term term);
  void CheckAppliedJump(const Raft& raft, NodeView* view);
  // The copy of the node `without` does not count; 0: all copies count.
  [[nodiscard]] bool QuorumHasDurable(const Configuration& configuration, LogIndex index,
                                      Term term, NodeId without) const;
  [[nodiscard]] bool MayBeLost(LogIndex index, Term term, NodeId node) const;
  void CheckDurableState(NodeId node, const HardState& before, const HardState& after);
  void CheckRecoveredState(const Raft& raft, const NodeView& before);
  void CheckVote(NodeId voter, Term term, NodeId candidate);
  void CheckAcknowledgement(const Message& message, const AppendResponse& response);
  // The committed term at an index, when it is known.
  [[nodiscard]] std::optional<Term> CommittedTerm(LogIndex index) const;

  std::map<NodeId, NodeView> nodes_;
  std::map<Term, NodeId> leaders_;                   // every leader ever seen
  std::map<std::pair<NodeId, Term>, NodeId> votes_;  // by voter and term: the candidate
  absl::flat_hash_map<std::pair<LogIndex, Term>, KnownEntry> entries_;  // ever seen
  std::vector<Committed> committed_;  // committed_[i] is the entry at index i + 1
  std::vector<std::string> violations_;
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_INVARIANTS_H_
