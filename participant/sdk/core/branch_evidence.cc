// Requests for branches that are not here: what is remembered of them, and what the
// store's evidence says.
#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/sdk/core/branch_number.h"
#include "participant/sdk/core/branch_record.h"
#include "participant/sdk/core/branch_table.h"

namespace concordat::participant {

void BranchTable::RequestMissing(RequestKind kind, const BranchId& id, RequestToken token,
                                 Timestamp now) {
  const bool full = branches_.size() >= options_.max_branches;
  if (!recovered_ || full) {
    // AnswerFromEvidence has the answers for "cannot tell".
    return AnswerFromEvidence({kind, token}, id, Evidence::kUnknown);
  }
  if (const auto record = remembered_.Find(BranchKey(id))) {
    return AnswerRemembered(kind, token, *record);
  }
  if (id.incarnation == incarnation_ && CountOf(id.number) > last_number_) {
    return AnswerNeverStarted(kind, id, token);
  }
  Branch* branch = Insert(id, BranchState::kLookingUp, now);
  branch->waiting.push_back({kind, token});
  Send(CommandKind::kLookUp, id);
}

void BranchTable::AnswerRemembered(RequestKind kind, RequestToken token,
                                   const RememberedBranches::Record& record) {
  using How = RememberedBranches::How;
  const bool alone = record.how == How::kReadOnlyAlone;
  switch (kind) {
    case RequestKind::kPrepare:
      if (record.how == How::kHeuristic) {
        return Respond(
            token, VoteAnswer{Vote::kRefused, "the branch ended before, heuristically"});
      }
      return Respond(token,
                     VoteAnswer{alone ? Vote::kCommittedAlone : Vote::kReadOnly, ""});
    case RequestKind::kCommit:
    case RequestKind::kRollback:
      return Respond(token, FinishAnswer{record.state, false, ""});
    case RequestKind::kCommitOnePhase:
      if (alone) return Respond(token, OnePhaseAnswer{OnePhaseVerdict::kCommitted, ""});
      return Respond(token, OnePhaseAnswer{OnePhaseVerdict::kInvalid,
                                           "the branch was ended in two phases"});
  }
}

// This table has not given out the id: it is forged (scenario 18).
void BranchTable::AnswerNeverStarted(RequestKind kind, const BranchId& id,
                                     RequestToken token) {
  switch (kind) {
    case RequestKind::kPrepare:
      return Respond(token,
                     VoteAnswer{Vote::kRefused, "no such branch was ever started"});
    case RequestKind::kCommit:
      return RespondProtocolError(id, token,
                                  "COMMIT for a branch that was never started");
    case RequestKind::kRollback:
      return Respond(token, FinishAnswer{FinishState::kDone, false, ""});
    case RequestKind::kCommitOnePhase:
      return Respond(token, OnePhaseAnswer{OnePhaseVerdict::kInvalid,
                                           "no such branch was ever started"});
  }
}

void BranchTable::OnEvidence(const BranchId& id, Evidence evidence, Timestamp now) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->state != BranchState::kLookingUp) return;
  std::vector<Waiting> waiting = std::exchange(branch->waiting, {});
  if (evidence == Evidence::kPrepared) {
    branch->state = BranchState::kPrepared;
    branch->since = now;
    EnterPrepared(branch, GracePeriodOf(id.number), now);
    Emit(EventKind::kRecovered, id, "found prepared in the store, in doubt");
    return RequestAgain(id, std::move(waiting), now);
  }
  Erase(id);
  for (const Waiting& request : waiting) AnswerFromEvidence(request, id, evidence);
}

namespace {

// A PREPARE of a branch that was committed long ago comes from a deposed leader: it is
// refused (scenario 61). This is safe because no leader tells anybody ABORTED before the
// log agrees, and the log has the commit.
VoteAnswer VoteFrom(Evidence evidence, const std::string& why_gone) {
  switch (evidence) {
    case Evidence::kUnknown:
    case Evidence::kPrepared:
      return {Vote::kUnavailable, "cannot tell now"};
    case Evidence::kCommittedAlone:
      return {Vote::kCommittedAlone, "the branch was committed in one phase"};
    case Evidence::kCommitted:
      return {Vote::kRefused, "the branch was committed before"};
    case Evidence::kNone:
      break;
  }
  return {Vote::kLost,
          absl::StrCat("the branch is not there: rolled back",
                       why_gone.empty()
                           ? ", or lost with an earlier incarnation of the participant"
                           : why_gone)};
}

FinishAnswer RollbackFrom(Evidence evidence) {
  switch (evidence) {
    case Evidence::kUnknown:
    case Evidence::kPrepared:
      return {FinishState::kRetry, false, "cannot tell now"};
    case Evidence::kCommitted:
      return {FinishState::kHeuristicCommit, false, "the branch was committed before"};
    case Evidence::kCommittedAlone:
      return {FinishState::kHeuristicCommit, false,
              "the branch was committed in one phase"};
    case Evidence::kNone:
      break;
  }
  return {FinishState::kDone, false, ""};
}

}  // namespace

void BranchTable::AnswerFromEvidence(const Waiting& request, const BranchId& id,
                                     Evidence evidence) {
  const bool unknown = evidence == Evidence::kUnknown || evidence == Evidence::kPrepared;
  switch (request.kind) {
    case RequestKind::kPrepare:
      return Respond(request.token, VoteFrom(evidence, WhyGone(id)));
    case RequestKind::kRollback:
      return Respond(request.token, RollbackFrom(evidence));
    case RequestKind::kCommit:
      if (unknown) {
        return Respond(request.token,
                       FinishAnswer{FinishState::kRetry, false, "cannot tell now"});
      }
      return Respond(request.token, evidence == Evidence::kNone
                                        ? CommitWithoutEvidence(id)
                                        : FinishAnswer{FinishState::kDone, false, ""});
    case RequestKind::kCommitOnePhase:
      break;
  }
  if (unknown) {
    return Respond(request.token,
                   OnePhaseAnswer{OnePhaseVerdict::kUnknown, "cannot tell now"});
  }
  if (evidence != Evidence::kNone) {
    return Respond(request.token, OnePhaseAnswer{OnePhaseVerdict::kCommitted, ""});
  }
  if (IsBelowWatermark(id.gtid)) {  // the evidence may have been dropped
    return Respond(request.token,
                   OnePhaseAnswer{OnePhaseVerdict::kForgotten,
                                  "the transaction is too old to be known"});
  }
  Respond(request.token,
          OnePhaseAnswer{OnePhaseVerdict::kLost,
                         absl::StrCat("the branch is not there and left no evidence of a "
                                      "commit",
                                      WhyGone(id))});
}

// In brackets: the reason, if this table has rolled the branch back by itself recently.
std::string BranchTable::WhyGone(const BranchId& id) const {
  const std::string* reason = reasons_.Find(BranchKey(id));
  return reason == nullptr ? "" : absl::StrCat(" (", *reason, ")");
}

FinishAnswer BranchTable::CommitWithoutEvidence(const BranchId& id) {
  // The watermark passes a committed transaction only when all its branches have
  // acknowledged (rule 6): this COMMIT is a late copy.
  if (IsBelowWatermark(id.gtid)) return {FinishState::kDone, false, ""};
  if (id.incarnation != incarnation_) {
    if (!options_.can_be_settled_elsewhere) return {FinishState::kDone, false, ""};
    std::string detail =
        "the branch is not there and left no evidence: it wrote nothing, or somebody "
        "rolled it back in the store; compare the data";
    Emit(EventKind::kHeuristic, id, detail);
    return {FinishState::kHeuristicHazard, false, std::move(detail)};
  }
  if (remembered_.MayHaveForgotten(BranchKey(id))) return {FinishState::kDone, false, ""};
  std::string detail = "COMMIT for a branch that was rolled back here";
  Emit(EventKind::kHeuristic, id, detail);
  return {FinishState::kHeuristicRollback, false, std::move(detail)};
}

}  // namespace concordat::participant
