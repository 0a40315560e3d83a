// Opening a file: what is created, and what is refused with a message that says why.
#include <sys/file.h>
#include <sys/wait.h>

#include <fstream>

#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

class OpenTest : public SqliteFixture {
 protected:
  void ExpectRefused(absl::StatusCode code, const std::string& text,
                     ClusterId cluster = kCluster) {
    const auto prepared = TryOpen(cluster);
    ASSERT_FALSE(prepared.ok());
    EXPECT_EQ(prepared.status().code(), code) << prepared.status();
    EXPECT_NE(std::string(prepared.status().message()).find(text), std::string::npos)
        << prepared.status();
  }
};

TEST_F(OpenTest, NewFile_GetsOurTablesAndTheSchema) {
  Open(kAccounts);
  EXPECT_EQ(Query("SELECT value FROM concordat_meta WHERE name<>'store' ORDER BY name"),
            "0000000000c0ffee|1");
  EXPECT_EQ(Query("SELECT length(value) FROM concordat_meta WHERE name='store'"), "16");
  EXPECT_EQ(Query("SELECT count(*) FROM account"), "3");
  EXPECT_EQ(Query("PRAGMA journal_mode"), "wal");
}

TEST_F(OpenTest, Store_HasOneIdentityForItsLife) {
  Open(kAccounts);
  const std::string store = rm_->store_id();
  EXPECT_EQ(store.size(), 16u);
  rm_.reset();
  Open(kAccounts);
  EXPECT_EQ(rm_->store_id(), store);
}

TEST_F(OpenTest, ExistingFileOfAUser_IsTakenOverWithItsTables) {
  Query("CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1,'old')");
  Open();
  Commit("UPDATE t SET x='new' WHERE id=1");
  EXPECT_EQ(Query("SELECT x FROM t"), "new");
}

TEST_F(OpenTest, SchemaSql_IsRepeatableAndWrongOneIsNamed) {
  Open(kAccounts);
  rm_.reset();
  Open(kAccounts);
  rm_.reset();
  options_.schema_sql = "CREATE TABLE extra(a PRIMARY KEY); CREATE TABEL typo(a)";
  ExpectRefused(absl::StatusCode::kInvalidArgument, "schema_sql");
  EXPECT_EQ(Query("SELECT count(*) FROM sqlite_schema WHERE name='extra'"), "0");
}

TEST_F(OpenTest, FileServedByAnotherProcess_IsRefusedNamingIt) {
  int ready[2];
  int end[2];
  ASSERT_EQ(pipe(ready), 0);
  ASSERT_EQ(pipe(end), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto prepared = TryOpen();
    (void)!write(ready[1], prepared.ok() ? "y" : "n", 1);
    char c;
    (void)!read(end[0], &c, 1);
    _exit(0);
  }
  char c = 0;
  ASSERT_EQ(read(ready[0], &c, 1), 1);
  ASSERT_EQ(c, 'y');
  ExpectRefused(absl::StatusCode::kFailedPrecondition,
                "is served by process " + std::to_string(child));
  ASSERT_EQ(write(end[1], "x", 1), 1);
  waitpid(child, nullptr, 0);
  for (const int fd : {ready[0], ready[1], end[0], end[1]}) close(fd);
  EXPECT_TRUE(TryOpen().ok());
}

TEST_F(OpenTest, FileServedInThisProcess_IsRefused) {
  Open(kAccounts);
  SqliteResourceManager second(path_, SqliteOptions());
  const auto prepared = Caller::Await<absl::StatusOr<std::vector<BranchId>>>(
      [&](auto done) { second.Recover(kCluster, std::move(done)); });
  EXPECT_EQ(prepared.status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(OpenTest, NotADatabase_IsRefusedAndLeftAsItWas) {
  const std::string text(5000, 'x');
  std::ofstream(path_) << text;
  ExpectRefused(absl::StatusCode::kInvalidArgument, "cannot be opened as a SQLite");
  std::ifstream in(path_);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), text);
}

TEST_F(OpenTest, FileOfAnotherCluster_IsRefused) {
  Open(kAccounts);
  rm_.reset();
  ExpectRefused(absl::StatusCode::kFailedPrecondition,
                "belongs to cluster 0000000000c0ffee", ClusterId(0xbad));
}

TEST_F(OpenTest, UnknownFormat_IsRefused) {
  Open(kAccounts);
  rm_.reset();
  Query("UPDATE concordat_meta SET value='2' WHERE name='format'");
  ExpectRefused(absl::StatusCode::kFailedPrecondition, "of format 2");
}

TEST_F(OpenTest, JournalModeThatCannotBeSet_IsRefused) {
  Query("CREATE TABLE t(id INTEGER PRIMARY KEY)");
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  // A reader in rollback mode: the mode cannot change during its transaction.
  ASSERT_EQ(sqlite3_exec(other, "BEGIN; SELECT * FROM t", nullptr, nullptr, nullptr),
            SQLITE_OK);
  ExpectRefused(absl::StatusCode::kFailedPrecondition, "cannot be put into WAL mode");
  sqlite3_close(other);
  rm_.reset();
  EXPECT_TRUE(TryOpen().ok());
}

TEST_F(OpenTest, Utf16Database_IsRefused) {
  Query("PRAGMA encoding='UTF-16le'; CREATE TABLE t(id INTEGER PRIMARY KEY)");
  ExpectRefused(absl::StatusCode::kFailedPrecondition, "not in UTF-8");
}

TEST_F(OpenTest, NameThatIsNoFile_IsRefused) {
  path_ = ":memory:";
  ExpectRefused(absl::StatusCode::kInvalidArgument, "not the name of a file");
  path_ = folder_.File("missing/bank.db");
  ExpectRefused(absl::StatusCode::kInvalidArgument, "missing");
}

TEST_F(OpenTest, UnknownDefaultIsolation_IsRefused) {
  options_.default_isolation = "snapshot";
  ExpectRefused(absl::StatusCode::kInvalidArgument, "isolation \"snapshot\"");
}

TEST_F(OpenTest, DamagedPreparedBranch_IsDataLossNamingIt) {
  Open(kAccounts);
  const BranchId id = Begin();
  Run(id, "UPDATE account SET balance=0 WHERE id=1");
  ASSERT_EQ(call_->Prepare(id).vote, Vote::kPrepared);
  rm_.reset();
  Query("UPDATE concordat_branches SET changes=substr(changes,1,length(changes)-1)");
  options_.schema_sql.clear();
  ExpectRefused(absl::StatusCode::kDataLoss, ToString(id));
}

TEST_F(OpenTest, Scenario24_AfterRestart_LocksAreHeldBeforeTheFirstCall) {
  Open(kAccounts);
  const BranchId prepared = Begin();
  Run(prepared, "UPDATE account SET balance=balance-1 WHERE id=1");
  ASSERT_EQ(call_->Prepare(prepared).vote, Vote::kPrepared);
  ASSERT_EQ(Reopen(), std::vector<BranchId>{prepared});
  // The branch is older than the prepared one, and must wait even so.
  PendingCall older =
      call_->Send(Begin(1), {Sql("UPDATE account SET balance=balance-1 WHERE id=1")});
  Run(Begin(), "UPDATE account SET balance=balance-1 WHERE id=2");
  EXPECT_FALSE(older.IsDone());
  EXPECT_EQ(call_->Commit(prepared).state, FinishState::kDone);
  EXPECT_EQ(older.reply.get().result.code, wire::Code::OK);
  ASSERT_EQ(call_->Prepare(MakeBranch(1)).vote, Vote::kPrepared);
  ASSERT_EQ(call_->Commit(MakeBranch(1)).state, FinishState::kDone);
  EXPECT_EQ(Query("SELECT balance FROM account WHERE id=1"), "98");
}

}  // namespace
}  // namespace concordat::participant
