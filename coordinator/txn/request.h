// What clients, services and resource managers ask of the core. Each comes with a
// token of the caller's choice and gets exactly one answer with it (reply.h): one of
// those named here, NotLeaderReply or NotReadyReply.
#ifndef COORDINATOR_TXN_REQUEST_H_
#define COORDINATOR_TXN_REQUEST_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "coordinator/base/clock.h"
#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/group/request.h"
#include "coordinator/txn/record.h"

namespace concordat::txn {

using group::RequestToken;

// A block of gtids for a client to use up. Nothing is logged.
// GtidBlockReply, RefusedReply (count 0).
struct AllocateGtidsRequest {
  uint32_t count = 1;  // cut at CoreOptions::max_gtid_block
};

// Commit all of it. Repeating it is safe and wanted: it attaches to what is staged or
// decided, and its branches, mode, time-out and votes then count for nothing, except that
// branches outside the staged set are rolled back.
// CommittedReply, AbortedReply, ForgottenReply, UndecidedReply, RefusedReply
// (kTooManyBranches; kBadRequest: a branch of another gtid, a branch named twice;
// kOverloaded). No branches: those that were enlisted are meant.
struct CommitRequest {
  Gtid gtid{};
  std::vector<BranchId> branches{};
  CommitMode mode = CommitMode::kDecided;
  Duration timeout{};  // 0: CoreOptions::default_timeout
  // Those of `branches`, by position, that have voted PREPARED already, unasked
  // (Stonebraker, IEEE TSE 5(3), 1979: unsolicited votes): their vote came to the client
  // with the answer to its last work there. They are not asked again.
  std::vector<uint32_t> prepared{};
  // It is answered within this time: UndecidedReply, or NotReadyReply from a leader that
  // has not become ready. 0, here and below, or longer: as CoreOptions says.
  Duration answer_within{};
};

// Abort it, if that is still possible; the reply tells what did happen. The branches
// are those that the client knows of; they may be none. They are told, up to twice
// CoreOptions::max_branches of them; more may be named.
// CommittedReply, AbortedReply, ForgottenReply, UndecidedReply, RefusedReply.
struct RollbackRequest {
  Gtid gtid{};
  std::vector<BranchId> branches{};
  // kRolledBack, or kOperator, which overrides what protects an inherited
  // transaction in mode parallel, whose client may have been told COMMITTED.
  AbortCause cause = AbortCause::kRolledBack;
  std::string reason{};
  std::string by{};
  Duration answer_within{};
};

// A service makes its branch known before it answers its caller.
// EnlistedReply, RefusedReply (kTooLate: tell the caller), UndecidedReply (repeat).
struct EnlistRequest {
  BranchId branch{};
  Duration answer_within{};
};

// A resource manager in doubt asks for its branch.
// InquiryReply, RefusedReply.
struct InquireRequest {
  BranchId branch{};
};

// What became of it? Decides nothing.
// CommittedReply, AbortedReply, ForgottenReply, UndecidedReply, NotStagedReply,
// RefusedReply.
struct OutcomeRequest {
  Gtid gtid{};
  bool wait = true;  // for the decision, if commit has been asked for
  Duration answer_within{};
};

// A person has dealt with the branch's heuristic outcome.
// HeuristicForgottenReply, which says whether there was one.
struct ForgetHeuristicRequest {
  BranchId branch{};
  std::string by{};
};

using Request =
    std::variant<AllocateGtidsRequest, CommitRequest, RollbackRequest, EnlistRequest,
                 InquireRequest, OutcomeRequest, ForgetHeuristicRequest>;

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_REQUEST_H_
