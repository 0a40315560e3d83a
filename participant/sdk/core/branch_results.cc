// What the results of the resource manager do to a branch.
#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/sdk/core/branch_record.h"
#include "participant/sdk/core/branch_table.h"

namespace concordat::participant {

void BranchTable::OnExecuted(const BranchId& id, AfterExecute after,
                             ExecuteReplyPtr reply, Timestamp now) {
  Branch* branch = Find(id);
  if (branch == nullptr || !branch->executing) return;
  if (branch->state != BranchState::kActive) {
    return OnExecutedAndRollbackRuns(branch, after, std::move(reply), now);
  }
  AnswerExecutes(branch, ExecuteAnswer{ExecuteVerdict::kReply, reply, ""});
  if (after == AfterExecute::kOver) return EndBranch(branch, now);
  branch->last_call = now;
  KeepReply(branch, std::move(reply));
  if (after != AfterExecute::kPrepared) return;
  branch->state = BranchState::kPrepared;
  branch->since = now;
  branch->ended = true;
  EnterPrepared(branch, branch->deadline - now + options_.in_doubt_inquiry, now);
}

// The answer to a call whose branch was rolled back while it ran.
ExecuteAnswer BranchTable::AnswerOfRolledBack(const Branch& branch) {
  const std::string& why = branch.why_rolled_back;
  return {branch.overdue ? ExecuteVerdict::kTimedOut : ExecuteVerdict::kBranchGone,
          nullptr,
          absl::StrCat("the branch was rolled back", why.empty() ? "" : ": ", why)};
}

// A vote that comes now must not be sent, since the branch is being rolled back. And when
// the call was overdue, the answer is a time-out, not what the resource manager says of
// the call that was interrupted.
void BranchTable::OnExecutedAndRollbackRuns(Branch* branch, AfterExecute after,
                                            ExecuteReplyPtr reply, Timestamp now) {
  if (after != AfterExecute::kPrepared && !branch->overdue) {
    return AnswerExecutes(branch,
                          ExecuteAnswer{ExecuteVerdict::kReply, std::move(reply), ""});
  }
  AnswerExecutes(branch, AnswerOfRolledBack(*branch));
  if (after != AfterExecute::kPrepared) return;
  EnterPrepared(branch, Duration(), now);  // it may still be prepared in the store
  branch->decision = Decision::kRollback;
}

void BranchTable::OnPrepared(const BranchId& id, PrepareResult result, Timestamp now) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->state != BranchState::kPreparing) return;
  if (!branch->waiting.empty()) {
    return OnPreparedAndRollbackWaits(branch, std::move(result), now);
  }
  switch (result.vote) {
    case Vote::kPrepared:
      branch->state = BranchState::kPrepared;
      branch->since = now;
      EnterPrepared(branch, Duration(), now);
      return RespondAll(branch, VoteAnswer{Vote::kPrepared, std::move(result.detail)});
    case Vote::kUnavailable:
      branch->state = BranchState::kActive;
      branch->since = now;
      branch->last_call = now;
      return RespondAll(branch, VoteAnswer{Vote::kUnavailable, std::move(result.detail)});
    case Vote::kReadOnly:
      remembered_.Add(BranchKey(id),
                      {RememberedBranches::How::kReadOnly, FinishState::kDone});
      RespondAll(branch, VoteAnswer{Vote::kReadOnly, std::move(result.detail)});
      return EndBranch(branch, now);
    case Vote::kCommittedAlone:  // a resource manager must not return this
      result.vote = Vote::kRefused;
      [[fallthrough]];
    case Vote::kRefused:
    case Vote::kConflict:
    case Vote::kLost:
      RespondAll(branch, VoteAnswer{result.vote, std::move(result.detail)});
      return EndBranch(branch, now);
  }
}

// The outcome is known to be ROLLBACK, so no vote for it may be sent any more.
void BranchTable::OnPreparedAndRollbackWaits(Branch* branch, PrepareResult result,
                                             Timestamp now) {
  RespondAll(branch, VoteAnswer{Vote::kLost, "a rollback came before the vote"});
  std::vector<Waiting> rollbacks = std::exchange(branch->waiting, {});
  const bool alive = result.vote == Vote::kPrepared || result.vote == Vote::kUnavailable;
  if (!alive) {
    for (const Waiting& r : rollbacks) {
      Respond(r.token, FinishAnswer{FinishState::kDone, false, ""});
    }
    return EndBranch(branch, now);
  }
  branch->prepared = result.vote == Vote::kPrepared;
  if (branch->prepared) EnterPrepared(branch, Duration(), now);
  BeginRollback(branch, RequestToken(), now);
  for (const Waiting& r : rollbacks) branch->tokens.push_back(r.token);
}

void BranchTable::EnterPrepared(Branch* branch, Duration ask_after, Timestamp now) {
  const Duration first = ask_after <= Duration() ? options_.in_doubt_inquiry : ask_after;
  branch->prepared = true;
  branch->ask_at = now + first;
  branch->ask_interval = options_.in_doubt_inquiry;
}

void BranchTable::OnCommitted(const BranchId& id, FinishResult result, Timestamp now) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->state != BranchState::kCommitting) return;
  switch (result.state) {
    case FinishState::kDone:
      RespondAll(branch,
                 FinishAnswer{FinishState::kDone, false, std::move(result.detail)});
      return EndBranch(branch, now);
    case FinishState::kRetry:
      branch->state = BranchState::kPrepared;
      return RespondAll(
          branch, FinishAnswer{FinishState::kRetry, false, std::move(result.detail)});
    case FinishState::kHeuristicCommit:
    case FinishState::kHeuristicRollback:
    case FinishState::kHeuristicMixed:
    case FinishState::kHeuristicHazard:
      return EndHeuristically(branch, std::move(result), now);
  }
}

void BranchTable::OnRolledBack(const BranchId& id, FinishResult result, Timestamp now) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->state != BranchState::kRollingBack) return;
  switch (result.state) {
    case FinishState::kDone:
      AnswerExecutes(branch, AnswerOfRolledBack(*branch));
      RespondAll(branch,
                 FinishAnswer{FinishState::kDone, false, std::move(result.detail)});
      return EndBranch(branch, now);
    case FinishState::kRetry:
      branch->state = branch->prepared ? BranchState::kPrepared : BranchState::kActive;
      // No more work may come in a branch that is being rolled back.
      branch->ended = true;
      RespondAll(branch,
                 FinishAnswer{FinishState::kRetry, false, std::move(result.detail)});
      return RequestAgain(id, std::exchange(branch->waiting, {}), now);
    case FinishState::kHeuristicCommit:
    case FinishState::kHeuristicRollback:
    case FinishState::kHeuristicMixed:
    case FinishState::kHeuristicHazard:
      return EndHeuristically(branch, std::move(result), now);
  }
}

void BranchTable::OnCommittedOnePhase(const BranchId& id, OnePhaseResult result,
                                      Timestamp now) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->state != BranchState::kCommittingAlone) return;
  OnePhaseVerdict verdict = OnePhaseVerdict::kUnknown;
  switch (result.outcome) {
    case OnePhase::kReadOnly:
      remembered_.Add(BranchKey(id),
                      {RememberedBranches::How::kReadOnlyAlone, FinishState::kDone});
      [[fallthrough]];
    case OnePhase::kCommitted:
      verdict = OnePhaseVerdict::kCommitted;
      break;
    case OnePhase::kRefused:
      verdict = OnePhaseVerdict::kRefused;
      break;
    case OnePhase::kConflict:
      verdict = OnePhaseVerdict::kConflict;
      break;
    case OnePhase::kLost:
      verdict = OnePhaseVerdict::kLost;
      break;
    case OnePhase::kUnknown:
      break;
  }
  RespondAll(branch, OnePhaseAnswer{verdict, std::move(result.detail)});
  EndBranch(branch, now);
}

void BranchTable::EndHeuristically(Branch* branch, FinishResult result, Timestamp now) {
  remembered_.Add(BranchKey(branch->id),
                  {RememberedBranches::How::kHeuristic, result.state});
  Emit(EventKind::kHeuristic, branch->id,
       absl::StrCat(
           branch->decision == Decision::kCommit ? "told COMMIT: " : "told ROLLBACK: ",
           std::string(ToString(result.state)), "; ", result.detail));
  AnswerExecutes(branch,
                 ExecuteAnswer{ExecuteVerdict::kBranchGone, nullptr, result.detail});
  RespondAll(branch, FinishAnswer{result.state, false, std::move(result.detail)});
  EndBranch(branch, now);
}

void BranchTable::KeepReply(Branch* branch, ExecuteReplyPtr reply) {
  DropReply(branch);
  if (reply == nullptr) return;
  kept_reply_bytes_ += reply->bytes();
  branch->last_reply = std::move(reply);
  branch->kept = kept_replies_.insert(kept_replies_.end(), branch);
  // The newest reply is kept in any case: its caller may be asking at this moment.
  while (kept_reply_bytes_ > options_.max_kept_reply_bytes &&
         kept_replies_.front() != branch) {
    DropReply(kept_replies_.front());
  }
}

void BranchTable::DropReply(Branch* branch) {
  if (branch->last_reply == nullptr) return;
  kept_reply_bytes_ -= branch->last_reply->bytes();
  branch->last_reply = nullptr;
  kept_replies_.erase(branch->kept);
}

void BranchTable::EndBranch(Branch* branch, Timestamp now) {
  DropReply(branch);
  const BranchId id = std::move(branch->id);
  std::vector<Waiting> waiting = std::move(branch->waiting);
  if (!branch->why_rolled_back.empty()) {
    reasons_.Add(BranchKey(id), std::move(branch->why_rolled_back));
  }
  Erase(id);
  RequestAgain(id, std::move(waiting), now);
}

void BranchTable::RequestAgain(const BranchId& id, std::vector<Waiting> waiting,
                               Timestamp now) {
  for (const Waiting& request : waiting) Request(request.kind, id, request.token, now);
}

}  // namespace concordat::participant
