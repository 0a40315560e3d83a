// What clients, services and resource managers in doubt ask for.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/txn/driver.h"

namespace concordat::txn {

namespace {

std::vector<BranchId> Unique(std::vector<BranchId> branches) {
  std::sort(branches.begin(), branches.end());
  branches.erase(std::unique(branches.begin(), branches.end()), branches.end());
  return branches;
}

}  // namespace

bool Driver::CheckBranches(RequestToken token, const Gtid& gtid,
                           const std::vector<BranchId>& branches, Timestamp now) {
  RefusedReply refusal;
  if (branches.size() > options_.max_branches) {
    refusal.why = Refusal::kTooManyBranches;
    refusal.detail = absl::StrCat(branches.size(), " branches, at most ",
                                  options_.max_branches, " are allowed");
  }
  for (const BranchId& branch : branches) {
    if (!refusal.detail.empty()) break;
    if (branch.gtid != gtid || !IsValidResourceName(branch.resource)) {
      refusal.detail =
          absl::StrCat(ToString(branch), " is no branch of ", ToString(gtid));
    }
  }
  if (refusal.detail.empty()) return true;
  Note(EventKind::kRefusedRequest, gtid, now).detail = refusal.detail;
  Tell(token, std::move(refusal));
  return false;
}

bool Driver::AnswerIfOver(RequestToken token, const Gtid& gtid) {
  if (table_.IsForgotten(gtid)) {
    Tell(token, ForgottenReply{});
    return true;
  }
  const auto settled = table_.FindSettled(gtid);
  if (!settled) return false;
  if (settled->outcome == Outcome::kCommitted) {
    Tell(token, CommittedReply{});
  } else {
    Tell(token, AbortedReply{settled->cause, settled->detail});
  }
  return true;
}

// Before anything is begun; what is under way is never refused.
bool Driver::RefuseOverload(RequestToken token, const Gtid& gtid) {
  if (drives_.size() < options_.max_in_progress || Find(gtid) != nullptr) return false;
  Tell(token,
       RefusedReply{Refusal::kOverloaded,
                    absl::StrCat(drives_.size(), " transactions are in progress")});
  return true;
}

void Driver::Commit(RequestToken token, const CommitRequest& request, Timestamp now) {
  if (!CheckBranches(token, request.gtid, request.branches, now)) return;
  for (const uint32_t position : request.prepared) {
    if (position < request.branches.size()) continue;
    return Tell(token, RefusedReply{Refusal::kBadRequest,
                                    absl::StrCat("a vote of branch ", position, " of ",
                                                 request.branches.size())});
  }
  if (AnswerIfOver(token, request.gtid)) {
    return AddStrays(request.gtid, request.branches, now);
  }
  if (RefuseOverload(token, request.gtid)) return;
  Drive* drive = Open(request.gtid, now);
  if (drive->phase == Phase::kOpen) {
    Stage(drive, request, now);
    Attach(drive, token, now);
    return Schedule(drive);
  }
  // Rule 9: the branches are not compared. Those that nobody staged are rolled back
  // once the outcome is known, as nobody else would tell them.
  Note(EventKind::kAttached, request.gtid, now);
  Attach(drive, token, now);
  AddStrays(request.gtid, request.branches, now);
}

void Driver::Stage(Drive* drive, const CommitRequest& request, Timestamp now) {
  Duration timeout =
      request.timeout > Duration() ? request.timeout : options_.default_timeout;
  timeout = std::min(timeout, options_.max_timeout);
  StagedRecord record;
  record.gtid = request.gtid;
  record.branches = Unique(request.branches);
  record.timeout_ms = static_cast<uint64_t>(std::max<int64_t>(timeout.millis(), 1));
  record.mode = request.mode;

  drive->phase = Phase::kStaging;
  drive->mode = request.mode;
  drive->begun = now;
  drive->deadline = now + timeout;
  for (const BranchId& id : record.branches) AddBranch(drive, id)->in_set = true;
  if (const auto* entry = table_.FindLive(request.gtid)) {
    for (const BranchId& id : entry->branches) AddBranch(drive, id)->in_set = true;
  }
  // ENLISTED records that are on their way stand before this STAGED.
  for (BranchWork& work : drive->branches) work.in_set = work.in_set || work.enlisting;
  if (TakeEarlyVotes(drive, request)) {
    // The record decides, and so is the decision that this leader has appended.
    record.all_prepared = true;
    drive->staging_decides = true;
    drive->appended = Outcome::kCommitted;
    drive->phase = Phase::kDeciding;
  }

  Event& event = Note(EventKind::kCommitAsked, request.gtid, now);
  event.detail = absl::StrCat(
      "branches=", drive->branches.size(), " mode=", std::string(ToString(request.mode)),
      " timeout_ms=", record.timeout_ms, record.all_prepared ? " all prepared" : "");
  Propose(record);
  SendDue(drive, now);
}

bool Driver::TakeEarlyVotes(Drive* drive, const CommitRequest& request) {
  for (const uint32_t position : request.prepared) {
    drive->FindBranch(request.branches[position])->vote = Vote::kPrepared;
  }
  bool all = !drive->branches.empty();
  for (const BranchWork& work : drive->branches) {
    all = all && (!work.in_set || work.vote == Vote::kPrepared);
  }
  return all && !request.prepared.empty();
}

void Driver::Attach(Drive* drive, RequestToken token, Timestamp now) {
  if (drive->answered_early) return Tell(token, CommittedReply{});
  drive->waiters.push_back(
      Waiter{token, Waiter::Kind::kClient, BranchId(), now + options_.client_wait});
  Schedule(drive);
}

void Driver::Rollback(RequestToken token, const RollbackRequest& request, Timestamp now) {
  if (!CheckBranches(token, request.gtid, request.branches, now)) return;
  if (AnswerIfOver(token, request.gtid)) {
    return AddStrays(request.gtid, request.branches, now);
  }
  Drive* drive = Open(request.gtid, now);
  const bool by_operator = request.cause == AbortCause::kOperator;
  if (!drive->appended && (by_operator || !MayHaveBeenAnswered(*drive))) {
    // Rule 7: also for a gtid that this leader has never heard of.
    DecidedRecord record;
    record.gtid = request.gtid;
    record.cause =
        request.cause == AbortCause::kNone ? AbortCause::kClientRollback : request.cause;
    record.detail = Cut(request.reason);
    record.by = Cut(request.by);
    AppendDecision(drive, std::move(record), now);
  } else {
    Note(EventKind::kAttached, request.gtid, now);
  }
  Attach(drive, token, now);
  AddStrays(request.gtid, request.branches, now);
}

void Driver::Enlist(RequestToken token, const EnlistRequest& request, Timestamp now) {
  const BranchId& branch = request.branch;
  if (!CheckBranches(token, branch.gtid, {branch}, now)) return;
  const auto* entry = table_.FindLive(branch.gtid);
  if (entry != nullptr && entry->Contains(branch)) {
    return Tell(token, EnlistedReply{});  // the first answer was lost
  }
  const TxnState state = table_.StateOf(branch.gtid);
  const Drive* known = Find(branch.gtid);
  const bool closed = state != TxnState::kUnknown && state != TxnState::kEnlisted;
  if (closed || (known != nullptr && known->phase != Phase::kOpen)) {
    return RefuseEnlistment(token, branch, now);
  }
  if (entry != nullptr && entry->branches.size() >= options_.max_branches) {
    return Tell(token, RefusedReply{Refusal::kTooManyBranches,
                                    absl::StrCat("at most ", options_.max_branches)});
  }
  if (RefuseOverload(token, branch.gtid)) return;
  Drive* drive = Open(branch.gtid, now);
  AddBranch(drive, branch)->enlisting = true;
  drive->waiters.push_back(
      Waiter{token, Waiter::Kind::kEnlist, branch, now + options_.client_wait});
  Propose(EnlistedRecord{branch});
  Schedule(drive);
}

void Driver::RefuseEnlistment(RequestToken token, const BranchId& branch, Timestamp now) {
  if (table_.InCommittedSet(branch)) return Tell(token, EnlistedReply{});
  const std::string detail =
      absl::StrCat(ToString(branch), " came too late: commit or rollback of ",
                   ToString(branch.gtid), " had been asked for");
  Note(EventKind::kRefusedRequest, branch, now).detail = detail;
  Tell(token, RefusedReply{Refusal::kTooLate, detail});
  AddStrays(branch.gtid, {branch}, now);
}

void Driver::Inquire(RequestToken token, const InquireRequest& request, Timestamp now) {
  const BranchId& branch = request.branch;
  if (!CheckBranches(token, branch.gtid, {branch}, now)) return;
  if (table_.IsForgotten(branch.gtid)) {
    return Tell(token, InquiryReply{BranchFate::kRollback});
  }
  if (table_.FindSettled(branch.gtid)) {
    // Rule 4: only a member of the decided set is told COMMIT.
    const bool member = table_.InCommittedSet(branch);
    return Tell(token,
                InquiryReply{member ? BranchFate::kCommit : BranchFate::kRollback});
  }
  Drive* drive = Open(branch.gtid, now);
  drive->waiters.push_back(
      Waiter{token, Waiter::Kind::kInquiry, branch, now + options_.inquiry_wait});
  if (drive->phase == Phase::kOpen) {
    DecidedRecord record;
    record.gtid = branch.gtid;
    record.cause = AbortCause::kInquiry;
    record.detail =
        absl::StrCat(ToString(branch), " asked, and no commit request was known");
    AppendDecision(drive, std::move(record), now);
  }
  Schedule(drive);
}

void Driver::AskOutcome(RequestToken token, const OutcomeRequest& request,
                        Timestamp now) {
  if (AnswerIfOver(token, request.gtid)) return;
  Drive* drive = FindDrive(request.gtid);
  const bool under_way = drive != nullptr && drive->phase != Phase::kOpen;
  if (under_way && (request.wait || drive->answered_early)) {
    return Attach(drive, token, now);
  }
  Tell(token, Undecided(request.gtid, drive));
}

UndecidedReply Driver::Undecided(const Gtid& gtid, const Drive* drive) const {
  UndecidedReply reply;
  reply.commit_requested = table_.StateOf(gtid) == TxnState::kStaged ||
                           (drive != nullptr && drive->phase == Phase::kStaging);
  if (drive == nullptr || !drive->preparing()) return reply;
  for (const BranchWork& work : drive->branches) {
    if (work.in_set && !work.vote) reply.waiting_for.push_back(work.id);
  }
  return reply;
}

}  // namespace concordat::txn
