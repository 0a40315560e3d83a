// How the branch executor ends branches: prepare and commit in one phase.
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "participant/resources/database/branch_executor.h"

namespace concordat::participant::database {

namespace {

constexpr char kLostBefore[] =
    "the connection was lost before, and the database has rolled the branch back";
constexpr char kNotThere[] = "the branch is not there";

// A vote that is no vote for the commit, of a branch that was to commit in one phase.
OnePhase AsOnePhase(Vote refusal) {
  if (refusal == Vote::kConflict) return OnePhase::kConflict;
  return refusal == Vote::kLost ? OnePhase::kLost : OnePhase::kRefused;
}

// Of a branch that has written nothing.
Callback<PrepareResult> AsReadOnly(Callback<OnePhaseResult> done) {
  return [done = std::move(done)](PrepareResult r) mutable {
    const bool ended = r.vote == Vote::kReadOnly;
    done({ended ? OnePhase::kReadOnly : AsOnePhase(r.vote), std::move(r.detail)});
  };
}

// The callback for a verb whose result has to be found out because its last statement
// returned `r`. A branch that turns out to be rolled back was refused for the reason that
// the server gave, if it gave one.
Callback<PrepareResult> WithReason(const Dialect& dialect, const BatchResult& r,
                                   Callback<PrepareResult> done) {
  if (r.lost) return done;
  return [reason = PrepareResult{RefusalOf(dialect, r), r.Error()},
          done = std::move(done)](PrepareResult result) mutable {
    done(result.vote == Vote::kLost ? std::move(reason) : std::move(result));
  };
}

Callback<OnePhaseResult> WithReason(const Dialect& dialect, const BatchResult& r,
                                    Callback<OnePhaseResult> done) {
  if (r.lost) return done;
  return [reason = OnePhaseResult{AsOnePhase(RefusalOf(dialect, r)), r.Error()},
          done = std::move(done)](OnePhaseResult result) mutable {
    done(result.outcome == OnePhase::kLost ? std::move(reason) : std::move(result));
  };
}

}  // namespace

bool BranchExecutor::MayHaveEnded(const BatchResult& r, size_t end) const {
  if (r.lost) return true;
  return !r.ok() && !dialect_.rules().end_error_is_proof && r.FirstFailed() >= end;
}

// --- a branch that has written nothing ---

void BranchExecutor::AskWhetherWritten(const BranchId& id, Callback<bool> done) {
  Branch* branch = Find(id);
  if (branch->written || !branch->open || !branch->may_write ||
      dialect_.rules().write_question != WriteQuestion::kAtItsEnd) {
    return done(branch->written);
  }
  branch->phase = Phase::kEnding;
  branch->session->Run(
      {dialect_.AskWritten()}, [this, id, done = std::move(done)](BatchResult r) mutable {
        Branch* b = Find(id);
        if (b == nullptr) return done(false);
        b->phase = Phase::kIdle;
        const std::string now = r.ok() ? dialect_.WrittenAnswer(r.results[0]) : "";
        b->written = now.empty() || now != b->session->written;
        b->session->written = b->written ? "" : now;
        done(b->written);
      });
}

// A commit and not a rollback: with serializable isolation it may fail, and then what the
// branch has read is not valid.
void BranchExecutor::CommitReadOnly(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({Vote::kLost, kNotThere});
  if (!branch->open) {
    Remove(branch, /*clean=*/true);
    return done({Vote::kReadOnly, ""});
  }
  branch->phase = Phase::kEnding;
  branch->session->Run(dialect_.CommitReadOnly(id), [this, id, done = std::move(done)](
                                                        BatchResult r) mutable {
    PrepareResult result{Vote::kReadOnly, ""};
    if (!r.ok()) {
      result = {RefusalOf(dialect_, r), absl::StrCat("the branch could not be ended: ",
                                                     WhyNotEnded(dialect_, r))};
    }
    if (Branch* b = Find(id)) {
      Remove(b, !r.lost && r.transaction == TransactionState::kNone);
    }
    done(std::move(result));
  });
}

// --- prepare ---

void BranchExecutor::Prepare(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({Vote::kLost, kNotThere});
  if (branch->phase == Phase::kUncertain) return ResolvePrepare(id, std::move(done));
  if (branch->open && !branch->session->alive()) {
    Remove(branch, /*clean=*/false);
    return done({Vote::kLost, kLostBefore});
  }
  AskWhetherWritten(id, [this, id, done = std::move(done)](bool written) mutable {
    if (written) return PrepareWritten(id, std::move(done));
    CommitReadOnly(id, std::move(done));
  });
}

void BranchExecutor::PrepareWritten(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (!branch->session->alive()) {
    Remove(branch, /*clean=*/false);
    return done({Vote::kLost, kLostBefore});
  }
  branch->phase = Phase::kEnding;
  EndStatements prepare = dialect_.Prepare(id);
  branch->session->Run(
      std::move(prepare.statements),
      [this, id, end = prepare.end, done = std::move(done)](BatchResult r) mutable {
        OnPrepared(id, end, std::move(done), r);
      });
}

void BranchExecutor::OnPrepared(const BranchId& id, size_t end,
                                Callback<PrepareResult> done, const BatchResult& r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (MayHaveEnded(r, end)) {
    BecomeUncertain(branch, r.Error());
    return ResolvePrepare(id, WithReason(dialect_, r, std::move(done)));
  }
  if (r.ok()) {
    HandOver(branch, r.transaction == TransactionState::kNone);
    if (!r.WroteForGood()) return done({Vote::kPrepared, ""});
    return resolver_->End(
        id, /*commit=*/false,
        [this, done = std::move(done)](FinishResult rolled_back) mutable {
          const bool over = rolled_back.state == FinishState::kDone;
          done({over ? Vote::kRefused : Vote::kUnavailable,
                std::string(dialect_.rules().wrote_for_good)});
        });
  }
  // When PREPARE itself has failed, the server has already rolled back (scenario 28).
  RollBackNow(branch, [done = std::move(done), vote = RefusalOf(dialect_, r),
                       why = WhyNotEnded(dialect_, r)](FinishResult) mutable {
    done({vote, why});
  });
}

void BranchExecutor::HandOver(Branch* branch, bool clean) {
  if (dialect_.rules().prepared_stays_with_session) {
    resolver_->Keep(branch->id, std::exchange(branch->session, nullptr));
  } else {
    resolver_->AddPrepared(branch->id);
  }
  Remove(branch, clean);
}

// --- one phase ---

void BranchExecutor::CommitOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({OnePhase::kLost, kNotThere});
  if (branch->phase == Phase::kUncertain) return ResolveOnePhase(id, std::move(done));
  if (branch->open && !branch->session->alive()) {
    Remove(branch, /*clean=*/false);
    return done({OnePhase::kLost, kLostBefore});
  }
  AskWhetherWritten(id, [this, id, done = std::move(done)](bool written) mutable {
    if (written) return CommitWritten(id, std::move(done));
    CommitReadOnly(id, AsReadOnly(std::move(done)));
  });
}

void BranchExecutor::CommitWritten(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(id);
  if (!branch->session->alive()) {
    Remove(branch, /*clean=*/false);
    return done({OnePhase::kLost, kLostBefore});
  }
  branch->phase = Phase::kEnding;
  branch->alone = true;
  EndStatements commit = dialect_.CommitOnePhase(id);
  branch->session->Run(
      std::move(commit.statements),
      [this, id, end = commit.end, done = std::move(done)](BatchResult r) mutable {
        OnCommitted(id, end, std::move(done), r);
      });
}

void BranchExecutor::OnCommitted(const BranchId& id, size_t end,
                                 Callback<OnePhaseResult> done, const BatchResult& r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (MayHaveEnded(r, end)) {
    BecomeUncertain(branch, r.Error());
    return ResolveOnePhase(id, WithReason(dialect_, r, std::move(done)));
  }
  if (r.ok()) {
    if (r.WroteForGood()) {
      LogEvent(Level::kError, "a branch has written to a table that cannot roll back")
          .Field("branch", id);
    }
    Remove(branch, r.transaction == TransactionState::kNone);
    return done({OnePhase::kCommitted, ""});
  }
  RollBackNow(branch, [done = std::move(done), vote = RefusalOf(dialect_, r),
                       why = WhyNotEnded(dialect_, r)](FinishResult) mutable {
    done({AsOnePhase(vote), why});
  });
}

}  // namespace concordat::participant::database
