// What clients, services and resource managers in doubt ask for.
#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/txn/commit_protocol.h"

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
size_t CountEnlisted(const TransactionTable::Entry* entry, const InFlight* txn) {
  size_t count = entry == nullptr ? 0 : entry->branches.size();
  if (txn == nullptr) return count;
  for (const BranchProgress& progress : txn->branches) {
    if (progress.enlisting) ++count;
  }
  return count;
}

}  // namespace

void CommitProtocol::Refuse(RequestToken token, const Gtid& gtid, RefusedReply refusal,
                            Timestamp now) {
  Emit(EventKind::kRefusedRequest, gtid, now).detail = refusal.detail;
  Respond(token, std::move(refusal));
}

bool CommitProtocol::CheckBranch(RequestToken token, const BranchId& branch,
                                 Timestamp now) {
  std::string wrong = WrongBranches(branch.gtid, {branch});
  if (wrong.empty()) return true;
  Refuse(token, branch.gtid, {Refusal::kBadRequest, std::move(wrong)}, now);
  return false;
}

std::optional<RefusedReply> CommitProtocol::WrongCommit(
    const CommitRequest& request) const {
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

void CommitProtocol::ForgetHeuristic(RequestToken token,
                                     const ForgetHeuristicRequest& request) {
  if (!table_.heuristics().contains(request.branch)) {
    return Respond(token, HeuristicForgottenReply{/*was_on_record=*/false});
  }
  if (!room_.for_new_work) {
    return Respond(token, RefusedReply{Refusal::kOverloaded, std::string(kDiskFull)});
  }
  forgetting_.emplace_back(token, request.branch);
  Propose(HeuristicRecord{request.branch, Heuristic::kForgotten,
                          Truncated("by " + request.by)});
}

void CommitProtocol::OnHeuristic(const HeuristicRecord& record) {
  if (record.what != Heuristic::kForgotten) return;
  std::erase_if(forgetting_, [&](const auto& waiting) {
    if (waiting.second != record.branch) return false;
    Respond(waiting.first, HeuristicForgottenReply{});
    return true;
  });
}

bool CommitProtocol::AnswerIfOver(RequestToken token, const Gtid& gtid) {
  if (table_.IsForgotten(gtid)) {
    Respond(token, ForgottenReply{});
    return true;
  }
  const auto settled = table_.FindSettled(gtid);
  if (!settled) return false;
  if (settled->outcome == Outcome::kCommitted) {
    Respond(token, CommittedReply{});
  } else {
    Respond(token, AbortedReply{settled->cause, settled->detail});
  }
  return true;
}

// The log's reserve is for the decisions and ends of what is staged, which is bounded. A
// first word about a transaction is new work, also when it is an abort.
bool CommitProtocol::RefuseForSpace(RequestToken token, const Gtid& gtid) {
  const InFlight* txn = Find(gtid);
  if (room_.for_new_work || (txn != nullptr && txn->phase != Phase::kOpen)) {
    return false;
  }
  Respond(token, RefusedReply{Refusal::kOverloaded, std::string(kDiskFull)});
  return true;
}

// Before anything is begun; what is under way is never refused.
bool CommitProtocol::RefuseNewWork(RequestToken token, const Gtid& gtid) {
  if (RefuseForSpace(token, gtid)) return true;
  const InFlight* txn = Find(gtid);
  if (in_flight_.size() < options_.max_in_progress || txn != nullptr) return false;
  Respond(token,
          RefusedReply{Refusal::kOverloaded,
                       absl::StrCat(in_flight_.size(), " transactions are in progress")});
  return true;
}

void CommitProtocol::Commit(RequestToken token, const CommitRequest& request,
                            Timestamp now) {
  const auto wrong = WrongCommit(request);
  // Of a repeated request the branches count for nothing, right or wrong.
  if (AnswerIfOver(token, request.gtid)) {
    if (!wrong) AddUnlisted(request.gtid, request.branches, now);
    return;
  }
  if (wrong) return Refuse(token, request.gtid, *wrong, now);
  if (RefuseNewWork(token, request.gtid)) return;
  InFlight* txn = Open(request.gtid, now);
  if (txn->phase == Phase::kOpen) {
    Stage(txn, request, now);
    Attach(txn, token, request.answer_within, now);
    return Schedule(txn);
  }
  // Rule 9: the branches are not compared. Those that nobody staged are rolled back
  // once the outcome is known, as nobody else would tell them.
  Emit(EventKind::kAttached, request.gtid, now);
  Attach(txn, token, request.answer_within, now);
  AddUnlisted(request.gtid, request.branches, now);
}

void CommitProtocol::Stage(InFlight* txn, const CommitRequest& request, Timestamp now) {
  Duration timeout =
      request.timeout > Duration() ? request.timeout : options_.default_timeout;
  timeout = std::min(timeout, options_.max_timeout);
  StagedRecord record;
  record.gtid = request.gtid;
  record.branches = Sorted(request.branches);
  record.timeout_ms = static_cast<uint64_t>(std::max<int64_t>(timeout.millis(), 1));
  record.mode = request.mode;

  txn->phase = Phase::kStaging;
  txn->mode = request.mode;
  txn->begun = now;
  txn->deadline = now + timeout;
  for (const BranchId& id : record.branches) AddBranch(txn, id)->in_set = true;
  if (const auto* entry = table_.FindLive(request.gtid)) {
    for (const BranchId& id : entry->branches) AddBranch(txn, id)->in_set = true;
  }
  // ENLISTED records that are on their way stand before this STAGED.
  for (BranchProgress& progress : txn->branches)
    progress.in_set = progress.in_set || progress.enlisting;
  if (TakeEarlyVotes(txn, request)) {
    // The record decides, and so is the decision that this leader has appended.
    record.all_prepared = true;
    txn->staging_decides = true;
    txn->appended = Outcome::kCommitted;
    txn->phase = Phase::kDeciding;
  }

  Event& event = Emit(EventKind::kCommitAsked, request.gtid, now);
  event.detail = absl::StrCat(
      "branches=", txn->branches.size(), " mode=", std::string(ToString(request.mode)),
      " timeout_ms=", record.timeout_ms, record.all_prepared ? " all prepared" : "");
  Propose(record);
  SendDue(txn, now);
}

bool CommitProtocol::TakeEarlyVotes(InFlight* txn, const CommitRequest& request) {
  for (const uint32_t position : request.prepared) {
    txn->FindBranch(request.branches[position])->vote = Vote::kPrepared;
  }
  bool all = !txn->branches.empty();
  for (const BranchProgress& progress : txn->branches) {
    all = all && (!progress.in_set || progress.vote == Vote::kPrepared);
  }
  return all && !request.prepared.empty();
}

Duration CommitProtocol::WaitOf(Duration answer_within, Duration most) {
  return answer_within > Duration() ? std::min(answer_within, most) : most;
}

void CommitProtocol::Attach(InFlight* txn, RequestToken token, Duration answer_within,
                            Timestamp now) {
  if (txn->answered_early) return Respond(token, CommittedReply{});
  txn->waiters.push_back(Waiter{token, Waiter::Kind::kClient, BranchId(),
                                now + WaitOf(answer_within, options_.client_wait)});
  Schedule(txn);
}

void CommitProtocol::Rollback(RequestToken token, const RollbackRequest& request,
                              Timestamp now) {
  std::string wrong = WrongBranches(request.gtid, request.branches);
  if (AnswerIfOver(token, request.gtid)) {
    if (wrong.empty()) AddUnlisted(request.gtid, request.branches, now);
    return;
  }
  if (!wrong.empty()) {
    return Refuse(token, request.gtid, {Refusal::kBadRequest, std::move(wrong)}, now);
  }
  if (RefuseForSpace(token, request.gtid)) return;
  InFlight* txn = Open(request.gtid, now);
  const bool by_operator = request.cause == AbortCause::kOperator;
  if (!txn->appended && (by_operator || !MayHaveBeenAnswered(*txn))) {
    // Rule 7: also for a gtid that this leader has never heard of.
    DecidedRecord record;
    record.gtid = request.gtid;
    record.cause =
        request.cause == AbortCause::kNone ? AbortCause::kRolledBack : request.cause;
    record.detail = Truncated(request.reason);
    record.by = Truncated(request.by);
    AppendDecision(txn, std::move(record), now);
  } else {
    Emit(EventKind::kAttached, request.gtid, now);
  }
  Attach(txn, token, request.answer_within, now);
  AddUnlisted(request.gtid, request.branches, now);
}

void CommitProtocol::Enlist(RequestToken token, const EnlistRequest& request,
                            Timestamp now) {
  const BranchId& branch = request.branch;
  if (!CheckBranch(token, branch, now)) return;
  const auto* entry = table_.FindLive(branch.gtid);
  if (entry != nullptr && entry->Contains(branch)) {
    return Respond(token, EnlistedReply{});  // the first answer was lost
  }
  InFlight* known = FindInFlight(branch.gtid);
  const BranchProgress* progress = known == nullptr ? nullptr : known->FindBranch(branch);
  if (progress != nullptr && progress->enlisting) {
    // Its record is on its way, perhaps before a STAGED: that one's answer is this one's.
    return AwaitEnlisted(known, token, request, now);
  }
  const TxnState state = table_.StateOf(branch.gtid);
  const bool closed = state != TxnState::kUnknown && state != TxnState::kEnlisted;
  if (closed || (known != nullptr && known->phase != Phase::kOpen)) {
    return RefuseEnlistment(token, branch, now);
  }
  if (CountEnlisted(entry, known) >= options_.max_branches) {
    return Respond(token, RefusedReply{Refusal::kTooManyBranches,
                                       absl::StrCat("at most ", options_.max_branches)});
  }
  if (RefuseNewWork(token, branch.gtid)) return;
  InFlight* txn = Open(branch.gtid, now);
  AddBranch(txn, branch)->enlisting = true;
  Propose(EnlistedRecord{branch});
  AwaitEnlisted(txn, token, request, now);
}

void CommitProtocol::AwaitEnlisted(InFlight* txn, RequestToken token,
                                   const EnlistRequest& request, Timestamp now) {
  txn->waiters.push_back(
      Waiter{token, Waiter::Kind::kEnlist, request.branch,
             now + WaitOf(request.answer_within, options_.client_wait)});
  Schedule(txn);
}

void CommitProtocol::RefuseEnlistment(RequestToken token, const BranchId& branch,
                                      Timestamp now) {
  if (table_.InCommittedSet(branch)) return Respond(token, EnlistedReply{});
  const std::string detail =
      absl::StrCat(ToString(branch), " came too late: commit or rollback of ",
                   ToString(branch.gtid), " had been asked for");
  Emit(EventKind::kRefusedRequest, branch, now).detail = detail;
  Respond(token, RefusedReply{Refusal::kTooLate, detail});
  AddUnlisted(branch.gtid, {branch}, now);
}

void CommitProtocol::Inquire(RequestToken token, const InquireRequest& request,
                             Timestamp now) {
  const BranchId& branch = request.branch;
  if (!CheckBranch(token, branch, now)) return;
  if (table_.IsForgotten(branch.gtid)) {
    return Respond(token, InquiryReply{InquiryAnswer::kRollback});
  }
  if (table_.FindSettled(branch.gtid)) {
    // Rule 4: only a member of the decided set is told COMMIT.
    const bool member = table_.InCommittedSet(branch);
    return Respond(
        token, InquiryReply{member ? InquiryAnswer::kCommit : InquiryAnswer::kRollback});
  }
  if (RefuseForSpace(token, branch.gtid)) return;
  InFlight* txn = Open(branch.gtid, now);
  txn->waiters.push_back(
      Waiter{token, Waiter::Kind::kInquiry, branch, now + options_.inquiry_wait});
  if (txn->phase == Phase::kOpen) {
    DecidedRecord record;
    record.gtid = branch.gtid;
    record.cause = AbortCause::kPresumed;
    record.detail =
        absl::StrCat(ToString(branch), " asked, and no commit request was known");
    AppendDecision(txn, std::move(record), now);
  }
  Schedule(txn);
}

// An outcome is final whoever tells it. That there is none is not: a leader that was
// deposed and does not know it may lack what the next one has committed. So it says that
// only when it is confirmed that it led after it was asked.
void CommitProtocol::AskOutcome(RequestToken token, const OutcomeRequest& request,
                                Timestamp now) {
  if (AnswerIfStaged(token, request, now)) return;
  reading_.emplace(token, request);
  out_.reads.emplace_back(token.value());
}

void CommitProtocol::OnReadConfirmed(RequestToken token, Timestamp now) {
  const auto found = reading_.find(token);
  if (found == reading_.end()) return;
  const OutcomeRequest request = found->second;
  reading_.erase(found);
  if (!AnswerIfStaged(token, request, now)) Respond(token, NotStagedReply{});
}

bool CommitProtocol::AnswerIfStaged(RequestToken token, const OutcomeRequest& request,
                                    Timestamp now) {
  if (AnswerIfOver(token, request.gtid)) return true;
  InFlight* txn = FindInFlight(request.gtid);
  if (txn == nullptr || txn->phase == Phase::kOpen) return false;
  if (request.wait || txn->answered_early) {
    Attach(txn, token, request.answer_within, now);
  } else {
    Respond(token, Undecided(txn));
  }
  return true;
}

UndecidedReply CommitProtocol::Undecided(const InFlight* txn) {
  UndecidedReply reply;
  if (!txn->preparing()) return reply;
  for (const BranchProgress& progress : txn->branches) {
    if (progress.in_set && !progress.vote) reply.waiting_for.push_back(progress.id);
  }
  return reply;
}

}  // namespace concordat::txn
