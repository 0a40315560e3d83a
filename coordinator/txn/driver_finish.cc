// From the decision to the end.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/txn/driver.h"

namespace concordat::txn {

void Driver::OnDecided(const DecidedRecord& record, const DecidedEffect& effect,
                       Timestamp now) {
  if (effect.ignored != Ignored::kNo) {
    Note(EventKind::kIgnoredRecord, effect.gtid, now).detail =
        absl::StrCat("DECIDED(", std::string(ToString(record.outcome)),
                     "): ", std::string(ToString(effect.ignored)));
    Drive* drive = FindDrive(effect.gtid);
    if (drive != nullptr && effect.ignored == Ignored::kBelowWatermark) {
      Forget(drive, now);
    }
    return;
  }
  Event& event = Note(EventKind::kDecided, effect.gtid, now);
  event.outcome = record.outcome;
  event.cause = record.cause;
  event.detail = record.detail;
  Drive* drive = Open(effect.gtid, now);
  const bool committed = record.outcome == Outcome::kCommitted;
  CONCORDAT_CHECK(committed || !drive->answered_early)
      << effect.gtid << ": COMMITTED was told, and the log says aborted";
  SyncSet(drive);
  drive->ended = table_.StateOf(effect.gtid) == TxnState::kEnded;
  AnswerWaiters(drive, committed ? Reply(CommittedReply{})
                                 : Reply(AbortedReply{record.cause, record.detail}));
  Finish(drive, record.outcome, now);
}

// Tells the branches. COMMIT goes only where a vote may have left something to commit.
void Driver::Finish(Drive* drive, Outcome outcome, Timestamp now) {
  drive->phase = Phase::kFinishing;
  drive->outcome = outcome;
  for (BranchWork& work : drive->branches) {
    work.attempts = 0;
    work.resend_delay = work.retry_delay = Duration();
    work.next_send = now;
    work.acknowledged =
        work.in_set && outcome == Outcome::kCommitted && work.vote == Vote::kReadOnly;
  }
  SendDue(drive, now);
  Settle(drive, now);
}

void Driver::AnswerWaiters(Drive* drive, const Reply& client_reply) {
  auto keep = drive->waiters.begin();
  for (Waiter& waiter : drive->waiters) {
    switch (waiter.kind) {
      case Waiter::Kind::kClient:
        Tell(waiter.token, client_reply);
        break;
      case Waiter::Kind::kInquiry:
        Tell(waiter.token,
             InquiryReply{table_.InCommittedSet(waiter.branch) ? BranchFate::kCommit
                                                               : BranchFate::kRollback});
        break;
      case Waiter::Kind::kEnlist:  // waits for its own record
        if (&*keep != &waiter) *keep = std::move(waiter);
        ++keep;
        break;
    }
  }
  drive->waiters.erase(keep, drive->waiters.end());
}

void Driver::OnAcknowledged(const BranchId& branch, AckResult result,
                            std::string_view detail, Timestamp now) {
  Drive* drive = FindDrive(branch.gtid);
  BranchWork* work = drive == nullptr ? nullptr : drive->FindBranch(branch);
  if (work == nullptr || drive->phase != Phase::kFinishing || work->acknowledged) return;
  switch (result) {
    case AckResult::kUnavailable:
      work->detail = std::string(detail);
      return RetrySoon(drive, work, now);
    case AckResult::kDone:
      work->detail.clear();  // why it could not be told before
      break;
    case AckResult::kHeuristicCommit:
      NoteHeuristic(work, Heuristic::kCommit, detail, now);
      break;
    case AckResult::kHeuristicRollback:
      NoteHeuristic(work, Heuristic::kRollback, detail, now);
      break;
    case AckResult::kHeuristicMixed:
      NoteHeuristic(work, Heuristic::kMixed, detail, now);
      break;
    case AckResult::kHeuristicHazard:
      NoteHeuristic(work, Heuristic::kHazard, detail, now);
      break;
  }
  work->acknowledged = true;
  Note(EventKind::kAcknowledged, branch, now);
  Settle(drive, now);
}

void Driver::AddStrays(const Gtid& gtid, const std::vector<BranchId>& branches,
                       Timestamp now) {
  if (branches.empty() || table_.IsForgotten(gtid)) return;  // they are told if they ask
  const auto settled = table_.FindSettled(gtid);
  const auto* entry = table_.FindLive(gtid);
  Drive* drive = FindDrive(gtid);
  for (const BranchId& id : branches) {
    if (drive != nullptr && drive->FindBranch(id) != nullptr) continue;
    if (entry != nullptr && entry->Contains(id)) continue;
    if (settled && table_.InCommittedSet(id)) continue;
    if (drive == nullptr) {
      if (drives_.size() >= options_.max_in_progress) return;
      drive = Open(gtid, now);
      SyncSet(drive);
      drive->phase = settled ? Phase::kFinishing : Phase::kOpen;
      drive->ended = settled.has_value() && entry == nullptr;
      if (settled) drive->outcome = settled->outcome;
    }
    if (drive->branches.size() >= 2 * options_.max_branches) break;
    AddBranch(drive, id)->next_send = now;
  }
  if (drive == nullptr) return;
  SendDue(drive, now);
  Settle(drive, now);
}

void Driver::OnEnlisted(const EnlistedEffect& effect, Timestamp now) {
  const BranchId& branch = effect.branch;
  const auto* entry = table_.FindLive(branch.gtid);
  const bool member =
      (entry != nullptr && entry->Contains(branch)) || table_.InCommittedSet(branch);
  if (member) Note(EventKind::kEnlisted, branch, now);
  Drive* drive = FindDrive(branch.gtid);
  if (drive == nullptr) return;
  if (BranchWork* work = drive->FindBranch(branch)) work->enlisting = false;
  auto keep = drive->waiters.begin();
  std::vector<RequestToken> tokens;
  for (Waiter& waiter : drive->waiters) {
    if (waiter.kind == Waiter::Kind::kEnlist && waiter.branch == branch) {
      tokens.push_back(waiter.token);
    } else {
      if (&*keep != &waiter) *keep = std::move(waiter);
      ++keep;
    }
  }
  drive->waiters.erase(keep, drive->waiters.end());
  for (const RequestToken token : tokens) {
    if (member) {
      Tell(token, EnlistedReply{});
    } else {
      RefuseEnlistment(token, branch, now);
    }
  }
  drive = FindDrive(branch.gtid);
  if (drive != nullptr) Settle(drive, now);
}

// The gtid is below the watermark: whatever was asked for can no longer be. Branches
// that were told to prepare are told ROLLBACK, as they would be if they asked.
void Driver::Forget(Drive* drive, Timestamp now) {
  const bool undecided = drive->phase != Phase::kFinishing;
  for (const Waiter& waiter : drive->waiters) {
    switch (waiter.kind) {
      case Waiter::Kind::kClient:
        Tell(waiter.token, ForgottenReply{});
        break;
      case Waiter::Kind::kInquiry:
        Tell(waiter.token, InquiryReply{BranchFate::kRollback});
        break;
      case Waiter::Kind::kEnlist:
        Tell(waiter.token, RefusedReply{Refusal::kTooLate, "the gtid is forgotten"});
        break;
    }
  }
  for (const BranchWork& work : drive->branches) {
    if (!undecided) break;
    out_.messages.push_back(Message{Verb::kRollback, work.id});
    Note(EventKind::kTold, work.id, now);
  }
  Erase(drive);
}

void Driver::Settle(Drive* drive, Timestamp now) {
  if (drive->phase == Phase::kOpen && drive->waiters.empty()) return Erase(drive);
  if (drive->phase != Phase::kFinishing) return Schedule(drive);
  bool set_done = true;
  bool strays_done = true;
  for (const BranchWork& work : drive->branches) {
    if (work.acknowledged) continue;
    (work.in_set ? set_done : strays_done) = false;
  }
  if (set_done && !drive->ended && !drive->end_queued) {
    drive->end_queued = true;
    if (ended_.empty()) ended_due_ = now + options_.ended_wait;
    ended_.push_back(drive->gtid);
    if (ended_.size() >= options_.ended_batch) FlushEnded();
  }
  if (drive->ended && strays_done && drive->waiters.empty()) return Erase(drive);
  Schedule(drive);
}

void Driver::FlushEnded() {
  if (!ended_.empty()) Propose(EndedRecord{std::move(ended_)});
  ended_.clear();
  ended_due_ = Timestamp::Infinite();
}

void Driver::OnEnded(const EndedRecord& record, const EndedEffect& effect,
                     Timestamp now) {
  for (const Gtid& gtid : effect.gtids) Note(EventKind::kEnded, gtid, now);
  // All that the record names: an aborted one may have been forgotten meanwhile.
  for (const Gtid& gtid : record.gtids) {
    Drive* drive = FindDrive(gtid);
    if (drive == nullptr || drive->phase != Phase::kFinishing) continue;
    drive->ended = true;
    for (BranchWork& work : drive->branches) {
      if (work.in_set) work.acknowledged = true;
    }
    Settle(drive, now);
  }
}

void Driver::Inherit(const Gtid& gtid, const TransactionTable::Entry& entry,
                     Timestamp now) {
  CONCORDAT_CHECK(entry.staged || entry.decided) << gtid << " is only enlisted";
  Drive* drive = Open(gtid, now);
  drive->inherited = true;
  SyncSet(drive);
  Event& event = Note(EventKind::kInherited, gtid, now);
  if (entry.decided) {
    event.detail = std::string(ToString(entry.outcome));
    return Finish(drive, entry.outcome, now);
  }
  event.detail = "undecided";
  drive->phase = Phase::kPreparing;
  const auto limit = static_cast<uint64_t>(options_.max_timeout.millis());
  const uint64_t timeout_ms = std::min(entry.timeout_ms, limit);
  drive->deadline = now + Duration::Millis(static_cast<int64_t>(timeout_ms));
  SendDue(drive, now);
  TryCommit(drive, now);
  Schedule(drive);
}

}  // namespace concordat::txn
