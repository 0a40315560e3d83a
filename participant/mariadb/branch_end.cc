// Ends: prepare, commit in one phase, rollback, and what was lost on the way.
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "participant/mariadb/branch_record.h"
#include "participant/mariadb/branch_work.h"

namespace concordat::participant::mariadb {

namespace {

constexpr char kLostBefore[] =
    "the connection was lost before, and the database has rolled the branch back";

template <class T>
std::shared_ptr<Callback<T>> Shared(Callback<T> done) {
  return std::make_shared<Callback<T>>(std::move(done));
}

}  // namespace

// --- a branch that has written nothing ---

void BranchWork::AskWhetherWritten(const BranchId& id, Callback<bool> done) {
  Branch* branch = Find(id);
  if (branch->written || !branch->open || !branch->may_write) {
    return done(branch->written);
  }
  branch->phase = Branch::Phase::kEnding;
  branch->connection->Run(
      {WrittenRowsQuery()}, [this, id, done = std::move(done)](BatchResult r) mutable {
        Branch* b = Find(id);
        if (b == nullptr) return done(false);
        b->phase = Branch::Phase::kIdle;
        const std::string now = r.ok() ? WrittenRows(r.results[0]) : "";
        b->written = now.empty() || now != b->connection->written_rows;
        b->connection->written_rows = b->written ? "" : now;
        done(b->written);
      });
}

// `done` gets why it failed, or nothing. When the answer is lost it counts as failed:
// there was nothing to commit.
void BranchWork::CommitReadOnly(const BranchId& id, Callback<std::string> done) {
  Branch* branch = Find(id);
  if (branch == nullptr || !branch->open) {
    if (branch != nullptr) Remove(branch, /*clean=*/true);
    return done("");
  }
  branch->phase = Branch::Phase::kEnding;
  branch->connection->Run(
      {XaEnd(branch->xid), XaCommitOnePhase(branch->xid)},
      [this, id, done = std::move(done)](BatchResult r) mutable {
        const std::string why =
            r.ok() ? "" : absl::StrCat("the branch could not be ended: ", r.Error());
        if (Branch* b = Find(id)) Remove(b, r.ok() && !r.in_transaction);
        done(why);
      });
}

// --- prepare ---

void BranchWork::Prepare(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({Vote::kRefused, "the branch is not there"});
  if (branch->phase == Branch::Phase::kUncertain) {
    return ResolvePrepare(id, std::move(done));
  }
  AskWhetherWritten(id, [this, id, done = std::move(done)](bool written) mutable {
    if (written) return PrepareWritten(id, std::move(done));
    CommitReadOnly(id, [done = std::move(done)](std::string why) mutable {
      if (!why.empty()) return done({Vote::kRefused, std::move(why)});
      done({Vote::kReadOnly, ""});
    });
  });
}

// The evidence goes first: when it cannot be written, the server skips the rest.
std::vector<Statement> BranchWork::PrepareStatements(const Branch& branch) const {
  return {InsertEvidence(cluster_, branch.id, /*alone=*/false), XaEnd(branch.xid),
          XaPrepare(branch.xid)};
}

void BranchWork::PrepareWritten(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (!branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({Vote::kRefused, kLostBefore});
  }
  branch->phase = Branch::Phase::kEnding;
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
    return ResolvePrepare(id, std::move(*done));
  }
  if (r.ok()) {
    HandToSettler(branch);
    return (*done)({Vote::kPrepared, ""});
  }
  RollBackNow(branch, [done, why = r.Error()](FinishResult) {
    (*done)({Vote::kRefused, why});
  });
}

void BranchWork::HandToSettler(Branch* branch) {
  const bool reusable = !branch->tainted;
  settler_->Hold(branch->id, std::exchange(branch->connection, nullptr), reusable);
  Remove(branch, /*clean=*/true);
}

// --- one phase ---

void BranchWork::CommitOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({OnePhase::kRolledBack, "the branch is not there"});
  if (branch->phase == Branch::Phase::kUncertain) {
    return ResolveOnePhase(id, std::move(done));
  }
  AskWhetherWritten(id, [this, id, done = std::move(done)](bool written) mutable {
    if (written) return CommitWritten(id, std::move(done));
    CommitReadOnly(id, [done = std::move(done)](std::string why) mutable {
      if (!why.empty()) return done({OnePhase::kRolledBack, std::move(why)});
      done({OnePhase::kReadOnly, ""});
    });
  });
}

void BranchWork::CommitWritten(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(id);
  if (!branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({OnePhase::kRolledBack, kLostBefore});
  }
  branch->phase = Branch::Phase::kEnding;
  branch->alone = true;
  branch->connection->Run(
      {InsertEvidence(cluster_, id, /*alone=*/true), XaEnd(branch->xid),
       XaCommitOnePhase(branch->xid), FlushCommits()},
      [this, id, done = Shared<OnePhaseResult>(std::move(done))](BatchResult r) {
        OnCommitted(id, done, std::move(r));
      });
}

void BranchWork::OnCommitted(const BranchId& id,
                             const std::shared_ptr<Callback<OnePhaseResult>>& done,
                             BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (r.lost || (!r.ok() && r.FirstFailed() >= 2)) {
    BecomeUncertain(branch, r.Error());
    return ResolveOnePhase(id, std::move(*done));
  }
  if (r.ok()) {
    Remove(branch, !r.in_transaction);
    return (*done)({OnePhase::kCommitted, ""});
  }
  RollBackNow(branch, [done, why = r.Error()](FinishResult) {
    (*done)({OnePhase::kRolledBack, why});
  });
}

// --- lost answers ---

void BranchWork::BecomeUncertain(Branch* branch, const std::string& why) {
  branch->phase = Branch::Phase::kUncertain;
  branch->suspect = branch->connection->backend();
  GiveBack(branch, /*clean=*/false);
  counters_->lost_ends.fetch_add(1, std::memory_order_relaxed);
  LogEvent(Level::kWarning, "a branch was lost while it was ending; finding out")
      .Field("branch", branch->id)
      .Field("session", branch->suspect.id)
      .Field("error", why);
}

void BranchWork::Resolve(const BranchId& id, Callback<Evidence> done) {
  settler_->FindOut(branches_.at(id)->suspect, id,
                    [this, id, done = std::move(done)](Evidence evidence) mutable {
                      Branch* branch = Find(id);
                      if (evidence == Evidence::kPrepared && branch != nullptr) {
                        if (branch->alone) return UndoAlone(id, std::move(done));
                        settler_->AddPrepared(id);
                      }
                      if (evidence != Evidence::kUnknown && branch != nullptr) {
                        Remove(branch, /*clean=*/false);
                      }
                      done(evidence);
                    });
}

// With a binary log, XA COMMIT ONE PHASE prepares in InnoDB first, and a crash in between
// leaves a branch that looks as if it had voted. Nobody was told that it committed, and
// no coordinator knows of it: it is ours to end.
void BranchWork::UndoAlone(const BranchId& id, Callback<Evidence> done) {
  settler_->End(id, /*commit=*/false,
                [this, id, done = std::move(done)](FinishResult result) mutable {
                  // Anything else is found out the next time.
                  if (result.finish != Finish::kDone) return done(Evidence::kUnknown);
                  if (Branch* branch = Find(id)) Remove(branch, /*clean=*/false);
                  done(Evidence::kNone);
                });
}

void BranchWork::ResolvePrepare(const BranchId& id, Callback<PrepareResult> done) {
  Resolve(id, [done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kPrepared:
        return done({Vote::kPrepared, ""});
      case Evidence::kUnknown:
        return done(
            {Vote::kUnavailable,
             "the answer to XA PREPARE was lost, and the server cannot be asked yet"});
      case Evidence::kCommitted:  // somebody was quick to commit what was prepared
        return done({Vote::kPrepared, "committed by somebody since"});
      case Evidence::kCommittedAlone:
      case Evidence::kNone:
        return done(
            {Vote::kRefused,
             "the branch was lost while it was ending, and the database has rolled it "
             "back"});
    }
  });
}

void BranchWork::ResolveOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  Resolve(id, [done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kCommitted:
      case Evidence::kCommittedAlone:
        return done({OnePhase::kCommitted, ""});
      case Evidence::kUnknown:
      case Evidence::kPrepared:
        return done(
            {OnePhase::kUnknown,
             "the answer to XA COMMIT was lost, and the server cannot be asked yet"});
      case Evidence::kNone:
        return done(
            {OnePhase::kRolledBack,
             "the branch was lost while it was ending, and the database has rolled it "
             "back"});
    }
  });
}

void BranchWork::LookUp(const BranchId& id, Callback<Evidence> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return settler_->LookUp(id, std::move(done));
  if (branch->phase != Branch::Phase::kUncertain) return done(Evidence::kUnknown);
  Resolve(id, std::move(done));
}

// --- rollback ---

void BranchWork::Rollback(const BranchId& id, Callback<FinishResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return settler_->End(id, /*commit=*/false, std::move(done));
  switch (branch->phase) {
    case Branch::Phase::kIdle:
      return RollBackNow(branch, std::move(done));
    case Branch::Phase::kWaiting:
      Answer(branch, wire::Code::BRANCH_GONE, "the branch was rolled back");
      Remove(branch, /*clean=*/true);
      return done({Finish::kDone, ""});
    case Branch::Phase::kRunning:
      return CancelAndRollBack(branch, std::move(done));
    case Branch::Phase::kUncertain:
      return RollBackUncertain(id, std::move(done));
    case Branch::Phase::kEnding:
      // It crosses the end of an Execute that has failed.
      if (branch->rolling_back && !branch->rollback_done) {
        branch->rollback_done = std::move(done);
        return;
      }
      return done({Finish::kRetry, "the branch is just ending"});
  }
}

void BranchWork::CancelAndRollBack(Branch* branch, Callback<FinishResult> done) {
  branch->rollback_done = std::move(done);
  Answer(branch, wire::Code::BRANCH_GONE, "the branch was rolled back");
  settler_->Cancel(branch->connection->backend(), [this, id = branch->id](bool sent) {
    Branch* b = Find(id);
    if (b == nullptr) return;
    b->cancel_ended = true;
    if (!sent && !b->call_ended) {
      // The server ends the transaction when it finds the connection closed.
      return b->connection->Close("the branch was rolled back");
    }
    if (b->call_ended) RollBackCanceled(b);
  });
}

// The call has ended, and no cancel request can reach the session any more.
void BranchWork::RollBackCanceled(Branch* branch) {
  Callback<FinishResult> done = std::exchange(branch->rollback_done, nullptr);
  if (!branch->call_prepared) return RollBackNow(branch, std::move(done));
  const BranchId id = branch->id;
  HandToSettler(branch);
  settler_->End(id, /*commit=*/false, std::move(done));
}

void BranchWork::RollBackNow(Branch* branch, Callback<FinishResult> done) {
  branch->phase = Branch::Phase::kEnding;
  branch->rolling_back = true;
  if (branch->connection == nullptr || !branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({Finish::kDone, ""});
  }
  branch->connection->written_rows.clear();
  branch->connection->Run(
      {XaEnd(branch->xid), XaRollback(branch->xid)},
      [this, id = branch->id, done = std::move(done)](BatchResult r) mutable {
        Branch* b = Find(id);
        if (b == nullptr || r.lost || r.FirstFailed() != 0) {
          return OnRolledBack(id, r.ok() && !r.in_transaction, std::move(done));
        }
        // After a deadlock, or XA END, only this is allowed.
        b->connection->Run({XaRollback(b->xid)}, [this, id, done = std::move(done)](
                                                     BatchResult again) mutable {
          OnRolledBack(id, again.ok() && !again.in_transaction, std::move(done));
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
  done({Finish::kDone, ""});
  if (also) also({Finish::kDone, ""});
}

void BranchWork::RollBackUncertain(const BranchId& id, Callback<FinishResult> done) {
  Resolve(id, [this, id, done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kPrepared:
        return settler_->End(id, /*commit=*/false, std::move(done));
      case Evidence::kUnknown:
        return done({Finish::kRetry, "the server cannot be asked yet"});
      case Evidence::kCommitted:
      case Evidence::kCommittedAlone:
        return done({Finish::kHeuristicCommit, "the branch was committed"});
      case Evidence::kNone:
        return done({Finish::kDone, ""});
    }
  });
}

// --- the end ---

// What still runs is called back by the pool, which closes its connections.
void BranchWork::CloseAll() {
  std::vector<BranchId> idle;
  for (const auto& [id, branch] : branches_) {
    if (branch->phase == Branch::Phase::kIdle) idle.push_back(id);
  }
  for (const BranchId& id : idle) Remove(Find(id), /*clean=*/false);
}

}  // namespace concordat::participant::mariadb
