// StateMachine: what a group replicates. A Raft group agrees on a sequence of commands;
// each node of it applies them to a state machine of its own, and so all nodes come to
// the same state. group::Replica drives one, and knows nothing of what its commands mean.
// Several machines share a group behind a MachineSet, which is one too.
//
// A machine is pure: it is handed commands, inputs of its own and the time, and says what
// it wants done. Its state depends on the applied commands alone, and not on the time at
// which they are applied, on leadership or on inputs. These may change only what no other
// node needs to know.
//
// Order. Replica calls, on its loop:
//
//   Check             before this node acknowledges an entry with that command
//   Apply             each command that the group has committed, in the order of the log,
//                     once in the life of the process (or a snapshot stands for it)
//   BecomeLeader      this node won the term; it may not act for the group yet
//   LeaderReady       the first entry of its own term is applied (Raft, section 8), and
//                     so is all that earlier leaders had committed. Now it may act
//   LoseLeadership    before any entry of another leader is applied
//   Tick              before inputs, when NextTimer is reached, and again at once while
//                     HasMoreWork
//   TakeProposals, TakeReads, and then ReplicaEnvironment::OnMachineOutput, where the
//                     node takes what else the machine wants, after one or many of the
//                     above and of the machine's own inputs
//
// The node calls a machine's own inputs (requests, answers of others) between two rounds
// of the replica, after Replica::Tick and before Replica::Process.
//
// Threads: everything is called on the loop, but for the objects that carry snapshots,
// which say themselves where they may be used.
#ifndef COORDINATOR_GROUP_STATE_MACHINE_H_
#define COORDINATOR_GROUP_STATE_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/ids.h"
#include "coordinator/base/strong_id.h"

namespace concordat::group {

// Where several machines share a group: which one a command is for. Part of the log's
// format: never change one, only add.
using MachineId = StrongId<struct MachineIdTag, uint8_t>;

// The machine's own number for a read, not in use until it is confirmed.
using ReadToken = StrongId<struct ReadTokenTag, uint64_t>;

// A snapshot travels as a sequence of portions, about so large, at most the other. They
// arrive as they were made: each may be decoded without the others.
inline constexpr size_t kPortionBytes = size_t{64} << 10;
inline constexpr size_t kMaxPortionBytes = size_t{1} << 20;

// The state at one index, as portions. It shares memory with the machine and shows what
// was there when it was made, whatever the machine applies meanwhile.
//
// It is used, and destroyed, on one thread at a time, which need not be the loop's. It
// may outlive the machine.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  // The next portion, not empty; none when there are no more. There is at least one. All
  // nodes that have applied the same commands give the same portions.
  [[nodiscard]] virtual std::optional<std::string> Next() = 0;
};

// A state that is being put together from a snapshot's portions, beside the machine's.
//
// Append and Finish are called on one thread, which need not be the loop's, and see
// nothing of the machine. Install is called on the loop. Then, or when it is given up, it
// is destroyed on any thread: what it holds may be large.
class SnapshotRestore {
 public:
  virtual ~SnapshotRestore() = default;
  // The portions, in order. UNIMPLEMENTED: a newer version's; DATA_LOSS: not a portion of
  // such a snapshot. After an error only the destructor is called.
  [[nodiscard]] virtual absl::Status Append(std::string_view portion) = 0;
  // There are no more. DATA_LOSS when something is missing, or when the state is later
  // than the index that the snapshot is said to end with.
  [[nodiscard]] virtual absl::Status Finish() = 0;
  // After a Finish that went well, at most once, in constant time: the machine's state is
  // this one from here on. What it was before is destroyed with this object. The machine
  // must be there, and must not lead (checked).
  virtual void Install() = 0;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // --- The log.

  // Whether this program can apply the command. UNIMPLEMENTED: it is a newer version's;
  // the entry must not be acknowledged, and the node must be upgraded. DATA_LOSS: no
  // command.
  [[nodiscard]] virtual absl::Status Check(std::string_view command) const = 0;
  // Applies the command of that entry. Indexes grow, not by one: other entries are not
  // for this machine. Fails, with nothing changed, as Check does; then the process must
  // end.
  [[nodiscard]] virtual absl::Status Apply(LogIndex index, std::string_view command,
                                           Timestamp now) = 0;

  // --- Leadership. `now` never goes back, here and everywhere.

  // The term is higher than any before.
  virtual void BecomeLeader(Term term, Timestamp now) = 0;
  // Another term's than the present leadership's is ignored.
  virtual void LeaderReady(Term term, Timestamp now) = 0;
  // Proposals and reads that were not taken are forgotten, and so are reads that were not
  // confirmed. What was proposed may still be committed. No effect at a follower.
  virtual void LoseLeadership(Timestamp now) = 0;
  // Whether the node's disk has room for work that has not begun; true at first. Without,
  // a leader proposes only what finishes work that is under way.
  virtual void AdmitNewWork(bool admit) = 0;

  // --- Time.

  // Does what is due, a bounded portion of it.
  virtual void Tick(Timestamp now) = 0;
  // Tick has more to do at once, when the machine's output is taken.
  [[nodiscard]] virtual bool HasMoreWork() const = 0;
  // When Tick has something to do next; Infinite if only other inputs can bring it.
  [[nodiscard]] virtual Timestamp NextTimer() const = 0;

  // --- What the machine wants of the group. Only a leader wants anything.

  // Commands to be appended to the log, all and in this order, before any later ones.
  // They may wait for Raft's flow control. Either all are appended in the term in which
  // they were taken, or LoseLeadership follows.
  [[nodiscard]] virtual std::vector<std::string> TakeProposals() = 0;
  // Reads that wait for OnReadConfirmed.
  [[nodiscard]] virtual std::vector<ReadToken> TakeReads() = 0;
  // The state shows everything that was committed, by any leader, when the token was
  // taken (Raft's read index). A token that is not known any more is ignored.
  virtual void OnReadConfirmed(ReadToken token, Timestamp now) = 0;

  // --- Snapshots.

  // The state after the last applied command. Takes a time that does not grow with what
  // the machine keeps for long: that is shared, and copied when it changes.
  [[nodiscard]] virtual std::unique_ptr<SnapshotSource> TakeSnapshot() = 0;
  // For a snapshot that is said to hold what was committed up to entry `at`.
  [[nodiscard]] virtual std::unique_ptr<SnapshotRestore> BeginRestore(LogIndex at) = 0;
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_STATE_MACHINE_H_
