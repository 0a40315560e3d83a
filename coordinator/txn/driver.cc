#include "coordinator/txn/driver.h"

#include <algorithm>

#include "coordinator/base/check.h"

namespace concordat::txn {

std::string Cut(std::string_view text) {
  return std::string(text.substr(0, kMaxDetailLength));
}

const Drive* Driver::Find(const Gtid& gtid) const {
  const auto found = drives_.find(gtid);
  return found == drives_.end() ? nullptr : &found->second;
}

Drive* Driver::FindDrive(const Gtid& gtid) {
  const auto found = drives_.find(gtid);
  return found == drives_.end() ? nullptr : &found->second;
}

Drive* Driver::Open(const Gtid& gtid, Timestamp now) {
  const auto [position, added] = drives_.try_emplace(gtid);
  if (added) {
    position->second.gtid = gtid;
    position->second.begun = now;
  }
  return &position->second;
}

void Driver::Erase(Drive* drive) {
  SetTimer(drive, Timestamp::Infinite());
  const Gtid gtid = drive->gtid;
  drives_.erase(gtid);
}

BranchWork* Driver::AddBranch(Drive* drive, const BranchId& id) {
  if (BranchWork* known = drive->FindBranch(id)) return known;
  drive->branches.emplace_back();
  drive->branches.back().id = id;
  return &drive->branches.back();
}

Event& Driver::Note(EventKind kind, const Gtid& gtid, Timestamp now) {
  Event& event = out_.events.emplace_back();
  event.time = now;
  event.kind = kind;
  event.gtid = gtid;
  return event;
}

Event& Driver::Note(EventKind kind, const BranchId& branch, Timestamp now) {
  Event& event = Note(kind, branch.gtid, now);
  event.branch = branch;
  return event;
}

size_t Driver::Tick(size_t limit, Timestamp now) {
  size_t count = 0;
  for (; count < limit && !timers_.empty() && timers_.begin()->first <= now; ++count) {
    const Gtid gtid = timers_.begin()->second;
    Fire(gtid, now);
  }
  if (ended_due_ <= now) FlushEnded();
  return count;
}

Timestamp Driver::NextTimer() const {
  return timers_.empty() ? ended_due_ : std::min(ended_due_, timers_.begin()->first);
}

void Driver::Fire(const Gtid& gtid, Timestamp now) {
  Drive* drive = FindDrive(gtid);
  CONCORDAT_CHECK(drive != nullptr) << "timer of " << gtid;
  SetTimer(drive, Timestamp::Infinite());
  if (table_.IsForgotten(drive->gtid)) return Forget(drive, now);
  ExpireWaiters(drive, now);
  if (drive->preparing() && drive->deadline <= now) OnDeadline(drive, now);
  SendDue(drive, now);
  Settle(drive, now);
}

void Driver::ExpireWaiters(Drive* drive, Timestamp now) {
  auto keep = drive->waiters.begin();
  for (Waiter& waiter : drive->waiters) {
    if (waiter.expires > now) {
      if (&*keep != &waiter) *keep = std::move(waiter);
      ++keep;
    } else if (waiter.kind == Waiter::Kind::kInquiry) {
      Tell(waiter.token, InquiryReply{BranchFate::kWait});
    } else {
      Tell(waiter.token, Undecided(drive));
    }
  }
  drive->waiters.erase(keep, drive->waiters.end());
}

bool Driver::Wanted(const Drive& drive, const BranchWork& work, Verb* verb) {
  if (drive.preparing()) {
    *verb = Verb::kPrepare;
    return work.in_set && !work.vote;
  }
  if (drive.phase != Phase::kFinishing || work.acknowledged) return false;
  const bool commit = work.in_set && drive.outcome == Outcome::kCommitted;
  *verb = commit ? Verb::kCommit : Verb::kRollback;
  return true;
}

void Driver::SendDue(Drive* drive, Timestamp now) {
  for (BranchWork& work : drive->branches) {
    Verb verb;
    if (!Wanted(*drive, work, &verb) || work.next_send > now) continue;
    if (!work.in_set && work.attempts >= options_.stray_attempts) {
      work.acknowledged = true;  // it asks by itself when it is in doubt
      continue;
    }
    ++work.attempts;
    // Zero at first, and again after HurryResource: never a delay of nothing.
    work.resend_delay = work.resend_delay == Duration()
                            ? options_.first_resend
                            : std::min(work.resend_delay * 2, options_.max_resend);
    work.next_send = now + work.resend_delay;
    out_.messages.push_back(Message{verb, work.id});
    const bool asks = verb == Verb::kPrepare;
    Event& event = Note(asks ? EventKind::kAsked : EventKind::kTold, work.id, now);
    event.number = work.attempts;
    if (!asks) {
      event.outcome = verb == Verb::kCommit ? Outcome::kCommitted : Outcome::kAborted;
    }
  }
}

// The branch said that it cannot answer now: sooner than for a lost message, because
// what is missing is likely to be a restart that is under way.
void Driver::RetrySoon(Drive* drive, BranchWork* work, Timestamp now) {
  work->retry_delay = work->retry_delay == Duration()
                          ? options_.first_retry
                          : std::min(work->retry_delay * 2, options_.max_resend);
  work->next_send = now + work->retry_delay;
  Schedule(drive);
}

void Driver::HurryResource(std::string_view resource, Timestamp now) {
  for (auto& [gtid, drive] : drives_) {
    bool hurry = false;
    for (BranchWork& work : drive.branches) {
      Verb verb;
      if (work.id.resource != resource || !Wanted(drive, work, &verb)) continue;
      work.next_send = now;
      work.resend_delay = work.retry_delay = Duration();
      hurry = true;
    }
    if (hurry) Schedule(&drive);
  }
}

// The earliest moment at which this drive has something to do. A timer that is set
// for an earlier moment is left: it fires, finds nothing due and comes back here.
void Driver::Schedule(Drive* drive) {
  Timestamp at = Timestamp::Infinite();
  if (drive->preparing()) at = drive->deadline;
  for (const BranchWork& work : drive->branches) {
    Verb verb;
    if (Wanted(*drive, work, &verb)) at = std::min(at, work.next_send);
  }
  for (const Waiter& waiter : drive->waiters) at = std::min(at, waiter.expires);
  if (at < drive->timer) SetTimer(drive, at);
}

void Driver::SetTimer(Drive* drive, Timestamp at) {
  if (drive->timer != Timestamp::Infinite()) {
    timers_.erase({drive->timer, drive->gtid});
  }
  drive->timer = at;
  if (at != Timestamp::Infinite()) timers_.emplace(at, drive->gtid);
}

void Driver::Abandon() {
  for (const auto& [gtid, drive] : drives_) {
    for (const Waiter& waiter : drive.waiters) {
      if (waiter.kind == Waiter::Kind::kInquiry) {
        Tell(waiter.token, NotLeaderReply{});
      } else {
        // STAGED, DECIDED or ENLISTED was appended, and may reach the log under the next
        // leader: "not begun" would let the asker take a refusal there for the end.
        Tell(waiter.token, Undecided(&drive));
      }
    }
  }
  drives_.clear();
  timers_.clear();
  for (const auto& [token, request] : reading_) Tell(token, NotLeaderReply{});
  reading_.clear();
  ended_.clear();
  ended_due_ = Timestamp::Infinite();
}

}  // namespace concordat::txn
