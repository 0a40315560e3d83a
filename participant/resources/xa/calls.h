// The blocking calls of a branch's life, and what the codes of XA mean for it. On a
// thread of control's thread.
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
  size_t others = 0;
};

class Calls {
 public:
  Calls(OpenInfo open_info, std::string resource, EvidenceLog* evidence)
      : open_info_(std::move(open_info)),
        resource_(std::move(resource)),
        evidence_(evidence) {}
  void SetCluster(ClusterId cluster) { cluster_ = cluster; }

  // ABORTED: rolled back (a deadlock, a time-out). Others: it failed. Nothing is
  // associated then.
  [[nodiscard]] absl::Status Start(ThreadOfControl* thread, const BranchId& branch);
  // Of a branch at work. What was started is over, unless the vote is kPrepared, or
  // kUnavailable: then FindOut.
  [[nodiscard]] PrepareResult Prepare(ThreadOfControl* thread, const BranchId& branch);
  [[nodiscard]] OnePhaseResult CommitOnePhase(ThreadOfControl* thread,
                                              const BranchId& branch);
  void RollBackActive(ThreadOfControl* thread, const BranchId& branch);

  // Of a branch whose PREPARE was not answered.
  [[nodiscard]] PrepareResult FindOut(ThreadOfControl* thread, const BranchId& branch);
  // Of a prepared branch. With `heuristic` true it has to be forgotten some time.
  [[nodiscard]] FinishResult Commit(ThreadOfControl* thread, const BranchId& branch,
                                    bool* heuristic);
  [[nodiscard]] FinishResult Rollback(ThreadOfControl* thread, const BranchId& branch,
                                      bool* heuristic);
  void Forget(ThreadOfControl* thread, const BranchId& branch);
  [[nodiscard]] absl::StatusOr<Held> Recover(ThreadOfControl* thread);
  [[nodiscard]] Evidence LookUp(ThreadOfControl* thread, const BranchId& branch);

 private:
  // One call of the switch; after XAER_RMFAIL the thread opens it anew.
  template <class Call>
  int Do(ThreadOfControl* thread, const char* name, const BranchId* branch, Call call);
  [[nodiscard]] PrepareResult RefuseAfter(ThreadOfControl* thread, const BranchId& branch,
                                          Vote vote, std::string why);

  const OpenInfo open_info_;
  const std::string resource_;
  EvidenceLog* const evidence_;
  ClusterId cluster_;
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_CALLS_H_
