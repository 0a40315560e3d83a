// Random statements run once through branches and once directly in a plain SQLite file.
// Both must end with the same tables; a fault of capture or replay shows here.
#include "coordinator/base/random.h"
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

constexpr const char* kFullSchema =
    "CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE COLLATE NOCASE, x REAL);"
    "CREATE TABLE c(id INTEGER PRIMARY KEY AUTOINCREMENT, p INTEGER REFERENCES p"
    " ON DELETE CASCADE ON UPDATE CASCADE, n INT, UNIQUE(p,n));"
    "CREATE TABLE w(a TEXT, b INT, x BLOB, PRIMARY KEY(b,a)) WITHOUT ROWID;"
    "CREATE TABLE s(k TEXT PRIMARY KEY, a INT, twice INT AS (a*2) STORED);"
    "CREATE TABLE log(id INTEGER PRIMARY KEY, entry TEXT);"
    "CREATE TRIGGER p_in AFTER INSERT ON p BEGIN"
    " INSERT INTO log(entry) VALUES('in '||new.id||new.name); END;"
    "CREATE TRIGGER w_up BEFORE UPDATE ON w WHEN new.b%3=0 BEGIN"
    " UPDATE s SET a=a+1 WHERE k=new.a; END;"
    "CREATE TRIGGER c_out AFTER DELETE ON c BEGIN"
    " INSERT INTO log(entry) VALUES('out '||old.id); END;"
    "INSERT INTO s(k,a) VALUES('q',1); ALTER TABLE s ADD COLUMN z INT DEFAULT 7;";

constexpr const char* kTables[] = {"SELECT * FROM p ORDER BY 1",
                                   "SELECT * FROM c ORDER BY 1",
                                   "SELECT a,b,hex(x),typeof(x) FROM w ORDER BY 1,2",
                                   "SELECT * FROM s ORDER BY 1",
                                   "SELECT * FROM log ORDER BY 1",
                                   "PRAGMA foreign_key_check",
                                   "PRAGMA integrity_check"};

class DifferentialTest : public SqliteFixture,
                         public ::testing::WithParamInterface<uint64_t> {
 protected:
  void SetUp() override {
    SqliteFixture::SetUp();
    Open(kFullSchema);
    ASSERT_EQ(sqlite3_open(folder_.File("plain.db").c_str(), &plain_), SQLITE_OK);
    sqlite3_exec(plain_, "PRAGMA foreign_keys=ON; PRAGMA synchronous=OFF", nullptr,
                 nullptr, nullptr);
    ASSERT_EQ(sqlite3_exec(plain_, kFullSchema, nullptr, nullptr, nullptr), SQLITE_OK);
  }
  void TearDown() override { sqlite3_close(plain_); }

  std::string Number(uint64_t bound) { return std::to_string(random_.Below(bound)); }
  std::string Word() {
    const char* words[] = {"a", "A", "b", "q", "Q", "longer word", ""};
    return std::string("'") + words[random_.Below(7)] + "'";
  }
  std::string Or() {
    const char* conflicts[] = {"", "", "OR REPLACE ", "OR IGNORE ", "OR FAIL "};
    return conflicts[random_.Below(5)];
  }
  std::string AnyValue() {
    const char* values[] = {"NULL", "1", "2.5", "'text'", "x'00ff'", "-7", "1e20"};
    return values[random_.Below(7)];
  }

  std::string RandomStatement() {
    switch (random_.Below(14)) {
      case 0:
        return "INSERT " + Or() + "INTO p VALUES(" + Number(12) + "," + Word() + "," +
               Number(100) + ")";
      case 1:
        return "INSERT " + Or() + "INTO p(name,x) VALUES(" + Word() + ",0.5)";
      case 2:
        return "UPDATE " + Or() + "p SET name=" + Word() +
               ", x=x+1 WHERE id=" + Number(12);
      case 3:
        return "UPDATE " + Or() + "p SET id=" + Number(12) + " WHERE id=" + Number(12);
      case 4:
        return "DELETE FROM p WHERE id=" + Number(12);
      case 5:
        return "INSERT " + Or() + "INTO c(p,n) VALUES(" + Number(12) + "," + Number(4) +
               ")";
      case 6:
        return "UPDATE " + Or() + "c SET n=n+1 WHERE p=" + Number(12);
      case 7:
        return "INSERT " + Or() + "INTO w VALUES(" + Word() + "," + Number(5) + "," +
               AnyValue() + ")";
      case 8:
        return "UPDATE " + Or() + "w SET b=b+" + Number(3) + ", x=" + AnyValue() +
               " WHERE a=" + Word();
      case 9:
        return "DELETE FROM w WHERE b=" + Number(5);
      case 10:
        return "INSERT INTO s(k,a) VALUES(" + Word() + "," + Number(5) +
               ") ON CONFLICT(k) DO UPDATE SET a=excluded.a+a";
      case 11:
        return "UPDATE s SET z=z+1 WHERE a<" + Number(9);
      case 12:
        return "DELETE FROM c WHERE n=" + Number(4);
      default:
        return "UPDATE w SET x=x WHERE b<" + Number(5);
    }
  }

  int RunPlain(const std::string& sql) {
    return sqlite3_exec(plain_, sql.c_str(), nullptr, nullptr, nullptr);
  }

  // One branch of several calls of one to three statements. A call that fails is undone
  // on both sides.
  void RunBranch() {
    const BranchId id = Begin();
    RunPlain("BEGIN");
    for (uint64_t calls = 1 + random_.Below(4); calls > 0; --calls) {
      std::vector<wire::SqlStatement> statements;
      for (uint64_t n = 1 + random_.Below(3); n > 0; --n) {
        statements.push_back(Sql(RandomStatement()));
      }
      RunPlain("SAVEPOINT call");
      bool plain_ok = true;
      for (const auto& statement : statements) {
        plain_ok = plain_ok && RunPlain(statement.sql) == SQLITE_OK;
      }
      if (!plain_ok) RunPlain("ROLLBACK TO call");
      RunPlain("RELEASE call");
      const wire::ExecuteReply reply = call_->Execute(id, statements);
      ASSERT_EQ(reply.result.code == wire::Code::OK, plain_ok)
          << statements[0].sql << ": " << reply.result.message;
    }
    EndBranch(id);
  }

  void EndBranch(const BranchId& id) {
    const uint64_t how = random_.Below(10);
    if (how == 0) {
      RunPlain("ROLLBACK");
      ASSERT_EQ(call_->Rollback(id).state, FinishState::kDone);
      return;
    }
    RunPlain("COMMIT");
    if (how == 1) {
      ASSERT_EQ(call_->CommitOnePhase(id).outcome, OnePhase::kCommitted);
      return;
    }
    const PrepareResult vote = call_->Prepare(id);
    if (vote.vote == Vote::kReadOnly) return;
    ASSERT_EQ(vote.vote, Vote::kPrepared) << vote.detail;
    if (how == 2) Reopen();
    const FinishResult r = call_->Commit(id);
    ASSERT_EQ(r.state, FinishState::kDone) << r.detail;
  }

  void Compare() {
    for (const char* sql : kTables) {
      ASSERT_EQ(Query(sql), QueryFile(folder_.File("plain.db"), sql)) << sql;
    }
  }

  sqlite3* plain_ = nullptr;
  Random random_{GetParam()};
};

TEST_P(DifferentialTest, RandomBranches_LeaveTheTablesThatPlainSqliteHas) {
  for (int round = 0; round < 60; ++round) {
    RunBranch();
    if (HasFatalFailure()) FAIL() << "seed " << GetParam() << ", round " << round;
    if (round % 20 == 19) Compare();
  }
  Compare();
  EXPECT_NE(Query("SELECT count(*) FROM log"), "0");
}

INSTANTIATE_TEST_SUITE_P(Seeds, DifferentialTest, ::testing::Range<uint64_t>(1, 11));

}  // namespace
}  // namespace concordat::participant
