// The file: opens it, keeps our tables in it, and has the only connection that writes it.
// For the writer's thread.
//
//   concordat_meta      name, value: "format", "cluster", "store" (its identity) and
//                       "generation" (ResourceManager::SetGeneration)
//   concordat_branches  prepared branches: redo.h has the form of changes and locks
//   concordat_evidence  branches that were committed: outcome 1 after a prepare, 2 in one
//                       phase; in the order of gtids, so that old ones go in ranges
//
// Triggers and foreign keys are off on this connection, since it only replays what was
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
  int64_t slot = 0;  // its row in concordat_branches
  BranchId id;
  std::vector<Redo> redo;
  std::vector<LockWant> locks;
};

class Store {
 public:
  // Opens the file as SqliteResourceManager::Recover does, without the branches.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Store>> Open(
      const std::string& path, const SqliteOptions& options, ClusterId cluster);

  [[nodiscard]] Database* db() { return db_.get(); }
  // Drawn when the tables were made; see ResourceManager::store_id.
  [[nodiscard]] const std::string& id() const { return id_; }

  // The generation that was last read or written; 0: none yet.
  [[nodiscard]] uint64_t generation() const { return generation_; }

  [[nodiscard]] absl::StatusOr<std::vector<StoredBranch>> LoadBranches();

  // Changes when the file was written through another connection than this one. This
  // means another program, since ours writes through no other. -1: it cannot be read.
  [[nodiscard]] int64_t ForeignVersion();

  // These return SQLite's result codes; SQLITE_DONE on success.
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
  // Deletes a bounded number of rows. Sets *more when some are left.
  int DeleteEvidenceBelow(const Gtid& watermark, bool* more);

  // Must be called in a transaction. Writes a generation if the one in the file is at
  // least generation(). Otherwise sets *older, since the file is an older copy, and
  // writes nothing.
  int WriteGeneration(uint64_t generation, bool* older);
  // Called when that transaction is on disk.
  void NoteGeneration(uint64_t generation) { generation_ = generation; }

  // Number of pages in the write-ahead file after the last commit.
  [[nodiscard]] int wal_pages() const { return wal_pages_; }
  // Moves these pages into the main file.
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
  int wal_pages_ = 0;  // see wal_pages()
  Statement begin_, commit_, rollback_;
  Statement savepoint_, to_savepoint_, release_;
  Statement insert_branch_, delete_branch_;
  Statement insert_evidence_, find_evidence_, find_evidence_bound_, delete_evidence_;
  Statement find_generation_, write_generation_, data_version_;
};

// Settings that all our connections have.
[[nodiscard]] absl::Status ConfigureConnection(Database* db,
                                               const SqliteOptions& options);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_STORE_H_
