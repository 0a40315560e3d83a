#include "participant/sqlite/durable_batch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::participant::sqlite {

namespace {

uint64_t Steps(const Branch& branch) {
  uint64_t steps = 0;
  for (const Redo& redo : branch.redo) steps += redo.steps;
  return steps;
}

}  // namespace

DurableBatch::DurableBatch(Store* store, Catalog* catalog, const LockTable* locks,
                           int64_t first_free_slot)
    : store_(store),
      catalog_(catalog),
      locks_(locks),
      applier_(store->db(), catalog),
      next_slot_(first_free_slot) {}

void DurableBatch::Write(std::vector<DurableItem>* items) {
  std::vector<DurableItem*> all;
  std::vector<DurableItem*> promised;
  for (DurableItem& item : *items) {
    all.push_back(&item);
    if (item.verb == DurableVerb::kCommit || item.verb == DurableVerb::kRollBack) {
      promised.push_back(&item);
    }
  }
  DurableEnd end = WriteAll(all);
  for (DurableItem* item : all) {
    if (item->end != DurableEnd::kConflict) item->end = end;
  }
  if (end != DurableEnd::kFull || promised.empty() || promised.size() == all.size()) {
    return;
  }
  end = WriteAll(promised);
  for (DurableItem* item : promised) {
    if (item->end != DurableEnd::kConflict) item->end = end;
  }
}

DurableEnd DurableBatch::WriteAll(const std::vector<DurableItem*>& items) {
  int rc = store_->Begin();
  if (rc != SQLITE_DONE) return GiveUp(rc);
  if (catalog_->Refresh(store_->db(), &seen_schema_)) applier_.Forget();
  for (DurableItem* item : items) {
    item->end = DurableEnd::kWritten;
    rc = WriteItem(item);
    if (rc != SQLITE_DONE) return GiveUp(rc);
  }
  rc = ForgetSome();
  if (rc == SQLITE_DONE) rc = store_->Commit();
  return rc == SQLITE_DONE ? DurableEnd::kWritten : GiveUp(rc);
}

absl::Status DurableBatch::WriteMark(uint64_t mark) {
  bool older = false;
  int rc = store_->Begin();
  if (rc == SQLITE_DONE) rc = store_->WriteMark(mark, &older);
  if (rc == SQLITE_DONE && older) {
    store_->RollBack();
    return absl::FailedPreconditionError(
        "the file was replaced by an older copy of itself under the process that serves "
        "it. End the process, and put back the newer one");
  }
  if (rc == SQLITE_DONE) rc = store_->Commit();
  if (rc == SQLITE_DONE) {
    store_->NoteMark(mark);
    return absl::OkStatus();
  }
  if (GiveUp(rc) == DurableEnd::kFull) {
    return absl::ResourceExhaustedError("the disk is full");
  }
  return absl::UnavailableError("another program holds the file");
}

DurableEnd DurableBatch::GiveUp(int rc) {
  const std::string error(store_->db()->error_message());
  const Failure failure = Classify(rc);
  forget_below_.clear();
  if (failure != Failure::kFull && failure != Failure::kBusy) {
    FatalIoError(absl::StrCat("writing the SQLite file ",
                              sqlite3_db_filename(store_->db()->handle(), "main"), ": ",
                              error, " (result ", rc, ")"));
  }
  // WAL frames without a commit frame behind them are no part of the file
  // (www.sqlite.org/walformat.html, section 4): nothing has changed.
  store_->RollBack();
  return failure == Failure::kFull ? DurableEnd::kFull : DurableEnd::kBusy;
}

int DurableBatch::WriteItem(DurableItem* item) {
  switch (item->verb) {
    case DurableVerb::kPrepare:
      return WritePrepare(item->branch);
    case DurableVerb::kRollBack:
      return store_->DeleteBranch(item->branch->slot);
    case DurableVerb::kCommit:
    case DurableVerb::kCommitAlone:
      break;
  }
  return WriteCommit(item);
}

int DurableBatch::WritePrepare(Branch* branch) {
  branch->slot = next_slot_++;
  return store_->InsertBranch(branch->slot, branch->id, clock_.WallMicros(),
                              EncodeRedo(branch->redo),
                              EncodeLocks(locks_->HeldBy(*branch)));
}

int DurableBatch::WriteCommit(DurableItem* item) {
  const Branch& branch = *item->branch;
  // A single step that fails leaves nothing behind: it needs no savepoint.
  const bool savepoint = Steps(branch) > 1;
  int rc = savepoint ? store_->Savepoint() : SQLITE_DONE;
  if (rc != SQLITE_DONE) return rc;
  ApplyResult applied = applier_.Apply(branch.redo);
  if (!applied.ok()) {
    if (applied.conflict.empty()) return applied.rc;
    if (savepoint) store_->RollBackToSavepoint();
    item->end = DurableEnd::kConflict;
    item->detail = std::move(applied.conflict);
    return SQLITE_DONE;
  }
  if (savepoint) rc = store_->ReleaseSavepoint();
  const bool alone = item->verb == DurableVerb::kCommitAlone;
  if (rc == SQLITE_DONE && !alone) rc = store_->DeleteBranch(branch.slot);
  if (rc != SQLITE_DONE) return rc;
  return store_->InsertEvidence(branch.id,
                                alone ? Evidence::kCommittedAlone : Evidence::kCommitted);
}

void DurableBatch::ForgetBelow(const Gtid& watermark) {
  Gtid& below = forget_below_[watermark.group];
  below = std::max(below, watermark);
}

int DurableBatch::ForgetSome() {
  if (forget_below_.empty()) return SQLITE_DONE;
  const auto first = forget_below_.begin();
  bool more = false;
  const int rc = store_->DeleteEvidenceBelow(first->second, &more);
  // When the transaction fails the rest stays, until the next watermark comes.
  if (!more) forget_below_.erase(first);
  return rc;
}

}  // namespace concordat::participant::sqlite
