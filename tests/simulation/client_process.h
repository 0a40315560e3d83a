// A simulated client, which moves money between resources and behaves in all the ways in
// which real clients may: it repeats requests at other nodes, with other branches or in
// another mode, rolls back after its own commit, gives up, commits in one phase, and lets
// a service enlist branches.
//
// The changes of every set of branches that a client asks to commit sum to zero, so that
// no money appears or is lost, whichever of its requests wins.
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
  Duration think = Duration::Millis(20);  // the longest pause between transactions
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

  // Begins no more transactions; those under way are finished.
  void Stop() { stopping_ = true; }
  // Whether the client waits for no answer.
  [[nodiscard]] bool idle() const { return open_ == 0; }
  [[nodiscard]] uint64_t committed() const { return committed_; }
  [[nodiscard]] uint64_t aborted() const { return aborted_; }

 private:
  enum class Kind : uint8_t {
    kTransfer,         // two resources, commit
    kTransferAndRead,  // and a third one that only reads
    kReadOnly,         // two resources, nothing written
    kOnePhase,         // one resource, committed there in one phase
    kOnePhaseAndMore,  // the same, and then named in a larger transaction
    kService,          // a service enlists a branch
    kServiceLate,      // it does so while the commit is requested
    kServiceGivenUp,   // the same; the client does not wait for an answer
    kOtherBranches,    // commit repeated with another list
    kOtherMode,        // commit repeated in another mode
    kRollbackRace,     // rollback is requested after the commit
    kRollback,         // rolled back
    kRollbackUnknown,  // a gtid without branches is rolled back
    kVanish,           // the client requests nothing
    kGiveUp,           // commit is requested once; the client does not wait
    kCrossedOut,       // released at the participants after a commit request
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
    std::vector<BranchId> branches;  // in the order of the work
    bool may_prepare = false;        // the branches may vote in the answer to their work
    std::set<BranchId> prepared;     // those that have done so
    bool unbegun = false;            // commit was requested, and no node has begun it
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

  // Requests the commit and waits for the answer.
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
  size_t open_ = 0;  // the number of answers that it waits for
  uint64_t committed_ = 0;
  uint64_t aborted_ = 0;
};

}  // namespace concordat::simulation

#endif  // TESTS_SIMULATION_CLIENT_PROCESS_H_
