// Ends: prepare, commit in one phase, rollback, and what was lost on the way.
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "participant/postgresql/branch_record.h"
#include "participant/postgresql/branch_work.h"

namespace concordat::participant::postgresql {

namespace {

constexpr char kLostBefore[] =
    "the connection was lost before, and the database has rolled the branch back";

template <class T>
std::shared_ptr<Callback<T>> Shared(Callback<T> done) {
  return std::make_shared<Callback<T>>(std::move(done));
}

}  // namespace

// The tag of the last statement.
std::string_view LastTag(const BatchResult& r) {
  return PQcmdStatus(r.results.back().get());
}

// PREPARE TRANSACTION in a transaction that had failed is answered without an error,
// with the tag ROLLBACK.
bool HasPrepared(const BatchResult& r) {
  return !r.lost && r.ok() && LastTag(r) == "PREPARE TRANSACTION";
}

std::string WhyNotPrepared(const BatchResult& r) {
  if (r.ok()) return absl::StrCat("the server answered ", std::string(LastTag(r)));
  std::string why = r.Error();
  if (SqlState(r.results[r.FirstFailed()].get()) == "53200") {
    absl::StrAppend(&why, "; raise max_prepared_transactions in postgresql.conf");
  }
  return why;
}

// --- a branch that has written nothing ---

// COMMIT, not ROLLBACK: under serializable it may fail, and then what the branch has read
// must not count. `done` gets why it failed, or nothing. When the answer is lost it
// counts as failed: there was nothing to commit.
void BranchWork::CommitReadOnly(Branch* branch, Callback<std::string> done) {
  if (!branch->open) {
    Remove(branch, /*clean=*/true);
    return done("");
  }
  branch->phase = Branch::Phase::kEnding;
  branch->connection->Run({{"COMMIT"}}, [this, id = branch->id,
                                         done = std::move(done)](BatchResult r) mutable {
    const bool committed = r.ok() && LastTag(r) == "COMMIT";
    const std::string why =
        committed ? "" : absl::StrCat("the branch could not be ended: ", r.Error());
    if (Branch* b = Find(id)) Remove(b, !r.lost && r.transaction == PQTRANS_IDLE);
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
  if (branch->open && !branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({Vote::kRefused, kLostBefore});
  }
  if (!branch->written) {
    return CommitReadOnly(branch, [done = std::move(done)](std::string why) mutable {
      if (!why.empty()) return done({Vote::kRefused, std::move(why)});
      done({Vote::kReadOnly, ""});
    });
  }
  branch->phase = Branch::Phase::kEnding;
  branch->connection->Run({InsertEvidence(cluster_, id, /*alone=*/false),
                           PrepareTransaction(GidOf(cluster_, id))},
                          [this, id, done = Shared<PrepareResult>(std::move(done))](
                              BatchResult r) { OnPrepared(id, done, std::move(r)); });
}

void BranchWork::OnPrepared(const BranchId& id,
                            const std::shared_ptr<Callback<PrepareResult>>& done,
                            BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (r.lost) {
    BecomeUncertain(branch);
    return ResolvePrepare(id, std::move(*done));
  }
  if (HasPrepared(r)) {
    settler_->AddPrepared(id);
    Remove(branch, r.transaction == PQTRANS_IDLE);
    return (*done)({Vote::kPrepared, ""});
  }
  // When PREPARE itself has failed the server has rolled back already (scenario 28).
  RollBackNow(branch, [done, why = WhyNotPrepared(r)](FinishResult) {
    (*done)({Vote::kRefused, why});
  });
}

// --- one phase ---

void BranchWork::CommitOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({OnePhase::kRolledBack, "the branch is not there"});
  if (branch->phase == Branch::Phase::kUncertain) {
    return ResolveOnePhase(id, std::move(done));
  }
  if (branch->open && !branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({OnePhase::kRolledBack, kLostBefore});
  }
  if (!branch->written) {
    return CommitReadOnly(branch, [done = std::move(done)](std::string why) mutable {
      if (!why.empty()) return done({OnePhase::kRolledBack, std::move(why)});
      done({OnePhase::kReadOnly, ""});
    });
  }
  branch->phase = Branch::Phase::kEnding;
  branch->connection->Run({InsertEvidence(cluster_, id, /*alone=*/true), {"COMMIT"}},
                          [this, id, done = Shared<OnePhaseResult>(std::move(done))](
                              BatchResult r) { OnCommitted(id, done, std::move(r)); });
}

void BranchWork::OnCommitted(const BranchId& id,
                             const std::shared_ptr<Callback<OnePhaseResult>>& done,
                             BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (r.lost) {
    BecomeUncertain(branch);
    return ResolveOnePhase(id, std::move(*done));
  }
  if (r.ok() && LastTag(r) == "COMMIT") {
    Remove(branch, r.transaction == PQTRANS_IDLE);
    return (*done)({OnePhase::kCommitted, ""});
  }
  RollBackNow(branch, [done, why = WhyNotPrepared(r)](FinishResult) {
    (*done)({OnePhase::kRolledBack, why});
  });
}

// --- lost answers ---

void BranchWork::BecomeUncertain(Branch* branch) {
  branch->phase = Branch::Phase::kUncertain;
  branch->suspect = branch->connection->backend();
  GiveBack(branch, /*clean=*/false);
  counters_->lost_ends.fetch_add(1, std::memory_order_relaxed);
  LogEvent(Level::kWarning, "connection lost while a branch was ending; finding out")
      .Field("branch", branch->id)
      .Field("backend", branch->suspect.pid);
}

void BranchWork::Resolve(const BranchId& id, Callback<Evidence> done) {
  settler_->FindOut(branches_.at(id)->suspect, id,
                    [this, id, done = std::move(done)](Evidence evidence) mutable {
                      Branch* branch = Find(id);
                      if (evidence != Evidence::kUnknown && branch != nullptr) {
                        if (evidence == Evidence::kPrepared) settler_->AddPrepared(id);
                        Remove(branch, /*clean=*/false);
                      }
                      done(evidence);
                    });
}

void BranchWork::ResolvePrepare(const BranchId& id, Callback<PrepareResult> done) {
  Resolve(id, [done = std::move(done)](Evidence evidence) mutable {
    switch (evidence) {
      case Evidence::kPrepared:
        return done({Vote::kPrepared, ""});
      case Evidence::kUnknown:
        return done({Vote::kUnavailable,
                     "the connection was lost during PREPARE TRANSACTION, and the server "
                     "cannot be asked yet"});
      case Evidence::kCommitted:  // somebody was quick to commit what was prepared
        return done({Vote::kPrepared, "committed by somebody since"});
      case Evidence::kCommittedAlone:
      case Evidence::kNone:
        return done({Vote::kRefused,
                     "the connection was lost, and the database has rolled the branch "
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
        return done({OnePhase::kUnknown,
                     "the connection was lost during COMMIT, and the server cannot be "
                     "asked yet"});
      case Evidence::kNone:
        return done({OnePhase::kRolledBack,
                     "the connection was lost, and the database has rolled the branch "
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
  settler_->AddPrepared(id);
  Remove(branch, /*clean=*/true);
  settler_->End(id, /*commit=*/false, std::move(done));
}

void BranchWork::RollBackNow(Branch* branch, Callback<FinishResult> done) {
  branch->phase = Branch::Phase::kEnding;
  branch->rolling_back = true;
  if (branch->connection == nullptr || !branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({Finish::kDone, ""});
  }
  branch->connection->Run({{"ROLLBACK"}}, [this, id = branch->id, done = std::move(done)](
                                              BatchResult r) mutable {
    Callback<FinishResult> also;
    if (Branch* b = Find(id)) {
      also = std::move(b->rollback_done);
      Remove(b, r.ok() && r.transaction == PQTRANS_IDLE);
    }
    done({Finish::kDone, ""});
    if (also) also({Finish::kDone, ""});
  });
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

}  // namespace concordat::participant::postgresql
