// From STAGED to the decision.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/txn/commit_protocol.h"

namespace concordat::txn {

namespace {

std::string Because(const BranchId& branch, std::string_view what,
                    std::string_view detail) {
  return Truncated(absl::StrCat(ToString(branch), " at resource ", branch.resource, " ",
                                std::string(what), detail.empty() ? "" : ": ",
                                std::string(detail)));
}

// Of a vote that is not for the commit.
AbortCause CauseOf(Vote vote) {
  switch (vote) {
    case Vote::kCommittedAlone:
      return AbortCause::kCommittedAlone;
    case Vote::kConflict:
      return AbortCause::kConflict;
    case Vote::kLost:
      return AbortCause::kLost;
    default:
      return AbortCause::kRefused;
  }
}

std::string_view WordsFor(AbortCause cause) {
  switch (cause) {
    case AbortCause::kCommittedAlone:
      return "had been committed alone";
    case AbortCause::kConflict:
      return "lost against another transaction";
    case AbortCause::kLost:
      return "was lost";
    default:
      return "refused";
  }
}

}  // namespace

void CommitProtocol::OnStaged(const StagedEffect& effect, Timestamp now) {
  InFlight* txn = FindInFlight(effect.gtid);
  if (effect.ignored != Ignored::kNo) {
    Emit(EventKind::kIgnoredRecord, effect.gtid, now).detail =
        absl::StrCat("STAGED: ", std::string(ToString(effect.ignored)));
    if (txn != nullptr && effect.ignored == Ignored::kBelowWatermark) {
      Forget(txn, now);
    }
    return;
  }
  Emit(EventKind::kStaged, effect.gtid, now);
  txn = Open(effect.gtid, now);
  SyncSet(txn);
  if (effect.committed) return OnStagedAndCommitted(txn, now);
  if (txn->phase == Phase::kDeciding && txn->staging_decides) {
    // A branch was enlisted that has not voted: the record has only staged.
    txn->appended.reset();
    txn->staging_decides = false;
    txn->phase = Phase::kStaging;
  }
  if (txn->phase == Phase::kStaging) txn->phase = Phase::kPreparing;
  SendDue(txn, now);  // to those that were enlisted by others
  TryCommit(txn, now);
  Schedule(txn);
}

void CommitProtocol::OnStagedAndCommitted(InFlight* txn, Timestamp now) {
  Event& event = Emit(EventKind::kDecided, txn->gtid, now);
  event.outcome = Outcome::kCommitted;
  event.detail = "every branch had voted before it was asked";
  AnswerWaiters(txn, CommittedReply{});
  Finish(txn, Outcome::kCommitted, now);
}

// The set is the table's: the branches named in the STAGED record that came first, and
// those enlisted before it. Mode too (rule 5).
void CommitProtocol::SyncSet(InFlight* txn) {
  const auto* entry = table_.FindLive(txn->gtid);
  if (entry == nullptr) return;
  for (BranchProgress& progress : txn->branches) progress.in_set = false;
  for (const BranchId& id : entry->branches) AddBranch(txn, id)->in_set = true;
  if (entry->staged) txn->mode = entry->mode;
  for (const BranchId& id : entry->read_only) {
    if (BranchProgress* progress = txn->FindBranch(id)) progress->vote = Vote::kReadOnly;
  }
}

void CommitProtocol::OnVote(const ReceivedVote& received, Timestamp now) {
  const auto& [branch, vote, detail] = received;
  InFlight* txn = FindInFlight(branch.gtid);
  BranchProgress* progress = txn == nullptr ? nullptr : txn->FindBranch(branch);
  if (progress == nullptr) return;  // late: the transaction is over
  Event& event = Emit(EventKind::kVoted, branch, now);
  event.vote = vote;
  event.detail = detail;
  if (vote == Vote::kCommittedAlone) {
    NoteHeuristic(progress, Heuristic::kCommittedAlone, detail, now);
  }
  if (!txn->preparing() || !progress->in_set) return;  // too late to count
  if (vote == Vote::kUnavailable) {
    progress->detail = detail;
    if (!progress->vote) RetrySoon(txn, progress, now);
    return;
  }
  TakeVote(txn, progress, vote, detail, now);
}

void CommitProtocol::TakeVote(InFlight* txn, BranchProgress* progress, Vote vote,
                              std::string_view detail, Timestamp now) {
  // A read-only branch is over; if its process restarts it knows nothing of it any
  // more, and that takes nothing back.
  if (progress->vote == Vote::kReadOnly) return;
  progress->vote = vote;
  progress->detail = std::string(detail);
  if (vote == Vote::kPrepared || vote == Vote::kReadOnly) return TryCommit(txn, now);
  DecidedRecord record;
  record.gtid = txn->gtid;
  record.cause = CauseOf(vote);
  record.detail = Because(progress->id, WordsFor(record.cause), detail);
  AppendDecision(txn, std::move(record), now);
}

void CommitProtocol::TryCommit(InFlight* txn, Timestamp now) {
  // Only when STAGED is applied: until then the set is not known (rules 1 and 4).
  if (txn->phase != Phase::kPreparing) return;
  DecidedRecord record;
  record.gtid = txn->gtid;
  record.outcome = Outcome::kCommitted;
  for (const BranchProgress& progress : txn->branches) {
    if (!progress.in_set) continue;
    if (!progress.vote) return;
    if (*progress.vote == Vote::kReadOnly) record.read_only.push_back(progress.id);
  }
  const bool all_prepared = record.read_only.empty();
  AppendDecision(txn, std::move(record), now);
  // Rule 8: with a read-only vote the next leader might hear REFUSED, so that votes
  // and STAGED alone are not the decision.
  if (txn->mode != CommitMode::kParallel || !all_prepared) return;
  txn->answered_early = true;
  Emit(EventKind::kAnsweredEarly, txn->gtid, now);
  auto keep = txn->waiters.begin();
  for (Waiter& waiter : txn->waiters) {
    if (waiter.kind == Waiter::Kind::kClient) {
      Respond(waiter.token, CommittedReply{});
    } else {
      // COMMIT must not be told before DECIDED is log-committed: inquiries wait on.
      if (&*keep != &waiter) *keep = std::move(waiter);
      ++keep;
    }
  }
  txn->waiters.erase(keep, txn->waiters.end());
}

bool CommitProtocol::MayHaveBeenAnswered(const InFlight& txn) {
  return txn.inherited && txn.mode == CommitMode::kParallel;
}

void CommitProtocol::OnDeadline(InFlight* txn, Timestamp now) {
  txn->deadline = Timestamp::Infinite();
  std::string missing;
  for (const BranchProgress& progress : txn->branches) {
    if (!progress.in_set || progress.vote) continue;
    absl::StrAppend(&missing, missing.empty() ? "no vote from " : ", ",
                    ToString(progress.id), progress.detail.empty() ? "" : " (",
                    progress.detail, progress.detail.empty() ? "" : ")");
  }
  if (missing.empty()) missing = "all voted, but the request was not yet on record";
  if (MayHaveBeenAnswered(*txn)) {
    Emit(EventKind::kTimeoutSuppressed, txn->gtid, now).detail = missing;
    return;
  }
  DecidedRecord record;
  record.gtid = txn->gtid;
  record.cause = AbortCause::kTimedOut;
  record.detail = Truncated(missing);
  AppendDecision(txn, std::move(record), now);
}

void CommitProtocol::AppendDecision(InFlight* txn, DecidedRecord record, Timestamp now) {
  CONCORDAT_CHECK(!txn->appended) << txn->gtid << " has a decision on its way";
  txn->appended = record.outcome;
  txn->phase = Phase::kDeciding;
  Event& event = Emit(EventKind::kDeciding, txn->gtid, now);
  event.outcome = record.outcome;
  event.cause = record.cause;
  event.detail = record.detail;
  Propose(record);
}

void CommitProtocol::NoteHeuristic(BranchProgress* progress, Heuristic what,
                                   std::string_view detail, Timestamp now) {
  if (progress->heuristic_noted || table_.heuristics().contains(progress->id)) return;
  progress->heuristic_noted = true;
  Event& event = Emit(EventKind::kHeuristic, progress->id, now);
  event.detail = absl::StrCat(std::string(ToString(what)), detail.empty() ? "" : ": ",
                              std::string(detail));
  Propose(HeuristicRecord{progress->id, what, Truncated(detail)});
}

}  // namespace concordat::txn
