// The test runs the statements that the participant gives an application for its own
// connection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "participant/sdk/core/branch_number.h"
#include "tests/unit/postgresql/support.h"

namespace concordat::participant {
namespace {

using ::testing::HasSubstr;

class Session {
 public:
  explicit Session(const std::string& url)
      : connection_(PQconnectdb(url.c_str()), PQfinish) {
    EXPECT_EQ(PQstatus(connection_.get()), CONNECTION_OK);
  }
  // Returns the first field of the answer, or the tag of the last command, or "ERROR …".
  std::string Run(const std::string& sql) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
        PQexec(connection_.get(), sql.c_str()), PQclear);
    if (PQresultStatus(result.get()) == PGRES_TUPLES_OK) {
      return PQntuples(result.get()) == 0 ? "" : PQgetvalue(result.get(), 0, 0);
    }
    if (PQresultStatus(result.get()) == PGRES_COMMAND_OK)
      return PQcmdStatus(result.get());
    return PQresultErrorMessage(result.get());
  }
  // Returns the answer to the last statement, or the first error.
  std::string RunAll(const std::vector<std::string>& statements) {
    std::string answer;
    for (const std::string& sql : statements) {
      answer = Run(sql);
      if (answer.starts_with("ERROR")) break;
    }
    return answer;
  }

 private:
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

class ApplicationManagedSqlTest : public PostgresqlTest {
 protected:
  wire::ApplicationManagedBranch StartApplicationManaged(const BranchId& branch,
                                                         std::string isolation = "") {
    StartOptions options;
    options.isolation = std::move(isolation);
    auto own = manager().StartApplicationManaged(branch, options);
    EXPECT_TRUE(own.ok()) << own.status();
    return own.ok() ? *std::move(own) : wire::ApplicationManagedBranch();
  }
  BranchId NextApplicationManaged() {
    BranchId branch = NextBranch();
    branch.number = ApplicationManagedNumber(branch.number, Duration::Seconds(30));
    return branch;
  }
  // Serves the resource under a role that is not a superuser.
  void OpenAsKeeper() {
    OpenAs("keeper");
    MakeRole("app");
    Sql("REVOKE ALL ON SCHEMA concordat FROM app");
  }
};

TEST_F(ApplicationManagedSqlTest, Followed_TheBranchIsPreparedAndTheParticipantEndsIt) {
  Open();
  Session app(Url());
  for (const bool commit : {true, false}) {
    const BranchId branch = NextApplicationManaged();
    const wire::ApplicationManagedBranch own =
        StartApplicationManaged(branch, "serializable");
    EXPECT_EQ(app.Run(own.check), "");
    EXPECT_EQ(app.RunAll(own.start), "SET");
    EXPECT_EQ(app.Run("SHOW transaction_isolation"), "serializable");
    EXPECT_EQ(app.Run(own.inside), "t");
    EXPECT_EQ(LookUp(branch), Evidence::kNone);
    EXPECT_EQ(app.Run("UPDATE account SET balance=balance-1 WHERE id=1"), "UPDATE 1");
    EXPECT_EQ(app.RunAll(own.prepare), "PREPARE TRANSACTION");
    EXPECT_EQ(app.Run(own.inside), "f");
    EXPECT_EQ(LookUp(branch), Evidence::kPrepared);
    EXPECT_EQ((commit ? Commit(branch) : Rollback(branch)).state, FinishState::kDone);
    EXPECT_EQ(LookUp(branch), commit ? Evidence::kCommitted : Evidence::kNone);
    EXPECT_EQ(app.Run("SELECT balance FROM account WHERE id=1"), "99");
  }
}

TEST_F(ApplicationManagedSqlTest, OtherDatabase_IsRefusedByTheCheck) {
  Open();
  Session other(server().Url("postgres"));
  EXPECT_THAT(other.Run(StartApplicationManaged(NextApplicationManaged()).check),
              HasSubstr("the connection leads to database postgres, which is not"));
}

TEST_F(ApplicationManagedSqlTest, OtherRole_IsRefusedByTheCheck_UnlessASuperuserServes) {
  OpenAsKeeper();
  const wire::ApplicationManagedBranch own =
      StartApplicationManaged(NextApplicationManaged());
  EXPECT_THAT(Session(UrlOf("app")).Run(own.check),
              HasSubstr("the role of the connection is app, but resource bank-a is "
                        "served by role keeper"));
  EXPECT_EQ(Session(UrlOf("keeper")).Run(own.check), "");
  Close();
  Open();
  const std::string check = StartApplicationManaged(NextApplicationManaged()).check;
  EXPECT_THAT(Session(UrlOf("app")).Run(check), HasSubstr("GRANT EXECUTE"));
  Sql("GRANT USAGE ON SCHEMA concordat TO app");
  EXPECT_EQ(Session(UrlOf("app")).Run(check), "");
}

// If it were prepared, the participant could never end it.
TEST_F(ApplicationManagedSqlTest, RoleChangedInTheBranch_IsNotPrepared) {
  OpenAsKeeper();
  Sql("GRANT USAGE ON SCHEMA concordat TO app; GRANT app TO keeper");
  Session app(UrlOf("keeper"));
  const wire::ApplicationManagedBranch own =
      StartApplicationManaged(NextApplicationManaged());
  app.RunAll(own.start);
  app.Run("UPDATE account SET balance=1 WHERE id=1");
  app.Run("SET ROLE app");
  EXPECT_THAT(app.RunAll(own.prepare), HasSubstr("the role of the connection is app"));
  EXPECT_EQ(app.Run("ROLLBACK"), "ROLLBACK");
  EXPECT_EQ(EvidenceRows(), "0");
}

TEST_F(ApplicationManagedSqlTest, TransactionEndedByTheApplication_IsNotPrepared) {
  Open();
  Session app(Url());
  const std::vector<std::vector<std::string>> mistakes = {
      {"COMMIT"}, {"ROLLBACK"}, {"COMMIT", "BEGIN"}, {"COMMIT AND CHAIN"}};
  for (const auto& mistake : mistakes) {
    const BranchId branch = NextApplicationManaged();
    const wire::ApplicationManagedBranch own = StartApplicationManaged(branch);
    app.RunAll(own.start);
    app.Run("UPDATE account SET balance=1 WHERE id=1");
    app.RunAll(mistake);
    EXPECT_THAT(app.RunAll(own.prepare), HasSubstr("ended the transaction"));
    app.Run("ROLLBACK");
    EXPECT_EQ(LookUp(branch), Evidence::kNone);
  }
  EXPECT_EQ(EvidenceRows(), "0");
}

TEST_F(ApplicationManagedSqlTest, SavepointsInTheBranch_AreFine) {
  Open();
  Session app(Url());
  const BranchId branch = NextApplicationManaged();
  const wire::ApplicationManagedBranch own = StartApplicationManaged(branch);
  app.RunAll(own.start);
  app.RunAll({"SAVEPOINT a", "UPDATE account SET balance=1 WHERE id=1"});
  EXPECT_THAT(app.Run("SELECT 1/0"), HasSubstr("division"));
  app.RunAll({"ROLLBACK TO SAVEPOINT a", "UPDATE account SET balance=2 WHERE id=1"});
  EXPECT_EQ(app.RunAll(own.prepare), "PREPARE TRANSACTION");
  EXPECT_EQ(Commit(branch).state, FinishState::kDone);
  EXPECT_EQ(app.Run("SELECT balance FROM account WHERE id=1"), "2");
}

TEST_F(ApplicationManagedSqlTest, PreparedByAnApplication_IsReportedWithItsAge) {
  Later<std::vector<FoundBranch>> first;
  on_found_ = first.callback();
  DatabaseOptions options = Options();
  options.scan_interval = Duration::Millis(20);
  Open(options);
  Session app(Url());
  const BranchId branch = NextApplicationManaged();
  const wire::ApplicationManagedBranch own = StartApplicationManaged(branch);
  app.RunAll(own.start);
  EXPECT_EQ(app.RunAll(own.prepare), "PREPARE TRANSACTION");
  EXPECT_EQ(first.Get().at(0).branch, branch);
  Close();
  Sql("SELECT pg_sleep(0.3)");
  Later<std::vector<FoundBranch>> second;
  on_found_ = second.callback();
  Open(options);
  const std::vector<FoundBranch> found = second.Get();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].branch, branch);
  EXPECT_GE(found[0].prepared_for, Duration::Millis(300));
  EXPECT_EQ(Rollback(branch).state, FinishState::kDone);
}

TEST_F(ApplicationManagedSqlTest, UnknownIsolation_IsRefused) {
  Open();
  StartOptions options;
  options.isolation = "snapshot";
  EXPECT_TRUE(absl::IsInvalidArgument(
      manager().StartApplicationManaged(NextApplicationManaged(), options).status()));
  Close();
}

}  // namespace
}  // namespace concordat::participant
