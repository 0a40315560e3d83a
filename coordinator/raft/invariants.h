// Raft's safety properties (paper, Figure 3), and the promises that they rest on,
// checked from outside over all nodes of one group. For tests and the simulator.
//
//   InvariantsChecker checker(voters);
//   after the core's output was taken:  checker.OnMessage(m) for each message when it
//                                       is really sent, checker.OnApplied(node, e)
//   when a persist is on the disk:      checker.OnDurable(node, persist)
//                                       (before raft.OnPersisted)
//   when a snapshot file is in force:   checker.OnSnapshotDurable(node, meta)
//   after every step of a node:         checker.AfterStep(raft)
//   after a crash:                      checker.OnCrash(node), then AfterRestart(raft)
//   then:                               if (!checker.ok()) -> checker.violations()
//
// Remembers all it has seen, so it survives restarts of the nodes. The cost of a step
// is that of what the step has changed.
#ifndef COORDINATOR_RAFT_INVARIANTS_H_
#define COORDINATOR_RAFT_INVARIANTS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "coordinator/base/ids.h"
#include "coordinator/raft/output.h"
#include "coordinator/raft/raft.h"
#include "coordinator/raft/types.h"

namespace concordat::raft {

class InvariantsChecker {
 public:
  explicit InvariantsChecker(std::vector<NodeId> voters);

  void AfterStep(const Raft& raft);
  // At the moment a message leaves the node, not when the core makes it.
  void OnMessage(const Message& message);
  // All of the persist is on the node's disk and survives a crash.
  void OnDurable(NodeId node, const Persist& persist);
  // A crash between the snapshot's becoming durable and the persist that says so may
  // find it in force.
  void OnSnapshotDurable(NodeId node, const SnapshotMeta& meta);
  // Each entry that the node's state machine applies.
  void OnApplied(NodeId node, const Entry& entry);
  // Volatile state is lost, and what was being written in part.
  void OnCrash(NodeId node);
  // The node was made anew from its disk: before its first step.
  void AfterRestart(const Raft& raft);

  [[nodiscard]] bool ok() const { return violations_.empty(); }
  // One sentence each, in the order found.
  [[nodiscard]] const std::vector<std::string>& violations() const { return violations_; }
  // The highest index known to be committed.
  [[nodiscard]] LogIndex committed() const { return LogIndex(committed_.size()); }

 private:
  struct KnownEntry {
    Term previous_term;  // of the entry before it
    EntryType type = EntryType::kCommand;
    Payload data;
  };
  // The terms of a stretch of log: entry base + 1 + i has terms[i].
  struct TermLog {
    LogIndex base;
    Term base_term;
    std::vector<Term> terms;

    [[nodiscard]] LogIndex last() const { return LogIndex(base.value() + terms.size()); }
    [[nodiscard]] std::optional<Term> At(LogIndex index) const;
    void TruncateFrom(LogIndex index);
    void CompactTo(LogIndex index, Term term);
  };
  struct NodeView {
    // In memory, as of the last step.
    Term term;
    Role role = Role::kFollower;
    LogIndex commit;
    TermLog log;
    LogIndex applied;
    const Raft* raft = nullptr;  // null while crashed
    // On disk.
    HardState durable_state;
    TermLog durable_log;
    SnapshotMeta durable_snapshot_file;
  };
  struct Committed {
    Term term;     // of the entry
    Term in_term;  // in which it was first seen committed
  };

  void Violation(std::string what);
  void CheckTerm(const Raft& raft, const NodeView& view);
  void CheckLeader(const Raft& raft, const NodeView& view);
  void CheckLeaderIsComplete(const Raft& raft);
  void CheckLog(const Raft& raft, NodeView* view);
  void CheckEntry(const Raft& raft, const Entry& entry, Term previous_term);
  void CheckCommit(const Raft& raft, NodeView* view);
  void CheckNewlyCommitted(const Raft& raft, LogIndex index, Term term);
  [[nodiscard]] bool QuorumHasDurable(LogIndex index, Term term) const;
  void CheckVote(NodeId voter, Term term, NodeId candidate);
  void CheckAcknowledgement(const Message& message, const AppendResponse& response);

  const Configuration configuration_;
  std::map<NodeId, NodeView> nodes_;
  std::map<Term, NodeId> leaders_;                   // election safety
  std::map<std::pair<NodeId, Term>, NodeId> votes_;  // one vote a term
  // By index and term: log matching.
  std::map<std::pair<LogIndex, Term>, KnownEntry> entries_;
  std::vector<Committed> committed_;  // [i]: the entry i + 1
  std::vector<std::string> violations_;
};

}  // namespace concordat::raft

#endif  // COORDINATOR_RAFT_INVARIANTS_H_
