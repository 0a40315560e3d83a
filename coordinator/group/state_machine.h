// StateMachine: what a group replicates. A Raft group agrees on a sequence of commands;
// each node of it applies them to a state machine of its own, and so all nodes come to
// the same state. group::Replica drives one, and does not know what its commands mean.
// Several machines may share a group through a MachineSet, which is a machine itself.
//
// A machine is pure: it is given commands, inputs of its own and the time, and says what
// it wants done. Its state depends only on the applied commands, and not on the time at
// which they are applied, on leadership or on inputs. These may change only what no other
// node needs to know.
//
// Order. Replica calls, on its loop:
//
//   Check             before this node acknowledges an entry with that command
//   Apply             for each command that the group has committed, in the order of the
//                     log, once in a process (unless a snapshot stands for it)
//   BecomeLeader      this node won the term; it may not act for the group yet
//   LeaderReady       the first entry of its own term is applied (Raft, section 8), and
//                     so is everything that earlier leaders had committed. Now it may act
//   LoseLeadership    before any entry of another leader is applied
//   Tick              before inputs, when NextTimer is reached, and again at once while
//                     HasMoreWork
//   TakeProposals, TakeReads, and then ReplicaEnvironment::OnMachineOutput, in which the
//                     node takes what else the machine wants: after one or several of the
//                     calls above and of the machine's own inputs
//
// The node passes a machine its own inputs (requests, answers of others) between two
// rounds of the replica, after Replica::Tick and before Replica::Process.
//
// Threads: everything is called on the loop, except for the objects that carry snapshots,
// whose comments say where they may be used.
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

// Says for which of the machines that share a group a command is. The numbers are a part
// of the log's format: never change one, only add.
using MachineId = StrongId<struct MachineIdTag, uint8_t>;

// The machine's own number for a read. It is not used for another read until this one is
// confirmed.
using ReadToken = StrongId<struct ReadTokenTag, uint64_t>;

// A snapshot is a sequence of portions. These are the usual and the largest size of one,
// in bytes. Portions arrive as they were made, and each can be decoded without the
// others.
inline constexpr size_t kPortionBytes = size_t{64} << 10;
inline constexpr size_t kMaxPortionBytes = size_t{1} << 20;

// The state at one index, as portions. It shares memory with the machine, and has the
// state of the moment at which it was made, whatever the machine applies meanwhile.
//
// It is used and destroyed on one thread at a time, which need not be the loop's. It may
// outlive the machine.
class SnapshotSource {
 public:
  virtual ~SnapshotSource() = default;
  // Returns the next portion, which is not empty. None: there are no more. There is at
  // least one. All nodes that have applied the same commands return the same portions.
  [[nodiscard]] virtual std::optional<std::string> Next() = 0;
};

// A state that is put together from a snapshot's portions, beside that of the machine.
//
// Append and Finish are called on one thread, which need not be the loop's, and do not
// touch the machine. Install is called on the loop. After that, or when it is given up,
// it is destroyed on any thread, since it may be large.
class SnapshotRestore {
 public:
  virtual ~SnapshotRestore() = default;
  // Takes the next portion. UNIMPLEMENTED: it is a newer version's. DATA_LOSS: it is not
  // a portion of such a snapshot. After an error only the destructor is called.
  [[nodiscard]] virtual absl::Status Append(std::string_view portion) = 0;
  // There are no more portions. DATA_LOSS: something is missing, or the state is later
  // than the index with which the snapshot is said to end.
  [[nodiscard]] virtual absl::Status Finish() = 0;
  // Makes this the machine's state, in constant time. Called at most once, after Finish
  // has succeeded. The state that the machine had is destroyed with this object. The
  // machine must still exist, and must not lead (checked).
  virtual void Install() = 0;
};

class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // --- The log.

  // Whether this program can apply the command. UNIMPLEMENTED: it is a newer version's;
  // the entry must not be acknowledged, and the node must be upgraded. DATA_LOSS: it is
  // not a command.
  [[nodiscard]] virtual absl::Status Check(std::string_view command) const = 0;
  // Applies the command of the entry at `index`. Indexes grow, but not always by one,
  // because other entries are not for this machine. The errors are those of Check; then
  // nothing was changed, and the process must end.
  [[nodiscard]] virtual absl::Status Apply(LogIndex index, std::string_view command,
                                           Timestamp now) = 0;

  // --- Leadership. `now` never goes back, here and everywhere.

  // The term is higher than any before.
  virtual void BecomeLeader(Term term, Timestamp now) = 0;
  // Ignored for another term than that of the present leadership.
  virtual void LeaderReady(Term term, Timestamp now) = 0;
  // Proposals and reads that were not taken are forgotten, and so are reads that were not
  // confirmed. What was proposed may still be committed. No effect at a follower.
  virtual void LoseLeadership(Timestamp now) = 0;
  // Whether the node's disk has room for work that has not begun, which is so at first.
  // Without room, a leader proposes only what finishes work that is under way.
  virtual void AdmitNewWork(bool admit) = 0;

  // --- Time.

  // Does what is due, up to a limit.
  virtual void Tick(Timestamp now) = 0;
  // Whether Tick has more to do as soon as the machine's output was taken.
  [[nodiscard]] virtual bool HasMoreWork() const = 0;
  // When Tick has something to do next. Infinite: not before there is another input.
  [[nodiscard]] virtual Timestamp NextTimer() const = 0;

  // --- What the machine wants of the group. Only a leader's machine wants anything.

  // Returns commands that are to be appended to the log, in this order, before any later
  // ones. They may wait for Raft's flow control. Either all are appended in the term in
  // which they were taken, or LoseLeadership follows.
  [[nodiscard]] virtual std::vector<std::string> TakeProposals() = 0;
  // Returns reads that wait for OnReadConfirmed.
  [[nodiscard]] virtual std::vector<ReadToken> TakeReads() = 0;
  // The machine's state contains everything that any leader had committed when the token
  // was taken (Raft's read index). A token that is not known any more is ignored.
  virtual void OnReadConfirmed(ReadToken token, Timestamp now) = 0;

  // --- Snapshots.

  // Returns the state after the last applied command. The time that this takes does not
  // grow with the state: that is shared, and copied when it changes.
  [[nodiscard]] virtual std::unique_ptr<SnapshotSource> TakeSnapshot() = 0;
  // Begins to restore a snapshot that is said to hold what was committed up to and
  // including entry `at`.
  [[nodiscard]] virtual std::unique_ptr<SnapshotRestore> BeginRestore(LogIndex at) = 0;
};

}  // namespace concordat::group

#endif  // COORDINATOR_GROUP_STATE_MACHINE_H_
