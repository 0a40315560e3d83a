// What is checked before a database is served, and the messages when a check fails. Also
// other processes that serve the resource, and the pool.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/unit/mariadb/support.h"

namespace concordat::participant {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StartTest : public MariadbTest {
 protected:
  // The message of the refusal.
  std::string Refusal(MariadbOptions options) {
    const auto recovered = TryOpen(std::move(options));
    EXPECT_FALSE(recovered.ok());
    EXPECT_TRUE(absl::IsFailedPrecondition(recovered.status()) ||
                absl::IsInvalidArgument(recovered.status()))
        << recovered.status();
    return std::string(recovered.status().message());
  }
  std::string Refusal() { return Refusal(Options()); }
  std::string UrlOf(const std::string& user) {
    std::string url = Url();
    return url.replace(url.find("root@"), 5, user + "@");
  }
};

TEST_F(StartTest, ServersSettings_EachRefusalNamesTheLine) {
  testing::MariadbServerOptions options;
  options.binlog = true;
  testing::MariadbServer own(options);
  UseServer(&own);
  Open();
  const struct {
    const char* bad;
    const char* says;
    const char* good;
  } cases[] = {
      {"innodb_flush_log_at_trx_commit=2", "innodb_flush_log_at_trx_commit=1",
       "innodb_flush_log_at_trx_commit=1"},
      {"sync_binlog=0", "sync_binlog=1", "sync_binlog=1"},
      {"binlog_format=STATEMENT", "binlog_format=ROW", "binlog_format=ROW"},
      {"read_only=ON", "read_only=OFF", "read_only=OFF"},
      {"max_allowed_packet=1048576", "max_allowed_packet=8388608",
       "max_allowed_packet=16777216"},
      {"max_connections=10", "SET GLOBAL max_connections=", "max_connections=100"},
  };
  for (const auto& c : cases) {
    Sql(absl::StrCat("SET GLOBAL ", c.bad));
    EXPECT_THAT(Refusal(), HasSubstr(c.says)) << c.bad;
    Sql(absl::StrCat("SET GLOBAL ", c.good));
  }
  Sql("CREATE USER poor@localhost; GRANT ALL ON `" + Database() +
      "`.* TO poor@localhost; GRANT concordat_rm TO poor@localhost;"
      "REVOKE RELOAD ON *.* FROM concordat_rm");
  EXPECT_THAT(std::string(TryOpenAt(UrlOf("poor"), Options()).status().message()),
              AllOf(HasSubstr("RELOAD"), HasSubstr("concordat-rm init")));
  Sql("DROP TABLE concordat.branches");
  EXPECT_THAT(Refusal(), HasSubstr("concordat-rm init"));
  ASSERT_TRUE(RunMariadbInit(Url()).ok());
  ASSERT_TRUE(RunMariadbInit(Url()).ok()) << "it is repeatable";
  Open();
  Sql("ALTER TABLE concordat.branches ENGINE=Aria");
  EXPECT_THAT(Refusal(), HasSubstr("ALTER TABLE concordat.branches ENGINE=InnoDB"));
  Sql("ALTER TABLE concordat.branches ENGINE=InnoDB, ADD COLUMN extra int");
  EXPECT_THAT(Refusal(), HasSubstr("extra int"));
  UseServerAsItIs(&SharedServer());
}

TEST_F(StartTest, TableThatCannotRollBack_IsRefusedByName) {
  Sql("CREATE TABLE notes(i int) ENGINE=MyISAM");
  EXPECT_THAT(Refusal(), HasSubstr("ALTER TABLE `notes` ENGINE=InnoDB"));
  Sql("ALTER TABLE notes ENGINE=InnoDB");
  Open();
}

TEST_F(StartTest, Store_IsTheDatabaseOfItsServer) {
  Open();
  const std::string store = manager().store_id();
  EXPECT_GT(store.size(), 36u);
  EXPECT_LE(store.size(), 64u);
  Open();
  EXPECT_EQ(manager().store_id(), store);
}

TEST_F(StartTest, MissingRole_NamesTheGrant) {
  Sql("CREATE USER poor@localhost; GRANT ALL ON `" + Database() +
      "`.* TO poor@localhost");
  EXPECT_THAT(std::string(TryOpenAt(UrlOf("poor"), Options()).status().message()),
              AllOf(HasSubstr("concordat-rm init"), HasSubstr("GRANT concordat_rm TO")));
  Sql("GRANT concordat_rm TO poor@localhost");
  OpenAt(UrlOf("poor"));
  EXPECT_EQ(Commit(BeginAndPrepare("UPDATE account SET balance=1 WHERE id=1")).state,
            FinishState::kDone);
  EXPECT_EQ(
      CommitOnePhase(BeginAndRun("UPDATE account SET balance=1 WHERE id=2")).outcome,
      OnePhase::kCommitted);
  Close();
  Sql("DROP USER poor@localhost");
}

// The tables, the row of the store and the role are created, whatever the server's
// default is.
TEST_F(StartTest, ServerWithoutAutocommit_IsMadeReadyAndServed) {
  testing::MariadbServerOptions options;
  options.settings = {"--autocommit=0"};
  testing::MariadbServer own(options);
  own.Exec("CREATE DATABASE fresh");
  ASSERT_TRUE(RunMariadbInit(own.Url("fresh")).ok());
  EXPECT_EQ(own.Exec("SELECT COUNT(*) FROM concordat.store"), "1");
  EXPECT_TRUE(TryOpenAt(own.Url("fresh"), Options()).ok());
  Close();
}

// A backup runs while the process starts. The process waits, and says why.
TEST_F(StartTest, ServerThatTakesNoWrites_IsWaitedFor) {
  testing::MariadbServer own;
  UseServer(&own);
  const std::string sleep =
      "SELECT id FROM information_schema.processlist WHERE info='SELECT SLEEP(60)'";
  std::thread backup(
      [&own] { (void)own.TryExec("FLUSH TABLES WITH READ LOCK; SELECT SLEEP(60)"); });
  EXPECT_TRUE(Eventually([&] { return !own.TryExec(sleep).empty(); }));
  MariadbOptions impatient = Options();
  impatient.start_patience = Duration::Millis(100);
  const absl::Status status = TryOpen(impatient).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("takes no writes now"));
  std::thread end([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    (void)own.TryExec("KILL " + own.TryExec(sleep));
  });
  Open();
  end.join();
  backup.join();
  UseServerAsItIs(&SharedServer());
}

// Trial 3: a session uses utf8mb4, whatever the server's settings are.
TEST_F(StartTest, ServerOfAnotherCharacterSet_KeepsFourByteCharacters) {
  for (const char* setting :
       {"--init-connect=SET NAMES latin1", "--skip-character-set-client-handshake"}) {
    testing::MariadbServerOptions options;
    options.settings = {setting, "--character-set-server=latin1"};
    testing::MariadbServer own(options);
    UseServer(&own);
    // init_connect is not for superusers.
    Sql("CREATE USER app@localhost; GRANT ALL ON `" + Database() +
        "`.* TO app@localhost; GRANT concordat_rm TO app@localhost");
    Sql("CREATE TABLE note(t varchar(20) CHARACTER SET utf8mb4)");
    OpenAt(UrlOf("app"));
    for (int i = 0; i < 2; ++i) {  // the second time after the session was reset
      const BranchId branch = Begin();
      Query(branch, "INSERT INTO note VALUES (?)", {Txt("😀")});
      EXPECT_EQ(Query(branch, "SELECT t, HEX(t), @x FROM note"), "'😀','F09F9880',NULL")
          << setting;
      EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
    }
    EXPECT_TRUE(Eventually([this] { return manager().Stats().resets == 2; }));
    UseServerAsItIs(&SharedServer());
  }
}

TEST_F(StartTest, BadUrlsAndOptions_AreRefusedWithoutAServer) {
  for (const char* url : {"mysql://host", "mysql://host/", "mysql://host:x/db",
                          "mysql://host/db?nonsense=1", "mysql:///db", "nonsense"}) {
    const auto refused = TryOpenAt(url, Options());
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << url << refused.status();
  }
  MariadbOptions options = Options();
  options.default_isolation = "chaos";
  EXPECT_THAT(Refusal(options), HasSubstr("chaos"));
  options = Options();
  EXPECT_EQ(*ParseMariadbUrl("mysql://h/d?isolation=serializable&tls=verify", &options),
            "mysql://h/d?tls=verify");
  EXPECT_EQ(options.default_isolation, "serializable");
  EXPECT_FALSE(ParseMariadbUrl("mysql://h/d?isolation=none", &options).ok());
}

TEST_F(StartTest, WrongUser_IsRefusedAtOnce_AndAMissingServerAfterItsPatience) {
  EXPECT_TRUE(
      absl::IsFailedPrecondition(TryOpenAt(UrlOf("nobody-here"), Options()).status()));
  MariadbOptions options = Options();
  options.start_patience = Duration::Millis(300);
  const absl::Status status = TryOpenAt("mysql://u@/d?socket=/nowhere", options).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_TRUE(absl::IsUnavailable(manager().Start(NextBranch(), {})));
}

// --- who else is there ---

TEST_F(StartTest, OthersPreparedBranches_AreCountedListedAndNeverTouched) {
  const BranchId ours = NextBranch();
  BranchId other_resource = ours;
  other_resource.resource = "other";
  const Xid xid = MakeXid(kCluster, ours);
  Xid shifted = xid;  // like ours, but the parts have other lengths
  shifted.gtrid += xid.bqual.substr(0, 1);
  shifted.bqual = xid.bqual.substr(1);
  BranchId next = ours;
  ++next.number;
  Xid formatted = MakeXid(kCluster, next);  // like ours, but of another format
  formatted.format_id = 2;
  const std::vector<std::string> others = {
      "'a','b'", XidOf(formatted), XidOf(shifted),
      XidOf(MakeXid(ClusterId(kCluster.value() + 1), ours)), XidOf(other_resource)};
  int row = 1;
  for (const std::string& other : others) {
    Sql(absl::StrCat("XA START ", other, "; UPDATE account SET balance=1 WHERE id=",
                     ++row, "; XA END ", other, "; XA PREPARE ", other));
  }
  Sql(absl::StrCat("XA START ", XidOf(ours),
                   "; UPDATE account SET balance=1 WHERE id=1; ", "XA END ", XidOf(ours),
                   "; XA PREPARE ", XidOf(ours)));
  Open();
  EXPECT_EQ(recovered_, std::vector<BranchId>{ours});
  EXPECT_EQ(manager().Stats().prepared_here, 1u);
  EXPECT_EQ(manager().Stats().prepared_by_others, 5u);
  Later<absl::StatusOr<PreparedScan>> scan;
  manager().Scan(scan.callback());
  EXPECT_THAT(scan.Get()->others, ::testing::UnorderedElementsAreArray(others));
  EXPECT_EQ(Rollback(ours).state, FinishState::kDone);
  for (const std::string& other : others) Sql("XA ROLLBACK " + other);
}

TEST_F(StartTest, BranchThatTurnsUpLater_IsReportedOnceAndCanBeEnded) {
  Mutex mutex;
  std::vector<BranchId> reported;
  on_found_ = [&](std::vector<FoundBranch> found) {
    MutexLock lock(&mutex);
    for (const FoundBranch& item : found) reported.push_back(item.branch);
  };
  MariadbOptions options = Options();
  options.scan_interval = Duration::Millis(1);
  Open(options);
  for (int i = 0; i < 100; ++i) {  // this process's branches are never reported
    const BranchId branch = BeginAndPrepare("UPDATE account SET balance=7 WHERE id=1");
    EXPECT_EQ((i % 2 == 0 ? Commit(branch) : Rollback(branch)).state, FinishState::kDone);
  }
  BranchId late = NextBranch();
  late.incarnation = Incarnation(0x77);
  Sql(absl::StrCat("XA START ", XidOf(late),
                   "; UPDATE account SET balance=1 WHERE id=1; ", "XA END ", XidOf(late),
                   "; XA PREPARE ", XidOf(late)));
  EXPECT_TRUE(Eventually([&] {
    MutexLock lock(&mutex);
    return !reported.empty();
  }));
  EXPECT_EQ(Commit(late).state, FinishState::kDone);
  Close();
  EXPECT_EQ(reported, std::vector<BranchId>{late});
}

// The sessions of the earlier process are ended on the server before its branches are
// reported. That process may try to come back, but serves nothing.
TEST_F(StartTest, TheLastToStart_TakesTheResourceOver) {
  const auto old = MakeMariadb(Url(), Options());
  Later<absl::StatusOr<std::vector<BranchId>>> served;
  old->Recover(kCluster, served.callback());
  ASSERT_TRUE(served.Get().ok());
  std::vector<BranchId> branches;
  std::vector<std::unique_ptr<Call>> calls;
  for (int id : {1, 2}) {
    branches.push_back(NextBranch());
    branches.back().incarnation = Incarnation(1);
    ASSERT_TRUE(old->Start(branches.back(), {}).ok());
    calls.push_back(std::make_unique<Call>());
    calls.back()->request.__set_sql(
        {Stmt(absl::StrCat("UPDATE account SET balance=1 WHERE id=", id))});
    old->Execute(branches.back(), calls.back()->request, calls.back()->reply.callback());
    ASSERT_EQ(calls.back()->reply.Get().result.code, wire::Code::OK);
  }
  Later<PrepareResult> vote;
  old->Prepare(branches[1], vote.callback());
  ASSERT_EQ(vote.Get().vote, Vote::kPrepared);

  Open();
  EXPECT_EQ(recovered_, std::vector<BranchId>{branches[1]});
  EXPECT_EQ(LookUp(branches[0]), Evidence::kNone);
  Later<OnePhaseResult> late;
  old->CommitOnePhase(branches[0], late.callback());
  EXPECT_NE(late.Get().outcome, OnePhase::kCommitted);
  EXPECT_EQ(Sql("SELECT balance FROM account WHERE id=1"), "100");
  EXPECT_TRUE(
      Eventually([&] { return absl::IsUnavailable(old->Start(NextBranch(), {})); }));
  EXPECT_EQ(Commit(branches[1]).state, FinishState::kDone)
      << "the session that prepared it is gone";
  // When the new process ends, the old one may serve again.
  Close();
  EXPECT_TRUE(Eventually([&] { return old->Start(NextBranch(), {}).ok(); }));
  old->Close();
}

// --- the pool ---

TEST_F(StartTest, AllConnectionsInUse_OverloadedAndTheBranchLivesOn) {
  MariadbOptions options = Options();
  options.max_connections = 2;
  options.connection_wait = Duration::Millis(100);
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

// No coordinator answers, and there are more branches in doubt than connections.
TEST_F(StartTest, Scenario32_ManyInDoubt_GiveTheirConnectionsUpToWork) {
  MariadbOptions options = Options();
  options.max_connections = 2;
  Open(options);
  std::vector<BranchId> in_doubt;
  for (int id = 1; id <= 7; ++id) {
    in_doubt.push_back(
        BeginAndPrepare(absl::StrCat("UPDATE account SET balance=1 WHERE id=", id)));
  }
  EXPECT_GE(manager().Stats().detached, 5u);
  EXPECT_EQ(Prepared().size(), 7u);
  for (size_t i = 0; i < in_doubt.size(); ++i) {
    EXPECT_EQ((i % 2 == 0 ? Commit(in_doubt[i]) : Rollback(in_doubt[i])).state,
              FinishState::kDone);
  }
  EXPECT_EQ(Sql("SELECT sum(balance) FROM account"), std::to_string(4 + 600));
}

TEST_F(StartTest, Close_RollsBackActiveBranchesAndKeepsPreparedOnes) {
  Open();
  const BranchId active = BeginAndRun("UPDATE account SET balance=1 WHERE id=1");
  const BranchId prepared = BeginAndPrepare("UPDATE account SET balance=2 WHERE id=2");
  const auto waiting =
      ExecuteLater(Begin(), {Stmt("UPDATE account SET balance=3 WHERE id=2")});
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
