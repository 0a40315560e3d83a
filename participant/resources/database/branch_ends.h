// BranchWork's ends: what was lost on the way, and rollback. Part of branch_work.h.
#ifndef PARTICIPANT_RESOURCES_DATABASE_BRANCH_ENDS_H_
#define PARTICIPANT_RESOURCES_DATABASE_BRANCH_ENDS_H_

#include <string>
#include <utility>
#include <vector>

#include "coordinator/base/check.h"
#include "participant/resources/database/branch_work.h"

namespace concordat::participant::database {

template <class Database>
Callback<PrepareResult> BranchWork<Database>::AsReadOnly(Callback<OnePhaseResult> done) {
  return [done = std::move(done)](PrepareResult r) mutable {
    const bool ended = r.vote == Vote::kReadOnly;
    done({ended ? OnePhase::kReadOnly : AsOnePhase(r.vote), std::move(r.detail)});
  };
}

// --- lost answers ---

template <class Database>
void BranchWork<Database>::BecomeUncertain(Branch* branch, const std::string& why) {
  branch->phase = Phase::kUncertain;
  branch->suspect = branch->connection->backend();
  GiveBack(branch, /*clean=*/false);
  counters_->lost_ends.fetch_add(1, std::memory_order_relaxed);
  LogEvent(Level::kWarning, "a branch was lost while it was ending; finding out")
      .Field("branch", branch->id)
      .Field("session", Database::NameOf(branch->suspect))
      .Field("error", why);
}

template <class Database>
void BranchWork<Database>::Resolve(const BranchId& id, Callback<Evidence> done) {
  Branch* uncertain = Find(id);
  if (std::exchange(uncertain->resolving, true)) return done(Evidence::kUnknown);
  settler_->FindOut(uncertain->suspect, id,
                    [this, id, done = std::move(done)](Evidence evidence) mutable {
                      Branch* branch = Find(id);
                      if (branch != nullptr) branch->resolving = false;
                      if (evidence == Evidence::kPrepared && branch != nullptr) {
                        if (branch->alone) return OnPreparedAlone(id, std::move(done));
                        settler_->AddPrepared(id);
                      }
                      if (evidence != Evidence::kUnknown && branch != nullptr) {
                        Remove(branch, /*clean=*/false);
                      }
                      done(evidence);
                    });
}

template <class Database>
void BranchWork<Database>::ResolvePrepare(const BranchId& id,
                                          Callback<PrepareResult> done) {
  Resolve(id, [done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kPrepared:
        return done({Vote::kPrepared, ""});
      case Evidence::kUnknown:
        return done({Vote::kUnavailable,
                     absl::StrCat("the answer to ", Database::kPrepare,
                                  " was lost, and the server cannot be asked yet")});
      case Evidence::kCommitted:  // somebody was quick to commit what was prepared
        return done({Vote::kPrepared, "committed by somebody since"});
      case Evidence::kCommittedAlone:
      case Evidence::kNone:
        return done({Vote::kLost, kLostAtItsEnd});
    }
  });
}

template <class Database>
void BranchWork<Database>::ResolveOnePhase(const BranchId& id,
                                           Callback<OnePhaseResult> done) {
  Resolve(id, [done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kCommitted:
      case Evidence::kCommittedAlone:
        return done({OnePhase::kCommitted, ""});
      case Evidence::kUnknown:
      case Evidence::kPrepared:
        return done({OnePhase::kUnknown,
                     absl::StrCat("the answer to ", Database::kCommit,
                                  " was lost, and the server cannot be asked yet")});
      case Evidence::kNone:
        return done({OnePhase::kLost, kLostAtItsEnd});
    }
  });
}

template <class Database>
void BranchWork<Database>::ResolveForgotten() {
  std::vector<BranchId> forgotten;
  for (const auto& [id, branch] : branches_) {
    const bool uncertain = branch->phase == Phase::kUncertain && branch->alone;
    if (uncertain && !branch->resolving) forgotten.push_back(id);
  }
  for (const BranchId& id : forgotten) {
    Resolve(id, [id](Evidence evidence) {
      if (evidence == Evidence::kUnknown) return;
      LogEvent(Level::kInfo, "what became of a lost branch is found out")
          .Field("branch", id)
          .Field("evidence", ToString(evidence));
    });
  }
}

template <class Database>
void BranchWork<Database>::LookUp(const BranchId& id, Callback<Evidence> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return settler_->LookUp(id, std::move(done));
  if (branch->phase != Phase::kUncertain) return done(Evidence::kUnknown);
  Resolve(id, std::move(done));
}

// --- rollback ---

template <class Database>
void BranchWork<Database>::Rollback(const BranchId& id, Callback<FinishResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return settler_->End(id, /*commit=*/false, std::move(done));
  switch (branch->phase) {
    case Phase::kIdle:
      return RollBackNow(branch, std::move(done));
    case Phase::kWaiting:
      Answer(branch, wire::Code::BRANCH_GONE, "the branch was rolled back");
      Remove(branch, /*clean=*/true);
      return done({FinishState::kDone, ""});
    case Phase::kRunning:
      return CancelAndRollBack(branch, std::move(done));
    case Phase::kCanceling:
      return done({FinishState::kRetry, "the branch is just being rolled back"});
    case Phase::kUncertain:
      return RollBackUncertain(id, std::move(done));
    case Phase::kEnding:
      // It crosses the end of an Execute that has failed.
      if (branch->rolling_back && !branch->rollback_done) {
        branch->rollback_done = std::move(done);
        return;
      }
      return done({FinishState::kRetry, "the branch is just ending"});
  }
}

template <class Database>
void BranchWork<Database>::CancelAndRollBack(Branch* branch,
                                             Callback<FinishResult> done) {
  branch->phase = Phase::kCanceling;
  branch->rollback_done = std::move(done);
  Answer(branch, wire::Code::BRANCH_GONE, "the branch was rolled back");
  settler_->Cancel(branch->connection->backend(),
                   [this, id = branch->id](bool sent) { OnCancelEnded(id, sent); });
}

// The branch is here, and in no other phase: nothing else ends it before.
template <class Database>
void BranchWork<Database>::OnCancelEnded(const BranchId& id, bool sent) {
  Branch* branch = Find(id);
  CONCORDAT_CHECK(branch != nullptr && branch->phase == Phase::kCanceling);
  branch->cancel_ended = true;
  if (!sent && branch->call_end == CallEnd::kNotYet) {
    // The call is lost by that, and the server ends the transaction when it finds the
    // connection closed.
    return branch->connection->Close("the branch was rolled back");
  }
  RollBackCanceled(branch);
}

// Goes on when the call has ended and no cancel request can reach the session any more.
template <class Database>
void BranchWork<Database>::RollBackCanceled(Branch* branch) {
  if (!branch->cancel_ended || branch->call_end == CallEnd::kNotYet) return;
  Callback<FinishResult> done = std::exchange(branch->rollback_done, nullptr);
  const BranchId id = branch->id;
  if (branch->call_end == CallEnd::kPrepared) {
    HandToSettler(branch, /*clean=*/true);
    return settler_->End(id, /*commit=*/false, std::move(done));
  }
  if (branch->call_end == CallEnd::kLost && branch->prepare_at > 0) {
    BecomeUncertain(branch, branch->why_lost);
    return RollBackUncertain(id, std::move(done));
  }
  RollBackNow(branch, std::move(done));
}

template <class Database>
void BranchWork<Database>::RollBackUncertain(const BranchId& id,
                                             Callback<FinishResult> done) {
  Resolve(id, [this, id, done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kPrepared:
        return settler_->End(id, /*commit=*/false, std::move(done));
      case Evidence::kUnknown:
        return done({FinishState::kRetry, "the server cannot be asked yet"});
      case Evidence::kCommitted:
      case Evidence::kCommittedAlone:
        return done({FinishState::kHeuristicCommit, "the branch was committed"});
      case Evidence::kNone:
        return done({FinishState::kDone, ""});
    }
  });
}

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_BRANCH_ENDS_H_
