#include "participant/resources/sqlite/store.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/base/signed.h"
#include "coordinator/base/system_clock.h"

namespace concordat::participant::sqlite {

namespace {

constexpr absl::string_view kFormat = "1";
constexpr int kEvidenceAtOnce = 200;
constexpr int kTwoPhase = 1;
constexpr int kOnePhase = 2;

constexpr const char* kTables =
    "CREATE TABLE concordat_meta(name TEXT PRIMARY KEY, value TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE concordat_branches(slot INTEGER PRIMARY KEY, branch TEXT NOT NULL,"
    " prepared_at_micros INTEGER NOT NULL, changes BLOB NOT NULL, locks BLOB NOT NULL);"
    "CREATE TABLE concordat_evidence(gtid_group INTEGER, term INTEGER,"
    " sequence INTEGER, resource TEXT, incarnation INTEGER, number INTEGER,"
    " outcome INTEGER NOT NULL,"
    " PRIMARY KEY(gtid_group, term, sequence, resource, incarnation, number))"
    " WITHOUT ROWID;";

std::string ClusterText(ClusterId cluster) {
  return absl::StrFormat("%016x", cluster.value());
}

void BindGtid(Statement* statement, int first, const Gtid& gtid) {
  statement->BindInt(first, gtid.group.value());
  statement->BindInt(first + 1, Signed(gtid.term));
  statement->BindInt(first + 2, Signed(gtid.sequence));
}

void BindBranch(Statement* statement, const BranchId& id) {
  BindGtid(statement, 1, id.gtid);
  statement->BindText(4, id.resource);
  statement->BindInt(5, Signed(id.incarnation));
  statement->BindInt(6, Signed(id.number));
}

absl::Status Explain(const absl::Status& status, std::string_view why) {
  return {status.code(), absl::StrCat(status.message(), ": ",
                                      absl::string_view(why.data(), why.size()))};
}

}  // namespace

absl::Status ConfigureConnection(Database* db, const SqliteOptions& options) {
  // A statement may not access SQLite's own tables or load code.
  sqlite3_db_config(db->handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db->handle(), SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_limit(db->handle(), SQLITE_LIMIT_ATTACHED, 0);
  // Users' statements have another setting (SqlRunner).
  return db->Exec(
      absl::StrCat("PRAGMA temp_store=MEMORY; PRAGMA secure_delete=OFF;"
                   "PRAGMA cache_size=-",
                   options.cache_kib, ";"));
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path,
                                                   const SqliteOptions& options,
                                                   ClusterId cluster) {
  absl::StatusOr<std::unique_ptr<Database>> db =
      Database::Open(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, options.vfs);
  if (!db.ok()) return db.status();
  std::unique_ptr<Store> store(new Store(*std::move(db)));
  absl::Status s = store->Configure(options);
  if (s.ok()) s = store->CheckMeta(cluster);
  if (s.ok()) s = store->RunSchema(options.schema_sql);
  if (s.ok()) s = store->PrepareStatements();
  if (!s.ok()) return s;
  return store;
}

absl::Status Store::Configure(const SqliteOptions& options) {
  // The first read of the file shows whether it is a database at all.
  absl::StatusOr<std::string> encoding = db_->QueryText("PRAGMA encoding");
  if (encoding.ok()) encoding = db_->QueryText("SELECT count(*) FROM sqlite_schema");
  if (!encoding.ok()) {
    return Explain(encoding.status(), "the file cannot be opened as a SQLite database");
  }
  encoding = db_->QueryText("PRAGMA encoding");
  if (!encoding.ok() || *encoding != "UTF-8") {
    return absl::FailedPreconditionError(
        "the database's text is not in UTF-8: copy it into one that is (PRAGMA encoding "
        "can only be set before the first table)");
  }
  if (absl::Status s = ConfigureConnection(db_.get(), options); !s.ok()) return s;
  const absl::StatusOr<std::string> mode = db_->QueryText("PRAGMA journal_mode=WAL");
  if (!mode.ok() || *mode != "wal") {
    return absl::FailedPreconditionError(absl::StrCat(
        "the file cannot be put into WAL mode (",
        mode.ok() ? absl::StrCat("it stays in journal mode ", *mode)
                  : std::string(mode.status().message()),
        "): it must be a plain file that no other program has open in another mode"));
  }
  sqlite3_wal_hook(
      db_->handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Store*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      this);
  // FULL: a commit returns after its flush. Checkpoints are made by Checkpoint.
  return db_->Exec("PRAGMA synchronous=FULL; PRAGMA foreign_keys=OFF;");
}

absl::Status Store::CheckMeta(ClusterId cluster) {
  const absl::StatusOr<std::string> tables =
      db_->QueryText("SELECT count(*) FROM sqlite_schema WHERE name='concordat_meta'");
  if (!tables.ok()) return tables.status();
  if (*tables == "0") return CreateTables(cluster);
  const absl::StatusOr<std::string> format =
      db_->QueryText("SELECT value FROM concordat_meta WHERE name='format'");
  if (!format.ok() || *format != kFormat) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the file's Concordat tables are of format ", format.ok() ? *format : "unknown",
        ", this program knows ", kFormat, ": serve it with the version that wrote it"));
  }
  const absl::StatusOr<std::string> owner =
      db_->QueryText("SELECT value FROM concordat_meta WHERE name='cluster'");
  if (!owner.ok() || *owner != ClusterText(cluster)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the file belongs to cluster ", owner.ok() ? *owner : "unknown",
        ", this is cluster ", ClusterText(cluster),
        ": its prepared branches and evidence mean nothing here. To take over a copy "
        "whose branches are settled, drop its concordat_ tables"));
  }
  absl::StatusOr<std::string> id =
      db_->QueryText("SELECT value FROM concordat_meta WHERE name='store'");
  if (!id.ok()) return id.status();
  id_ = *std::move(id);
  const absl::StatusOr<std::string> generation = db_->QueryText(
      "SELECT coalesce((SELECT value FROM concordat_meta WHERE name='generation'),'0')");
  if (!generation.ok()) return generation.status();
  if (absl::SimpleAtoi(*generation, &generation_)) return absl::OkStatus();
  return absl::DataLossError(
      "the generation in concordat_meta is no number: restore the file from a copy");
}

absl::Status Store::CreateTables(ClusterId cluster) {
  id_ = absl::StrFormat("%016x", SystemRandom64());
  return db_->Exec(absl::StrCat("BEGIN IMMEDIATE;", kTables,
                                "INSERT INTO concordat_meta VALUES('format','", kFormat,
                                "'),('cluster','", ClusterText(cluster), "'),('store','",
                                id_, "');COMMIT;"));
}

absl::Status Store::RunSchema(const std::string& sql) {
  if (sql.empty()) return absl::OkStatus();
  absl::Status s = db_->Exec("BEGIN IMMEDIATE");
  if (s.ok()) s = db_->Exec(sql);
  if (s.ok() && db_->in_transaction()) s = db_->Exec("COMMIT");
  if (s.ok()) return s;
  if (db_->in_transaction()) (void)db_->Exec("ROLLBACK");
  return Explain(s, "this came from schema_sql");
}

absl::Status Store::PrepareStatements() {
  sqlite3_db_config(db_->handle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  // A CHECK may depend on more than the row (random(), last_insert_rowid()). What is
  // replayed passed it when the statements ran.
  absl::Status s = db_->Exec("PRAGMA ignore_check_constraints=ON");
  if (!s.ok()) return s;
  const std::pair<Statement*, const char*> all[] = {
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&rollback_, "ROLLBACK"},
      {&savepoint_, "SAVEPOINT branch"},
      {&to_savepoint_, "ROLLBACK TO branch"},
      {&release_, "RELEASE branch"},
      {&insert_branch_, "INSERT INTO concordat_branches VALUES(?1,?2,?3,?4,?5)"},
      {&delete_branch_, "DELETE FROM concordat_branches WHERE slot=?1"},
      {&insert_evidence_,
       "INSERT OR REPLACE INTO concordat_evidence VALUES(?1,?2,?3,?4,?5,?6,?7)"},
      {&find_evidence_,
       "SELECT outcome FROM concordat_evidence WHERE gtid_group=?1 AND term=?2 AND"
       " sequence=?3 AND resource=?4 AND incarnation=?5 AND number=?6"},
      {&find_evidence_bound_,
       "SELECT term, sequence FROM concordat_evidence WHERE gtid_group=?1 AND"
       " (term,sequence)<(?2,?3) ORDER BY term, sequence LIMIT 1 OFFSET ?4"},
      {&delete_evidence_,
       "DELETE FROM concordat_evidence WHERE gtid_group=?1 AND"
       " (term,sequence)<(?2,?3)"},
      {&find_generation_, "SELECT value FROM concordat_meta WHERE name='generation'"},
      {&data_version_, "PRAGMA data_version"},
      {&write_generation_,
       "INSERT OR REPLACE INTO concordat_meta VALUES('generation',?1)"},
  };
  for (const auto& [statement, sql] : all) {
    absl::StatusOr<Statement> prepared = db_->Prepare(sql);
    if (!prepared.ok()) return prepared.status();
    *statement = *std::move(prepared);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoredBranch>> Store::LoadBranches() {
  absl::StatusOr<Statement> rows = db_->Prepare(
      "SELECT slot, branch, changes, locks FROM concordat_branches ORDER BY slot");
  if (!rows.ok()) return rows.status();
  std::vector<StoredBranch> branches;
  int rc;
  while ((rc = sqlite3_step(rows->get())) == SQLITE_ROW) {
    StoredBranch branch;
    branch.slot = rows->Int(0);
    absl::StatusOr<BranchId> id = ParseBranchId(rows->Text(1));
    absl::StatusOr<std::vector<Redo>> redo = DecodeRedo(rows->Text(2));
    absl::StatusOr<std::vector<LockWant>> locks = DecodeLocks(rows->Text(3));
    if (!id.ok() || !redo.ok() || !locks.ok()) {
      return absl::DataLossError(absl::StrCat("prepared branch ", rows->Text(1),
                                              " in concordat_branches cannot be read: ",
                                              !id.ok()     ? id.status().message()
                                              : !redo.ok() ? redo.status().message()
                                                           : locks.status().message()));
    }
    branch.id = *std::move(id);
    branch.redo = *std::move(redo);
    branch.locks = *std::move(locks);
    branches.push_back(std::move(branch));
  }
  if (rc != SQLITE_DONE) return db_->LastError(rc, "read concordat_branches");
  return branches;
}

// See www.sqlite.org/pragma.html#pragma_data_version.
int64_t Store::ForeignVersion() {
  const bool found = sqlite3_step(data_version_.get()) == SQLITE_ROW;
  const int64_t version = found ? data_version_.Int(0) : -1;
  sqlite3_reset(data_version_.get());
  return version;
}

void Store::RollBack() {
  if (db_->in_transaction()) rollback_.RunToEnd();
}

void Store::RollBackToSavepoint() {
  to_savepoint_.RunToEnd();
  release_.RunToEnd();
}

int Store::InsertBranch(int64_t slot, const BranchId& id, int64_t now_micros,
                        const std::string& changes, const std::string& locks) {
  const std::string text = ToString(id);
  insert_branch_.BindInt(1, slot);
  insert_branch_.BindText(2, text);
  insert_branch_.BindInt(3, now_micros);
  insert_branch_.BindBlob(4, changes);
  insert_branch_.BindBlob(5, locks);
  return insert_branch_.RunToEnd();
}

int Store::DeleteBranch(int64_t slot) {
  delete_branch_.BindInt(1, slot);
  return delete_branch_.RunToEnd();
}

int Store::InsertEvidence(const BranchId& id, Evidence evidence) {
  BindBranch(&insert_evidence_, id);
  insert_evidence_.BindInt(7,
                           evidence == Evidence::kCommittedAlone ? kOnePhase : kTwoPhase);
  return insert_evidence_.RunToEnd();
}

Evidence Store::FindEvidence(const BranchId& id) {
  BindBranch(&find_evidence_, id);
  const int rc = sqlite3_step(find_evidence_.get());
  Evidence evidence = Evidence::kUnknown;
  if (rc == SQLITE_DONE) evidence = Evidence::kNone;
  if (rc == SQLITE_ROW) {
    evidence = find_evidence_.Int(0) == kOnePhase ? Evidence::kCommittedAlone
                                                  : Evidence::kCommitted;
  }
  sqlite3_reset(find_evidence_.get());
  return evidence;
}

int Store::DeleteEvidenceBelow(const Gtid& watermark, bool* more) {
  BindGtid(&find_evidence_bound_, 1, watermark);
  find_evidence_bound_.BindInt(4, kEvidenceAtOnce);
  Gtid bound = watermark;
  const int rc = sqlite3_step(find_evidence_bound_.get());
  *more = rc == SQLITE_ROW;
  if (*more) {
    bound.term = Term(Unsigned(find_evidence_bound_.Int(0)));
    bound.sequence = Unsigned(find_evidence_bound_.Int(1));
  }
  sqlite3_reset(find_evidence_bound_.get());
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return rc;
  BindGtid(&delete_evidence_, 1, bound);
  const int deleted = delete_evidence_.RunToEnd();
  // When the bound is one gtid with very many branches, nothing is deleted; this must not
  // be tried without end.
  if (sqlite3_changes(db_->handle()) == 0) *more = false;
  return deleted;
}

int Store::WriteGeneration(uint64_t generation, bool* older) {
  uint64_t there = 0;
  const int rc = sqlite3_step(find_generation_.get());
  if (rc == SQLITE_ROW && !absl::SimpleAtoi(find_generation_.Text(0), &there)) there = 0;
  sqlite3_reset(find_generation_.get());
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return rc;
  *older = there < generation_;
  if (*older) return SQLITE_DONE;
  const std::string text = absl::StrCat(generation);
  write_generation_.BindText(1, text);
  return write_generation_.RunToEnd();
}

int Store::Checkpoint() {
  wal_pages_ = 0;
  return sqlite3_wal_checkpoint_v2(db_->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                   nullptr, nullptr);
}

}  // namespace concordat::participant::sqlite
