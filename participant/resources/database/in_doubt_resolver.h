// Commits prepared branches and rolls them back, and finds out what became of branches.
//
//   End:      the database's commit of a prepared branch ── done ─────> kDone
//                 │ lost, busy, shutting down: again, until out of patience: kRetry
//                 │ "does not exist": proves nothing
//                 v
//             look: prepared? ── yes: again     evidence? ── yes: kDone
//                                                         └─ no: heuristic
//
//   FindOut:  the old session ended, and seen to be gone ──> look
//
// Where a prepared branch stays with its session (Rules::prepared_stays_with_session):
//
//   kept ──────> the commit, by the session that prepared it ── done ─> kDone
//    │ starved      │ lost, failed: that session ended, and seen to be gone
//    v              v
//   detached ──> the commit, by another session ── as above; but when its answer is lost,
//                that session is ended too, and seen to be gone, before the next step
//
// So such a session is kept, and is the quickest way to end its branch. When branches at
// work have no session left to run in, sessions that were kept for a while are closed;
// then any session can end their branches.
//
// All other steps use a pool of their own, which branches at work cannot exhaust: those
// may be waiting for locks that only a step of this class releases. Used on the loop's
// thread only.
#ifndef PARTICIPANT_RESOURCES_DATABASE_IN_DOUBT_RESOLVER_H_
#define PARTICIPANT_RESOURCES_DATABASE_IN_DOUBT_RESOLVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "coordinator/base/lifetime.h"
#include "participant/resources/database/dialect.h"
#include "participant/resources/database/pool.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::database {

class InDoubtResolver {
 public:
  // `work_pool` is the pool from which kept sessions come and to which they return.
  // `patience`: see DatabaseOptions::settle_patience. All pointers outlive this.
  InDoubtResolver(rpc::EventLoop* loop, Dialect* dialect, Pool* pool, Pool* work_pool,
                  Duration patience, Counters* counters);
  InDoubtResolver(const InDoubtResolver&) = delete;
  InDoubtResolver& operator=(const InDoubtResolver&) = delete;

  // This process has seen the branch prepared.
  void AddPrepared(const BranchId& branch) { prepared_.insert(branch); }
  // The branch was just prepared in this session, and stays with it.
  void Keep(const BranchId& branch, SessionPtr session);
  // Gives up the kept sessions that are broken. If there are none, gives up the one that
  // was kept for the longest time, if that was long enough.
  void DetachOne();

  // Branches that end between these two calls are remembered for IsOrWasOurs.
  void BeginScan() { scanning_ = true; }
  void EndScan() {
    scanning_ = false;
    ended_.clear();
  }
  // This process has seen the branch prepared, or the branch has ended since BeginScan.
  [[nodiscard]] bool IsOrWasOurs(const BranchId& branch) const {
    return prepared_.contains(branch) || ended_.contains(branch);
  }

  // Commits the prepared branch, or rolls it back.
  void End(const BranchId& branch, bool commit, Callback<FinishResult> done);
  // What became of a branch that no session is working on, but for one that is kept with
  // it. kUnknown: the server was not reached.
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  // As LookUp, for a branch that `session` may still be working on.
  void FindOut(const SessionId& session, const BranchId& branch, Callback<Evidence> done);
  // Deletes the evidence of the group's transactions below the watermark, over time.
  void ForgetBelow(const Gtid& watermark);
  // Reads which branches are prepared in the database.
  void Scan(Callback<absl::StatusOr<PreparedScan>> done);
  // Reads the resource's generation. Its row is created if there is none.
  void ReadGeneration(Callback<absl::StatusOr<uint64_t>> done);
  // As ResourceManager::SetGeneration.
  void SetGeneration(uint64_t known, uint64_t generation, Callback<absl::Status> done);
  // Interrupts what the session is doing. `done` gets true once the server has accepted
  // the request, and false when that has failed.
  void Cancel(const SessionId& session, Callback<bool> done);

  // Ends a session that may not have noticed that its connection is gone, and that may
  // hold locks.
  void Abandon(const SessionId& session);

  // Nothing that fails is tried again from now on.
  void StopRetrying() { stopped_ = true; }

 private:
  struct Ending;  // a commit or rollback that is under way
  struct Query;   // a batch that is repeated until it is answered
  struct Kept {
    SessionPtr session;
    Timestamp since;  // when the branch was prepared
  };
  struct Forgetting {
    Gtid below;            // the watermark that was told last
    bool running = false;  // a batch that deletes is under way
    bool again = false;    // the watermark has grown meanwhile
  };
  // `session` is none when no connection was to be had.
  using Answered = absl::AnyInvocable<void(BatchResult, const SessionId& session)>;

  void Run(std::vector<Statement> statements, Answered done);
  // Repeats the batch until `until`, while the connection is lost or the failure is one
  // that passes (Dialect::IsTransient).
  void RunSurely(std::vector<Statement> statements, Timestamp until,
                 Callback<BatchResult> done);
  void RunAgain(std::shared_ptr<Query> query);
  void GiveBack(SessionPtr session, bool clean);
  void TryFinish(const std::shared_ptr<Ending>& ending);
  void FinishInItsSession(const std::shared_ptr<Ending>& ending, SessionPtr session);
  void FinishElsewhere(const std::shared_ptr<Ending>& ending);
  void OnFinished(const std::shared_ptr<Ending>& ending, const BatchResult& r);
  void OnNotThere(const std::shared_ptr<Ending>& ending);
  void Answer(const std::shared_ptr<Ending>& ending, FinishState state,
              std::string detail);
  void TryAgain(const std::shared_ptr<Ending>& ending, std::string why);
  void EndSession(const SessionId& session, Timestamp until, Callback<bool> gone);
  void Delete(GroupId group);
  void After(Duration delay, absl::AnyInvocable<void()> task);

  // These outlive this.
  rpc::EventLoop* const loop_;
  Dialect& dialect_;
  Pool* const pool_;       // of the sessions for settling
  Pool* const work_pool_;  // of the sessions for work; kept sessions are from it
  const Duration patience_;
  Counters* const counters_;
  bool stopped_ = false;                    // StopRetrying was called
  absl::flat_hash_set<BranchId> prepared_;  // seen prepared, and not ended here
  bool scanning_ = false;                   // between BeginScan and EndScan
  absl::flat_hash_set<BranchId> ended_;     // since BeginScan
  // The sessions that stay with their prepared branches.
  absl::flat_hash_map<BranchId, Kept> kept_;
  absl::flat_hash_map<GroupId, Forgetting> forgetting_;
  Lifetime lifetime_;
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_IN_DOUBT_RESOLVER_H_
