// What a branch leaves in its session is gone before the next one (scenario 95).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/postgresql/rights_fixture.h"

namespace concordat::participant {
namespace {

using ::testing::HasSubstr;
using wire::Code;

class LeftoversTest : public RightsTest {
 protected:
  LeftoversTest() {
    Sql("CREATE ROLE tenant; GRANT tenant TO app; CREATE SEQUENCE counter; GRANT ALL ON "
        "SEQUENCE counter TO app");
    zone_ = Sql("SHOW timezone");
  }
  ~LeftoversTest() override {
    Close();
    Sql("DROP ROLE tenant");
  }
  LeftoversTest(const LeftoversTest&) = delete;
  LeftoversTest& operator=(const LeftoversTest&) = delete;

  void MakeLeaving(const std::string& more) {
    MakeFunction(absl::StrCat(
        "EXECUTE 'SET search_path=pg_catalog'; EXECUTE 'SET timezone=\"Asia/Tokyo\"';"
        "EXECUTE 'SET my.variable=1'; EXECUTE 'SET statement_timeout=9000';"
        "EXECUTE 'SET LOCAL synchronous_commit=off';"
        "PERFORM nextval('public.counter'); PERFORM pg_advisory_lock(77)",
        more));
  }
  // Checks in a branch of its own, after whose end the session is reset again.
  void ExpectNothingLeft() {
    const BranchId branch = Begin();
    EXPECT_EQ(
        Query(branch,
              "SELECT concat_ws('; ', current_user, current_setting('role'), "
              "current_setting('search_path'), current_setting('timezone'), "
              "current_setting('statement_timeout'), current_setting("
              "'synchronous_commit'), COALESCE(current_setting('my.variable',true),''), "
              "(SELECT "
              "count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors "
              "WHERE name='c'), (SELECT count(*) FROM pg_prepared_statements WHERE "
              "from_sql), (SELECT count(*) FROM pg_locks WHERE locktype='advisory' AND "
              "objid=77))"),
        absl::StrCat("'app; none; \"$user\", public; ", zone_,
                     "; 10s; on; ; 0; 0; 0; 0'"));
    EXPECT_EQ(Execute(branch, "SELECT currval('counter')").result.code, Code::INVALID);
    EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  }
  void End(const BranchId& branch, bool prepared) {
    if (!prepared) {
      EXPECT_EQ(CommitOnePhase(branch).outcome, OnePhase::kCommitted);
      return;
    }
    EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
    EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  }
  // Selects as a client that repeats its transaction after a conflict, and only then.
  std::string SelectSurely(const std::string& sql) {
    for (int i = 0; i < 20; ++i) {
      const BranchId branch = Begin();
      const wire::ExecuteReply reply = Execute(branch, sql);
      (void)Rollback(branch);
      if (reply.result.code == Code::OK) return Show(reply.sql.at(0));
      if (reply.result.code == Code::CONFLICT) continue;
      if (reply.result.code == Code::BRANCH_GONE) continue;  // the session was closed
      return reply.result.message;
    }
    return "nothing but conflicts";
  }

 private:
  std::string zone_;
};

TEST_F(LeftoversTest, Scenario95_WhateverABranchLeaves_IsGoneBeforeTheNext) {
  MakeLeaving(
      "; EXECUTE 'LISTEN x'; EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1'; EXECUTE "
      "'SET ROLE tenant'");
  for (const bool committed : {true, false}) {
    const BranchId branch = BeginAndRun("SELECT f()");
    if (committed) {
      EXPECT_NE(CommitOnePhase(branch).outcome, OnePhase::kLost);
    } else {
      EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
    }
    ExpectNothingLeft();
    Open(), Close(), OpenAt(UrlOf("app"));
  }
}

// The session is reset before the branch is prepared, and is used again.
TEST_F(LeftoversTest, Scenario95_WhateverAPreparedBranchLeaves_IsGoneBeforeTheNext) {
  MakeLeaving("");
  (void)Select("SELECT 1");
  const uint64_t connects = manager().Stats().connects;
  const BranchId branch = BeginAndRun(kUpdate);
  Query(branch, "SELECT f()");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  ExpectNothingLeft();
  EXPECT_EQ(manager().Stats().connects, connects);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "99");
}

TEST_F(LeftoversTest, Scenario95_PreparedByAFunction_OrInTheSameRole_IsGoneToo) {
  for (const char* left :
       {"EXECUTE 'PREPARE mine AS SELECT 1'", "EXECUTE 'SET ROLE app'"}) {
    MakeFunction(left);
    const BranchId branch = BeginAndRun(kUpdate);
    Query(branch, "SELECT f()");
    End(branch, /*prepared=*/true);
    ExpectNothingLeft();
  }
}

// The server refuses to prepare what was not reset in time.
TEST_F(LeftoversTest, Scenario95_WhatOutlivesATransactionElse_CannotBePrepared) {
  for (const char* sql :
       {"LISTEN x", "NOTIFY x", "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
        "CREATE TEMP TABLE t(x int)"}) {
    MakeFunction(absl::StrCat("EXECUTE '", sql, "'"));
    const BranchId branch = BeginAndRun(kUpdate);
    Query(branch, "SELECT f()");
    const PrepareResult result = Prepare(branch);
    EXPECT_EQ(result.vote, Vote::kRefused) << sql;
    EXPECT_THAT(result.detail, HasSubstr("cannot PREPARE")) << sql;
    ExpectNothingLeft();
  }
}

TEST_F(LeftoversTest, Scenario95_DroppedKeptStatement_IsMadeAgain) {
  const std::string read = "SELECT balance FROM account WHERE id=2";
  for (const bool prepared : {false, true}) {
    EXPECT_EQ(Select(read), "100");
    const BranchId branch = BeginAndRun(kUpdate);
    Query(branch, "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$");
    End(branch, prepared);
    EXPECT_EQ(SelectSurely(read), "100");
  }
}

TEST_F(LeftoversTest, Scenario95_TemporaryTable_HidesNoTableOfTheNextBranch) {
  for (const char* sql :
       {"SELECT * INTO TEMP account FROM public.account",
        "CREATE TABLE pg_temp.account AS SELECT * FROM public.account",
        "DO $$ BEGIN EXECUTE 'CREATE TEMP TABLE account(id int, balance int)'; END $$"}) {
    const BranchId branch = BeginAndRun(sql);
    const OnePhaseResult alone = CommitOnePhase(branch);
    EXPECT_EQ(alone.outcome, OnePhase::kRefused) << sql;
    EXPECT_THAT(alone.detail, HasSubstr("temporary")) << sql;
    EXPECT_EQ(Prepare(BeginAndRun(sql)).vote, Vote::kRefused) << sql;
    const std::string before = Balance();
    EXPECT_EQ(CommitOnePhase(BeginAndRun(kUpdate)).outcome, OnePhase::kCommitted);
    EXPECT_NE(Balance(), before) << sql;
  }
}

// A function can also use the names of the statements that the session keeps.
TEST_F(LeftoversTest, Scenario95_StatementPutInThePlaceOfAKeptOne_IsNotRunForOthers) {
  const std::string read = "SELECT balance FROM account WHERE id=2";
  for (const bool prepared : {false, true}) {
    EXPECT_EQ(Select(read), "100");
    const BranchId branch = BeginAndRun(kUpdate);
    Query(branch,
          "DO $$ DECLARE n text; BEGIN FOR n IN SELECT name FROM pg_prepared_statements "
          "WHERE statement LIKE 'SELECT balance%' LOOP EXECUTE 'DEALLOCATE '||n; EXECUTE "
          "'PREPARE '||n||' AS SELECT 7::bigint'; END LOOP; END $$");
    EXPECT_EQ(Query(branch, read), "7");
    End(branch, prepared);
    EXPECT_EQ(SelectSurely(read), "100");
  }
}

TEST_F(LeftoversTest, Sessions_AreUsedAgainAndKeepTheirStatements) {
  EXPECT_EQ(Select("SELECT balance FROM account WHERE id=1"), "100");
  const uint64_t connects = manager().Stats().connects;
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(Select("SELECT balance FROM account WHERE id=1"), "100");
  }
  EXPECT_EQ(manager().Stats().connects, connects);
  EXPECT_EQ(Select("SELECT count(*) FROM pg_prepared_statements WHERE statement='SELECT "
                   "balance FROM account WHERE id=1'"),
            "1");
}

TEST_F(LeftoversTest, KeptStatements_AreThoseUsedLast) {
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(Select(absl::StrCat("SELECT ", i)), absl::StrCat(i));
    EXPECT_EQ(Select("SELECT 'always'"), "'always'");
  }
  EXPECT_EQ(Select("SELECT count(*) FROM pg_prepared_statements"), "128");
  EXPECT_EQ(Select("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE "
                   "'SELECT ''always%' OR statement='SELECT 299'"),
            "2");
}

}  // namespace
}  // namespace concordat::participant
