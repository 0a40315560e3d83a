// What a client's statements can do to Concordat's tables and sessions. The resource is
// served under a role that has no rights of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/postgresql/rights_fixture.h"

namespace concordat::participant {
namespace {

using ::testing::HasSubstr;
using wire::Code;

// --- Concordat's own ---

TEST_F(RightsTest, Scenario97_ConcordatsTables_CannotBeChangedWhateverTheyAreCalled) {
  const BranchId committed = BeginAndRun(kUpdate);
  EXPECT_EQ(CommitOnePhase(committed).outcome, OnePhase::kCommitted);
  const BranchId branch = Begin();
  for (const char* sql :
       {"UPDATE concordat.generations SET generation=0",
        "DELETE FROM concordat . branches",
        "DELETE FROM \"concordat\".\"branches\"",
        "DELETE FROM Concordat./**/Branches",
        "INSERT INTO concordat.branches SELECT * FROM concordat.branches",
        "TRUNCATE concordat.branches",
        "SELECT secret FROM concordat.sessions",
        "DELETE FROM concordat.sessions",
        "SELECT * FROM concordat.branches FOR UPDATE",
        "LOCK TABLE concordat.branches IN EXCLUSIVE MODE",
        "ALTER TABLE concordat.branches ADD x int",
        "DROP SCHEMA concordat CASCADE",
        "CREATE TABLE concordat.more(x int)",
        "CREATE TRIGGER t BEFORE INSERT ON concordat.branches EXECUTE FUNCTION "
        "suppress_redundant_updates_trigger()",
        "CREATE OR REPLACE FUNCTION concordat.session(secret text) RETURNS "
        "concordat.sessions LANGUAGE sql AS 'SELECT NULL::concordat.sessions'",
        "SET LOCAL ROLE concordat_owner",
        "GRANT concordat_owner TO app",
        "SELECT concordat.session('x')",
        "SELECT concordat.open_session('x','bank-a',1)",
        "SELECT concordat.forget('x',1,100,100,100)",
        "SELECT concordat.read_generation('x')",
        "SELECT concordat.set_generation('x',0,9)",
        "SELECT concordat.add_evidence('x',1,7,99,1,1,true,current_user)",
        "SELECT concordat.add_evidence(NULL,1,7,99,1,1,true,current_user)",
        "SELECT concordat.add_application_managed_evidence('bank-a',1,1,7,99,1,1)",
        "SELECT "
        "concordat.add_application_managed_evidence('bank-a',1,1,7,99,1,(1::bigint<<62)|"
        "1)"}) {
    const wire::ExecuteReply reply = Execute(branch, sql);
    EXPECT_EQ(reply.result.code, Code::INVALID) << sql << ": " << reply.result.message;
  }
  Query(branch, "SET LOCAL search_path = concordat, pg_catalog");
  EXPECT_EQ(Execute(branch, "DELETE FROM branches").result.code, Code::INVALID);
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
  EXPECT_EQ(EvidenceRows(), "1");
  EXPECT_EQ(LookUp(committed), Evidence::kCommittedAlone);
}

// The resource manager still learns that the branch has written.
TEST_F(RightsTest, Scenario97_FunctionsInFrontOfPgCatalog_DoNotHideAWrite) {
  Sql("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO app;"
      "CREATE FUNCTION evil.pg_current_xact_id_if_assigned() RETURNS text LANGUAGE sql "
      "AS "
      "'SELECT NULL'");
  MakeFunction("UPDATE account SET balance=7 WHERE id=1; RETURN 1", "int");
  const BranchId branch = Begin();
  EXPECT_EQ(Execute(branch, {Stmt("SET LOCAL search_path = evil, pg_catalog"),
                             Stmt("SELECT public.f()")})
                .result.code,
            Code::INVALID)
      << "account is not to be seen there";
  EXPECT_EQ(Execute(branch, {Stmt("SET LOCAL search_path = evil, pg_catalog, public"),
                             Stmt("SELECT public.f()")})
                .result.code,
            Code::OK);
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Balance(), "7");
}

// A role may set its own search_path, for all later sessions.
TEST_F(RightsTest, Scenario97_OperatorsInTheRolesSearchPath_AreNotOurs) {
  Sql("CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO app;"
      "CREATE FUNCTION evil.never(text, text) RETURNS bool LANGUAGE sql AS "
      "'SELECT false'; CREATE OPERATOR evil.= (LEFTARG=text, RIGHTARG=text, "
      "FUNCTION=evil.never)");
  Close();
  Sql("ALTER ROLE app SET search_path = evil, pg_catalog, public");
  OpenAt(UrlOf("app"));
  const BranchId branch = BeginAndPrepare(kUpdate);
  EXPECT_EQ(LookUp(branch), Evidence::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(LookUp(branch), Evidence::kCommitted);
  EXPECT_EQ(Balance(), "99");
  EXPECT_EQ(Select("SELECT 'a'::text = 'a'"), "0") << "the client has its own";
}

// The next process that serves the resource ends the sessions that this one has left,
// whatever their names are.
TEST_F(RightsTest, Scenario97_SessionThatWasGivenAnotherName_IsFoundAndEnded) {
  const BranchId branch = BeginAndRun(kUpdate);
  Query(branch, "SELECT set_config('application_name','harmless',false)");
  const auto next = MakePostgresql(UrlOf("app"), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> served;
  next->Recover(kCluster, served.callback());
  ASSERT_TRUE(served.Get().ok());
  EXPECT_EQ(
      Sql("SELECT count(*) FROM pg_stat_activity WHERE application_name='harmless'"),
      "0");
  EXPECT_NE(Prepare(branch).vote, Vote::kPrepared);
  next->Close();
}

// It can do so, because the role is the same. No wrong outcome is reported, and work goes
// on.
TEST_F(RightsTest, Scenario97_ClientThatEndsAllSessionsOfTheRole_HarmsNoOutcome) {
  const BranchId prepared = BeginAndPrepare(kUpdate);
  const BranchId killer = Begin();
  (void)Execute(killer,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                "usename=current_user ORDER BY pid=pg_backend_pid()");
  EXPECT_TRUE(Eventually([&] { return Commit(prepared).state == FinishState::kDone; }));
  EXPECT_EQ(Balance(), "99");
  EXPECT_TRUE(Eventually([&] {
    const BranchId branch = NextBranch();
    if (!manager().Start(branch, {}).ok()) return false;
    const bool done = Execute(branch, kUpdate).result.code == Code::OK;
    return done && CommitOnePhase(branch).outcome == OnePhase::kCommitted;
  }));
}

// An application that has the role's password uses its own connection.
TEST_F(RightsTest, Scenario97_OwnEvidence_IsForBranchesOfApplicationsOnly) {
  const std::unique_ptr<PGconn, void (*)(PGconn*)> own(PQconnectdb(UrlOf("app").c_str()),
                                                       PQfinish);
  const auto run = [&own](const char* sql) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> r(PQexec(own.get(), sql),
                                                           PQclear);
    return std::string(PQresultErrorMessage(r.get()));
  };
  EXPECT_THAT(
      run("SELECT concordat.add_application_managed_evidence('bank-a',1,1,7,99,1,1)"),
      HasSubstr("only the participant"));
  EXPECT_EQ(run("SELECT "
                "concordat.add_application_managed_evidence('bank-a',1,1,7,99,1,(1::"
                "bigint<<62)|1)"),
            "");
}

// One session has listed the sessions before the other came. It must not take the other's
// row for that of a session that is gone.
TEST_F(RightsTest, SessionsThatOpenAtTheSameTime_AreBothKnown) {
  using Connection = std::unique_ptr<PGconn, void (*)(PGconn*)>;
  const auto run = [](const Connection& connection, const char* sql) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> r(PQexec(connection.get(), sql),
                                                           PQclear);
    return std::string(PQresultErrorMessage(r.get()));
  };
  const Connection one(PQconnectdb(UrlOf("app").c_str()), PQfinish);
  EXPECT_EQ(run(one, "BEGIN"), "");
  EXPECT_EQ(run(one, "SELECT count(*) FROM pg_stat_get_activity(NULL)"), "");
  const Connection other(PQconnectdb(UrlOf("app").c_str()), PQfinish);
  EXPECT_EQ(run(other, "SELECT concordat.open_session('other','bank-b',1)"), "");
  EXPECT_EQ(run(one, "SELECT concordat.open_session('one','bank-b',1)"), "");
  EXPECT_EQ(run(one, "COMMIT"), "");
  EXPECT_EQ(run(other, "SELECT concordat.read_generation('other')"), "");
  EXPECT_EQ(run(one, "SELECT concordat.read_generation('one')"), "");
}

// --- another role ---

TEST_F(RightsTest, RoleChangedInTheBranch_IsRefusedBeforeTheVote) {
  Sql("CREATE ROLE tenant; GRANT ALL ON account TO tenant; GRANT tenant TO app");
  for (const bool may_write_evidence : {false, true}) {
    if (may_write_evidence) {
      ASSERT_TRUE(RunPostgresqlInit(Url(), "tenant").ok());
    }
    for (const char* role :
         {"SET LOCAL ROLE tenant", "SELECT set_config('role','tenant',false)",
          "DO $$ BEGIN EXECUTE 'SET ROLE tenant'; END $$"}) {
      for (const bool alone : {false, true}) {
        const BranchId branch = BeginAndRun(kUpdate);
        Query(branch, role);
        std::string why;
        if (alone) {
          const OnePhaseResult result = CommitOnePhase(branch);
          EXPECT_EQ(result.outcome, OnePhase::kRefused);
          why = result.detail;
        } else {
          const PrepareResult result = Prepare(branch);
          EXPECT_EQ(result.vote, Vote::kRefused);
          why = result.detail;
        }
        EXPECT_THAT(why, HasSubstr("role")) << role;
        EXPECT_THAT(why, HasSubstr("RESET ROLE")) << role;
      }
    }
  }
  // Once the role is reset, the next branch can be prepared.
  const BranchId branch = BeginAndRun("SET LOCAL ROLE tenant");
  Query(branch, kUpdate);
  Query(branch, "SET LOCAL ROLE NONE");
  EXPECT_EQ(Prepare(branch).vote, Vote::kPrepared);
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(Select("SELECT current_user"), "'app'");
  Sql("DROP OWNED BY tenant; DROP ROLE tenant");
}

TEST_F(RightsTest, RoleChangedByADeferredTrigger_IsRefusedBeforeTheVote) {
  Sql("CREATE ROLE tenant; GRANT tenant TO app");
  MakeDeferredTrigger("PERFORM set_config('role','tenant',true)");
  EXPECT_EQ(Prepare(BeginAndRun(kUpdate)).vote, Vote::kRefused);
  Sql("DROP ROLE tenant");
}

// --- locks that are to last until the decision (trial 12) ---

TEST_F(RightsTest, LockWithoutAWrite_IsHeldUntilTheDecision) {
  for (const char* sql :
       {"SELECT pg_advisory_xact_lock(5)", "LOCK TABLE account IN SHARE MODE"}) {
    const BranchId branch = BeginAndPrepare(sql);
    EXPECT_NE(Sql("SELECT count(*) FROM pg_locks l WHERE granted AND pid IS NULL AND "
                  "(locktype='advisory' OR mode='ShareLock')"),
              "0")
        << sql;
    EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  }
}

}  // namespace
}  // namespace concordat::participant
