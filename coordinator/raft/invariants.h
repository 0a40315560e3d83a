// Raft's safety properties (paper, Figure 3), and the promises that they rest on,
// checked from outside over all nodes of one group. For tests and the simulator.
//
//   InvariantsChecker checker(voters);
//   a node was made, anew or from its disk, before its first input:
//                                            checker.AfterStart(raft)
//   after every input and every TakeOutput:  checker.AfterStep(raft)
//   a persist is on the disk, wholly, or the part that a crash left of it
//   (before raft.OnPersisted):               checker.OnDurable(node, persist)
//   a message really leaves the node:        checker.OnMessage(message)
//   the state machine applies an entry
//   (before raft.OnApplied):                 checker.OnApplied(node, entry)
//   then:                                    if (!checker.ok()) checker.violations()
//
// Remembers all it has seen, so it survives restarts of the nodes; a crash needs no
// call. The cost of a step is that of what the step has changed.
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
  explicit InvariantsChecker(std::vector<NodeId> voters);

  void AfterStart(const Raft& raft);
  void AfterStep(const Raft& raft);
  void OnDurable(NodeId node, const Persist& persist);
  void OnMessage(const Message& message);
  void OnApplied(NodeId node, const Entry& entry);

  // The disk of a node that is down has lost what is behind `last`. A fault that Raft
  // does not provide for: it may only be made from FirstThatMayBeLost on.
  void OnTailLost(NodeId node, LogIndex last);
  // The first entry on the node's disk from which on each is also on the disks of a
  // quorum without it, so that nothing depends on this copy. Behind the last when there
  // is none.
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
    Term previous_term;  // of the entry before it
    EntryType type = EntryType::kCommand;
    Payload data;
  };
  // The terms of a stretch of log: the entry base + 1 + i has terms[i].
  struct TermLog {
    LogIndex base;
    Term base_term;
    std::vector<Term> terms;

    [[nodiscard]] LogIndex last() const { return LogIndex(base.value() + terms.size()); }
    [[nodiscard]] std::optional<Term> At(LogIndex index) const;
    // Drops what is behind `index`.
    void KeepUpTo(LogIndex index);
    // Drops what is before `index`; all, when there is something else at `index`.
    void CompactTo(LogIndex index, Term term);
  };
  struct NodeView {
    // In memory, as of the last step.
    Term term;
    Role role = Role::kFollower;
    LogIndex commit;
    LogIndex applied;
    TermLog log;
    // On disk.
    HardState durable_state;
    TermLog durable_log;
  };
  struct Committed {
    Term term;     // of the entry
    Term in_term;  // of the leader that committed it
  };

  template <class... Parts>
  void Violation(const Parts&... parts);
  void CheckLeader(const Raft& raft, const NodeView& view);
  void CheckLeaderIsComplete(const Raft& raft);
  void CheckLog(const Raft& raft, TermLog* known);
  void CheckEntry(NodeId node, const Entry& entry, Term previous_term);
  void CheckCommit(const Raft& raft, const NodeView& view);
  void CheckNewlyCommitted(const Raft& raft, LogIndex index, Term term);
  void CheckAppliedJump(const Raft& raft, NodeView* view);
  // `without`: its copy does not count; 0 is nobody.
  [[nodiscard]] bool QuorumHasDurable(LogIndex index, Term term, NodeId without) const;
  void CheckDurableState(NodeId node, const HardState& before, const HardState& after);
  void CheckRecoveredState(const Raft& raft, const NodeView& before);
  void CheckVote(NodeId voter, Term term, NodeId candidate);
  void CheckAcknowledgement(const Message& message, const AppendResponse& response);
  // The committed term at an index, when it is known.
  [[nodiscard]] std::optional<Term> CommittedTerm(LogIndex index) const;

  const Configuration configuration_;
  std::map<NodeId, NodeView> nodes_;
  std::map<Term, NodeId> leaders_;
  std::map<std::pair<NodeId, Term>, NodeId> votes_;  // promised, by voter
  absl::flat_hash_map<std::pair<LogIndex, Term>, KnownEntry> entries_;
  std::vector<Committed> committed_;  // [i] is the entry i + 1
  std::vector<std::string> violations_;
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_INVARIANTS_H_
