// The interface between a participant and the owner of data: X/Open's verbs (Distributed
// TP: The XA Specification, chapter 5), asynchronous.
//
// A resource manager implements this interface. The participant (participant.h) owns it,
// calls it from its loop thread, and does the rest: incarnations and branch ids, repeated
// and late calls, idle branches, inquiries about branches in doubt. So an implementation
// may rely on the following.
//
//   - Branch ids are never used twice. Start is called once for each.
//   - The calls for a branch come one at a time: the next one only after the callback of
//     the last one. Calls for different branches are interleaved.
//   - The order for one branch is
//
//       Start Execute* End ─┬─ Prepare ─┬─(kPrepared)── Commit | Rollback
//                           │           ├─(kReadOnly)   over
//                           │           └─(kRefused)    over, rolled back
//                           ├─ CommitOnePhase           over
//                           └─ Rollback                 over
//
//     Rollback of an active branch may come at any time before Prepare, even while an
//     Execute waits for a lock: that Execute is then called back with BRANCH_GONE. It
//     may also cross the callback of an Execute that has ended the branch (CONFLICT):
//     the result of a Rollback of a branch that is not there is kDone. A Prepare that
//     was called back with kUnavailable may come again, without End. After a restart a
//     branch begins in the prepared state.
//   - Nothing is called before Recover has been called back, and nothing after Close.
//
// What an implementation promises:
//   - Prepare is called back with kPrepared only when the branch would survive the loss
//     of power, and Commit with kDone only when its effects would. A failed write or
//     flush ends the process (FatalIoError, coordinator/base/check.h).
//   - A branch's evidence (that it was committed, and how) is made durable in the same
//     step as its commit, and LookUp finds it until ForgetBelow has passed it.
//   - Locks of prepared branches are held again before Recover is called back.
//
// A callback is called exactly once, on any thread, perhaps before the call has returned.
#ifndef PARTICIPANT_SDK_RESOURCE_MANAGER_H_
#define PARTICIPANT_SDK_RESOURCE_MANAGER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant {

// How a branch is started (xa_start).
struct StartOptions {
  Gtid age;               // of the transaction, for conflicts of locks: older ones win
  std::string isolation;  // in the resource's own terms; empty: its default
};

// How much one answer of Execute may hold, so that it fits into a frame with the clients'
// default limits (thrift/rpc/limits.h). A call that would return more is refused with
// INVALID and has changed nothing.
inline constexpr uint64_t kMaxAnswerBytes = 768u << 10;
inline constexpr uint64_t kMaxAnswerRows =
    16'000;  // of one statement, pairs of one RANGE
inline constexpr uint64_t kMaxAnswerValues = 30'000;  // of all rows, or pairs, of a call

template <class T>
using Callback = absl::AnyInvocable<void(T)>;

// A prepared branch that appeared in the store after Recover had listed the branches
// there.
struct FoundBranch {
  BranchId branch;
  Duration prepared_for;  // by the store's clock; zero: not known
};
using FoundCallback = absl::AnyInvocable<void(std::vector<FoundBranch>)>;

class ResourceManager {
 public:
  virtual ~ResourceManager() = default;

  // "kv", "sqlite", …; for operators and for the registry.
  [[nodiscard]] virtual std::string_view kind() const = 0;

  // True: prepared branches can be ended without the participant (by an operator at a
  // database's console, for example). Then a COMMIT for a branch of an earlier
  // incarnation that is not there and left no evidence is reported as a heuristic hazard.
  // Otherwise such a branch can only have been read-only, and COMMIT is acknowledged.
  [[nodiscard]] virtual bool can_be_settled_elsewhere() const { return false; }
  // True: a branch would wait for the locks of another branch of its transaction, because
  // the store does not know that they belong together. Then a transaction may have one
  // branch here at a time, and a second Start is refused, so that the transaction does
  // not wait for itself. A resource manager that knows the holders of its locks refuses
  // at the lock instead, and returns false.
  [[nodiscard]] virtual bool one_branch_a_transaction() const { return false; }

  // Opens the store, restores prepared branches and their locks, and lists them
  // (xa_recover). An error means that the resource cannot be served; its message says
  // why, and what to do.
  virtual void Recover(ClusterId cluster,
                       Callback<absl::StatusOr<std::vector<BranchId>>> done) = 0;

  // For a store in which others than this process can prepare branches. `found` is called
  // with branches that are prepared, belong to this cluster and resource, were not
  // prepared by this manager since its start, and were not reported before. The manager
  // leaves out branches that it is ending, and those that ended during its scan. It may
  // repeat branches that Recover has listed, to report how long they have been prepared.
  // Called before Recover. `found` is called any number of times, on any thread, from the
  // callback of Recover until Close has returned.
  virtual void OnFound(FoundCallback /*found*/) {}

  // Identifies the store: it is created with the store, kept in it, and never changes; at
  // most 64 printable characters. It is called after Recover.
  // Coordinators refuse another store under the same resource's name, since the prepared
  // branches are not in it. Empty: the store has no identity.
  [[nodiscard]] virtual std::string store_id() const { return ""; }

  // The generation that SetGeneration last wrote into the store, also in an earlier
  // incarnation. It is asked for when Recover has been called back, before SetGeneration.
  // 0: none yet. Coordinators remember it, and refuse the store when its generation is
  // lower: then the store is a restored backup, or a standby that had not received
  // everything, and lacks what was promised since.
  [[nodiscard]] virtual uint64_t generation() const { return 0; }
  // Writes a larger generation into the store's own data, so that every copy of the store
  // has the generation of its time. It is durable when `done` gets OK. One call at a
  // time.
  //   UNIMPLEMENTED        the store keeps no generation; do not call again
  //   FAILED_PRECONDITION  the generation in the store is smaller than the last one that
  //   was
  //                        written: the store was replaced by an older copy of itself
  //                        while in use. Nothing may be promised with it any more
  //   others               nothing is known; try again later
  virtual void SetGeneration(uint64_t /*generation*/, Callback<absl::Status> done) {
    done(absl::UnimplementedError("this kind of store keeps no generation"));
  }

  // Why no branch can be begun or ended now although the manager keeps trying; for
  // example, its database cannot be reached. For operators. Empty: branches can be begun
  // and ended. Thread-safe between Recover's callback and Close.
  [[nodiscard]] virtual std::string unavailable() const { return ""; }

  // Begins a branch. An error refuses it (RESOURCE_EXHAUSTED: the disk is full).
  virtual absl::Status Start(const BranchId& branch, const StartOptions& options) = 0;

  // The application will run the branch on a connection of its own, prepare it, and hand
  // it over. Returns what the application must say there. Called instead of Start. The
  // manager keeps nothing of the branch; it finds it, prepared or not, when LookUp,
  // Commit or Rollback ask. UNIMPLEMENTED: an application cannot bring connections for
  // this kind of resource.
  virtual absl::StatusOr<wire::ApplicationManagedBranch> StartApplicationManaged(
      const BranchId& /*branch*/, const StartOptions& /*options*/) {
    return absl::UnimplementedError("");
  }

  // Does the work in `request` (its kv, sql or opaque field) in the branch, and fills the
  // reply's result and the field that corresponds to the request's. The participant fills
  // the other fields. After CONFLICT, BRANCH_GONE, RESOURCE_ERROR or TIMED_OUT the branch
  // has been rolled back and has ended; after any other code it stays active. `request`
  // is valid until `done` has been called.
  //
  // With request.prepare no other call will come. When the work has succeeded and has
  // written something, a manager may End and Prepare the branch in the same step; it then
  // sets reply.prepared, which is the vote kPrepared with all that it promises. A manager
  // whose locks resolve deadlocks by rolling back the younger branch (wound-wait) must
  // not do this: a prepared branch cannot be rolled back, and the transaction may still
  // be waiting for a lock at another resource. A Rollback may come while the call runs,
  // as always.
  virtual void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
                       Callback<wire::ExecuteReply> done) = 0;

  // No more work will come in this branch (xa_end).
  virtual void End(const BranchId& branch) = 0;

  virtual void Prepare(const BranchId& branch, Callback<PrepareResult> done) = 0;
  virtual void Commit(const BranchId& branch, Callback<FinishResult> done) = 0;
  virtual void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) = 0;
  virtual void Rollback(const BranchId& branch, Callback<FinishResult> done) = 0;

  // Calls between these two came together. What they write may wait for EndBatch, to
  // share one flush, which may be made before EndBatch returns. Both are called on the
  // participant's loop, which has sent everything it had to send when it calls EndBatch.
  // Calls outside a batch do not wait.
  virtual void BeginBatch() {}
  virtual void EndBatch() {}

  virtual void LookUp(const BranchId& branch, Callback<Evidence> done) = 0;

  // Evidence of transactions of this group below the watermark will not be asked for any
  // more and may be dropped at any time. Gtids are ordered within one group.
  virtual void ForgetBelow(const Gtid& watermark) = 0;

  // Calls back what is pending, rolls back active branches and closes the store. Prepared
  // branches stay on disk. Blocks until all this is done.
  virtual void Close() = 0;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_RESOURCE_MANAGER_H_
