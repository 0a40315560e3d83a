// From the decision to the end.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/txn/commit_protocol.h"

namespace concordat::txn {

void CommitProtocol::OnDecided(const DecidedRecord& record, const DecidedEffect& effect,
                               Timestamp now) {
  if (effect.ignored != Ignored::kNo) {
    Emit(EventKind::kIgnoredRecord, effect.gtid, now).detail =
        absl::StrCat("DECIDED(", std::string(ToString(record.outcome)),
                     "): ", std::string(ToString(effect.ignored)));
    InFlight* txn = FindInFlight(effect.gtid);
    if (txn != nullptr && effect.ignored == Ignored::kBelowWatermark) {
      Forget(txn, now);
    }
    return;
  }
  Event& event = Emit(EventKind::kDecided, effect.gtid, now);
  event.outcome = record.outcome;
  event.cause = record.cause;
  event.detail = record.detail;
  InFlight* txn = Open(effect.gtid, now);
  const bool committed = record.outcome == Outcome::kCommitted;
  CONCORDAT_CHECK(committed || !txn->answered_early)
      << effect.gtid << ": COMMITTED was told, and the log says aborted";
  SyncSet(txn);
  txn->ended = table_.StateOf(effect.gtid) == TxnState::kEnded;
  AnswerWaiters(txn, committed ? Reply(CommittedReply{})
                               : Reply(AbortedReply{record.cause, record.detail}));
  Finish(txn, record.outcome, now);
}

// Tells the branches. COMMIT goes only where a vote may have left something to commit.
void CommitProtocol::Finish(InFlight* txn, Outcome outcome, Timestamp now) {
  txn->phase = Phase::kFinishing;
  txn->outcome = outcome;
  for (BranchProgress& progress : txn->branches) {
    progress.attempts = 0;
    progress.resend_delay = progress.retry_delay = Duration();
    progress.next_send = now;
    progress.acknowledged = progress.in_set && outcome == Outcome::kCommitted &&
                            progress.vote == Vote::kReadOnly;
  }
  SendDue(txn, now);
  Settle(txn, now);
}

void CommitProtocol::AnswerWaiters(InFlight* txn, const Reply& client_reply) {
  auto keep = txn->waiters.begin();
  for (Waiter& waiter : txn->waiters) {
    switch (waiter.kind) {
      case Waiter::Kind::kClient:
        Respond(waiter.token, client_reply);
        break;
      case Waiter::Kind::kInquiry:
        Respond(waiter.token, InquiryReply{table_.InCommittedSet(waiter.branch)
                                               ? InquiryAnswer::kCommit
                                               : InquiryAnswer::kRollback});
        break;
      case Waiter::Kind::kEnlist:  // waits for its own record
        if (&*keep != &waiter) *keep = std::move(waiter);
        ++keep;
        break;
    }
  }
  txn->waiters.erase(keep, txn->waiters.end());
}

void CommitProtocol::OnAcknowledged(const ReceivedAck& received, Timestamp now) {
  const auto& [branch, result, detail] = received;
  InFlight* txn = FindInFlight(branch.gtid);
  BranchProgress* progress = txn == nullptr ? nullptr : txn->FindBranch(branch);
  if (progress == nullptr || txn->phase != Phase::kFinishing || progress->acknowledged)
    return;
  switch (result) {
    case FinishState::kRetry:
      progress->detail = detail;
      return RetrySoon(txn, progress, now);
    case FinishState::kDone:
      progress->detail.clear();  // why it could not be told before
      break;
    case FinishState::kHeuristicCommit:
      NoteHeuristic(progress, Heuristic::kCommit, detail, now);
      break;
    case FinishState::kHeuristicRollback:
      NoteHeuristic(progress, Heuristic::kRollback, detail, now);
      break;
    case FinishState::kHeuristicMixed:
      NoteHeuristic(progress, Heuristic::kMixed, detail, now);
      break;
    case FinishState::kHeuristicHazard:
      NoteHeuristic(progress, Heuristic::kHazard, detail, now);
      break;
  }
  progress->acknowledged = true;
  Emit(EventKind::kAcknowledged, branch, now);
  Settle(txn, now);
}

void CommitProtocol::AddUnlisted(const Gtid& gtid, const std::vector<BranchId>& branches,
                                 Timestamp now) {
  if (branches.empty() || table_.IsForgotten(gtid)) return;  // they are told if they ask
  const auto settled = table_.FindSettled(gtid);
  const auto* entry = table_.FindLive(gtid);
  InFlight* txn = FindInFlight(gtid);
  for (const BranchId& id : branches) {
    if (txn != nullptr && txn->FindBranch(id) != nullptr) continue;
    if (entry != nullptr && entry->Contains(id)) continue;
    if (settled && table_.InCommittedSet(id)) continue;
    if (txn == nullptr) {
      if (in_flight_.size() >= options_.max_in_progress) return;
      txn = Open(gtid, now);
      SyncSet(txn);
      txn->phase = settled ? Phase::kFinishing : Phase::kOpen;
      txn->ended = settled.has_value() && entry == nullptr;
      if (settled) txn->outcome = settled->outcome;
    }
    if (txn->branches.size() >= 2 * options_.max_branches) break;
    AddBranch(txn, id)->next_send = now;
  }
  if (txn == nullptr) return;
  SendDue(txn, now);
  Settle(txn, now);
}

void CommitProtocol::OnEnlisted(const EnlistedEffect& effect, Timestamp now) {
  const BranchId& branch = effect.branch;
  const auto* entry = table_.FindLive(branch.gtid);
  const bool member =
      (entry != nullptr && entry->Contains(branch)) || table_.InCommittedSet(branch);
  if (member) Emit(EventKind::kEnlisted, branch, now);
  InFlight* txn = FindInFlight(branch.gtid);
  if (txn == nullptr) return;
  if (BranchProgress* progress = txn->FindBranch(branch)) progress->enlisting = false;
  auto keep = txn->waiters.begin();
  std::vector<RequestToken> tokens;
  for (Waiter& waiter : txn->waiters) {
    if (waiter.kind == Waiter::Kind::kEnlist && waiter.branch == branch) {
      tokens.push_back(waiter.token);
    } else {
      if (&*keep != &waiter) *keep = std::move(waiter);
      ++keep;
    }
  }
  txn->waiters.erase(keep, txn->waiters.end());
  for (const RequestToken token : tokens) {
    if (member) {
      Respond(token, EnlistedReply{});
    } else {
      RefuseEnlistment(token, branch, now);
    }
  }
  txn = FindInFlight(branch.gtid);
  if (txn != nullptr) Settle(txn, now);
}

// The gtid is below the watermark: whatever was asked for can no longer be. Branches
// that were told to prepare are told ROLLBACK, as they would be if they asked.
void CommitProtocol::Forget(InFlight* txn, Timestamp now) {
  const bool undecided = txn->phase != Phase::kFinishing;
  for (const Waiter& waiter : txn->waiters) {
    switch (waiter.kind) {
      case Waiter::Kind::kClient:
        Respond(waiter.token, ForgottenReply{});
        break;
      case Waiter::Kind::kInquiry:
        Respond(waiter.token, InquiryReply{InquiryAnswer::kRollback});
        break;
      case Waiter::Kind::kEnlist:
        Respond(waiter.token, RefusedReply{Refusal::kTooLate, "the gtid is forgotten"});
        break;
    }
  }
  for (const BranchProgress& progress : txn->branches) {
    if (!undecided) break;
    out_.messages.push_back(Message{Verb::kRollback, progress.id});
    Emit(EventKind::kDecisionSent, progress.id, now);
  }
  Erase(txn);
}

void CommitProtocol::Settle(InFlight* txn, Timestamp now) {
  if (txn->phase == Phase::kOpen && txn->waiters.empty()) return Erase(txn);
  if (txn->phase != Phase::kFinishing) return Schedule(txn);
  bool set_done = true;
  bool unlisted_done = true;
  for (const BranchProgress& progress : txn->branches) {
    if (progress.acknowledged) continue;
    (progress.in_set ? set_done : unlisted_done) = false;
  }
  if (set_done && !txn->ended && !txn->end_queued) {
    txn->end_queued = true;
    if (ended_.empty()) ended_due_ = now + options_.ended_wait;
    ended_.push_back(txn->gtid);
    if (ended_.size() >= options_.ended_batch) FlushEnded();
  }
  if (txn->ended && unlisted_done && txn->waiters.empty()) return Erase(txn);
  Schedule(txn);
}

void CommitProtocol::FlushEnded() {
  if (!ended_.empty()) Propose(EndedRecord{std::move(ended_)});
  ended_.clear();
  ended_due_ = Timestamp::Infinite();
}

void CommitProtocol::OnEnded(const EndedRecord& record, const EndedEffect& effect,
                             Timestamp now) {
  for (const Gtid& gtid : effect.gtids) Emit(EventKind::kEnded, gtid, now);
  // All that the record names: an aborted one may have been forgotten meanwhile.
  for (const Gtid& gtid : record.gtids) {
    InFlight* txn = FindInFlight(gtid);
    if (txn == nullptr || txn->phase != Phase::kFinishing) continue;
    txn->ended = true;
    for (BranchProgress& progress : txn->branches) {
      if (progress.in_set) progress.acknowledged = true;
    }
    Settle(txn, now);
  }
}

void CommitProtocol::Inherit(const Gtid& gtid, const TransactionTable::Entry& entry,
                             Timestamp now) {
  CONCORDAT_CHECK(entry.staged || entry.decided) << gtid << " is only enlisted";
  InFlight* txn = Open(gtid, now);
  txn->inherited = true;
  SyncSet(txn);
  Event& event = Emit(EventKind::kInherited, gtid, now);
  if (entry.decided) {
    event.detail = std::string(ToString(entry.outcome));
    return Finish(txn, entry.outcome, now);
  }
  event.detail = "undecided";
  txn->phase = Phase::kPreparing;
  const auto limit = static_cast<uint64_t>(options_.max_timeout.millis());
  const uint64_t timeout_ms = std::min(entry.timeout_ms, limit);
  txn->deadline = now + Duration::Millis(static_cast<int64_t>(timeout_ms));
  SendDue(txn, now);
  TryCommit(txn, now);
  Schedule(txn);
}

}  // namespace concordat::txn
