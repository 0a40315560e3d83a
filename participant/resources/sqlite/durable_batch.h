// Writes prepares, commits and rollbacks of many branches in one SQLite transaction,
// with one flush.
//
// A prepare is refused when another program has changed what the branch's changes depend
// on since its calls ran: this is the last moment to refuse. A commit replays the
// branch's redo, deletes its row in concordat_branches and writes its evidence. A replay
// that finds other rows than the branch left is undone and reported in its item; the
// other items are still written. A failed write or flush ends the process.
#ifndef PARTICIPANT_RESOURCES_SQLITE_DURABLE_BATCH_H_
#define PARTICIPANT_RESOURCES_SQLITE_DURABLE_BATCH_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/sqlite/applier.h"
#include "participant/resources/sqlite/branch.h"
#include "participant/resources/sqlite/store.h"

namespace concordat::participant::sqlite {

enum class DurableVerb : uint8_t { kPrepare, kCommit, kCommitAlone, kRollBack };

enum class DurableEnd : uint8_t {
  kWritten,   // on disk
  kConflict,  // the replay found other rows (`detail` says which); nothing was changed
  kFull,      // the disk is full; nothing was changed
  kBusy,      // another program holds the file; nothing was changed
};

struct DurableItem {
  DurableItem(DurableVerb v, Branch* b) : verb(v), branch(b) {}

  DurableVerb verb;
  Branch* branch;
  DurableEnd end = DurableEnd::kBusy;  // set by DurableBatch::Write
  std::string detail;                  // why it was not written; for operators
  // The verb decides which one of these is set.
  Callback<PrepareResult> prepared;
  Callback<FinishResult> finished;
  Callback<OnePhaseResult> one_phase;
};

class DurableBatch {
 public:
  DurableBatch(Store* store, Catalog* catalog, const LockTable* locks,
               int64_t first_free_slot);

  // Sets the end of each item. When space runs out, commits and rollbacks are tried once
  // more without the prepares, which are new work.
  void Write(std::vector<DurableItem>* items);

  // ResourceManager::SetGeneration, in a transaction of its own.
  [[nodiscard]] absl::Status WriteGeneration(uint64_t generation);

  // From now on, each Write deletes a bounded number of rows of evidence below the
  // watermark.
  void ForgetBelow(const Gtid& watermark);
  [[nodiscard]] bool has_evidence_to_forget() const { return !forget_below_.empty(); }

 private:
  [[nodiscard]] DurableEnd WriteAll(const std::vector<DurableItem*>& items);
  [[nodiscard]] int WriteItem(DurableItem* item);
  [[nodiscard]] int WritePrepare(DurableItem* item);
  [[nodiscard]] int CheckUnchanged(DurableItem* item);
  [[nodiscard]] int ApplyBranch(DurableItem* item);
  [[nodiscard]] int WriteCommit(DurableItem* item);
  [[nodiscard]] int ForgetSome();
  [[nodiscard]] DurableEnd GiveUp(int rc);

  Store* const store_;
  Catalog* const catalog_;
  const LockTable* const locks_;
  Applier applier_;           // replays branches on the store's connection
  int64_t next_slot_;         // for the next prepared branch
  int64_t seen_schema_ = -1;  // see Catalog::Refresh
  // Store::ForeignVersion in the transaction that is being written.
  int64_t foreign_version_ = 0;
  // Watermarks below which evidence remains to be deleted.
  absl::flat_hash_map<GroupId, Gtid> forget_below_;
  const SystemClock clock_;
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_DURABLE_BATCH_H_
