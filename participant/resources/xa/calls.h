// The blocking calls that one branch makes of the switch, and what XA's return codes mean
// for it. They run on a thread that has opened the resource manager.
#ifndef PARTICIPANT_RESOURCES_XA_CALLS_H_
#define PARTICIPANT_RESOURCES_XA_CALLS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/xid.h"
#include "participant/resources/xa/evidence_log.h"
#include "participant/resources/xa/thread_of_control.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant::xa {

struct Held {
  std::vector<BranchId> ours;  // of this cluster and resource
  size_t others = 0;           // how many branches of other clusters and resources
};

class Calls {
 public:
  Calls(OpenInfo open_info, std::string resource, EvidenceLog* evidence)
      : open_info_(std::move(open_info)),
        resource_(std::move(resource)),
        evidence_(evidence) {}
  void SetCluster(ClusterId cluster) { cluster_ = cluster; }

  // ABORTED: the branch was rolled back (a deadlock, a time-out). Other errors: the call
  // failed. In both cases the thread is associated with no branch.
  [[nodiscard]] absl::Status Start(ThreadOfControl* thread, const BranchId& branch);
  // For an active branch. Afterwards the branch has ended, unless the vote is kPrepared
  // or kUnavailable; after kUnavailable, FindOut must be called.
  [[nodiscard]] PrepareResult Prepare(ThreadOfControl* thread, const BranchId& branch);
  [[nodiscard]] OnePhaseResult CommitOnePhase(ThreadOfControl* thread,
                                              const BranchId& branch);
  void RollBackActive(ThreadOfControl* thread, const BranchId& branch);

  // For a branch whose PREPARE was not answered.
  [[nodiscard]] PrepareResult FindOut(ThreadOfControl* thread, const BranchId& branch);
  // For a prepared branch. When *heuristic is true, Forget must be called later.
  [[nodiscard]] FinishResult Commit(ThreadOfControl* thread, const BranchId& branch,
                                    bool* heuristic);
  [[nodiscard]] FinishResult Rollback(ThreadOfControl* thread, const BranchId& branch,
                                      bool* heuristic);
  void Forget(ThreadOfControl* thread, const BranchId& branch);
  [[nodiscard]] absl::StatusOr<Held> Recover(ThreadOfControl* thread);
  [[nodiscard]] Evidence LookUp(ThreadOfControl* thread, const BranchId& branch);

 private:
  // Makes one call of the switch. After XAER_RMFAIL the resource manager is opened again.
  template <class Call>
  int Do(ThreadOfControl* thread, const char* name, const BranchId* branch, Call call);
  [[nodiscard]] PrepareResult RefuseAfter(ThreadOfControl* thread, const BranchId& branch,
                                          Vote vote, std::string why);

  const OpenInfo open_info_;
  const std::string resource_;   // its name, part of every branch id
  EvidenceLog* const evidence_;  // not owned
  ClusterId cluster_;            // set before the first call
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_CALLS_H_
