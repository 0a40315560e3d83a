// Lost answers and rollbacks of the branch executor.
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "participant/resources/database/branch_executor.h"

namespace concordat::participant::database {

namespace {

constexpr char kLostAtItsEnd[] =
    "the branch was lost while it was ending, and the database has rolled it back";

std::string NoAnswerTo(std::string_view statement) {
  return absl::StrCat("the answer to ", std::string(statement),
                      " was lost, and the server cannot be asked yet");
}

}  // namespace

// --- lost answers ---

void BranchExecutor::BecomeUncertain(Branch* branch, const std::string& why) {
  branch->phase = Phase::kUncertain;
  branch->suspect = branch->session->id();
  GiveBack(branch, /*clean=*/false);
  counters_->lost_ends.fetch_add(1, std::memory_order_relaxed);
  LogEvent(Level::kWarning, "a branch was lost while it was ending; finding out")
      .Field("branch", branch->id)
      .Field("session", branch->suspect.id)
      .Field("error", why);
}

void BranchExecutor::Resolve(const BranchId& id, Callback<Evidence> done) {
  Branch* uncertain = Find(id);
  if (std::exchange(uncertain->resolving, true)) return done(Evidence::kUnknown);
  resolver_->FindOut(
      uncertain->suspect, id,
      [this, id, done = std::move(done)](Evidence evidence) mutable {
        Branch* branch = Find(id);
        if (branch != nullptr) branch->resolving = false;
        if (evidence == Evidence::kPrepared && branch != nullptr && branch->alone) {
          return OnPreparedAlone(id, std::move(done));
        }
        if (evidence != Evidence::kUnknown && branch != nullptr) {
          Remove(branch, /*clean=*/false);
        }
        done(evidence);
      });
}

// A database may prepare a branch while it commits it in one phase (MariaDB with a binary
// log). A crash at that moment leaves a branch that looks as if it had voted. Nobody was
// told that it has committed, and no coordinator knows of it, so it is ended here.
void BranchExecutor::OnPreparedAlone(const BranchId& id, Callback<Evidence> done) {
  resolver_->End(id, /*commit=*/false,
                 [this, id, done = std::move(done)](FinishResult result) mutable {
                   // Anything else is found out the next time.
                   if (result.state != FinishState::kDone)
                     return done(Evidence::kUnknown);
                   if (Branch* branch = Find(id)) Remove(branch, /*clean=*/false);
                   done(Evidence::kNone);
                 });
}

void BranchExecutor::ResolvePrepare(const BranchId& id, Callback<PrepareResult> done) {
  Resolve(id, [this, done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kPrepared:
        return done({Vote::kPrepared, ""});
      case Evidence::kUnknown:
        return done({Vote::kUnavailable, NoAnswerTo(dialect_.rules().prepare)});
      case Evidence::kCommitted:  // somebody was quick to commit what was prepared
        return done({Vote::kPrepared, "committed by somebody since"});
      case Evidence::kCommittedAlone:
      case Evidence::kNone:
        return done({Vote::kLost, kLostAtItsEnd});
    }
  });
}

void BranchExecutor::ResolveOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  Resolve(id, [this, done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kCommitted:
      case Evidence::kCommittedAlone:
        return done({OnePhase::kCommitted, ""});
      case Evidence::kUnknown:
      case Evidence::kPrepared:
        return done({OnePhase::kUnknown, NoAnswerTo(dialect_.rules().commit)});
      case Evidence::kNone:
        return done({OnePhase::kLost, kLostAtItsEnd});
    }
  });
}

void BranchExecutor::ResolveForgotten() {
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

void BranchExecutor::LookUp(const BranchId& id, Callback<Evidence> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return resolver_->LookUp(id, std::move(done));
  if (branch->phase != Phase::kUncertain) return done(Evidence::kUnknown);
  Resolve(id, std::move(done));
}

// --- rollback ---

void BranchExecutor::Rollback(const BranchId& id, Callback<FinishResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return resolver_->End(id, /*commit=*/false, std::move(done));
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
      // An Execute has failed, and its branch is being rolled back already.
      if (branch->rolling_back && !branch->rollback_done) {
        branch->rollback_done = std::move(done);
        return;
      }
      return done({FinishState::kRetry, "the branch is just ending"});
  }
}

void BranchExecutor::CancelAndRollBack(Branch* branch, Callback<FinishResult> done) {
  branch->phase = Phase::kCanceling;
  branch->rollback_done = std::move(done);
  if (branch->rows != nullptr) branch->rows->Stop();
  Answer(branch, wire::Code::BRANCH_GONE, "the branch was rolled back");
  resolver_->Cancel(branch->session->id(),
                    [this, id = branch->id](bool sent) { OnCancelEnded(id, sent); });
}

// The branch is still here, and canceling: nothing else ends it before this does.
void BranchExecutor::OnCancelEnded(const BranchId& id, bool sent) {
  Branch* branch = Find(id);
  CONCORDAT_CHECK(branch != nullptr && branch->phase == Phase::kCanceling);
  branch->cancel_ended = true;
  if (!sent && branch->call_end == CallEnd::kNotYet) {
    // So the call is lost, and the server ends the transaction when it finds that the
    // connection is closed.
    return branch->session->Close("the branch was rolled back");
  }
  RollBackCanceled(branch);
}

// Continues once the call has ended and no cancel request can reach the session any more.
void BranchExecutor::RollBackCanceled(Branch* branch) {
  if (!branch->cancel_ended || branch->call_end == CallEnd::kNotYet) return;
  Callback<FinishResult> done = std::exchange(branch->rollback_done, nullptr);
  const BranchId id = branch->id;
  if (branch->call_end == CallEnd::kPrepared) {
    HandOver(branch, /*clean=*/true);
    return resolver_->End(id, /*commit=*/false, std::move(done));
  }
  if (branch->call_end == CallEnd::kLost && branch->prepare_at > 0) {
    BecomeUncertain(branch, branch->why_lost);
    return RollBackUncertain(id, std::move(done));
  }
  RollBackNow(branch, std::move(done));
}

void BranchExecutor::RollBackUncertain(const BranchId& id, Callback<FinishResult> done) {
  Resolve(id, [this, id, done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kPrepared:
        return resolver_->End(id, /*commit=*/false, std::move(done));
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

void BranchExecutor::RollBackNow(Branch* branch, Callback<FinishResult> done) {
  branch->phase = Phase::kEnding;
  branch->rolling_back = true;
  if (branch->session == nullptr || !branch->session->alive()) {
    Remove(branch, /*clean=*/false);
    return done({FinishState::kDone, ""});
  }
  branch->session->written.clear();
  branch->session->Run(
      dialect_.RollBack(branch->id),
      [this, id = branch->id, done = std::move(done)](BatchResult r) mutable {
        const auto is_clean = [](const BatchResult& end) {
          return end.ok() && end.transaction == TransactionState::kNone;
        };
        Branch* b = Find(id);
        std::vector<Statement> again = dialect_.RollBackFailed(id);
        if (b == nullptr || r.lost || r.FirstFailed() != 0 || again.empty()) {
          return OnRolledBack(id, is_clean(r), std::move(done));
        }
        b->session->Run(std::move(again), [this, id, is_clean, done = std::move(done)](
                                              BatchResult last) mutable {
          OnRolledBack(id, is_clean(last), std::move(done));
        });
      });
}

// A session that is not clean is closed, which rolls back its transaction.
void BranchExecutor::OnRolledBack(const BranchId& id, bool clean,
                                  Callback<FinishResult> done) {
  Callback<FinishResult> also;
  if (Branch* b = Find(id)) {
    also = std::move(b->rollback_done);
    Remove(b, clean);
  }
  done({FinishState::kDone, ""});
  if (also) also({FinishState::kDone, ""});
}

}  // namespace concordat::participant::database
