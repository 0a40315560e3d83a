#include "participant/resources/xa/calls.h"

#include <algorithm>
#include <array>

#include "participant/resources/xa/codes.h"

namespace concordat::participant::xa {

template <class Call>
int Calls::Do(ThreadOfControl* thread, const char* name, const BranchId* branch,
              Call call) {
  if (!thread->Open().ok()) return XAER_RMFAIL;
  const int code = [&] {
    const ThreadOfControl::Calling calling(thread, name, branch);
    return call();
  }();
  if (code == XAER_RMFAIL) thread->Fail();
  return code;
}

absl::Status Calls::Start(ThreadOfControl* thread, const BranchId& branch) {
  if (absl::Status s = thread->Open(); !s.ok()) return s;
  XID xid = ToXid(cluster_, branch);
  const int code = Do(thread, "xa_start", &branch, [&] {
    return open_info_.library.xa->xa_start_entry(&xid, open_info_.rmid, TMNOFLAGS);
  });
  if (code == XA_OK) return absl::OkStatus();
  const std::string why = CodeText("xa_start", code);
  return IsRolledBack(code) ? absl::AbortedError(why) : absl::InternalError(why);
}

namespace {

// Says whether another run of the branch may succeed after this answer.
Vote VoteOf(int code) {
  if (code == XAER_NOTA || code == XA_RBTIMEOUT) return Vote::kLost;
  const bool lasting = code == XA_RBINTEGRITY || code == XA_RBPROTO;
  return IsRolledBack(code) && !lasting ? Vote::kConflict : Vote::kRefused;
}

}  // namespace

// Rolls the branch back, whatever its state is.
PrepareResult Calls::RefuseAfter(ThreadOfControl* thread, const BranchId& branch,
                                 Vote vote, std::string why) {
  XID xid = ToXid(cluster_, branch);
  const int code = Do(thread, "xa_rollback", &branch, [&] {
    return open_info_.library.xa->xa_rollback_entry(&xid, open_info_.rmid, TMNOFLAGS);
  });
  if (code == XA_OK || code == XAER_NOTA || IsRolledBack(code)) {
    return {vote, std::move(why)};
  }
  return {Vote::kUnavailable, why + "; " + CodeText("xa_rollback", code)};
}

PrepareResult Calls::Prepare(ThreadOfControl* thread, const BranchId& branch) {
  XID xid = ToXid(cluster_, branch);
  int code = Do(thread, "xa_end", &branch, [&] {
    return open_info_.library.xa->xa_end_entry(&xid, open_info_.rmid, TMSUCCESS);
  });
  if (code != XA_OK)
    return RefuseAfter(thread, branch, VoteOf(code), CodeText("xa_end", code));
  code = Do(thread, "xa_prepare", &branch, [&] {
    return open_info_.library.xa->xa_prepare_entry(&xid, open_info_.rmid, TMNOFLAGS);
  });
  if (code == XA_OK) return {Vote::kPrepared, ""};
  if (code == XA_RDONLY) return {Vote::kReadOnly, ""};
  const std::string why = CodeText("xa_prepare", code);
  // The branch may have been prepared before the failure.
  if (code == XAER_RMFAIL) return {Vote::kUnavailable, why};
  return RefuseAfter(thread, branch, VoteOf(code), why);
}

PrepareResult Calls::FindOut(ThreadOfControl* thread, const BranchId& branch) {
  const absl::StatusOr<Held> held = Recover(thread);
  if (!held.ok()) return {Vote::kUnavailable, std::string(held.status().message())};
  if (std::find(held->ours.begin(), held->ours.end(), branch) != held->ours.end()) {
    return {Vote::kPrepared, ""};
  }
  return RefuseAfter(thread, branch, Vote::kLost,
                     "the resource manager failed before it was prepared");
}

void Calls::RollBackActive(ThreadOfControl* thread, const BranchId& branch) {
  XID xid = ToXid(cluster_, branch);
  (void)Do(thread, "xa_end", &branch, [&] {
    return open_info_.library.xa->xa_end_entry(&xid, open_info_.rmid, TMFAIL);
  });
  // A resource manager that has failed has rolled back what was not prepared.
  (void)RefuseAfter(thread, branch, Vote::kLost, "");
}

// The decision is ours, so it is written down before it is carried out: a switch could
// not tell afterwards.
OnePhaseResult Calls::CommitOnePhase(ThreadOfControl* thread, const BranchId& branch) {
  PrepareResult prepared = Prepare(thread, branch);
  switch (prepared.vote) {
    case Vote::kReadOnly:
      return {OnePhase::kReadOnly, ""};
    case Vote::kPrepared:
      break;
    case Vote::kUnavailable:
      return {OnePhase::kUnknown, prepared.detail};
    case Vote::kConflict:
      return {OnePhase::kConflict, prepared.detail};
    case Vote::kLost:
      return {OnePhase::kLost, prepared.detail};
    default:
      return {OnePhase::kRefused, prepared.detail};
  }
  bool heuristic = false;
  if (const absl::Status s = evidence_->WriteAlone(branch); !s.ok()) {
    const FinishResult undone = Rollback(thread, branch, &heuristic);
    return {undone.state == FinishState::kDone ? OnePhase::kRefused : OnePhase::kUnknown,
            std::string(s.message())};
  }
  const FinishResult result = Commit(thread, branch, &heuristic);
  switch (result.state) {
    case FinishState::kDone:
      return {OnePhase::kCommitted, ""};
    case FinishState::kHeuristicRollback:
      if (!evidence_->WriteUndone(branch).ok()) break;
      if (heuristic) Forget(thread, branch);
      return {OnePhase::kRefused, result.detail};
    default:
      break;
  }
  return {OnePhase::kUnknown, result.detail};
}

FinishResult Calls::Commit(ThreadOfControl* thread, const BranchId& branch,
                           bool* heuristic) {
  XID xid = ToXid(cluster_, branch);
  const int code = Do(thread, "xa_commit", &branch, [&] {
    return open_info_.library.xa->xa_commit_entry(&xid, open_info_.rmid, TMNOFLAGS);
  });
  *heuristic = IsHeuristic(code);
  std::string detail = CodeText("xa_commit", code);
  switch (code) {
    case XA_OK:
    // The resource manager keeps branches that it has ended by itself until xa_forget: so
    // this branch was committed by us.
    case XAER_NOTA:
      return {FinishState::kDone, ""};
    case XA_HEURCOM:
      Forget(thread, branch);
      *heuristic = false;
      return {FinishState::kDone, ""};
    case XA_HEURRB:
    // "… and the branch's work has been rolled back" (xa_commit, RETURN VALUE).
    case XAER_RMERR:
      return {FinishState::kHeuristicRollback, std::move(detail)};
    case XA_HEURMIX:
      return {FinishState::kHeuristicMixed, std::move(detail)};
    case XA_HEURHAZ:
      return {FinishState::kHeuristicHazard, std::move(detail)};
    default:
      return {FinishState::kRetry, std::move(detail)};
  }
}

FinishResult Calls::Rollback(ThreadOfControl* thread, const BranchId& branch,
                             bool* heuristic) {
  XID xid = ToXid(cluster_, branch);
  const int code = Do(thread, "xa_rollback", &branch, [&] {
    return open_info_.library.xa->xa_rollback_entry(&xid, open_info_.rmid, TMNOFLAGS);
  });
  *heuristic = IsHeuristic(code);
  std::string detail = CodeText("xa_rollback", code);
  if (code == XA_OK || code == XAER_NOTA || IsRolledBack(code)) {
    return {FinishState::kDone, ""};
  }
  switch (code) {
    case XA_HEURRB:
      Forget(thread, branch);
      *heuristic = false;
      return {FinishState::kDone, ""};
    case XA_HEURCOM:
      return {FinishState::kHeuristicCommit, std::move(detail)};
    case XA_HEURMIX:
      return {FinishState::kHeuristicMixed, std::move(detail)};
    case XA_HEURHAZ:
      return {FinishState::kHeuristicHazard, std::move(detail)};
    default:
      return {FinishState::kRetry, std::move(detail)};
  }
}

void Calls::Forget(ThreadOfControl* thread, const BranchId& branch) {
  XID xid = ToXid(cluster_, branch);
  (void)Do(thread, "xa_forget", &branch, [&] {
    return open_info_.library.xa->xa_forget_entry(&xid, open_info_.rmid, TMNOFLAGS);
  });
}

absl::StatusOr<Held> Calls::Recover(ThreadOfControl* thread) {
  if (absl::Status s = thread->Open(); !s.ok()) return s;
  Held held;
  std::array<XID, 64> xids;
  for (long flags = TMSTARTRSCAN;; flags = TMNOFLAGS) {
    const int count = Do(thread, "xa_recover", nullptr, [&] {
      return open_info_.library.xa->xa_recover_entry(
          xids.data(), static_cast<long>(xids.size()), open_info_.rmid, flags);
    });
    if (count < 0) return absl::UnavailableError(CodeText("xa_recover", count));
    const auto found = std::min(static_cast<size_t>(count), xids.size());
    for (size_t i = 0; i < found; ++i) {
      const auto branch = FromXid(xids[i], cluster_, resource_);
      if (branch) {
        held.ours.push_back(*branch);
      } else {
        ++held.others;
      }
    }
    if (found < xids.size()) break;
  }
  (void)Do(thread, "xa_recover", nullptr, [&] {
    return open_info_.library.xa->xa_recover_entry(xids.data(), 0, open_info_.rmid,
                                                   TMENDRSCAN);
  });
  return held;
}

Evidence Calls::LookUp(ThreadOfControl* thread, const BranchId& branch) {
  const Evidence evidence = evidence_->Find(branch);
  if (evidence != Evidence::kNone) return evidence;
  const absl::StatusOr<Held> held = Recover(thread);
  if (!held.ok()) return Evidence::kUnknown;
  const bool there =
      std::find(held->ours.begin(), held->ours.end(), branch) != held->ours.end();
  return there ? Evidence::kPrepared : Evidence::kNone;
}

}  // namespace concordat::participant::xa
