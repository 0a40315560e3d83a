// Ends: prepare, commit in one phase, rollback.
#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/mariadb/branch_work.h"

namespace concordat::participant::mariadb {

using database::AsOnePhase;
using database::kLostBefore;
using database::kNotThere;
using database::Shared;

namespace {

// `done` of a verb that is found out, because its last statement gave `r`. What is found
// to be rolled back was refused for the reason that the server gave, if it gave one.
Callback<PrepareResult> WithReason(const BatchResult& r, Callback<PrepareResult> done) {
  if (r.lost) return done;
  return [reason = PrepareResult{RefusalOf(r), r.Error()},
          done = std::move(done)](PrepareResult result) mutable {
    done(result.vote == Vote::kLost ? std::move(reason) : std::move(result));
  };
}

Callback<OnePhaseResult> WithReason(const BatchResult& r, Callback<OnePhaseResult> done) {
  if (r.lost) return done;
  return [reason = OnePhaseResult{AsOnePhase(RefusalOf(r)), r.Error()},
          done = std::move(done)](OnePhaseResult result) mutable {
    done(result.outcome == OnePhase::kLost ? std::move(reason) : std::move(result));
  };
}

}  // namespace

// --- a branch that has written nothing ---

void BranchWork::AskWhetherWritten(const BranchId& id, Callback<bool> done) {
  Branch* branch = Find(id);
  if (branch->written || !branch->open || !branch->may_write) {
    return done(branch->written);
  }
  branch->phase = Phase::kEnding;
  branch->connection->Run(
      {WrittenRowsQuery()}, [this, id, done = std::move(done)](BatchResult r) mutable {
        Branch* b = Find(id);
        if (b == nullptr) return done(false);
        b->phase = Phase::kIdle;
        const std::string now = r.ok() ? WrittenRows(r.results[0]) : "";
        b->written = now.empty() || now != b->connection->written_rows;
        b->connection->written_rows = b->written ? "" : now;
        done(b->written);
      });
}

// `done` gets kReadOnly, or why it failed. When the answer is lost it counts as failed:
// there was nothing to commit.
void BranchWork::CommitReadOnly(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({Vote::kLost, kNotThere});
  if (!branch->open) {
    Remove(branch, /*clean=*/true);
    return done({Vote::kReadOnly, ""});
  }
  branch->phase = Phase::kEnding;
  const std::string xid = XidOf(*branch);
  branch->connection->Run(
      {XaEnd(xid), XaCommitOnePhase(xid), ReleaseLocks()},
      [this, id, done = std::move(done)](BatchResult r) mutable {
        PrepareResult result{Vote::kReadOnly, ""};
        if (!r.ok()) {
          result = {RefusalOf(r),
                    absl::StrCat("the branch could not be ended: ", r.Error())};
        }
        if (Branch* b = Find(id)) Remove(b, r.ok() && !r.in_transaction);
        done(std::move(result));
      });
}

// --- prepare ---

void BranchWork::Prepare(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({Vote::kLost, kNotThere});
  if (branch->phase == Phase::kUncertain) {
    return ResolvePrepare(id, std::move(done));
  }
  AskWhetherWritten(id, [this, id, done = std::move(done)](bool written) mutable {
    if (written) return PrepareWritten(id, std::move(done));
    CommitReadOnly(id, std::move(done));
  });
}

// The evidence goes first: when it cannot be written, the server skips the rest.
std::vector<Statement> BranchWork::PrepareStatements(const Branch& branch) const {
  const std::string xid = XidOf(branch);
  return {TakeRole(), InsertEvidence(cluster_, branch.id, /*alone=*/false), DropRole(),
          XaEnd(xid), XaPrepare(xid)};
}

void BranchWork::PrepareWritten(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (!branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({Vote::kLost, kLostBefore});
  }
  branch->phase = Phase::kEnding;
  branch->connection->Run(PrepareStatements(*branch),
                          [this, id, done = Shared<PrepareResult>(std::move(done))](
                              BatchResult r) { OnPrepared(id, done, std::move(r)); });
}

void BranchWork::OnPrepared(const BranchId& id,
                            const std::shared_ptr<Callback<PrepareResult>>& done,
                            BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  // When it is XA PREPARE that has failed, engine and binary log may be of two minds.
  if (r.lost || r.FirstFailed() == kXaPrepare) {
    BecomeUncertain(branch, r.Error());
    return ResolvePrepare(id, WithReason(r, std::move(*done)));
  }
  if (r.ok()) {
    HandToSettler(branch, /*clean=*/true);
    if (!WroteForGood(r)) return (*done)({Vote::kPrepared, ""});
    return settler_->End(id, /*commit=*/false, [done](FinishResult end) {
      (*done)({end.state == FinishState::kDone ? Vote::kRefused : Vote::kUnavailable,
               kWroteForGood});
    });
  }
  RollBackNow(branch, [done, vote = RefusalOf(r), why = r.Error()](FinishResult) {
    (*done)({vote, why});
  });
}

// The server has done all of them, or says which it has not.
bool BranchWork::HasPrepared(const Branch& /*branch*/, const BatchResult& r) const {
  return r.ok();
}

bool BranchWork::MayHavePrepared(const Branch& branch, const BatchResult& r) const {
  return branch.prepare_at > 0 && r.FirstFailed() == branch.prepare_at + kXaPrepare;
}

void BranchWork::HandToSettler(Branch* branch, bool clean) {
  settler_->Hold(branch->id, std::exchange(branch->connection, nullptr));
  Remove(branch, clean);
}

// --- one phase ---

void BranchWork::CommitOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({OnePhase::kLost, kNotThere});
  if (branch->phase == Phase::kUncertain) {
    return ResolveOnePhase(id, std::move(done));
  }
  AskWhetherWritten(id, [this, id, done = std::move(done)](bool written) mutable {
    if (written) return CommitWritten(id, std::move(done));
    CommitReadOnly(id, AsReadOnly(std::move(done)));
  });
}

void BranchWork::CommitWritten(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(id);
  if (!branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({OnePhase::kLost, kLostBefore});
  }
  branch->phase = Phase::kEnding;
  branch->alone = true;
  const std::string xid = XidOf(*branch);
  std::vector<Statement> commit = {TakeRole(),
                                   InsertEvidence(cluster_, id, /*alone=*/true),
                                   DropRole(), XaEnd(xid), XaCommitOnePhase(xid)};
  for (Statement& flush : FlushCommitsWithRole()) commit.push_back(std::move(flush));
  commit.push_back(ReleaseLocks());
  branch->connection->Run(std::move(commit),
                          [this, id, done = Shared<OnePhaseResult>(std::move(done))](
                              BatchResult r) { OnCommitted(id, done, std::move(r)); });
}

void BranchWork::OnCommitted(const BranchId& id,
                             const std::shared_ptr<Callback<OnePhaseResult>>& done,
                             BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (r.lost || (!r.ok() && r.FirstFailed() >= kXaPrepare)) {
    BecomeUncertain(branch, r.Error());
    return ResolveOnePhase(id, WithReason(r, std::move(*done)));
  }
  if (r.ok()) {
    if (WroteForGood(r)) {
      LogEvent(Level::kError, "a branch has written to a table that cannot roll back")
          .Field("branch", id);
    }
    Remove(branch, !r.in_transaction);
    return (*done)({OnePhase::kCommitted, ""});
  }
  RollBackNow(branch, [done, vote = RefusalOf(r), why = r.Error()](FinishResult) {
    (*done)({AsOnePhase(vote), why});
  });
}

// --- lost answers ---

// With a binary log, XA COMMIT ONE PHASE prepares in InnoDB first, and a crash in between
// leaves a branch that looks as if it had voted. Nobody was told that it committed, and
// no coordinator knows of it: it is ours to end.
void BranchWork::OnPreparedAlone(const BranchId& id, Callback<Evidence> done) {
  settler_->End(id, /*commit=*/false,
                [this, id, done = std::move(done)](FinishResult result) mutable {
                  // Anything else is found out the next time.
                  if (result.state != FinishState::kDone) return done(Evidence::kUnknown);
                  if (Branch* branch = Find(id)) Remove(branch, /*clean=*/false);
                  done(Evidence::kNone);
                });
}

// --- rollback ---

void BranchWork::RollBackNow(Branch* branch, Callback<FinishResult> done) {
  branch->phase = Phase::kEnding;
  branch->rolling_back = true;
  if (branch->connection == nullptr || !branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({FinishState::kDone, ""});
  }
  branch->connection->written_rows.clear();
  const std::string xid = XidOf(*branch);
  branch->connection->Run(
      {XaEnd(xid), XaRollback(xid), ReleaseLocks()},
      [this, id = branch->id, done = std::move(done)](BatchResult r) mutable {
        Branch* b = Find(id);
        if (b == nullptr || r.lost || r.FirstFailed() != 0) {
          return OnRolledBack(id, r.ok() && !r.in_transaction, std::move(done));
        }
        // After a deadlock, or XA END, only this is allowed.
        b->connection->Run({XaRollback(XidOf(*b)), ReleaseLocks()},
                           [this, id, done = std::move(done)](BatchResult again) mutable {
                             OnRolledBack(id, again.ok() && !again.in_transaction,
                                          std::move(done));
                           });
      });
}

// A session that is not clean is ended, and rolls back what it has.
void BranchWork::OnRolledBack(const BranchId& id, bool clean,
                              Callback<FinishResult> done) {
  Callback<FinishResult> also;
  if (Branch* b = Find(id)) {
    also = std::move(b->rollback_done);
    Remove(b, clean);
  }
  done({FinishState::kDone, ""});
  if (also) also({FinishState::kDone, ""});
}

}  // namespace concordat::participant::mariadb
