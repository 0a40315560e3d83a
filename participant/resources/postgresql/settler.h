// Prepared branches: commits them, rolls them back, finds out what became of them.
//
//   End:      COMMIT PREPARED ── done ───────────────────────────────> kDone
//                 │ lost, busy, shutting down: again, until out of patience: kRetry
//                 │ 42704 "does not exist": proves nothing
//                 v
//             look: prepared? ── yes: again     evidence? ── yes: kDone
//                                                         └─ no: heuristic
//
//   FindOut:  the old backend ended, and seen to be gone ──> look
//
// Each step runs on a connection of a pool that branches at work never use up: those may
// be waiting for locks that only a step of this class releases. For the loop's thread.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_SETTLER_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_SETTLER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "participant/resources/postgresql/pool.h"
#include "participant/resources/postgresql/postgresql_resource_manager.h"
#include "participant/resources/postgresql/sql.h"
#include "participant/sdk/resource_manager.h"

namespace concordat::participant::postgresql {

class Settler {
 public:
  Settler(rpc::EventLoop* loop, Pool* pool, Owner owner, Duration patience);
  ~Settler();
  Settler(const Settler&) = delete;
  Settler& operator=(const Settler&) = delete;

  [[nodiscard]] const Owner& owner() const { return owner_; }

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

  void End(const BranchId& branch, bool commit, Callback<FinishResult> done);
  // kUnknown: the server was not reached. The branch is in no backend's hands.
  void LookUp(const BranchId& branch, Callback<Evidence> done);
  // As LookUp, for a branch that `backend` may still be working on.
  void FindOut(const Backend& backend, const BranchId& branch, Callback<Evidence> done);
  void ForgetBelow(const Gtid& watermark);
  void Scan(Callback<absl::StatusOr<PreparedScan>> done);
  // The resource's generation; its row is made when there is none.
  void ReadGeneration(Callback<absl::StatusOr<uint64_t>> done);
  // As ResourceManager::SetGeneration.
  void SetGeneration(uint64_t known, uint64_t generation, Callback<absl::Status> done);
  // Interrupts what the backend is doing. `done` once the signal is sent (true), or
  // cannot be.
  void Cancel(const Backend& backend, Callback<bool> done);

  // Ends a backend that may not have noticed that its connection is gone, and holds
  // locks.
  void Abandon(const Backend& backend);

  // From now on nothing is tried again.
  void StopRetrying() { stopped_ = true; }

 private:
  struct Ending;
  struct Query;
  void Run(std::vector<Statement> statements, Callback<BatchResult> done);
  // Again while the connection is lost or the server is passing through something.
  void RunSurely(std::vector<Statement> statements, Timestamp until,
                 Callback<BatchResult> done);
  void RunAgain(std::shared_ptr<Query> query);
  void TryFinish(std::shared_ptr<Ending> ending);
  void OnNotThere(std::shared_ptr<Ending> ending);
  void Answer(const std::shared_ptr<Ending>& ending, FinishState finish,
              std::string detail);
  void TryAgain(const std::shared_ptr<Ending>& ending, std::string why);
  void EndBackend(const Backend& backend, Timestamp until, Callback<bool> gone);
  void Delete(GroupId group);
  void After(Duration delay, absl::AnyInvocable<void()> task);

  rpc::EventLoop* const loop_;
  Pool* const pool_;
  const Owner owner_;
  const Duration patience_;
  bool stopped_ = false;
  absl::flat_hash_set<BranchId> prepared_;
  bool looking_ = false;
  absl::flat_hash_set<BranchId> ended_;  // since the look began
  struct Forgetting {
    Gtid below;
    bool running = false;
    bool again = false;
  };
  absl::flat_hash_map<GroupId, Forgetting> forgetting_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_SETTLER_H_
