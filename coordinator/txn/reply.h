// What the core answers, and what the asker then knows. Nothing here hides an unknown
// outcome as a failure: an answer that is neither CommittedReply nor AbortedReply says
// nothing about the outcome.
#ifndef COORDINATOR_TXN_REPLY_H_
#define COORDINATOR_TXN_REPLY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "coordinator/base/xid.h"
#include "coordinator/txn/request.h"
#include "coordinator/txn/types.h"

namespace concordat::txn {

// Gtids first.sequence .. first.sequence + count - 1. One that has not been used
// within use_within_ms may be forgotten by then: drop it and ask for new ones.
struct GtidBlockReply {
  Gtid first{};
  uint32_t count = 0;
  uint64_t use_within_ms = 0;
};

// Every branch in the set commits, now or when it can be reached.
struct CommittedReply {};

// Nothing of it commits, ever.
struct AbortedReply {
  AbortCause cause = AbortCause::kNone;
  std::string detail{};  // names branch and resource; empty long after the fact
};

// It had an outcome, or will never have one; which of them is no longer known.
struct ForgottenReply {};

// Not known yet. Ask again here, with the same gtid.
struct UndecidedReply {
  bool commit_requested = false;        // false: it may still commit or abort
  std::vector<BranchId> waiting_for{};  // branches that have not voted
};

// This node does not lead. Nothing is known; ask another node, with the same gtid.
struct NotLeaderReply {};

// This node leads but cannot answer yet. Ask again here, soon.
struct NotReadyReply {};

enum class Refusal : uint8_t {
  kForged,      // no gtid that this cluster has handed out, or another group's
  kBadRequest,  // a branch of another gtid, a bad name, nothing asked for
  kTooManyBranches,
  kTooLate,         // enlistment after commit was asked for, or after the decision
  kOverloaded,      // nothing was begun; try later
  kForeignCluster,  // a resource of another cluster
  kOtherStore,      // the resource's name belongs to another store
  kOlderStore,      // the store is an old copy of the one that has the name
  kQuarantined,     // its participant says itself that it does not serve the resource
};

// Not done and without effect, for the reason given. For kOverloaded and a commit
// request that had been sent before: nothing is known of that earlier one.
struct RefusedReply {
  Refusal why = Refusal::kBadRequest;
  std::string detail{};
};

// What a branch in doubt does now. kWait: nothing, and asks again later.
enum class BranchFate : uint8_t { kCommit = 1, kRollback = 2, kWait = 3 };
struct InquiryReply {
  BranchFate fate = BranchFate::kWait;
};

struct EnlistedReply {};
struct RegisteredReply {};
struct HeuristicForgottenReply {
  bool was_on_record = true;  // false: there was nothing to forget
};

using Reply =
    std::variant<GtidBlockReply, CommittedReply, AbortedReply, ForgottenReply,
                 UndecidedReply, NotLeaderReply, NotReadyReply, RefusedReply,
                 InquiryReply, EnlistedReply, RegisteredReply, HeuristicForgottenReply>;

struct Answer {
  RequestToken token{};
  Reply reply{};
};

[[nodiscard]] std::string_view ToString(Refusal why);
[[nodiscard]] std::string_view ToString(BranchFate fate);
// One line for people and for comparing: "ABORTED refused: ...".
[[nodiscard]] std::string Describe(const Reply& reply);

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_REPLY_H_
