// What happens after a batch is written: locks are released, answers are sent, and the
// file is tidied.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "participant/resources/sqlite/writer.h"

namespace concordat::participant::sqlite {

namespace {

// How long new branches are refused after the disk was full; then one may try again.
constexpr Duration kFullPause = Duration::Millis(200);

std::string Why(const DurableItem& item) {
  switch (item.end) {
    case DurableEnd::kFull:
      return "the disk is full";
    case DurableEnd::kBusy:
      return "another program holds the file";
    case DurableEnd::kConflict:
      return item.detail;
    case DurableEnd::kWritten:
      break;
  }
  return "";
}

}  // namespace

void Writer::WriteBatch() {
  if (durable_.empty() && !batch_->has_evidence_to_forget()) return;
  std::vector<DurableItem> items = std::exchange(durable_, {});
  batch_->Write(&items);
  if (std::any_of(items.begin(), items.end(),
                  [](const DurableItem& i) { return i.end == DurableEnd::kFull; })) {
    LogEvent(Level::kWarning, "disk full").Field("resource", path_);
    full_until_micros_.store((clock_.Now() + kFullPause).micros(),
                             std::memory_order_relaxed);
  }
  for (DurableItem& item : items) Settle(&item);
}

void Writer::WriteGeneration() {
  if (!generation_.has_value()) return;
  GenerationJob job = std::move(*std::exchange(generation_, std::nullopt));
  // What is written into a file that another file has replaced is lost.
  if (IdentityOf(path_) != file_) {
    return job.done(absl::FailedPreconditionError(
        absl::StrCat("another file has taken the place of ", path_,
                     " under the process that serves it. End the process, and put back "
                     "the newer one")));
  }
  job.done(batch_->WriteGeneration(job.generation));
}

void Writer::Settle(DurableItem* item) {
  switch (item->verb) {
    case DurableVerb::kPrepare:
      SettlePrepare(item);
      break;
    case DurableVerb::kCommit:
    case DurableVerb::kRollBack:
      SettleFinish(item);
      break;
    case DurableVerb::kCommitAlone:
      SettleOnePhase(item);
      break;
  }
}

void Writer::SettlePrepare(DurableItem* item) {
  switch (item->end) {
    case DurableEnd::kWritten:
      item->branch->state = BranchState::kPrepared;
      item->prepared({Vote::kPrepared, ""});
      return;
    case DurableEnd::kBusy:
      item->branch->state = BranchState::kActive;
      item->prepared({Vote::kUnavailable, Why(*item)});
      return;
    case DurableEnd::kFull:
    case DurableEnd::kConflict:
      branches_.Remove(item->branch);
      item->prepared({Vote::kRefused, Why(*item)});
      return;
  }
}

void Writer::SettleFinish(DurableItem* item) {
  if (item->end == DurableEnd::kWritten) {
    branches_.Remove(item->branch);
    item->finished({FinishState::kDone, ""});
    return;
  }
  item->branch->state = BranchState::kPrepared;
  if (item->end == DurableEnd::kConflict) {
    LogEvent(Level::kError, "a prepared branch cannot be committed; it is kept")
        .Field("branch", item->branch->id)
        .Field("resource", path_)
        .Field("error", item->detail);
  }
  item->finished({FinishState::kRetry, Why(*item)});
}

void Writer::SettleOnePhase(DurableItem* item) {
  branches_.Remove(item->branch);
  if (item->end == DurableEnd::kWritten) {
    item->one_phase({OnePhase::kCommitted, ""});
  } else {
    item->one_phase({OnePhase::kRefused, Why(*item)});
  }
}

void Writer::MaybeCheckpoint() {
  if (store_->wal_pages() < static_cast<int>(options_.checkpoint_pages)) return;
  const int rc = store_->Checkpoint();
  if (Classify(rc) == Failure::kStorage) {
    FatalIoError(absl::StrCat("moving the write-ahead file into ", path_, ": ",
                              std::string(store_->db()->error_message())));
  }
}

}  // namespace concordat::participant::sqlite
