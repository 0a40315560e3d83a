// The blocking calls of a branch's life, and what the codes of XA mean for it. On a
// lane's thread.
#ifndef PARTICIPANT_RESOURCES_XA_CALLS_H_
#define PARTICIPANT_RESOURCES_XA_CALLS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/xid.h"
#include "participant/resources/xa/evidence_log.h"
#include "participant/resources/xa/lane.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant::xa {

struct Held {
  std::vector<BranchId> ours;  // of this cluster and resource
  size_t others = 0;
};

class Calls {
 public:
  Calls(OpenWords words, std::string resource, EvidenceLog* evidence)
      : words_(std::move(words)), resource_(std::move(resource)), evidence_(evidence) {}
  void SetCluster(ClusterId cluster) { cluster_ = cluster; }

  // ABORTED: rolled back (a deadlock, a time-out). Others: it failed. Nothing is
  // associated then.
  [[nodiscard]] absl::Status Start(Lane* lane, const BranchId& branch);
  // Of a branch at work. What was started is over, unless the vote is kPrepared, or
  // kUnavailable: then FindOut.
  [[nodiscard]] PrepareResult Prepare(Lane* lane, const BranchId& branch);
  [[nodiscard]] OnePhaseResult CommitOnePhase(Lane* lane, const BranchId& branch);
  void RollBackActive(Lane* lane, const BranchId& branch);

  // Of a branch whose PREPARE was not answered.
  [[nodiscard]] PrepareResult FindOut(Lane* lane, const BranchId& branch);
  // Of a prepared branch. With `heuristic` true it has to be forgotten some time.
  [[nodiscard]] FinishResult Commit(Lane* lane, const BranchId& branch, bool* heuristic);
  [[nodiscard]] FinishResult Rollback(Lane* lane, const BranchId& branch,
                                      bool* heuristic);
  void Forget(Lane* lane, const BranchId& branch);
  [[nodiscard]] absl::StatusOr<Held> Recover(Lane* lane);
  [[nodiscard]] Evidence LookUp(Lane* lane, const BranchId& branch);

 private:
  // One call of the switch; after XAER_RMFAIL the lane opens it anew.
  template <class Call>
  int Do(Lane* lane, const char* name, const BranchId* branch, Call call);
  [[nodiscard]] PrepareResult RefuseAfter(Lane* lane, const BranchId& branch, Vote vote,
                                          std::string why);

  const OpenWords words_;
  const std::string resource_;
  EvidenceLog* const evidence_;
  ClusterId cluster_;
};

}  // namespace concordat::participant::xa

#endif  // PARTICIPANT_RESOURCES_XA_CALLS_H_
