// Prepared branches: commits them, rolls them back, finds out what became of them.
//
//   held ──────> XA COMMIT on the session that prepared it ── done ──────> kDone
//    │ starved      │ lost, failed: that session ended, and seen to be gone
//    v              v
//   detached ──> XA COMMIT on another ── done ───────────────────────────> kDone
//                   │ lost: that session ended, seen to be gone, and again
//                   │ busy, shutting down: again, until out of patience: kRetry
//                   │ 1397 XAER_NOTA: proves nothing
//                   v
//               look: prepared? ── yes: again     evidence? ── yes: kDone
//                                                           └─ no: heuristic
//
//   FindOut:  the old session ended, and seen to be gone ──> look
//
// A prepared branch belongs to its session for as long as that lives: others are told
// XAER_NOTA. So the connection stays with it, and is the quickest way to end it. When
// branches at work have nothing left to run on, connections that were held for a while
// are closed, which hands their branches to everybody (mysql_reset_connection does so
// too, but leaves an InnoDB transaction behind that holds its locks for ever: seen on
// 10.11.19). All other steps run on a pool that branches at work never use up: those may
// be waiting for locks that only a step of this class releases. For the loop's thread.
#ifndef PARTICIPANT_RESOURCES_MARIADB_SETTLER_H_
#define PARTICIPANT_RESOURCES_MARIADB_SETTLER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "participant/resources/mariadb/answer_watch.h"
#include "participant/resources/mariadb/mariadb_resource_manager.h"
#include "participant/resources/mariadb/pool.h"
#include "participant/resources/mariadb/sql.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::mariadb {

class Settler {
 public:
  // `work_pool` is where held connections come from, and go back to.
  Settler(rpc::EventLoop* loop, Pool* pool, Pool* work_pool, Owner owner,
          Duration patience, std::unique_ptr<AnswerWatch> watch, Counters* counters);
  ~Settler();
  Settler(const Settler&) = delete;
  Settler& operator=(const Settler&) = delete;

  // The branch was seen prepared by this process.
  void AddPrepared(const BranchId& branch) { prepared_.insert(branch); }

  // What ends between these two is told by IsOrWasOurs.
  void BeginLook() { looking_ = true; }
  void EndLook() {
    looking_ = false;
    ended_.clear();
  }
  // This process has seen it prepared; or it has ended since BeginLook.
  [[nodiscard]] bool IsOrWasOurs(const BranchId& branch) const {
    return prepared_.contains(branch) || ended_.contains(branch);
  }

  // It was just prepared on this connection.
  void Hold(const BranchId& branch, ConnectionPtr connection);
  // Gives up the connection that was held for the longest time, if that was a while, and
  // those that are broken.
  void DetachOne();

  void End(const BranchId& branch, bool commit, Callback<FinishResult> done);
  // kUnknown: the server was not reached. The branch is in no session's hands but ours.
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  // As LookUp, for a branch that `backend` may still be working on.
  void FindOut(const Backend& backend, const BranchId& branch, Callback<Evidence> done);
  void ForgetBelow(const Gtid& watermark);
  void Scan(Callback<absl::StatusOr<MariadbPreparedScan>> done);
  // The resource's generation; its row is made when there is none.
  void ReadGeneration(Callback<absl::StatusOr<uint64_t>> done);
  // As ResourceManager::SetGeneration.
  void SetGeneration(uint64_t known, uint64_t generation, Callback<absl::Status> done);
  // Interrupts what the session is doing. `done` once it is told (true), or cannot be.
  void Cancel(const Backend& backend, Callback<bool> done);

  // Ends a session that may not have noticed that its connection is gone, and holds
  // locks.
  void Abandon(const Backend& backend);

  // From now on nothing is tried again.
  void StopRetrying() { stopped_ = true; }

 private:
  struct Ending;
  struct Query;
  struct Held {
    ConnectionPtr connection;
    Timestamp since;
  };
  // `backend` is none when there was no connection to be had.
  using Answered = absl::AnyInvocable<void(BatchResult, const Backend& backend)>;
  void Run(std::vector<Statement> statements, Answered done);
  // Again while the connection is lost or the server is passing through something.
  void RunSurely(std::vector<Statement> statements, Timestamp until,
                 Callback<BatchResult> done);
  void RunAgain(std::shared_ptr<Query> query);
  void GiveBack(Held held, bool clean);
  void TryFinish(std::shared_ptr<Ending> ending);
  void FinishHere(std::shared_ptr<Ending> ending, Held held);
  void FinishElsewhere(std::shared_ptr<Ending> ending);
  void OnFinished(std::shared_ptr<Ending> ending, const BatchResult& r);
  void OnNotThere(std::shared_ptr<Ending> ending);
  void Answer(const std::shared_ptr<Ending>& ending, FinishState finish,
              std::string detail);
  void TryAgain(const std::shared_ptr<Ending>& ending, std::string why);
  void EndBackend(const Backend& backend, Timestamp until, Callback<bool> gone);
  void Delete(GroupId group);
  void After(Duration delay, absl::AnyInvocable<void()> task);

  rpc::EventLoop* const loop_;
  Pool* const pool_;
  Pool* const work_pool_;
  const Owner owner_;
  const Duration patience_;
  const std::unique_ptr<AnswerWatch> watch_;
  Counters* const counters_;
  bool stopped_ = false;
  absl::flat_hash_set<BranchId> prepared_;
  bool looking_ = false;
  absl::flat_hash_set<BranchId> ended_;  // since the look began
  absl::flat_hash_map<BranchId, Held> held_;
  struct Forgetting {
    Gtid below;
    bool running = false;
    bool again = false;
  };
  absl::flat_hash_map<GroupId, Forgetting> forgetting_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_SETTLER_H_
