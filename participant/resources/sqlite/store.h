// The file: opens it, keeps our tables in it, and is the connection that writes it.
// For the writer's thread.
//
//   concordat_meta      name, value: "format", "cluster", "store" (its identity) and
//                       "generation" (ResourceManager::SetGeneration)
//   concordat_branches  prepared branches: redo.h has the form of changes and locks
//   concordat_evidence  branches that were committed: outcome 1 after a prepare, 2 in one
//                       phase; in the order of gtids, so that old ones go in ranges
//
// Triggers and foreign keys are off here: this connection only replays what was
// captured on the other one (scratch.h).
#ifndef PARTICIPANT_RESOURCES_SQLITE_STORE_H_
#define PARTICIPANT_RESOURCES_SQLITE_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/base/xid.h"
#include "participant/resources/sqlite/database.h"
#include "participant/resources/sqlite/redo.h"
#include "participant/resources/sqlite/sqlite_resource_manager.h"

namespace concordat::participant::sqlite {

struct StoredBranch {
  int64_t slot = 0;
  BranchId id;
  std::vector<Redo> redo;
  std::vector<LockWant> locks;
};

class Store {
 public:
  // As SqliteResourceManager::Recover, without the branches.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Store>> Open(
      const std::string& path, const SqliteOptions& options, ClusterId cluster);

  [[nodiscard]] Database* db() { return db_.get(); }
  // Made with the tables; see ResourceManager::store_id.
  [[nodiscard]] const std::string& id() const { return id_; }

  // The last that was read or written; 0: none yet.
  [[nodiscard]] uint64_t generation() const { return generation_; }

  [[nodiscard]] absl::StatusOr<std::vector<StoredBranch>> LoadBranches();

  // Another one when somebody else than this connection has written to the file: another
  // program, as ours writes through nothing else. -1: cannot be read.
  [[nodiscard]] int64_t ForeignVersion();

  // The result codes of these are SQLite's; SQLITE_DONE on success.
  int Begin() { return begin_.RunToEnd(); }
  int Commit() { return commit_.RunToEnd(); }
  void RollBack();
  int Savepoint() { return savepoint_.RunToEnd(); }
  void RollBackToSavepoint();
  int ReleaseSavepoint() { return release_.RunToEnd(); }

  int InsertBranch(int64_t slot, const BranchId& id, int64_t now_micros,
                   const std::string& changes, const std::string& locks);
  int DeleteBranch(int64_t slot);
  int InsertEvidence(const BranchId& id, Evidence evidence);
  [[nodiscard]] Evidence FindEvidence(const BranchId& id);
  // Deletes a bounded number; *more when some are left.
  int DeleteEvidenceBelow(const Gtid& watermark, bool* more);

  // In a transaction. Puts a generation there, if the one that is there is generation()
  // or larger; otherwise *older, and nothing is written.
  int WriteGeneration(uint64_t generation, bool* older);
  // Its transaction is on disk.
  void NoteGeneration(uint64_t generation) { generation_ = generation; }

  // Pages in the write-ahead file after the last commit.
  [[nodiscard]] int wal_pages() const { return wal_pages_; }
  // Moves them into the main file.
  int Checkpoint();

 private:
  explicit Store(std::unique_ptr<Database> db) : db_(std::move(db)) {}
  [[nodiscard]] absl::Status Configure(const SqliteOptions& options);
  [[nodiscard]] absl::Status CheckMeta(ClusterId cluster);
  [[nodiscard]] absl::Status CreateTables(ClusterId cluster);
  [[nodiscard]] absl::Status RunSchema(const std::string& sql);
  [[nodiscard]] absl::Status PrepareStatements();

  std::unique_ptr<Database> db_;
  std::string id_;
  uint64_t generation_ = 0;
  int wal_pages_ = 0;
  Statement begin_, commit_, rollback_;
  Statement savepoint_, to_savepoint_, release_;
  Statement insert_branch_, delete_branch_;
  Statement insert_evidence_, find_evidence_, find_evidence_bound_, delete_evidence_;
  Statement find_generation_, write_generation_, data_version_;
};

// Settings that all our connections share.
[[nodiscard]] absl::Status ConfigureConnection(Database* db,
                                               const SqliteOptions& options);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_STORE_H_
