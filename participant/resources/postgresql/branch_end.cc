// Ends: prepare, commit in one phase, rollback.
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "participant/resources/postgresql/branch_work.h"

namespace concordat::participant::postgresql {

using database::AsOnePhase;
using database::kLostBefore;
using database::kNotThere;
using database::Shared;

namespace {

// The tag of the last statement.
std::string_view LastTag(const BatchResult& r) {
  return PQcmdStatus(r.results.back().get());
}

}  // namespace

std::string WhyNotEnded(const BatchResult& r) {
  if (r.lost) return r.Error();
  if (r.ok()) return absl::StrCat("the server answered ", std::string(LastTag(r)));
  std::string why = r.Error();
  const std::string state = SqlState(r.results[r.FirstFailed()].get());
  if (state == "53200") {
    absl::StrAppend(&why, "; raise max_prepared_transactions in postgresql.conf");
  }
  // Of ours, in a role that has no rights on it.
  if (state == "42501" && absl::StrContains(why, kSchema)) {
    absl::StrAppend(&why,
                    "; the branch has taken on another role, in which it could not be "
                    "ended: RESET ROLE before it ends");
  }
  return why;
}

// PREPARE TRANSACTION in a transaction that had failed is answered without an error,
// with the tag ROLLBACK.
bool BranchWork::HasPrepared(const Branch& /*branch*/, const BatchResult& r) const {
  return r.ok() && LastTag(r) == "PREPARE TRANSACTION";
}

std::vector<Statement> BranchWork::PrepareStatements(const BranchId& id) const {
  std::vector<Statement> batch = AddEvidence(settler_->owner(), id, /*alone=*/false);
  batch.push_back(PrepareTransaction(GidOf(cluster_, id)));
  return batch;
}

void BranchWork::OnPreparedHere(Branch* branch, const BatchResult& r) {
  const PGresult* evidence = r.results[r.results.size() - 2].get();
  const bool clean = IsIdle(r) && Field(evidence, 0, 0) == "t";
  if (clean) branch->connection->NoteReset();
  HandToSettler(branch, clean);
}

void BranchWork::HandToSettler(Branch* branch, bool clean) {
  settler_->AddPrepared(branch->id);
  Remove(branch, clean);
}

// --- refusals ---

namespace {

// Whether another run may go well (scenario 101). Interrupted, or out of time: it may.
Vote RefusalOf(const BatchResult& r) {
  if (r.lost) return Vote::kLost;
  const size_t failed = r.FirstFailed();
  if (failed == r.results.size()) return Vote::kRefused;
  const std::string state = SqlState(r.results[failed].get());
  const bool again = Classify(state) == wire::Code::CONFLICT || state == kCanceled;
  return again ? Vote::kConflict : Vote::kRefused;
}

}  // namespace

// --- a branch that has written nothing ---

// COMMIT, not ROLLBACK: under serializable it may fail, and then what the branch has read
// must not count. `done` gets kReadOnly, or why it failed. When the answer is lost it
// counts as failed: there was nothing to commit.
void BranchWork::CommitReadOnly(Branch* branch, Callback<PrepareResult> done) {
  if (!branch->open) {
    Remove(branch, /*clean=*/true);
    return done({Vote::kReadOnly, ""});
  }
  branch->phase = Phase::kEnding;
  branch->connection->Run({{"COMMIT"}}, [this, id = branch->id,
                                         done = std::move(done)](BatchResult r) mutable {
    const bool committed = r.ok() && LastTag(r) == "COMMIT";
    const std::string why =
        committed ? "" : absl::StrCat("the branch could not be ended: ", WhyNotEnded(r));
    const Vote vote = committed ? Vote::kReadOnly : RefusalOf(r);
    if (Branch* b = Find(id)) Remove(b, !r.lost && IsIdle(r));
    done({vote, why});
  });
}

// --- prepare ---

void BranchWork::Prepare(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({Vote::kLost, kNotThere});
  if (branch->phase == Phase::kUncertain) {
    return ResolvePrepare(id, std::move(done));
  }
  if (branch->open && !branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({Vote::kLost, kLostBefore});
  }
  if (!branch->written) return CommitReadOnly(branch, std::move(done));
  branch->phase = Phase::kEnding;
  branch->connection->Run(PrepareStatements(id),
                          [this, id, done = Shared<PrepareResult>(std::move(done))](
                              BatchResult r) { OnPrepared(id, done, std::move(r)); });
}

void BranchWork::OnPrepared(const BranchId& id,
                            const std::shared_ptr<Callback<PrepareResult>>& done,
                            BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (r.lost) {
    BecomeUncertain(branch, r.Error());
    return ResolvePrepare(id, std::move(*done));
  }
  if (HasPrepared(*branch, r)) {
    OnPreparedHere(branch, r);
    return (*done)({Vote::kPrepared, ""});
  }
  // When PREPARE itself has failed the server has rolled back already (scenario 28).
  RollBackNow(branch, [done, vote = RefusalOf(r), why = WhyNotEnded(r)](FinishResult) {
    (*done)({vote, why});
  });
}

// --- one phase ---

void BranchWork::CommitOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(id);
  if (branch == nullptr) return done({OnePhase::kLost, kNotThere});
  if (branch->phase == Phase::kUncertain) {
    return ResolveOnePhase(id, std::move(done));
  }
  if (branch->open && !branch->connection->alive()) {
    Remove(branch, /*clean=*/false);
    return done({OnePhase::kLost, kLostBefore});
  }
  if (!branch->written) {
    return CommitReadOnly(branch, AsReadOnly(std::move(done)));
  }
  branch->phase = Phase::kEnding;
  branch->alone = true;
  std::vector<Statement> batch = AddEvidence(settler_->owner(), id, /*alone=*/true);
  batch.push_back({"COMMIT"});
  branch->connection->Run(std::move(batch),
                          [this, id, done = Shared<OnePhaseResult>(std::move(done))](
                              BatchResult r) { OnCommitted(id, done, std::move(r)); });
}

void BranchWork::OnCommitted(const BranchId& id,
                             const std::shared_ptr<Callback<OnePhaseResult>>& done,
                             BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (r.lost) {
    BecomeUncertain(branch, r.Error());
    return ResolveOnePhase(id, std::move(*done));
  }
  if (r.ok() && LastTag(r) == "COMMIT") {
    Remove(branch, IsIdle(r));
    return (*done)({OnePhase::kCommitted, ""});
  }
  RollBackNow(branch, [done, vote = RefusalOf(r), why = WhyNotEnded(r)](FinishResult) {
    (*done)({AsOnePhase(vote), why});
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
  branch->connection->Run({{"ROLLBACK"}}, [this, id = branch->id, done = std::move(done)](
                                              BatchResult r) mutable {
    Callback<FinishResult> also;
    if (Branch* b = Find(id)) {
      also = std::move(b->rollback_done);
      Remove(b, r.ok() && IsIdle(r));
    }
    done({FinishState::kDone, ""});
    if (also) also({FinishState::kDone, ""});
  });
}

}  // namespace concordat::participant::postgresql
