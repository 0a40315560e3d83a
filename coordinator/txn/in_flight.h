// InFlight: what a leader knows of one transaction that it carries through the commit
// protocol. Volatile: an election loses it, and the next leader makes its own from the
// table.
//
//   Enlist, Outcome          Commit                     STAGED applied
//  ------> kOpen ----------------------> kStaging -----------------------> kPreparing
//            |                              |                                  |
//            | Rollback, Inquire            | REFUSED, time-out, Rollback      | the
//            v                              v                                  v same,
//         kDeciding <--------------------------------------------------- or all votes
//            | DECIDED applied
//            v
//         kFinishing --all acknowledged, ENDED applied, no unlisted left--> (gone)
//
// When all had voted before the request came, STAGED decides in the same step: kOpen goes
// to kDeciding, and to kFinishing when STAGED is applied; or to kPreparing, when the
// table adds a branch that has not voted.
//
// A new leader begins with kPreparing for what is staged and with kFinishing for what
// is decided.
#ifndef COORDINATOR_TXN_IN_FLIGHT_H_
#define COORDINATOR_TXN_IN_FLIGHT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/txn/request.h"

namespace concordat::txn {

// A request that waits for this transaction.
struct Waiter {
  enum class Kind : uint8_t { kClient, kInquiry, kEnlist };
  RequestToken token;
  Kind kind = Kind::kClient;
  BranchId branch;  // for kInquiry and kEnlist
  Timestamp expires;
};

// How far one of its branches is.
struct BranchProgress {
  BranchId id;
  // Before STAGED is applied: as this leader asked for. Then: as the table says. A
  // branch outside the set is unlisted: it is only ever rolled back.
  bool in_set = false;
  bool enlisting = false;  // ENLISTED proposed, not applied
  std::optional<Vote> vote;
  std::string detail;
  bool acknowledged = false;
  bool heuristic_noted = false;
  // The message that is being sent now.
  uint32_t attempts = 0;
  Duration resend_delay;
  Duration retry_delay;
  Timestamp next_send;
};

enum class Phase : uint8_t { kOpen, kStaging, kPreparing, kDeciding, kFinishing };

struct InFlight {
  Gtid gtid;
  Phase phase = Phase::kOpen;
  bool inherited = false;  // staged under an earlier leader
  CommitMode mode = CommitMode::kDecided;
  Timestamp begun;
  Timestamp deadline = Timestamp::Infinite();
  // The decision that this leader has appended. Once set, it appends no other: rule 2
  // of the protocol.
  std::optional<Outcome> appended;
  // That decision is the STAGED record itself: all had voted before.
  bool staging_decides = false;
  bool answered_early = false;  // a client was told COMMITTED before DECIDED is applied
  Outcome outcome = Outcome::kAborted;  // in kFinishing
  bool end_queued = false;
  bool ended = false;
  std::vector<BranchProgress> branches;
  std::vector<Waiter> waiters;
  Timestamp timer = Timestamp::Infinite();  // its place in the protocol's timers

  [[nodiscard]] bool preparing() const {
    return phase == Phase::kStaging || phase == Phase::kPreparing;
  }
  [[nodiscard]] const BranchProgress* FindBranch(const BranchId& id) const {
    for (const BranchProgress& progress : branches) {
      if (progress.id == id) return &progress;
    }
    return nullptr;
  }
  [[nodiscard]] BranchProgress* FindBranch(const BranchId& id) {
    for (BranchProgress& progress : branches) {
      if (progress.id == id) return &progress;
    }
    return nullptr;
  }
};

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_IN_FLIGHT_H_
