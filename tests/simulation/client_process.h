// A simulated client: moves money between resources, in all the ways in which clients
// of the real thing may behave: retries at other nodes, with other branches or in
// another mode, rollbacks behind its own commits, giving up, one-phase commits, and
// branches that a service enlists for it.
//
// Every set of branches that a client asks to commit sums to zero, so that money can
// neither appear nor vanish, whichever of its requests wins.
#ifndef TESTS_SIMULATION_CLIENT_PROCESS_H_
#define TESTS_SIMULATION_CLIENT_PROCESS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/base/random.h"
#include "tests/simulation/caller.h"
#include "tests/simulation/coordinator_calls.h"
#include "tests/simulation/judge.h"
#include "tests/simulation/world.h"

namespace concordat::simulation {

struct ClientOptions {
  std::vector<std::string> resources;
  std::vector<ProcessId> services;
  uint32_t accounts = 8;
  Duration think = Duration::Millis(20);  // at most, between transactions
  uint32_t parallel_percent = 50;         // of commits in mode parallel
  uint32_t odd_percent = 40;              // of transactions that are not plain transfers
  uint32_t unsolicited_percent = 30;      // whose branches may vote with their work
};

class ClientProcess final : public Process {
 public:
  ClientProcess(World* world, const Directory* directory, Judge* judge,
                const ClientOptions& options);

  void SetProcess(ProcessId id);
  [[nodiscard]] ProcessId process() const { return process_; }

  void Start() override { Next(); }
  void Crash(bool) override { caller_.Clear(); }
  void Receive(const Packet& packet) override { (void)caller_.OnReply(packet); }

  // No new transactions from here on; those under way are finished.
  void Stop() { stopping_ = true; }
  // No answer is waited for any more.
  [[nodiscard]] bool idle() const { return open_ == 0; }
  [[nodiscard]] uint64_t committed() const { return committed_; }
  [[nodiscard]] uint64_t aborted() const { return aborted_; }

 private:
  enum class Kind : uint8_t {
    kTransfer,         // two resources, commit
    kTransferAndRead,  // and a third one that only reads
    kReadOnly,         // two resources, nothing written
    kOnePhase,         // one resource, committed by the RM
    kOnePhaseAndMore,  // then named in a larger transaction
    kService,          // a service enlists a branch
    kServiceLate,      // it does so while commit is asked for
    kServiceGivenUp,   // then commit is asked for once, no answer waited for
    kOtherBranches,    // commit repeated with another list
    kOtherMode,        // commit repeated in another mode
    kRollbackRace,     // rollback behind the commit
    kRollback,         // rolled back
    kRollbackUnknown,  // a gtid without branches is rolled back
    kVanish,           // nothing is asked for
    kGiveUp,           // commit is asked for once, no answer waited for
    kCrossedOut,       // released at the RMs behind a commit that named them
    kCount
  };
  struct Work {
    std::string resource;
    std::vector<Write> writes;
  };
  // One transaction.
  struct Attempt {
    Gtid gtid;
    Kind kind = Kind::kTransfer;
    CommitMode mode = CommitMode::kDecided;
    uint64_t timeout_ms = 1000;
    std::vector<Work> work;
    std::vector<BranchId> branches;  // of the work, in its order
    bool may_prepare = false;        // the branches may vote with their work
    std::set<BranchId> prepared;     // those that have
    bool unbegun = false;            // commit was asked for, and nobody has begun it
  };
  using AttemptPtr = std::shared_ptr<Attempt>;

  void Next();
  void Think();
  void Begin();
  [[nodiscard]] Kind ChooseKind();
  void Plan(Attempt* attempt);
  [[nodiscard]] std::vector<Write> Internal();
  void DoWork(const AttemptPtr& attempt, size_t position);
  void WorkFailed(const AttemptPtr& attempt);
  void GiveUpWork(const AttemptPtr& attempt);
  void Finish(const AttemptPtr& attempt);

  void FinishOnePhase(const AttemptPtr& attempt, int asked);
  void FinishWithService(const AttemptPtr& attempt);
  void FinishOtherBranches(const AttemptPtr& attempt);
  void FinishOtherMode(const AttemptPtr& attempt);
  void FinishRollbackRace(const AttemptPtr& attempt);
  void FinishGivingUp(const AttemptPtr& attempt);
  void ExtendOnePhase(const AttemptPtr& attempt);

  // A call whose answer is waited for.
  void Commit(const AttemptPtr& attempt, std::vector<BranchId> branches, CommitMode mode,
              std::function<void()> then,
              client::RequestFate fate = client::RequestFate());
  void Rollback(const AttemptPtr& attempt, std::function<void()> then);
  void AskAgain(const AttemptPtr& attempt);
  void Release(const AttemptPtr& attempt);
  // The same, when a request with this gtid was sent before.
  void CommitAgain(const AttemptPtr& attempt, std::vector<BranchId> branches,
                   CommitMode mode, std::function<void()> then) {
    Commit(attempt, std::move(branches), mode, std::move(then),
           client::RequestFate(/*heard_before=*/true));
  }
  void OnOutcome(const Gtid& gtid, const OutcomeReply& reply);
  [[nodiscard]] CommitCall MakeCommit(const Attempt& attempt,
                                      std::vector<BranchId> branches, CommitMode mode);
  [[nodiscard]] ProcessId At(const std::string& resource) const {
    return directory_->resources.at(resource);
  }
  [[nodiscard]] Timestamp Never() const { return Timestamp::Infinite(); }
  void After(Duration delay, Action action) {
    world_->After(process_, delay, std::move(action));
  }
  [[nodiscard]] Duration Within(int64_t max_micros) {
    return Duration::Micros(random_.Between(0, max_micros));
  }

  World* world_;
  const Directory* directory_;
  Judge* judge_;
  ClientOptions options_;
  ProcessId process_;
  Random random_;
  Caller caller_;
  CoordinatorCalls calls_;

  Gtid next_gtid_;
  uint32_t gtids_left_ = 0;
  Timestamp gtids_until_;
  bool stopping_ = false;
  size_t open_ = 0;  // answers that are waited for
  uint64_t committed_ = 0;
  uint64_t aborted_ = 0;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_CLIENT_PROCESS_H_
