#include "participant/resources/sqlite/durable_batch.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::participant::sqlite {

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
  foreign_version_ = store_->ForeignVersion();
  for (DurableItem* item : items) {
    item->end = DurableEnd::kWritten;
    rc = WriteItem(item);
    if (rc != SQLITE_DONE) return GiveUp(rc);
  }
  rc = ForgetSome();
  if (rc == SQLITE_DONE) rc = store_->Commit();
  return rc == SQLITE_DONE ? DurableEnd::kWritten : GiveUp(rc);
}

absl::Status DurableBatch::WriteGeneration(uint64_t generation) {
  bool older = false;
  int rc = store_->Begin();
  if (rc == SQLITE_DONE) rc = store_->WriteGeneration(generation, &older);
  if (rc == SQLITE_DONE && older) {
    store_->RollBack();
    return absl::FailedPreconditionError(
        "the file was replaced by an older copy of itself under the process that serves "
        "it. End the process, and put back the newer one");
  }
  if (rc == SQLITE_DONE) rc = store_->Commit();
  if (rc == SQLITE_DONE) {
    store_->NoteGeneration(generation);
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
  // WAL frames without a later commit frame are no part of the file
  // (www.sqlite.org/walformat.html, section 4): nothing has changed.
  store_->RollBack();
  return failure == Failure::kFull ? DurableEnd::kFull : DurableEnd::kBusy;
}

int DurableBatch::WriteItem(DurableItem* item) {
  switch (item->verb) {
    case DurableVerb::kPrepare:
      return WritePrepare(item);
    case DurableVerb::kRollBack:
      return store_->DeleteBranch(item->branch->slot);
    case DurableVerb::kCommit:
    case DurableVerb::kCommitAlone:
      break;
  }
  return WriteCommit(item);
}

int DurableBatch::WritePrepare(DurableItem* item) {
  const int rc = CheckUnchanged(item);
  if (rc != SQLITE_DONE || item->end == DurableEnd::kConflict) return rc;
  Branch* branch = item->branch;
  branch->slot = next_slot_++;
  return store_->InsertBranch(branch->slot, branch->id, clock_.WallMicros(),
                              EncodeRedo(branch->redo),
                              EncodeLocks(locks_->HeldBy(*branch)));
}

// Checks a branch that has not voted. Its locks protect it from other branches but not
// from other programs, which may have changed a table or a row since.
int DurableBatch::CheckUnchanged(DurableItem* item) {
  const Branch& branch = *item->branch;
  item->detail = applier_.WhyLocksAreStale(branch.redo);
  if (!item->detail.empty()) {
    item->end = DurableEnd::kConflict;
    return SQLITE_DONE;
  }
  if (branch.foreign_version == foreign_version_) return SQLITE_DONE;
  const int rc = store_->Savepoint();
  if (rc != SQLITE_DONE) return rc;
  const int applied = ApplyBranch(item);
  if (applied == SQLITE_DONE) store_->RollBackToSavepoint();
  return applied;
}

// Must be called in a savepoint. Without one, a step that finds two rows would leave both
// changed.
int DurableBatch::ApplyBranch(DurableItem* item) {
  ApplyResult applied = applier_.Apply(item->branch->redo);
  if (applied.ok()) return SQLITE_DONE;
  if (applied.conflict.empty()) return applied.rc;
  item->end = DurableEnd::kConflict;
  item->detail = std::move(applied.conflict);
  return SQLITE_DONE;
}

int DurableBatch::WriteCommit(DurableItem* item) {
  const Branch& branch = *item->branch;
  const bool alone = item->verb == DurableVerb::kCommitAlone;
  int rc = alone ? CheckUnchanged(item) : SQLITE_DONE;
  if (rc != SQLITE_DONE || item->end == DurableEnd::kConflict) return rc;
  if (branch.HasChanges()) {
    rc = store_->Savepoint();
    if (rc == SQLITE_DONE) rc = ApplyBranch(item);
    if (rc != SQLITE_DONE) return rc;
    if (item->end == DurableEnd::kConflict) {
      store_->RollBackToSavepoint();
      return SQLITE_DONE;
    }
    rc = store_->ReleaseSavepoint();
  }
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
  // When the transaction fails, the rest stays until the next watermark comes.
  if (!more) forget_below_.erase(first);
  return rc;
}

}  // namespace concordat::participant::sqlite
