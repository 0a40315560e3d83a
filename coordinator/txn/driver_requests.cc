// What clients, services and resource managers in doubt ask for.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/txn/driver.h"

namespace concordat::txn {

namespace {

std::vector<BranchId> Sorted(std::vector<BranchId> branches) {
  std::sort(branches.begin(), branches.end());
  return branches;
}

// Why they are no list of branches of the transaction; empty: they are.
std::string WrongBranches(const Gtid& gtid, const std::vector<BranchId>& branches) {
  for (const BranchId& branch : branches) {
    if (branch.gtid != gtid || !IsValidResourceName(branch.resource)) {
      return absl::StrCat(ToString(branch), " is no branch of ", ToString(gtid));
    }
  }
  return "";
}

// The branches that are enlisted, and those whose records are on their way.
size_t CountEnlisted(const TransactionTable::Entry* entry, const Drive* drive) {
  size_t count = entry == nullptr ? 0 : entry->branches.size();
  if (drive == nullptr) return count;
  for (const BranchWork& work : drive->branches) {
    if (work.enlisting) ++count;
  }
  return count;
}

}  // namespace

void Driver::Refuse(RequestToken token, const Gtid& gtid, RefusedReply refusal,
                    Timestamp now) {
  Note(EventKind::kRefusedRequest, gtid, now).detail = refusal.detail;
  Tell(token, std::move(refusal));
}

bool Driver::CheckBranch(RequestToken token, const BranchId& branch, Timestamp now) {
  std::string wrong = WrongBranches(branch.gtid, {branch});
  if (wrong.empty()) return true;
  Refuse(token, branch.gtid, {Refusal::kBadRequest, std::move(wrong)}, now);
  return false;
}

std::optional<RefusedReply> Driver::WrongCommit(const CommitRequest& request) const {
  const size_t count = request.branches.size();
  if (count > options_.max_branches) {
    return RefusedReply{Refusal::kTooManyBranches,
                        absl::StrCat(count, " branches, at most ", options_.max_branches,
                                     " are allowed in one transaction")};
  }
  std::string wrong = WrongBranches(request.gtid, request.branches);
  const std::vector<BranchId> sorted = Sorted(request.branches);
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (wrong.empty() && twice != sorted.end()) {
    wrong = absl::StrCat(ToString(*twice), " is named twice");
  }
  for (const uint32_t position : request.prepared) {
    if (!wrong.empty() || position < count) continue;
    wrong = absl::StrCat("a vote of branch ", position, " of ", count);
  }
  if (wrong.empty()) return std::nullopt;
  return RefusedReply{Refusal::kBadRequest, std::move(wrong)};
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

// The log's reserve is for the decisions and ends of what is staged, which is bounded. A
// first word about a transaction is new work, also when it is an abort.
bool Driver::RefuseForSpace(RequestToken token, const Gtid& gtid) {
  const Drive* drive = Find(gtid);
  if (admits_new_work_ || (drive != nullptr && drive->phase != Phase::kOpen)) {
    return false;
  }
  Tell(token, RefusedReply{Refusal::kOverloaded, std::string(kDiskFull)});
  return true;
}

// Before anything is begun; what is under way is never refused.
bool Driver::RefuseNewWork(RequestToken token, const Gtid& gtid) {
  if (RefuseForSpace(token, gtid)) return true;
  const Drive* drive = Find(gtid);
  if (drives_.size() < options_.max_in_progress || drive != nullptr) return false;
  Tell(token,
       RefusedReply{Refusal::kOverloaded,
                    absl::StrCat(drives_.size(), " transactions are in progress")});
  return true;
}

void Driver::Commit(RequestToken token, const CommitRequest& request, Timestamp now) {
  const auto wrong = WrongCommit(request);
  // Of a repeated request the branches count for nothing, right or wrong.
  if (AnswerIfOver(token, request.gtid)) {
    if (!wrong) AddStrays(request.gtid, request.branches, now);
    return;
  }
  if (wrong) return Refuse(token, request.gtid, *wrong, now);
  if (RefuseNewWork(token, request.gtid)) return;
  Drive* drive = Open(request.gtid, now);
  if (drive->phase == Phase::kOpen) {
    Stage(drive, request, now);
    Attach(drive, token, request.answer_within, now);
    return Schedule(drive);
  }
  // Rule 9: the branches are not compared. Those that nobody staged are rolled back
  // once the outcome is known, as nobody else would tell them.
  Note(EventKind::kAttached, request.gtid, now);
  Attach(drive, token, request.answer_within, now);
  AddStrays(request.gtid, request.branches, now);
}

void Driver::Stage(Drive* drive, const CommitRequest& request, Timestamp now) {
  Duration timeout =
      request.timeout > Duration() ? request.timeout : options_.default_timeout;
  timeout = std::min(timeout, options_.max_timeout);
  StagedRecord record;
  record.gtid = request.gtid;
  record.branches = Sorted(request.branches);
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

Duration Driver::WaitOf(Duration answer_within, Duration most) {
  return answer_within > Duration() ? std::min(answer_within, most) : most;
}

void Driver::Attach(Drive* drive, RequestToken token, Duration answer_within,
                    Timestamp now) {
  if (drive->answered_early) return Tell(token, CommittedReply{});
  drive->waiters.push_back(Waiter{token, Waiter::Kind::kClient, BranchId(),
                                  now + WaitOf(answer_within, options_.client_wait)});
  Schedule(drive);
}

void Driver::Rollback(RequestToken token, const RollbackRequest& request, Timestamp now) {
  std::string wrong = WrongBranches(request.gtid, request.branches);
  if (AnswerIfOver(token, request.gtid)) {
    if (wrong.empty()) AddStrays(request.gtid, request.branches, now);
    return;
  }
  if (!wrong.empty()) {
    return Refuse(token, request.gtid, {Refusal::kBadRequest, std::move(wrong)}, now);
  }
  if (RefuseForSpace(token, request.gtid)) return;
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
  Attach(drive, token, request.answer_within, now);
  AddStrays(request.gtid, request.branches, now);
}

void Driver::Enlist(RequestToken token, const EnlistRequest& request, Timestamp now) {
  const BranchId& branch = request.branch;
  if (!CheckBranch(token, branch, now)) return;
  const auto* entry = table_.FindLive(branch.gtid);
  if (entry != nullptr && entry->Contains(branch)) {
    return Tell(token, EnlistedReply{});  // the first answer was lost
  }
  Drive* known = FindDrive(branch.gtid);
  const BranchWork* work = known == nullptr ? nullptr : known->FindBranch(branch);
  if (work != nullptr && work->enlisting) {
    // Its record is on its way, perhaps before a STAGED: that one's answer is this one's.
    return AwaitEnlisted(known, token, request, now);
  }
  const TxnState state = table_.StateOf(branch.gtid);
  const bool closed = state != TxnState::kUnknown && state != TxnState::kEnlisted;
  if (closed || (known != nullptr && known->phase != Phase::kOpen)) {
    return RefuseEnlistment(token, branch, now);
  }
  if (CountEnlisted(entry, known) >= options_.max_branches) {
    return Tell(token, RefusedReply{Refusal::kTooManyBranches,
                                    absl::StrCat("at most ", options_.max_branches)});
  }
  if (RefuseNewWork(token, branch.gtid)) return;
  Drive* drive = Open(branch.gtid, now);
  AddBranch(drive, branch)->enlisting = true;
  Propose(EnlistedRecord{branch});
  AwaitEnlisted(drive, token, request, now);
}

void Driver::AwaitEnlisted(Drive* drive, RequestToken token, const EnlistRequest& request,
                           Timestamp now) {
  drive->waiters.push_back(
      Waiter{token, Waiter::Kind::kEnlist, request.branch,
             now + WaitOf(request.answer_within, options_.client_wait)});
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
  if (!CheckBranch(token, branch, now)) return;
  if (table_.IsForgotten(branch.gtid)) {
    return Tell(token, InquiryReply{BranchFate::kRollback});
  }
  if (table_.FindSettled(branch.gtid)) {
    // Rule 4: only a member of the decided set is told COMMIT.
    const bool member = table_.InCommittedSet(branch);
    return Tell(token,
                InquiryReply{member ? BranchFate::kCommit : BranchFate::kRollback});
  }
  if (RefuseForSpace(token, branch.gtid)) return;
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

// An outcome is final whoever tells it. That there is none is not: a leader that was
// deposed and does not know it may lack what the next one has committed. So it says that
// only when it is confirmed that it led after it was asked.
void Driver::AskOutcome(RequestToken token, const OutcomeRequest& request,
                        Timestamp now) {
  if (AnswerIfStaged(token, request, now)) return;
  reading_.emplace(token, request);
  out_.reads.push_back(token);
}

void Driver::OnReadConfirmed(RequestToken token, Timestamp now) {
  const auto found = reading_.find(token);
  if (found == reading_.end()) return;
  const OutcomeRequest request = found->second;
  reading_.erase(found);
  if (!AnswerIfStaged(token, request, now)) Tell(token, NotStagedReply{});
}

bool Driver::AnswerIfStaged(RequestToken token, const OutcomeRequest& request,
                            Timestamp now) {
  if (AnswerIfOver(token, request.gtid)) return true;
  Drive* drive = FindDrive(request.gtid);
  if (drive == nullptr || drive->phase == Phase::kOpen) return false;
  if (request.wait || drive->answered_early) {
    Attach(drive, token, request.answer_within, now);
  } else {
    Tell(token, Undecided(drive));
  }
  return true;
}

UndecidedReply Driver::Undecided(const Drive* drive) {
  UndecidedReply reply;
  if (!drive->preparing()) return reply;
  for (const BranchWork& work : drive->branches) {
    if (work.in_set && !work.vote) reply.waiting_for.push_back(work.id);
  }
  return reply;
}

}  // namespace concordat::txn
