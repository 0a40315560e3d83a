// Prepared branches: commits them, rolls them back, finds out what became of them.
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
// Where a prepared branch stays with its session (Dialect::prepared_stays_with_session):
//
//   kept ──────> the commit, by the session that prepared it ── done ─> kDone
//    │ starved      │ lost, failed: that session ended, and seen to be gone
//    v              v
//   detached ──> the commit, by another ── as above; but when its answer is lost, that
//                session is ended, too, and seen to be gone, before one goes on
//
// So such a session is kept, and is the quickest way to end its branch. When branches at
// work have nothing left to run on, sessions that were kept for a while are closed, which
// hands their branches to everybody.
//
// All other steps run on a pool that branches at work never use up: those may be waiting
// for locks that only a step of this class releases. For the loop's thread.
#ifndef PARTICIPANT_RESOURCES_DATABASE_IN_DOUBT_RESOLVER_H_
#define PARTICIPANT_RESOURCES_DATABASE_IN_DOUBT_RESOLVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "participant/resources/database/dialect.h"
#include "participant/resources/database/pool.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::database {

class InDoubtResolver {
 public:
  // `work_pool` is where kept sessions come from, and go back to. `patience`: see
  // DatabaseOptions::settle_patience.
  InDoubtResolver(rpc::EventLoop* loop, Dialect* dialect, Pool* pool, Pool* work_pool,
                  Duration patience, Counters* counters);
  ~InDoubtResolver();
  InDoubtResolver(const InDoubtResolver&) = delete;
  InDoubtResolver& operator=(const InDoubtResolver&) = delete;

  // The branch was seen prepared by this process.
  void AddPrepared(const BranchId& branch) { prepared_.insert(branch); }
  // It was just prepared in this session, and stays with it.
  void Keep(const BranchId& branch, SessionPtr session);
  // Gives up the session that was kept for the longest time, if that was a while, and
  // those that are broken.
  void DetachOne();

  // What ends between these two is told by IsOrWasOurs.
  void BeginScan() { scanning_ = true; }
  void EndScan() {
    scanning_ = false;
    ended_.clear();
  }
  // This process has seen it prepared; or it has ended since BeginScan.
  [[nodiscard]] bool IsOrWasOurs(const BranchId& branch) const {
    return prepared_.contains(branch) || ended_.contains(branch);
  }

  void End(const BranchId& branch, bool commit, Callback<FinishResult> done);
  // kUnknown: the server was not reached. The branch is in no session's hands, but for
  // one that is kept with it.
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  // As LookUp, for a branch that `session` may still be working on.
  void FindOut(const SessionId& session, const BranchId& branch, Callback<Evidence> done);
  void ForgetBelow(const Gtid& watermark);
  void Scan(Callback<absl::StatusOr<PreparedScan>> done);
  // The resource's generation; its row is made when there is none.
  void ReadGeneration(Callback<absl::StatusOr<uint64_t>> done);
  // As ResourceManager::SetGeneration.
  void SetGeneration(uint64_t known, uint64_t generation, Callback<absl::Status> done);
  // Interrupts what the session is doing. `done` once the server has been told (true), or
  // cannot be.
  void Cancel(const SessionId& session, Callback<bool> done);

  // Ends a session that may not have noticed that its connection is gone, and holds
  // locks.
  void Abandon(const SessionId& session);

  // From now on nothing is tried again.
  void StopRetrying() { stopped_ = true; }

 private:
  struct Ending;
  struct Query;
  struct Kept {
    SessionPtr session;
    Timestamp since;
  };
  struct Forgetting {
    Gtid below;
    bool running = false;
    bool again = false;
  };
  // `session` is none when there was no connection to be had.
  using Answered = absl::AnyInvocable<void(BatchResult, const SessionId& session)>;

  void Run(std::vector<Statement> statements, Answered done);
  // Again while the connection is lost or the server is passing through something.
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

  rpc::EventLoop* const loop_;
  Dialect& dialect_;
  Pool* const pool_;
  Pool* const work_pool_;
  const Duration patience_;
  Counters* const counters_;
  bool stopped_ = false;
  absl::flat_hash_set<BranchId> prepared_;
  bool scanning_ = false;
  absl::flat_hash_set<BranchId> ended_;  // since the scan began
  absl::flat_hash_map<BranchId, Kept> kept_;
  absl::flat_hash_map<GroupId, Forgetting> forgetting_;
  // Timers and callbacks that come after the end find it gone.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_IN_DOUBT_RESOLVER_H_
