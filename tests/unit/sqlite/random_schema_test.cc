// Random schemas with every kind of key, and random concurrent branches. For all of them:
// whatever has voted PREPARED can be committed, in any order; the file keeps its
// constraints; and branches of one statement each leave the result of some serial order.
#include <algorithm>
#include <numeric>

#include "coordinator/base/random.h"
#include "tests/unit/sqlite/support.h"

namespace concordat::participant {
namespace {

constexpr int kIds = 5;

// The schema and the statements. Columns: k (the primary key), a, b, c, and d (a flag).
class RandomSchema {
 public:
  explicit RandomSchema(Random* random) : random_(*random) {}

  // One random choice in each statement, since the compiler chooses the order of
  // operands.
  std::string Make() {
    std::string sql = "CREATE TABLE t(";
    sql += Key();
    for (const char* column : {", a ", ", b "}) {
      sql += column;
      sql += Type();
      sql += Collate();
      sql += Unique();
    }
    sql += ", c INT, d INT DEFAULT 0";
    sql += Generated();
    sql += key_clause_ + (without_rowid_ ? ") WITHOUT ROWID;" : ");");
    const uint64_t indexes = 1 + random_.Below(3);
    for (uint64_t i = 0; i < indexes; ++i) sql += Index(i);
    // SQLite itself is inconsistent about parents whose key and column have different
    // collations.
    has_child_ =
        key_clause_.find("COLLATE") == std::string::npos && random_.Below(2) == 0;
    if (has_child_) {
      sql += "CREATE TABLE ch(id INTEGER PRIMARY KEY, p ";
      sql += text_key_ ? "TEXT" : "INTEGER";
      sql += " REFERENCES t";
      sql += Pick({"", " ON DELETE CASCADE", " ON DELETE SET NULL",
                   " ON UPDATE CASCADE ON DELETE CASCADE"});
      sql += ", n INT UNIQUE);";
    }
    for (int i = 0; i < 3; ++i) sql += "INSERT OR IGNORE" + Row() + ";";
    return sql;
  }

  std::string Statement() {
    const std::string key = KeyValue();
    const std::string value = Value();
    const std::string number = Number(4);
    const std::string where = " WHERE k=" + key;
    if (has_child_ && random_.Below(5) == 0) {
      const std::string id = Number(kIds * 4);
      return "INSERT INTO ch SELECT " + id + ", k, " + number + " FROM t" + where;
    }
    const std::string conflict = Or();
    switch (random_.Below(8)) {
      case 0:
      case 1:
        return "INSERT" + conflict + Row();
      case 2:
        return "UPDATE" + conflict + " t SET d=" + Number(3) + where;
      case 3:
        return "UPDATE" + conflict + " t SET a=" + value + ", d=" + Number(2) + where;
      case 4:
        return "UPDATE" + conflict + " t SET c=" + number + ", b=" + value + where;
      case 5:
        return "UPDATE" + conflict + " t SET k=" + KeyValue() + where;
      case 6:
        return "DELETE FROM t" + where;
      default:
        return "INSERT" + Row() + " ON CONFLICT DO UPDATE SET d=1-d";
    }
  }

 private:
  std::string Pick(const std::vector<std::string>& from) {
    return from[random_.Below(from.size())];
  }
  std::string Number(uint64_t bound) { return std::to_string(random_.Below(bound)); }
  std::string Value() {
    return Pick({"NULL", "'a'", "'A'", "'a '", "'b'", "1", "1.0", "'1'", "2", "2.5",
                 "x'61'", "-1"});
  }
  std::string KeyValue() {
    return text_key_ ? Pick({"'a'", "'A'", "'b'", "'B'", "'a '"}) : Number(kIds);
  }
  std::string Or() { return Pick({"", "", "", " OR REPLACE", " OR IGNORE"}); }
  std::string Row() {
    std::string row = " INTO t(k,a,b,c,d) VALUES(" + KeyValue();
    row += "," + Value();
    row += "," + Value();
    row += "," + Number(4);
    return row + "," + Number(3) + ")";
  }
  std::string Type() { return Pick({"", "INT", "TEXT", "REAL", "NUMERIC", "BLOB"}); }
  std::string Collate() { return Pick({"", "", " COLLATE NOCASE", " COLLATE RTRIM"}); }
  std::string Unique() {
    return Pick(
        {"", "", " UNIQUE", " UNIQUE ON CONFLICT REPLACE", " UNIQUE ON CONFLICT IGNORE"});
  }
  std::string Generated() {
    return Pick({"", "", ", g INT AS (c*c-d) STORED UNIQUE", ", g AS (a||d) STORED"});
  }
  std::string Key() {
    text_key_ = random_.Below(2) == 0;
    without_rowid_ = random_.Below(3) == 0;
    if (!text_key_) return "k INTEGER PRIMARY KEY";
    key_clause_ = Pick({",PRIMARY KEY(k)", ",PRIMARY KEY(k COLLATE NOCASE)",
                        ",PRIMARY KEY(k COLLATE BINARY)", ",PRIMARY KEY(k DESC)"});
    return "k TEXT" + Collate();
  }
  std::string Index(uint64_t number) {
    std::string sql = "CREATE UNIQUE INDEX i" + std::to_string(number) + " ON t(";
    sql += Pick({"a", "a COLLATE NOCASE", "a,c", "b", "c+d", "abs(c-1), b", "lower(a)",
                 "ifnull(a,b)", "b COLLATE BINARY, c", "typeof(a), d"});
    sql += ")";
    sql += Pick({"", " WHERE d=0", " WHERE d", " WHERE a IS NOT NULL AND d>0",
                 " WHERE c<d", " WHERE b='a'", " WHERE d IN (1,2)"});
    return sql + ";";
  }

  Random& random_;
  bool text_key_ = false;
  bool without_rowid_ = false;
  bool has_child_ = false;
  std::string key_clause_;
};

class RandomSchemaTest : public SqliteFixture,
                         public ::testing::WithParamInterface<uint64_t> {
 protected:
  struct Running {
    BranchId id;
    std::vector<std::string> done;  // what was executed
    PendingCall call;
    std::string sql;
    bool voted = false;
  };

  // Opens a schema that SQLite accepts: the file's rows may violate an index.
  void OpenSomeSchema() {
    for (;;) {
      schema_ = std::make_unique<RandomSchema>(&random_);
      sql_ = schema_->Make();
      sqlite3* db = nullptr;
      sqlite3_open(":memory:", &db);
      sqlite3_exec(db, "PRAGMA foreign_keys=ON", nullptr, nullptr, nullptr);
      const bool ok =
          sqlite3_exec(db, sql_.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
      sqlite3_close(db);
      if (ok) break;
    }
    options_.lock_wait = Duration::Seconds(60);
    Open(sql_);
    if (Query("SELECT count(*) FROM sqlite_schema WHERE name='ch'") == "1") {
      tables_ =
          "SELECT 0,k,a,typeof(a),b,typeof(b),c,d FROM t UNION ALL "
          "SELECT 1,id,p,typeof(p),n,0,0,0 FROM ch ORDER BY 1,2,3,5,7,8";
    }
  }

  // Sends one statement in each branch. Branches that have to wait are rolled back.
  void RunBranches(std::vector<Running>* branches, uint64_t statements) {
    for (uint64_t n = 0; n < statements; ++n) {
      for (Running& b : *branches) {
        if (b.call.request != nullptr || b.id == BranchId()) continue;
        b.sql = schema_->Statement();
        b.call = call_->Send(b.id, {Sql(b.sql)});
        TakeReplyIfThere(&b, std::chrono::milliseconds(10));
      }
    }
    for (Running& b : *branches) TakeReplyIfThere(&b, std::chrono::milliseconds(0));
    for (Running& b : *branches) {
      if (b.call.request == nullptr) continue;
      (void)call_->Rollback(b.id);
      b.call.reply.get();
      Forget(&b);
    }
  }
  static void Forget(Running* b) {
    b->id = BranchId();
    b->done.clear();
  }
  void TakeReplyIfThere(Running* b, std::chrono::milliseconds wait) {
    if (b->call.request != nullptr &&
        b->call.reply.wait_for(wait) == std::future_status::ready) {
      TakeReply(b);
    }
  }
  void TakeReply(Running* b) {
    const wire::ExecuteReply reply = b->call.reply.get();
    b->call = PendingCall();
    if (reply.result.code == wire::Code::OK) b->done.push_back(b->sql);
    if (reply.result.code == wire::Code::CONFLICT) Forget(b);
    ASSERT_TRUE(reply.result.code == wire::Code::OK ||
                reply.result.code == wire::Code::CONDITION_FAILED ||
                reply.result.code == wire::Code::INVALID ||
                reply.result.code == wire::Code::CONFLICT)
        << b->sql << ": " << reply.result.message;
  }

  void Vote(std::vector<Running>* branches) {
    for (Running& b : *branches) {
      if (b.id == BranchId()) continue;
      const PrepareResult vote = call_->Prepare(b.id);
      b.voted = vote.vote == Vote::kPrepared;
      if (vote.vote == Vote::kRefused) b.done.clear();
      // Only we write: the only reason to refuse is an older branch.
      if (vote.vote == Vote::kRefused) {
        ASSERT_NE(vote.detail.find("older transaction"), std::string::npos)
            << vote.detail;
      }
    }
  }

  void CommitInAnyOrder(std::vector<Running>* branches) {
    for (size_t i = branches->size(); i > 1; --i) {
      std::swap((*branches)[i - 1], (*branches)[random_.Below(i)]);
    }
    if (random_.Below(8) == 0) Reopen();
    for (Running& b : *branches) {
      if (!b.voted) continue;
      if (random_.Below(6) == 0) {
        ASSERT_EQ(call_->Rollback(b.id).state, FinishState::kDone);
        b.done.clear();
        continue;
      }
      const FinishResult r = call_->Commit(b.id);
      ASSERT_EQ(r.state, FinishState::kDone) << r.detail << Story(*branches);
    }
  }

  std::string Story(const std::vector<Running>& branches) const {
    std::string text = "\n" + sql_;
    for (const Running& b : branches) {
      text += "\nbranch";
      for (const std::string& sql : b.done) text += "\n  " + sql;
    }
    return text;
  }

  // The result of the statements, branch after branch, in a copy of the file from before.
  std::string Serially(const std::vector<const Running*>& order) {
    const std::string copy = folder_.File("copy.db");
    std::filesystem::copy_file(folder_.File("before.db"), copy,
                               std::filesystem::copy_options::overwrite_existing);
    sqlite3* db = nullptr;
    sqlite3_open(copy.c_str(), &db);
    sqlite3_exec(db, "PRAGMA foreign_keys=ON; PRAGMA synchronous=OFF", nullptr, nullptr,
                 nullptr);
    for (const Running* b : order) {
      for (const std::string& sql : b->done) {
        sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr);
      }
    }
    sqlite3_close(db);
    return QueryFile(copy, tables_);
  }

  void ExpectSomeSerialOrder(const std::vector<Running>& branches) {
    std::vector<const Running*> order;
    for (const Running& b : branches) {
      if (!b.done.empty()) order.push_back(&b);
    }
    std::sort(order.begin(), order.end());
    const std::string got = Query(tables_);
    std::string all;
    do {
      const std::string serial = Serially(order);
      if (serial == got) return;
      all += "\n  " + serial;
    } while (std::next_permutation(order.begin(), order.end()));
    FAIL() << "got " << got << ", serial orders give" << all << Story(branches);
  }

  void Round() {
    std::filesystem::remove(folder_.File("before.db"));
    Query("VACUUM INTO '" + folder_.File("before.db") + "'");
    std::vector<Running> branches(2 + random_.Below(2));
    for (Running& b : branches) b.id = Begin();
    const bool single = random_.Below(2) == 0;
    RunBranches(&branches, single ? 1 : 1 + random_.Below(3));
    if (!HasFatalFailure()) Vote(&branches);
    if (!HasFatalFailure()) CommitInAnyOrder(&branches);
    if (HasFatalFailure()) return;
    ASSERT_EQ(Query("PRAGMA integrity_check"), "ok") << Story(branches);
    ASSERT_EQ(Query("PRAGMA foreign_key_check"), "") << Story(branches);
    if (single) ExpectSomeSerialOrder(branches);
  }

  Random random_{GetParam()};
  std::unique_ptr<RandomSchema> schema_;
  std::string sql_;
  std::string tables_ = "SELECT k,a,typeof(a),b,typeof(b),c,d FROM t ORDER BY 1,2,4,6,7";
};

TEST_P(RandomSchemaTest, Scenario92_WhateverVotesPreparedCommitsInAnyOrder) {
  OpenSomeSchema();
  for (int round = 0; round < 25; ++round) {
    Round();
    if (HasFatalFailure()) FAIL() << "seed " << GetParam() << ", round " << round;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomSchemaTest, ::testing::Range<uint64_t>(1, 41));

}  // namespace
}  // namespace concordat::participant
