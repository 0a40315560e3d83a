#include "coordinator/txn/commit_protocol.h"

#include <algorithm>

#include "coordinator/base/check.h"

namespace concordat::txn {

const InFlight* CommitProtocol::Find(const Gtid& gtid) const {
  const auto found = in_flight_.find(gtid);
  return found == in_flight_.end() ? nullptr : &found->second;
}

InFlight* CommitProtocol::FindInFlight(const Gtid& gtid) {
  const auto found = in_flight_.find(gtid);
  return found == in_flight_.end() ? nullptr : &found->second;
}

InFlight* CommitProtocol::Open(const Gtid& gtid, Timestamp now) {
  const auto [position, added] = in_flight_.try_emplace(gtid);
  if (added) {
    position->second.gtid = gtid;
    position->second.begun = now;
  }
  return &position->second;
}

void CommitProtocol::Erase(InFlight* txn) {
  SetTimer(txn, Timestamp::Infinite());
  const Gtid gtid = txn->gtid;
  in_flight_.erase(gtid);
}

BranchProgress* CommitProtocol::AddBranch(InFlight* txn, const BranchId& id) {
  if (BranchProgress* known = txn->FindBranch(id)) return known;
  txn->branches.emplace_back();
  txn->branches.back().id = id;
  return &txn->branches.back();
}

Event& CommitProtocol::Emit(EventKind kind, const Gtid& gtid, Timestamp now) {
  Event& event = out_.events.emplace_back();
  event.time = now;
  event.kind = kind;
  event.gtid = gtid;
  return event;
}

Event& CommitProtocol::Emit(EventKind kind, const BranchId& branch, Timestamp now) {
  Event& event = Emit(kind, branch.gtid, now);
  event.branch = branch;
  return event;
}

size_t CommitProtocol::Tick(size_t limit, Timestamp now) {
  size_t count = 0;
  for (; count < limit && !timers_.empty() && timers_.begin()->first <= now; ++count) {
    const Gtid gtid = timers_.begin()->second;
    Fire(gtid, now);
  }
  if (ended_due_ <= now) FlushEnded();
  return count;
}

Timestamp CommitProtocol::NextTimer() const {
  return timers_.empty() ? ended_due_ : std::min(ended_due_, timers_.begin()->first);
}

void CommitProtocol::Fire(const Gtid& gtid, Timestamp now) {
  InFlight* txn = FindInFlight(gtid);
  CONCORDAT_CHECK(txn != nullptr) << "timer of " << gtid;
  SetTimer(txn, Timestamp::Infinite());
  if (table_.IsForgotten(txn->gtid)) return Forget(txn, now);
  ExpireWaiters(txn, now);
  if (txn->preparing() && txn->deadline <= now) OnDeadline(txn, now);
  SendDue(txn, now);
  Settle(txn, now);
}

void CommitProtocol::ExpireWaiters(InFlight* txn, Timestamp now) {
  auto keep = txn->waiters.begin();
  for (Waiter& waiter : txn->waiters) {
    if (waiter.expires > now) {
      if (&*keep != &waiter) *keep = std::move(waiter);
      ++keep;
    } else if (waiter.kind == Waiter::Kind::kInquiry) {
      Respond(waiter.token, InquiryReply{InquiryAnswer::kWait});
    } else {
      Respond(waiter.token, Undecided(txn));
    }
  }
  txn->waiters.erase(keep, txn->waiters.end());
}

std::optional<Verb> CommitProtocol::NextMessage(const InFlight& txn,
                                                const BranchProgress& progress) {
  if (txn.preparing()) {
    if (!progress.in_set || progress.vote) return std::nullopt;
    return Verb::kPrepare;
  }
  if (txn.phase != Phase::kFinishing || progress.acknowledged) return std::nullopt;
  const bool commit = progress.in_set && txn.outcome == Outcome::kCommitted;
  return commit ? Verb::kCommit : Verb::kRollback;
}

void CommitProtocol::SendDue(InFlight* txn, Timestamp now) {
  for (BranchProgress& progress : txn->branches) {
    const std::optional<Verb> verb = NextMessage(*txn, progress);
    if (!verb || progress.next_send > now) continue;
    if (!progress.in_set && progress.attempts >= options_.unlisted_attempts) {
      progress.acknowledged = true;  // it asks by itself when it is in doubt
      continue;
    }
    ++progress.attempts;
    // Zero at first, and again after RetryNow: never a delay of nothing.
    progress.resend_delay =
        progress.resend_delay == Duration()
            ? options_.first_resend
            : std::min(progress.resend_delay * 2, options_.max_resend);
    progress.next_send = now + progress.resend_delay;
    out_.messages.push_back(Message{*verb, progress.id});
    const bool asks = *verb == Verb::kPrepare;
    Event& event =
        Emit(asks ? EventKind::kPrepareSent : EventKind::kDecisionSent, progress.id, now);
    event.number = progress.attempts;
    if (!asks) {
      event.outcome = verb == Verb::kCommit ? Outcome::kCommitted : Outcome::kAborted;
    }
  }
}

// The branch said that it cannot answer now: sooner than for a lost message, because
// what is missing is likely to be a restart that is under way.
void CommitProtocol::RetrySoon(InFlight* txn, BranchProgress* progress, Timestamp now) {
  progress->retry_delay = progress->retry_delay == Duration()
                              ? options_.first_retry
                              : std::min(progress->retry_delay * 2, options_.max_resend);
  progress->next_send = now + progress->retry_delay;
  Schedule(txn);
}

void CommitProtocol::RetryNow(std::string_view resource, Timestamp now) {
  for (auto& [gtid, txn] : in_flight_) {
    bool hurry = false;
    for (BranchProgress& progress : txn.branches) {
      if (progress.id.resource != resource || !NextMessage(txn, progress)) continue;
      progress.next_send = now;
      progress.resend_delay = progress.retry_delay = Duration();
      hurry = true;
    }
    if (hurry) Schedule(&txn);
  }
}

// The earliest moment at which this transaction has something to do. A timer that is set
// for an earlier moment is left: it fires, finds nothing due and comes back here.
void CommitProtocol::Schedule(InFlight* txn) {
  Timestamp at = Timestamp::Infinite();
  if (txn->preparing()) at = txn->deadline;
  for (const BranchProgress& progress : txn->branches) {
    if (NextMessage(*txn, progress)) at = std::min(at, progress.next_send);
  }
  for (const Waiter& waiter : txn->waiters) at = std::min(at, waiter.expires);
  if (at < txn->timer) SetTimer(txn, at);
}

void CommitProtocol::SetTimer(InFlight* txn, Timestamp at) {
  if (txn->timer != Timestamp::Infinite()) {
    timers_.erase({txn->timer, txn->gtid});
  }
  txn->timer = at;
  if (at != Timestamp::Infinite()) timers_.emplace(at, txn->gtid);
}

void CommitProtocol::Abandon() {
  for (const auto& [gtid, txn] : in_flight_) {
    for (const Waiter& waiter : txn.waiters) {
      if (waiter.kind == Waiter::Kind::kInquiry) {
        Respond(waiter.token, NotLeaderReply{});
      } else {
        // STAGED, DECIDED or ENLISTED was appended, and may reach the log under the next
        // leader: "not begun" would let the asker take a refusal there for the end.
        Respond(waiter.token, Undecided(&txn));
      }
    }
  }
  in_flight_.clear();
  timers_.clear();
  for (const auto& [token, request] : reading_) Respond(token, NotLeaderReply{});
  reading_.clear();
  for (const auto& [token, branch] : forgetting_) Respond(token, UndecidedReply{});
  forgetting_.clear();
  ended_.clear();
  ended_due_ = Timestamp::Infinite();
}

}  // namespace concordat::txn
