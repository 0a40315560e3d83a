// What the command line shows: the table and, at the leader, the progress.
#ifndef COORDINATOR_TXN_VIEW_H_
#define COORDINATOR_TXN_VIEW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/txn/table.h"

namespace concordat::txn {

struct BranchView {
  BranchId id;
  bool in_set = true;  // false: named too late, or not staged yet
  std::optional<Vote> vote;
  // The vote's, or why it cannot be reached.
  std::string detail;
  bool acknowledged = false;
  uint32_t attempts = 0;  // of the message that is being sent now
  std::optional<Heuristic> heuristic;
};

struct HeuristicView {
  BranchId branch;
  Heuristic what = Heuristic::kHazard;
  std::string detail;
};

// Who votes and who has acknowledged is known to the leader only (in_flight_here).
struct TransactionView {
  Gtid gtid;
  TxnState state = TxnState::kUnknown;
  CommitMode mode = CommitMode::kDecided;
  std::optional<Outcome> outcome;
  AbortCause cause = AbortCause::kNone;
  std::string detail;
  std::string by;
  std::vector<BranchView> branches;
  bool in_flight_here = false;
  bool inherited = false;             // staged under an earlier leader
  Duration age;                       // since it is in flight at this leader
  Duration until_deadline;            // negative: passed; zero once decided
  std::vector<BranchId> waiting_for;  // that have not voted, or not acknowledged
  // On record for any branch of the transaction, also when it is over.
  std::vector<HeuristicView> heuristics;
};

struct StatusView {
  GroupId group;
  Term term;
  bool leading = false;
  bool ready = false;
  LogIndex last_applied;
  Gtid watermark;
  size_t live = 0;         // transactions in the table that are not ended
  size_t in_progress = 0;  // in flight at this leader
  size_t retained = 0;     // ended outcomes kept
  size_t retained_bytes = 0;
  size_t waiting_requests = 0;  // for the leader's own entry
  size_t heuristics = 0;
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_VIEW_H_
