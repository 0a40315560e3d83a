// The interface between a participant and what owns the data: X/Open's verbs
// (Distributed TP: The XA Specification, chapter 5), asynchronous.
//
// A resource manager implements this interface; the participant (participant.h)
// owns one, calls it from its loop thread, and takes care of the rest: incarnations
// and branch ids, repeated and late calls, idle branches, asking coordinators about
// branches in doubt. So an implementation may rely on the following.
//
//   - Branch ids are unique for ever. Start is called once for each.
//   - A branch's calls come one at a time: the next one only after the callback of
//     the last. Calls for different branches come interleaved.
//   - The order for one branch is
//
//       Start Execute* End ─┬─ Prepare ─┬─(kPrepared)── Commit | Rollback
//                           │           ├─(kReadOnly)   over
//                           │           └─(kRefused)    over, rolled back
//                           ├─ CommitOnePhase           over
//                           └─ Rollback                 over
//
//     Rollback of an active branch may come at any time before Prepare, also while an
//     Execute is waiting for a lock: that Execute is then called back with
//     BRANCH_GONE. It may also cross the callback of an Execute that has ended the
//     branch (CONFLICT): a Rollback of a branch that is not there is kDone. A
//     Prepare that was called back with kUnavailable may come again, without End.
//     After a restart a branch begins in the prepared state.
//   - Nothing is called before Recover has been called back, nothing after Close.
//
// What an implementation promises:
//   - Prepare is called back with kPrepared only after the branch would survive the
//     loss of power; Commit with kDone only after its effects would. A failed write
//     or flush ends the process (FatalIoError, coordinator/base/check.h).
//   - A branch's evidence (that it was committed, and how) is made durable in the same
//     step as its commit, and is found by LookUp until ForgetBelow has passed it.
//   - Locks of prepared branches are held again before Recover is called back.
//
// Callbacks may be called on any thread, also before the call has returned, and
// exactly once.
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
  Gtid age;               // of the transaction, when locks collide: older ones win
  std::string isolation;  // in the resource's own words; empty: its default
};

// What one answer of Execute may hold, so that it fits into a frame with the limits that
// clients have by default (thrift/rpc/limits.h): a call that would return more is
// refused with INVALID, and has changed nothing.
inline constexpr uint64_t kMaxAnswerBytes = 768u << 10;
inline constexpr uint64_t kMaxAnswerRows =
    16'000;  // of one statement, pairs of one RANGE
inline constexpr uint64_t kMaxAnswerValues = 30'000;  // of all rows, or pairs, of a call

template <class T>
using Callback = absl::AnyInvocable<void(T)>;

// A prepared branch that turned up in the store after Recover had listed what was there.
struct FoundBranch {
  BranchId branch;
  Duration prepared_for;  // by the store's clock; zero: it does not say
};
using FoundCallback = absl::AnyInvocable<void(std::vector<FoundBranch>)>;

class ResourceManager {
 public:
  virtual ~ResourceManager() = default;

  // "kv", "sqlite", …; for operators and for the registry.
  [[nodiscard]] virtual std::string_view kind() const = 0;

  // Whether prepared branches can be ended behind the participant's back (by an operator
  // in a database's console, say). Then a COMMIT for a branch of an earlier start that
  // is not there and left no evidence is reported as a heuristic hazard; otherwise
  // such a branch can only have been read-only, and is acknowledged.
  [[nodiscard]] virtual bool can_be_settled_elsewhere() const { return false; }
  // Whether a branch would wait for the locks of another one of its transaction, because
  // the store takes them for strangers. Then Start is called for one at a time, and a
  // second is refused before it can wait for itself. A resource manager that knows its
  // locks' holders refuses where they meet instead, and says false.
  [[nodiscard]] virtual bool one_branch_a_transaction() const { return false; }

  // Opens the store, restores prepared branches and their locks, and lists them
  // (xa_recover). An error means that the resource cannot be served; its message says
  // why and what to do.
  virtual void Recover(ClusterId cluster,
                       Callback<absl::StatusOr<std::vector<BranchId>>> done) = 0;

  // For a store that others than this process can prepare branches in: called with
  // branches that are prepared, are of this cluster and resource, and were not prepared
  // by this manager in this incarnation, nor reported before. It leaves out what it has
  // in hand, and what was ended while it was looking; it may repeat what Recover has
  // listed (to say for how long it has been prepared). Set before Recover; called back
  // any number of times, on any thread, from the callback of Recover (when that has been
  // called) until Close has returned.
  virtual void OnFound(FoundCallback /*found*/) {}

  // Names the store for good: made with it, kept in it, the same at every start, at most
  // 64 printable characters. Asked for after Recover. Coordinators refuse another store
  // under the same resource's name, where what was prepared is not. Empty: none.
  [[nodiscard]] virtual std::string store_id() const { return ""; }

  // How far the store has come: what SetGeneration last put into it, in whatever
  // incarnation; asked for when Recover has been called back, before SetGeneration. 0:
  // nothing yet. Coordinators remember it, and refuse the store when it has gone back:
  // then it is a backup that was put back, or a standby that had not received everything,
  // and lacks what was promised since.
  [[nodiscard]] virtual uint64_t generation() const { return 0; }
  // Puts a larger generation into the store's own data, so that every copy of the store
  // has the generation of its time. Durable when it is called back with OK; one at a
  // time.
  //   UNIMPLEMENTED         the store keeps none; do not ask again
  //   FAILED_PRECONDITION   the one in the store is smaller than the last one that was
  //                         put there: it was replaced by an older copy of itself, in
  //                         use. Nothing may be promised with it any more
  //   others                nothing is known; try again later
  virtual void SetGeneration(uint64_t /*generation*/, Callback<absl::Status> done) {
    done(absl::UnimplementedError("this kind of store keeps no generation"));
  }

  // Why no branch can be begun or ended now, though the manager goes on trying: its
  // database is not reached, say. For operators. Empty: one can. Thread-safe, between
  // Recover's callback and Close.
  [[nodiscard]] virtual std::string unavailable() const { return ""; }

  // Begins a branch. An error refuses it (RESOURCE_EXHAUSTED when the disk is full).
  virtual absl::Status Start(const BranchId& branch, const StartOptions& options) = 0;

  // The application will run the branch on a connection of its own, prepare it, and hand
  // it over: what it has to say there. Called instead of Start; the manager keeps nothing
  // of the branch, and finds it, prepared or not, when LookUp, Commit or Rollback ask.
  // UNIMPLEMENTED: this kind has no connections that an application could bring.
  virtual absl::StatusOr<wire::ApplicationManagedBranch> StartApplicationManaged(
      const BranchId& /*branch*/, const StartOptions& /*options*/) {
    return absl::UnimplementedError("");
  }

  // Does the work in `request` (its kv, sql or opaque field) in the branch and
  // fills the reply's result and the field that goes with the request's. The
  // participant fills the rest. After CONFLICT, BRANCH_GONE, RESOURCE_ERROR or TIMED_OUT
  // the branch is rolled back and over; after anything else it lives on. `request` lives
  // until `done` has been called.
  // With request.prepare no other call will come: a manager may End and Prepare the
  // branch in the same step, when the work has succeeded and has written something, and
  // then sets reply.prepared: that is the vote kPrepared, with all that it promises. One
  // whose locks resolve deadlocks by rolling back the younger branch (wound-wait) must
  // not: a prepared branch cannot be rolled back, and the transaction may still be
  // waiting for a lock at another resource. A Rollback may come while the call runs, as
  // always.
  virtual void Execute(const BranchId& branch, const wire::ExecuteRequest& request,
                       Callback<wire::ExecuteReply> done) = 0;

  // No more work will come in this branch (xa_end).
  virtual void End(const BranchId& branch) = 0;

  virtual void Prepare(const BranchId& branch, Callback<PrepareResult> done) = 0;
  virtual void Commit(const BranchId& branch, Callback<FinishResult> done) = 0;
  virtual void CommitOnePhase(const BranchId& branch, Callback<OnePhaseResult> done) = 0;
  virtual void Rollback(const BranchId& branch, Callback<FinishResult> done) = 0;

  // Calls between these two came together: what they write may wait for EndBatch, to
  // share one flush, which may then be made before EndBatch returns. On the
  // participant's loop, which has sent all it had to send when it calls EndBatch. Calls
  // outside of a batch stand for themselves.
  virtual void BeginBatch() {}
  virtual void EndBatch() {}

  virtual void LookUp(const BranchId& branch, Callback<Evidence> done) = 0;

  // Evidence of transactions below this one will not be asked for any more and may be
  // dropped, some time. Gtids of one group are ordered; of the group named.
  virtual void ForgetBelow(const Gtid& watermark) = 0;

  // Calls back what is pending, rolls back active branches, closes the store;
  // prepared branches stay on disk. Blocks until done.
  virtual void Close() = 0;
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_RESOURCE_MANAGER_H_
