// What is checked before a database is served, and the messages when a check fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/postgresql/support.h"

namespace concordat::participant {
namespace {

class StartTest : public PostgresqlTest {
 protected:
  // The message of the refusal.
  std::string Refusal(DatabaseOptions options) {
    const auto recovered = TryOpen(std::move(options));
    EXPECT_FALSE(recovered.ok());
    EXPECT_TRUE(absl::IsFailedPrecondition(recovered.status()) ||
                absl::IsInvalidArgument(recovered.status()))
        << recovered.status();
    return std::string(recovered.status().message());
  }
  std::string Refusal() { return Refusal(Options()); }
  std::string RefusalAs(const std::string& role) {
    const absl::Status status = TryOpenAt(UrlOf(role), Options()).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    return std::string(status.message());
  }
};

using ::testing::HasSubstr;

TEST_F(StartTest, NoEvidenceTable_NamesTheCommand) {
  Sql("DROP SCHEMA concordat CASCADE");
  EXPECT_THAT(Refusal(), HasSubstr("concordat-rm init"));
  ASSERT_TRUE(RunPostgresqlInit(Url()).ok());
  Open();
  ASSERT_TRUE(RunPostgresqlInit(Url()).ok()) << "it is repeatable";
}

TEST_F(StartTest, EvidenceTableOfAnotherShape_IsRefused) {
  Sql("ALTER TABLE concordat.branches ADD COLUMN extra int");
  EXPECT_THAT(Refusal(), HasSubstr("extra integer"));
  Sql("ALTER TABLE concordat.branches DROP COLUMN extra;"
      "ALTER TABLE concordat.branches DROP CONSTRAINT branches_pkey");
  EXPECT_THAT(Refusal(), HasSubstr("primary key"));
}

TEST_F(StartTest, Store_IsTheDatabaseOfItsServer) {
  Open();
  const std::string store = manager().store_id();
  EXPECT_GT(store.size(), 10u);
  EXPECT_LE(store.size(), 64u);
  Open();
  EXPECT_EQ(manager().store_id(), store);
}

TEST_F(StartTest, UnloggedEvidence_IsRefused) {
  Sql("ALTER TABLE concordat.branches SET UNLOGGED");
  EXPECT_THAT(Refusal(), HasSubstr("SET LOGGED"));
}

TEST_F(StartTest, MissingRights_NamesTheGrant) {
  MakeRole("poor");
  Sql("REVOKE ALL ON SCHEMA concordat FROM poor");
  EXPECT_THAT(RefusalAs("poor"), HasSubstr("GRANT USAGE ON SCHEMA concordat TO poor"));
  ASSERT_TRUE(RunPostgresqlInit(Url(), "poor").ok());
  Sql("REVOKE EXECUTE ON FUNCTION concordat.forget FROM poor");
  EXPECT_THAT(RefusalAs("poor"), HasSubstr("GRANT EXECUTE ON FUNCTION"));
  ASSERT_TRUE(RunPostgresqlInit(Url(), "poor").ok());
  OpenAt(UrlOf("poor"));
}

TEST_F(StartTest, Scenario97_RoleThatMayWriteTheTablesItself_IsRefused) {
  MakeRole("rich");
  Sql("GRANT UPDATE ON concordat.generations TO rich");
  EXPECT_THAT(RefusalAs("rich"),
              HasSubstr("rich may write concordat.generations itself"));
  ASSERT_TRUE(RunPostgresqlInit(Url(), "rich").ok()) << "takes it back";
  OpenAt(UrlOf("rich"));
  Close();
  Sql("CREATE ROLE between_them; GRANT concordat_owner TO between_them; ALTER ROLE rich "
      "NOINHERIT; GRANT between_them TO rich");
  EXPECT_THAT(RefusalAs("rich"), HasSubstr("REVOKE concordat_owner FROM rich"));
  Sql("DROP ROLE between_them");
}

// An earlier version has left tables that belong to the working role.
TEST_F(StartTest, DatabaseOfAnEarlierVersion_IsRefusedUntilItIsMadeReadyOnceMore) {
  MakeRole("early");
  Sql("COMMENT ON SCHEMA concordat IS NULL");
  EXPECT_THAT(RefusalAs("early"), HasSubstr("once more"));
  Sql("DROP TABLE concordat.sessions CASCADE; ALTER TABLE concordat.branches OWNER TO "
      "early; ALTER TABLE concordat.generations OWNER TO early; GRANT INSERT, DELETE ON "
      "concordat.branches TO PUBLIC; DROP FUNCTION concordat.add_evidence; CREATE "
      "FUNCTION "
      "concordat.add_evidence(text,bigint,bigint,bigint,bigint,bigint,boolean,name) "
      "RETURNS void LANGUAGE sql AS ''");
  EXPECT_THAT(RefusalAs("early"), HasSubstr("early may write concordat.branches itself"));
  ASSERT_TRUE(RunPostgresqlInit(Url(), "early").ok());
  OpenAt(UrlOf("early"));
}

// Managed servers have no superuser: the owner of the database may create roles.
TEST_F(StartTest, MadeReadyByAnOwnerThatIsNoSuperuser) {
  testing::PostgresqlServer own;
  UseServer(&own);
  Sql("DROP SCHEMA concordat CASCADE; CREATE ROLE dba LOGIN CREATEROLE; GRANT "
      "pg_read_all_stats TO dba WITH ADMIN OPTION; CREATE ROLE app LOGIN; ALTER "
      "DATABASE " +
      Database() +
      " OWNER TO dba; DROP OWNED BY concordat_owner; DROP ROLE concordat_owner");
  ASSERT_TRUE(RunPostgresqlInit(UrlOf("dba"), "app").ok());
  ASSERT_TRUE(RunPostgresqlInit(UrlOf("dba"), "app").ok()) << "it is repeatable";
  EXPECT_EQ(Sql("SELECT pg_has_role('dba','concordat_owner','MEMBER')"), "f");
  OpenAt(UrlOf("app"));
  UseServerAsItIs(&SharedServer());
}

TEST_F(StartTest, BadUrlsAndOptions_AreRefusedWithoutAServer) {
  for (const char* url : {"postgresql://host", "postgresql://host/db?nonsense=1",
                          "postgresql://[half/db", "nonsense"}) {
    const auto manager = MakePostgresql(url, Options());
    Later<absl::StatusOr<std::vector<BranchId>>> done;
    manager->Recover(kCluster, done.callback());
    EXPECT_TRUE(absl::IsInvalidArgument(done.Get().status())) << url;
  }
  DatabaseOptions options = Options();
  options.default_isolation = "chaos";
  EXPECT_THAT(Refusal(options), HasSubstr("chaos"));
  options = Options();
  options.resource = "No Name";
  EXPECT_THAT(Refusal(options), HasSubstr("No Name"));
  options = Options();
  options.max_connections = 1000;
  EXPECT_THAT(Refusal(options), HasSubstr("max_connections is 100"));
}

TEST_F(StartTest, ServerNotReached_UnavailableAfterItsPatience) {
  DatabaseOptions options = Options();
  options.start_patience = Duration::Millis(300);
  const auto manager = MakePostgresql("postgresql://%2Fnowhere/db", options);
  Later<absl::StatusOr<std::vector<BranchId>>> done;
  manager->Recover(kCluster, done.callback());
  const absl::Status status = done.Get().status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(absl::IsUnavailable(manager->Start(NextBranch(), {})));
}

// Nobody waits when the next attempt would be refused too.
TEST_F(StartTest, NoSuchDatabaseOrRole_IsRefusedAtOnce) {
  EXPECT_THAT(
      std::string(TryOpenAt(server().Url("nowhere"), Options()).status().message()),
      HasSubstr("\"nowhere\" does not exist"));
  EXPECT_THAT(RefusalAs("nobody_known"), HasSubstr("\"nobody_known\" does not exist"));
}

TEST_F(StartTest, ServerIsDown_IsSaidAndNothingElse) {
  testing::PostgresqlServer own;
  UseServer(&own);
  Open();
  own.Kill();
  std::string why;
  EXPECT_TRUE(Eventually([&] {
    why = std::string(manager().Start(NextBranch(), {}).message());
    return why.find("waiting for the database") != std::string::npos;
  })) << why;
  EXPECT_EQ(why.find("another process"), std::string::npos) << why;
  own.Start();
  EXPECT_TRUE(Eventually([&] { return manager().Start(NextBranch(), {}).ok(); }));
  UseServerAsItIs(&SharedServer());
}

TEST_F(StartTest, DatabaseReadOnlyForTheRole_IsRefused) {
  Sql("CREATE ROLE reader LOGIN SUPERUSER; ALTER ROLE reader SET "
      "default_transaction_read_only=on");
  std::string url = Url();
  url.replace(url.find("postgres@"), 9, "reader@");
  const auto manager = MakePostgresql(url, Options());
  Later<absl::StatusOr<std::vector<BranchId>>> done;
  manager->Recover(kCluster, done.callback());
  EXPECT_THAT(std::string(done.Get().status().message()), HasSubstr("read-only"));
  manager->Close();
  Sql("DROP ROLE reader");
}

TEST_F(StartTest, NoPreparedTransactions_NamesTheLineAndTheFile) {
  testing::PostgresqlServerOptions none;
  none.max_prepared_transactions = 0;
  testing::PostgresqlServer own(none);
  UseServer(&own);
  const std::string refusal = Refusal();
  EXPECT_THAT(refusal, HasSubstr("max_prepared_transactions = 100"));
  EXPECT_THAT(refusal, HasSubstr("postgresql.conf"));
  own.Stop();
  own.Set("max_prepared_transactions", "10");
  own.Start();
  Open();
  Close();
  // Starts the same server as a standby.
  own.Stop();
  own.BecomeStandby();
  own.Start();
  EXPECT_THAT(Refusal(), HasSubstr("standby"));
  UseServerAsItIs(&SharedServer());
}

// --- who else is there ---

TEST_F(StartTest, OthersPreparedTransactions_AreCountedListedAndNeverTouched) {
  const BranchId ours = NextBranch();
  BranchId other_resource = ours;
  other_resource.resource = "bank-b";
  expected_left_ = {"concordat_", "concordat_x-1.2.3_bank-a.1.1", "somebody's",
                    XidText(MakeXid(ClusterId(kCluster.value() + 1), ours)),
                    XidText(MakeXid(kCluster, other_resource))};
  for (const std::string& gid : expected_left_) {
    std::string quoted = gid;
    if (quoted == "somebody's") quoted = "somebody''s";
    Sql("BEGIN; CREATE TABLE t" + std::to_string(&gid - expected_left_.data()) +
        "(i int); PREPARE TRANSACTION '" + quoted + "'");
  }
  Sql("BEGIN; UPDATE account SET balance=1 WHERE id=1; PREPARE TRANSACTION '" +
      Gid(ours) + "'");
  Open();
  EXPECT_EQ(recovered_, std::vector<BranchId>{ours});
  EXPECT_EQ(manager().Stats().prepared_here, 1u);
  EXPECT_EQ(manager().Stats().prepared_by_others, 5u);
  Later<absl::StatusOr<PreparedScan>> scan;
  manager().Scan(scan.callback());
  const auto found = scan.Get();
  ASSERT_TRUE(found.ok());
  std::vector<BranchId> listed;
  for (const FoundBranch& item : found->ours) listed.push_back(item.branch);
  EXPECT_EQ(listed, recovered_);
  EXPECT_THAT(found->others, ::testing::UnorderedElementsAreArray(expected_left_));
  EXPECT_EQ(Rollback(ours).state, FinishState::kDone);
  // "somebody's" is rolled back here: the fixture does not quote.
  Sql("ROLLBACK PREPARED 'somebody''s'");
  std::erase(expected_left_, "somebody's");
}

TEST_F(StartTest, PreparedInAnotherDatabase_IsNotOurs) {
  const BranchId branch = NextBranch();
  server().Exec("BEGIN; CREATE TABLE x(i int); PREPARE TRANSACTION '" + Gid(branch) +
                "'");
  Open();
  EXPECT_TRUE(recovered_.empty());
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  server().Exec("ROLLBACK PREPARED '" + Gid(branch) + "'");
}

// The sessions of the earlier process are ended in the database before its branches are
// reported. That process may try to come back, but serves nothing.
TEST_F(StartTest, TheLastToStart_TakesTheResourceOver) {
  const auto old = MakePostgresql(Url(), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> served;
  old->Recover(kCluster, served.callback());
  ASSERT_TRUE(served.Get().ok());
  BranchId branch = NextBranch();
  branch.incarnation = Incarnation(1);
  ASSERT_TRUE(old->Start(branch, {}).ok());
  Call call;
  call.request.__set_sql({Stmt("UPDATE account SET balance=1 WHERE id=1")});
  old->Execute(branch, call.request, call.reply.callback());
  ASSERT_EQ(call.reply.Get().result.code, wire::Code::OK);

  Open();
  EXPECT_EQ(LookUp(branch), Evidence::kNone);
  Later<OnePhaseResult> late;
  old->CommitOnePhase(branch, late.callback());
  EXPECT_NE(late.Get().outcome, OnePhase::kCommitted);
  EXPECT_EQ(Sql("SELECT balance FROM account WHERE id=1"), "100");
  EXPECT_TRUE(
      Eventually([&] { return absl::IsUnavailable(old->Start(NextBranch(), {})); }));
  EXPECT_EQ(
      CommitOnePhase(BeginAndRun("UPDATE account SET balance=2 WHERE id=1")).outcome,
      OnePhase::kCommitted);
  // When the new process ends, the old one may serve again.
  Close();
  EXPECT_TRUE(Eventually([&] { return old->Start(NextBranch(), {}).ok(); }));
  old->Close();
}

TEST_F(StartTest, TwoResourcesInOneDatabase_DoNotDisturbEachOther) {
  Open();
  const BranchId branch = BeginAndPrepare("UPDATE account SET balance=1 WHERE id=1");
  DatabaseOptions options = Options();
  options.resource = "bank-b";
  const auto other = MakePostgresql(Url(), options);
  Later<absl::StatusOr<std::vector<BranchId>>> done;
  other->Recover(kCluster, done.callback());
  const auto recovered = done.Get();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_TRUE(recovered->empty());
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  other->Close();
}

// --- the pool ---

TEST_F(StartTest, AllConnectionsInUse_OverloadedAndTheBranchLivesOn) {
  DatabaseOptions options = Options();
  options.max_connections = 2;
  options.connection_wait = Duration::Seconds(2);
  Open(options);
  const BranchId a = BeginAndRun("SELECT 1");
  const BranchId b = BeginAndRun("SELECT 1");
  const BranchId c = Begin();
  EXPECT_EQ(Execute(c, "SELECT 1").result.code, wire::Code::OVERLOADED);
  EXPECT_EQ(Rollback(a).state, FinishState::kDone);
  EXPECT_EQ(Query(c, "SELECT 5"), "5");
  EXPECT_EQ(Rollback(b).state, FinishState::kDone);
  EXPECT_EQ(Rollback(c).state, FinishState::kDone);
}

TEST_F(StartTest, WaitersGetConnectionsInTurn_AndARollbackLeavesTheQueue) {
  DatabaseOptions options = Options();
  options.max_connections = 1;
  Open(options);
  const BranchId first = BeginAndRun("SELECT 1");
  const BranchId second = Begin();
  const auto given_up = ExecuteLater(second, {Stmt("SELECT 2")});
  const BranchId third = Begin();
  const auto served = ExecuteLater(third, {Stmt("SELECT 3")});
  EXPECT_EQ(Rollback(second).state, FinishState::kDone);
  EXPECT_EQ(given_up->reply.Get().result.code, wire::Code::BRANCH_GONE);
  EXPECT_EQ(Rollback(first).state, FinishState::kDone);
  EXPECT_EQ(Show(served->reply.Get().sql.at(0)), "3");
  EXPECT_EQ(Rollback(third).state, FinishState::kDone);
}

TEST_F(StartTest, TooManyBranches_RefusedAtStart) {
  DatabaseOptions options = Options();
  options.max_branches = 2;
  Open(options);
  const BranchId a = Begin();
  const BranchId b = Begin();
  EXPECT_TRUE(absl::IsResourceExhausted(manager().Start(NextBranch(), {})));
  EXPECT_EQ(Rollback(a).state, FinishState::kDone);
  const BranchId c = Begin();
  EXPECT_EQ(Rollback(b).state, FinishState::kDone);
  EXPECT_EQ(Rollback(c).state, FinishState::kDone);
}

TEST_F(StartTest, Close_RollsBackActiveBranchesAndKeepsPreparedOnes) {
  Open();
  const BranchId active = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  const BranchId prepared = BeginAndPrepare("UPDATE account SET balance=2 WHERE id=2");
  const auto waiting = ExecuteLater(
      Begin(),
      {Stmt("UPDATE account SET balance=3 WHERE id=2")});  // for the prepared one
  const double begin = testing::NowSeconds();
  manager().Close();
  EXPECT_LT(testing::NowSeconds() - begin, 3.0);
  EXPECT_NE(waiting->reply.Get().result.code, wire::Code::OK);
  Open();
  EXPECT_EQ(recovered_, std::vector<BranchId>{prepared});
  EXPECT_EQ(Commit(prepared).state, FinishState::kDone);
  EXPECT_EQ(Sql("SELECT balance FROM account WHERE id=1"), "100");
  EXPECT_EQ(LookUp(active), Evidence::kNone);
}

}  // namespace
}  // namespace concordat::participant
