// What a request does in each state of its branch.
#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/sdk/core/branch_record.h"
#include "participant/sdk/core/branch_table.h"

namespace concordat::participant {

// --- work ---

void BranchTable::Execute(const BranchId& id, uint64_t call_number, RequestToken token,
                          const ExecuteOptions& options, Timestamp now) {
  if (!recovered_) {
    Respond(token, ExecuteAnswer{ExecuteVerdict::kUnavailable, nullptr, "recovering"});
    return;
  }
  Branch* branch = Find(id);
  const bool repeated = branch != nullptr && call_number == branch->call_number &&
                        branch->state == BranchState::kPrepared && branch->may_prepare;
  if (!repeated &&
      (branch == nullptr || branch->state != BranchState::kActive || branch->ended)) {
    Respond(token,
            ExecuteAnswer{ExecuteVerdict::kBranchGone, nullptr,
                          absl::StrCat("the branch is rolled back, finished or not here",
                                       WhyGone(id), "; roll the transaction back")});
    return;
  }
  if (call_number == branch->call_number && branch->executing) {
    branch->execute_tokens.push_back(token);
  } else if (call_number == branch->call_number && branch->last_reply != nullptr) {
    branch->last_call = now;
    Respond(token, ExecuteAnswer{ExecuteVerdict::kReply, branch->last_reply, ""});
  } else if (call_number == branch->call_number && call_number > 0) {
    AnswerDroppedReply(branch, token, now);
  } else if (call_number == branch->call_number + 1 && !branch->executing) {
    branch->call_number = call_number;
    branch->executing = true;
    branch->deadline = options.deadline;
    branch->may_prepare = options.may_prepare;
    branch->last_call = now;
    DropReply(branch);
    branch->execute_tokens.push_back(token);
    Send(CommandKind::kExecute, id, token);
  } else {
    Respond(token, ExecuteAnswer{ExecuteVerdict::kWrongNumber, nullptr,
                                 "call numbers count up by one, and one call runs at a "
                                 "time"});
  }
}

// The work of the call is done, but its caller will never get the reply. A branch that
// has voted is ended by the coordinators.
void BranchTable::AnswerDroppedReply(Branch* branch, RequestToken token, Timestamp now) {
  Respond(token,
          ExecuteAnswer{ExecuteVerdict::kBranchGone, nullptr,
                        absl::StrCat("call ", branch->call_number,
                                     " was carried out, but its answer is not kept "
                                     "any more; roll the transaction back and run "
                                     "it again")});
  if (branch->state == BranchState::kActive) BeginRollback(branch, RequestToken(), now);
}

// --- requests that end a branch ---

void BranchTable::Prepare(const BranchId& branch, RequestToken token, Timestamp now) {
  Request(RequestKind::kPrepare, branch, token, now);
}
void BranchTable::Commit(const BranchId& branch, RequestToken token, Timestamp now) {
  Request(RequestKind::kCommit, branch, token, now);
}
void BranchTable::Rollback(const BranchId& branch, RequestToken token, Timestamp now) {
  Request(RequestKind::kRollback, branch, token, now);
}
void BranchTable::Abandon(const BranchId& id, RequestToken token, Timestamp now) {
  const Branch* branch = recovered_ ? Find(id) : nullptr;
  const bool voting = branch != nullptr && branch->executing && branch->may_prepare;
  const bool may_have_voted =
      voting || (branch != nullptr && branch->state != BranchState::kActive &&
                 branch->state != BranchState::kRollingBack);
  if (!may_have_voted) return Rollback(id, token, now);
  Respond(token, FinishAnswer{FinishState::kRetry, false,
                              "the branch may have voted: only the coordinator ends it"});
}

void BranchTable::CommitOnePhase(const BranchId& branch, RequestToken token,
                                 Timestamp now) {
  Request(RequestKind::kCommitOnePhase, branch, token, now);
}

void BranchTable::Request(RequestKind kind, const BranchId& id, RequestToken token,
                          Timestamp now) {
  Branch* branch = recovered_ ? Find(id) : nullptr;
  if (branch == nullptr) return RequestMissing(kind, id, token, now);
  if (branch->state == BranchState::kLookingUp) {
    branch->waiting.push_back({kind, token});
    return;
  }
  switch (kind) {
    case RequestKind::kPrepare:
      return PrepareHere(branch, token, now);
    case RequestKind::kCommit:
      return CommitHere(branch, token, now);
    case RequestKind::kRollback:
      return RollbackHere(branch, token, now);
    case RequestKind::kCommitOnePhase:
      return CommitOnePhaseHere(branch, token, now);
  }
}

// --- requests that end a branch that is here ---

void BranchTable::PrepareHere(Branch* branch, RequestToken token, Timestamp now) {
  switch (branch->state) {
    case BranchState::kActive:
      if (branch->executing || branch->rollback_begun) {
        Respond(token,
                VoteAnswer{branch->rollback_begun ? Vote::kLost : Vote::kRefused,
                           branch->rollback_begun
                               ? "the branch is being rolled back"
                               : "work was still running in it when PREPARE came"});
        return BeginRollback(branch, RequestToken(), now);
      }
      Send(branch->ended ? CommandKind::kPrepareAgain : CommandKind::kPrepare,
           branch->id);
      branch->ended = true;
      DropReply(branch);
      branch->state = BranchState::kPreparing;
      branch->since = now;
      branch->tokens.push_back(token);
      return;
    case BranchState::kPreparing:
      if (!branch->waiting.empty()) {  // a ROLLBACK waits
        return Respond(token, VoteAnswer{Vote::kLost, "the branch is being rolled back"});
      }
      branch->tokens.push_back(token);
      return;
    case BranchState::kPrepared:
    case BranchState::kCommitting:
      if (branch->decision != Decision::kRollback) {
        // A coordinator knows the branch.
        AskNoLaterThan(branch, now + options_.in_doubt_inquiry);
        return Respond(token, VoteAnswer{Vote::kPrepared, ""});
      }
      [[fallthrough]];
    case BranchState::kRollingBack:
      return Respond(token, VoteAnswer{Vote::kLost, "the branch is being rolled back"});
    case BranchState::kCommittingAlone:
    case BranchState::kLookingUp:
      branch->waiting.push_back({RequestKind::kPrepare, token});
      return;
  }
}

void BranchTable::CommitHere(Branch* branch, RequestToken token, Timestamp now) {
  if (!branch->prepared) {
    return RespondProtocolError(
        branch->id, token, "COMMIT for a branch that has not voted; it was not done");
  }
  if (branch->decision == Decision::kRollback) {
    return RespondProtocolError(branch->id, token,
                                "COMMIT for a branch that was told ROLLBACK before");
  }
  branch->tokens.push_back(token);
  if (branch->state == BranchState::kCommitting) return;
  branch->decision = Decision::kCommit;
  branch->state = BranchState::kCommitting;
  branch->since = now;
  Send(CommandKind::kCommit, branch->id);
}

void BranchTable::RollbackHere(Branch* branch, RequestToken token, Timestamp now) {
  if (branch->decision == Decision::kCommit) {
    return RespondProtocolError(branch->id, token,
                                "ROLLBACK for a branch that was told COMMIT before");
  }
  switch (branch->state) {
    case BranchState::kActive:
    case BranchState::kPrepared:
      return BeginRollback(branch, token, now);
    case BranchState::kRollingBack:
      branch->tokens.push_back(token);
      return;
    case BranchState::kPreparing:
    case BranchState::kCommittingAlone:
    case BranchState::kCommitting:
    case BranchState::kLookingUp:
      branch->waiting.push_back({RequestKind::kRollback, token});
      return;
  }
}

void BranchTable::BeginRollback(Branch* branch, RequestToken token, Timestamp now) {
  if (branch->prepared) branch->decision = Decision::kRollback;
  branch->rollback_begun = true;
  branch->state = BranchState::kRollingBack;
  branch->since = now;
  branch->tokens.push_back(token);
  Send(CommandKind::kRollback, branch->id);
}

void BranchTable::CommitOnePhaseHere(Branch* branch, RequestToken token, Timestamp now) {
  switch (branch->state) {
    case BranchState::kActive:
      if (branch->executing || branch->ended) break;
      branch->ended = true;
      DropReply(branch);
      branch->state = BranchState::kCommittingAlone;
      branch->since = now;
      branch->tokens.push_back(token);
      return Send(CommandKind::kCommitOnePhase, branch->id);
    case BranchState::kCommittingAlone:
      branch->tokens.push_back(token);
      return;
    case BranchState::kRollingBack:
    case BranchState::kLookingUp:
      branch->waiting.push_back({RequestKind::kCommitOnePhase, token});
      return;
    case BranchState::kPreparing:
    case BranchState::kPrepared:
    case BranchState::kCommitting:
      break;
  }
  Respond(token,
          OnePhaseAnswer{OnePhaseVerdict::kInvalid,
                         branch->executing
                             ? "work is still running in the branch"
                             : "the branch was asked to prepare: only a coordinator "
                               "may end it"});
}

}  // namespace concordat::participant
