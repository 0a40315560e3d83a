// From STAGED to the decision.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/txn/driver.h"

namespace concordat::txn {

namespace {

std::string Because(const BranchId& branch, std::string_view what,
                    std::string_view detail) {
  return Cut(absl::StrCat(ToString(branch), " at resource ", branch.resource, " ",
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

void Driver::OnStaged(const StagedEffect& effect, Timestamp now) {
  Drive* drive = FindDrive(effect.gtid);
  if (effect.ignored != Ignored::kNo) {
    Note(EventKind::kIgnoredRecord, effect.gtid, now).detail =
        absl::StrCat("STAGED: ", std::string(ToString(effect.ignored)));
    if (drive != nullptr && effect.ignored == Ignored::kBelowWatermark) {
      Forget(drive, now);
    }
    return;
  }
  Note(EventKind::kStaged, effect.gtid, now);
  drive = Open(effect.gtid, now);
  SyncSet(drive);
  if (effect.committed) return OnStagedAndCommitted(drive, now);
  if (drive->phase == Phase::kDeciding && drive->staging_decides) {
    // A branch was enlisted that has not voted: the record has only staged.
    drive->appended.reset();
    drive->staging_decides = false;
    drive->phase = Phase::kStaging;
  }
  if (drive->phase == Phase::kStaging) drive->phase = Phase::kPreparing;
  SendDue(drive, now);  // to those that were enlisted by others
  TryCommit(drive, now);
  Schedule(drive);
}

void Driver::OnStagedAndCommitted(Drive* drive, Timestamp now) {
  Event& event = Note(EventKind::kDecided, drive->gtid, now);
  event.outcome = Outcome::kCommitted;
  event.detail = "every branch had voted before it was asked";
  AnswerWaiters(drive, CommittedReply{});
  Finish(drive, Outcome::kCommitted, now);
}

// The set is the table's: the branches named in the STAGED record that came first, and
// those enlisted before it. Mode too (rule 5).
void Driver::SyncSet(Drive* drive) {
  const auto* entry = table_.FindLive(drive->gtid);
  if (entry == nullptr) return;
  for (BranchWork& work : drive->branches) work.in_set = false;
  for (const BranchId& id : entry->branches) AddBranch(drive, id)->in_set = true;
  if (entry->staged) drive->mode = entry->mode;
  for (const BranchId& id : entry->read_only) {
    if (BranchWork* work = drive->FindBranch(id)) work->vote = Vote::kReadOnly;
  }
}

void Driver::OnVote(const BranchId& branch, Vote vote, std::string_view detail,
                    Timestamp now) {
  Drive* drive = FindDrive(branch.gtid);
  BranchWork* work = drive == nullptr ? nullptr : drive->FindBranch(branch);
  if (work == nullptr) return;  // late: the transaction is over
  Event& event = Note(EventKind::kVoted, branch, now);
  event.vote = vote;
  event.detail = std::string(detail);
  if (vote == Vote::kCommittedAlone) {
    NoteHeuristic(work, Heuristic::kCommittedAlone, detail, now);
  }
  if (!drive->preparing() || !work->in_set) return;  // too late to count
  if (vote == Vote::kUnavailable) {
    work->detail = std::string(detail);
    if (!work->vote) RetrySoon(drive, work, now);
    return;
  }
  TakeVote(drive, work, vote, detail, now);
}

void Driver::TakeVote(Drive* drive, BranchWork* work, Vote vote, std::string_view detail,
                      Timestamp now) {
  // A read-only branch is over; if its process restarts it knows nothing of it any
  // more, and that takes nothing back.
  if (work->vote == Vote::kReadOnly) return;
  work->vote = vote;
  work->detail = std::string(detail);
  if (vote == Vote::kPrepared || vote == Vote::kReadOnly) return TryCommit(drive, now);
  DecidedRecord record;
  record.gtid = drive->gtid;
  record.cause = CauseOf(vote);
  record.detail = Because(work->id, WordsFor(record.cause), detail);
  AppendDecision(drive, std::move(record), now);
}

void Driver::TryCommit(Drive* drive, Timestamp now) {
  // Only when STAGED is applied: until then the set is not known (rules 1 and 4).
  if (drive->phase != Phase::kPreparing) return;
  DecidedRecord record;
  record.gtid = drive->gtid;
  record.outcome = Outcome::kCommitted;
  for (const BranchWork& work : drive->branches) {
    if (!work.in_set) continue;
    if (!work.vote) return;
    if (*work.vote == Vote::kReadOnly) record.read_only.push_back(work.id);
  }
  const bool all_prepared = record.read_only.empty();
  AppendDecision(drive, std::move(record), now);
  // Rule 8: with a read-only vote the next leader might hear REFUSED, so that votes
  // and STAGED alone are not the decision.
  if (drive->mode != Mode::kParallel || !all_prepared) return;
  drive->answered_early = true;
  Note(EventKind::kAnsweredEarly, drive->gtid, now);
  auto keep = drive->waiters.begin();
  for (Waiter& waiter : drive->waiters) {
    if (waiter.kind == Waiter::Kind::kClient) {
      Tell(waiter.token, CommittedReply{});
    } else {
      // COMMIT must not be told before DECIDED is log-committed: inquiries wait on.
      if (&*keep != &waiter) *keep = std::move(waiter);
      ++keep;
    }
  }
  drive->waiters.erase(keep, drive->waiters.end());
}

bool Driver::MayHaveBeenAnswered(const Drive& drive) {
  return drive.inherited && drive.mode == Mode::kParallel;
}

void Driver::OnDeadline(Drive* drive, Timestamp now) {
  drive->deadline = Timestamp::Infinite();
  std::string missing;
  for (const BranchWork& work : drive->branches) {
    if (!work.in_set || work.vote) continue;
    absl::StrAppend(&missing, missing.empty() ? "no vote from " : ", ", ToString(work.id),
                    work.detail.empty() ? "" : " (", work.detail,
                    work.detail.empty() ? "" : ")");
  }
  if (missing.empty()) missing = "all voted, but the request was not yet on record";
  if (MayHaveBeenAnswered(*drive)) {
    Note(EventKind::kDeadlineHeld, drive->gtid, now).detail = missing;
    return;
  }
  DecidedRecord record;
  record.gtid = drive->gtid;
  record.cause = AbortCause::kTimeout;
  record.detail = Cut(missing);
  AppendDecision(drive, std::move(record), now);
}

void Driver::AppendDecision(Drive* drive, DecidedRecord record, Timestamp now) {
  CONCORDAT_CHECK(!drive->appended) << drive->gtid << " has a decision on its way";
  drive->appended = record.outcome;
  drive->phase = Phase::kDeciding;
  Event& event = Note(EventKind::kDeciding, drive->gtid, now);
  event.outcome = record.outcome;
  event.cause = record.cause;
  event.detail = record.detail;
  Propose(record);
}

void Driver::NoteHeuristic(BranchWork* work, Heuristic what, std::string_view detail,
                           Timestamp now) {
  if (work->heuristic_noted || table_.heuristics().contains(work->id)) return;
  work->heuristic_noted = true;
  Event& event = Note(EventKind::kHeuristic, work->id, now);
  event.detail = absl::StrCat(std::string(ToString(what)), detail.empty() ? "" : ": ",
                              std::string(detail));
  Propose(HeuristicRecord{work->id, what, Cut(detail)});
}

}  // namespace concordat::txn
