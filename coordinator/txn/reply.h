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

#include "coordinator/base/outcomes.h"
#include "coordinator/base/xid.h"
#include "coordinator/txn/request.h"

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

// Something was appended for it, by this request or an earlier one, and what becomes of
// that is not known yet: it may still commit or abort, under this leader or the next.
// Ask again with the same gtid; here, or where this node's leader hint points to when
// it has stepped down meanwhile.
struct UndecidedReply {
  std::vector<BranchId> waiting_for{};  // branches that have not voted
};

// To OutcomeRequest only: nobody has asked to commit it or to roll it back, as far as
// this leader and its log know.
struct NotStagedReply {};

using group::NotLeaderReply;
using group::NotReadyReply;

enum class Refusal : uint8_t {
  kForged,      // no gtid that this cluster has handed out, or another group's
  kBadRequest,  // a branch of another gtid, a bad name, nothing asked for
  kTooManyBranches,
  kTooLate,     // enlistment after commit was asked for, or after the decision
  kOverloaded,  // too much work in hand, or the disk is full; try later
};

// A ready leader's answer: not done and without effect, for the reason given. It speaks
// of this request alone. If an earlier one with the same gtid may have been heard, by
// this node or another, nothing is known of that one: a refusal is then not the end.
struct RefusedReply {
  Refusal why = Refusal::kBadRequest;
  std::string detail{};
};

struct InquiryReply {
  InquiryAnswer answer = InquiryAnswer::kWait;
};

struct EnlistedReply {};
struct HeuristicForgottenReply {
  bool was_on_record = true;  // false: there was nothing to forget
};
using Reply =
    std::variant<GtidBlockReply, CommittedReply, AbortedReply, ForgottenReply,
                 UndecidedReply, NotStagedReply, NotLeaderReply, NotReadyReply,
                 RefusedReply, InquiryReply, EnlistedReply, HeuristicForgottenReply>;

struct Answer {
  RequestToken token{};
  Reply reply{};
};

[[nodiscard]] std::string_view ToString(Refusal why);
// One line for logs and for comparing: "ABORTED refused: ...".
[[nodiscard]] std::string Describe(const Reply& reply);

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_REPLY_H_
