// Enlist in the program that uses it: what Commit says, and how the connection is left.
#include "coordinator/client/postgresql/enlist.h"

#include <gmock/gmock.h>
#include <libpq-fe.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/client/client.h"
#include "coordinator/client/operations.h"
#include "tests/databases/enlist_fixture.h"

namespace concordat::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Keys = std::set<std::string>;

class Connection {
 public:
  explicit Connection(const std::string& url)
      : connection_(PQconnectdb(url.c_str()), PQfinish) {
    EXPECT_EQ(PQstatus(get()), CONNECTION_OK);
    PQsetNoticeProcessor(
        get(), [](void*, const char*) {}, nullptr);
  }
  [[nodiscard]] PGconn* get() const { return connection_.get(); }
  // Empty: success; otherwise the error.
  std::string Run(const std::string& sql) const {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
        PQexec(get(), sql.c_str()), PQclear);
    return PQresultErrorMessage(result.get());
  }
  [[nodiscard]] bool idle() const { return PQtransactionStatus(get()) == PQTRANS_IDLE; }

 private:
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

std::string Insert(const std::string& key) {
  return absl::StrCat("INSERT INTO ledger VALUES ('", key, "')");
}

class EnlistApiTest : public EnlistTest {
 protected:
  EnlistApiTest() {
    StartNode();
    StartParticipant();
    client::ClientOptions options;
    options.coordinators = {client_address_};
    client_ = *client::Client::Connect(options);
    a_ = std::make_unique<Connection>(Url("bank_a"));
    b_ = std::make_unique<Connection>(Url("bank_b"));
  }
  client::Transaction Begin() {
    auto begun = client_->Begin();
    EXPECT_TRUE(begun.ok()) << begun.status();
    return *std::move(begun);
  }
  void EnlistAndRun(client::Transaction* t, const Connection& connection,
                    const std::string& sql, client::EnlistOptions options = {}) {
    const auto branch = client::Enlist(t, connection.get(), Bank(connection), options);
    ASSERT_TRUE(branch.ok()) << branch.status();
    ASSERT_EQ(connection.Run(sql), "");
  }
  static std::string Bank(const Connection& connection) {
    return std::string(PQdb(connection.get())) == "bank_a" ? "bank-a" : "bank-b";
  }
  void ExpectNothing() {
    EXPECT_TRUE(NothingPreparedWithin(60));
    EXPECT_THAT(Ledger("bank_a"), IsEmpty());
    EXPECT_THAT(Ledger("bank_b"), IsEmpty());
    EXPECT_EQ(database_.Exec("SELECT count(*) FROM concordat.branches", "bank_a"), "0");
  }

  std::unique_ptr<client::Client> client_;
  std::unique_ptr<Connection> a_;
  std::unique_ptr<Connection> b_;
};

TEST_F(EnlistApiTest, OwnConnections_AndOrdinaryBranches_CommitTogether) {
  for (const char* key : {"one", "two"}) {  // the connections are free again
    client::Transaction t = Begin();
    EnlistAndRun(&t, *a_, Insert(key));
    ASSERT_TRUE(t.Sql("bank-b", client::Sql(Insert(key))).ok());
    ASSERT_TRUE(t.Kv("kv-c", {client::Put(key, "1")}).ok());
    const client::CommitResult result = t.Commit();
    EXPECT_TRUE(result.committed()) << result;
    EXPECT_TRUE(a_->idle());
    EXPECT_TRUE(client_->Ask(result.gtid).committed());
  }
  EXPECT_EQ(Ledger("bank_a"), (Keys{"one", "two"}));
  EXPECT_EQ(Ledger("bank_b"), (Keys{"one", "two"}));
}

// Its coordinator knows it: one phase at the resource is not for a prepared branch.
TEST_F(EnlistApiTest, OneBranchAlone_CommitsInTwoPhases) {
  client::Transaction t = Begin();
  EnlistAndRun(&t, *a_, "SELECT 1");
  const client::CommitResult result = t.Commit();
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_TRUE(client_->Ask(result.gtid).committed());
}

TEST_F(EnlistApiTest, TwoConnectionsAtOneResource_AreTwoBranches) {
  Connection other(Url("bank_a"));
  client::Transaction t = Begin();
  EnlistAndRun(&t, *a_, Insert("one"));
  EnlistAndRun(&t, other, Insert("two"));
  EXPECT_TRUE(t.Commit().committed());
  EXPECT_EQ(Ledger("bank_a"), (Keys{"one", "two"}));
}

TEST_F(EnlistApiTest, RollbackAndDestruction_RollTheConnectionBack) {
  {
    client::Transaction t = Begin();
    EnlistAndRun(&t, *a_, Insert("one"));
    EXPECT_EQ(t.Rollback().outcome, Outcome::kAborted);
    EXPECT_TRUE(a_->idle());
  }
  {
    client::Transaction t = Begin();
    EnlistAndRun(&t, *a_, Insert("one"));
  }
  EXPECT_TRUE(a_->idle());
  ExpectNothing();
}

TEST_F(EnlistApiTest, Scenario28_FailedTransaction_IsAnsweredRollback_AndAborts) {
  client::Transaction t = Begin();
  EnlistAndRun(&t, *b_, Insert("one"));
  EnlistAndRun(&t, *a_, Insert("one"));
  EXPECT_THAT(a_->Run("SELECT 1/0"), HasSubstr("division"));
  const client::CommitResult result = t.Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_EQ(result.cause, AbortCause::kRefused);
  EXPECT_THAT(result.detail, HasSubstr("bank-a: "));
  EXPECT_TRUE(a_->idle());
  EXPECT_TRUE(b_->idle());
  ExpectNothing();
}

TEST_F(EnlistApiTest, PrepareThatTheServerRefuses_AbortsWithItsWords) {
  client::Transaction t = Begin();
  EnlistAndRun(&t, *b_, Insert("one"));
  EnlistAndRun(&t, *a_, "CREATE TEMP TABLE x(i int)");
  const client::CommitResult result = t.Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_THAT(result.detail, HasSubstr("temporary objects"));
  EXPECT_TRUE(a_->idle());
  ExpectNothing();
}

TEST_F(EnlistApiTest, CommittedByTheApplicationItself_Aborts) {
  client::Transaction t = Begin();
  EnlistAndRun(&t, *b_, Insert("one"));
  EnlistAndRun(&t, *a_, "COMMIT");
  const client::CommitResult result = t.Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_THAT(result.detail, HasSubstr("ended the transaction of the branch itself"));
  ExpectNothing();
}

// Scenario 22: a late end has no effect on what the client does next.
TEST_F(EnlistApiTest, Scenario22_RollbackSparesTheApplicationsNextTransaction) {
  client::Transaction t = Begin();
  EnlistAndRun(&t, *a_, "COMMIT; BEGIN");
  ASSERT_EQ(a_->Run(Insert("mine")), "");
  (void)t.Rollback();
  EXPECT_EQ(a_->Run("COMMIT"), "");
  EXPECT_EQ(Ledger("bank_a"), Keys{"mine"});
}

TEST_F(EnlistApiTest, Enlist_RefusesWhatWillNotDo_AndTheTransactionGoesOn) {
  client::Transaction t = Begin();
  const auto refusal = [&](const Connection& c, const std::string& resource,
                           client::EnlistOptions options = {}) {
    const auto branch = client::Enlist(&t, c.get(), resource, options);
    EXPECT_FALSE(branch.ok());
    return branch.status().ToString();
  };
  EXPECT_THAT(refusal(*a_, "bank-b"),
              HasSubstr("leads to database bank_a, which is not"));
  EXPECT_THAT(refusal(*a_, "bank-z"), HasSubstr("NOT_FOUND"));
  EXPECT_THAT(refusal(*a_, "kv-c"), HasSubstr("of kind kv"));
  client::EnlistOptions options;
  options.isolation = "none";
  EXPECT_THAT(refusal(*a_, "bank-a", options), HasSubstr("isolation"));
  options = {};
  options.grace_period = Duration::Millis(5);
  EXPECT_THAT(refusal(*a_, "bank-a", options), HasSubstr("grace period"));
  ASSERT_EQ(a_->Run("BEGIN"), "");
  EXPECT_THAT(refusal(*a_, "bank-a"), HasSubstr("enlist it before BEGIN"));
  ASSERT_EQ(a_->Run("ROLLBACK"), "");
  ASSERT_EQ(PQenterPipelineMode(a_->get()), 1);
  EXPECT_THAT(refusal(*a_, "bank-a"), HasSubstr("pipeline"));
  ASSERT_EQ(PQexitPipelineMode(a_->get()), 1);
  auto joined = client_->Join(t.Share());
  ASSERT_TRUE(joined.ok());
  EXPECT_THAT(client::Enlist(&*joined, a_->get(), "bank-a").status().ToString(),
              HasSubstr("joined"));
  EXPECT_TRUE(a_->idle());
  EnlistAndRun(&t, *a_, Insert("one"));
  EXPECT_TRUE(t.Commit().committed());
  EXPECT_EQ(Ledger("bank_a"), Keys{"one"});
}

TEST_F(EnlistApiTest, ConnectionLostDuringPrepare_Aborts_WhateverTheServerDid) {
  client::EnlistOptions options;
  options.grace_period = Duration::Seconds(2);
  client::Transaction t = Begin();
  EnlistAndRun(&t, *b_, Insert("one"), options);
  EnlistAndRun(&t, *a_, Insert("slow"), options);
  const std::string pid = absl::StrCat(PQbackendPID(a_->get()));
  std::thread killer([&] {
    SleepMs(500);
    database_.Exec("SELECT pg_terminate_backend(" + pid + ")");
  });
  const client::CommitResult result = t.Commit();
  killer.join();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_NE(PQstatus(a_->get()), CONNECTION_OK);
  EXPECT_TRUE(b_->idle());
  ExpectNothing();
}

TEST_F(EnlistApiTest, ConnectionLostBeforeCommit_Aborts) {
  client::Transaction t = Begin();
  EnlistAndRun(&t, *a_, Insert("one"));
  EnlistAndRun(&t, *b_, Insert("one"));
  database_.Exec(
      absl::StrCat("SELECT pg_terminate_backend(", PQbackendPID(a_->get()), ")"));
  const client::CommitResult result = t.Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_TRUE(b_->idle());
  ExpectNothing();
}

TEST_F(EnlistApiTest, QueryStillRunningAtCommit_IsCancelledAndAborts) {
  client::Transaction t = Begin();
  EnlistAndRun(&t, *a_, Insert("one"));
  ASSERT_EQ(PQsendQuery(a_->get(), "SELECT pg_sleep(3600)"), 1);
  const client::CommitResult result = t.Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_THAT(result.detail, HasSubstr("still running"));
  EXPECT_TRUE(a_->idle());
  ExpectNothing();
}

TEST_F(EnlistApiTest, CopyLeftOpenAtRollback_IsEnded) {
  client::Transaction t = Begin();
  EnlistAndRun(&t, *a_, Insert("one"));
  (void)a_->Run("COPY ledger FROM STDIN");
  EXPECT_EQ(t.Rollback().outcome, Outcome::kAborted);
  EXPECT_TRUE(a_->idle());
  ExpectNothing();
}

// The backend prepares after everybody has been told ABORTED: it is found, and goes.
TEST_F(EnlistApiTest, PrepareThatComesTooLate_IsRolledBack) {
  client::Transaction t = Begin();
  client::EnlistOptions options;
  options.grace_period = Duration::Seconds(1);
  options.prepare_timeout = Duration::Millis(500);
  EnlistAndRun(&t, *a_, Insert("slow"), options);
  const client::CommitResult result = t.Commit();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  EXPECT_THAT(result.detail, HasSubstr("no answer to PREPARE within 500 ms"));
  EXPECT_TRUE(WaitUntil(10, [&] { return PreparedCount() == "1"; }));
  ExpectNothing();
}

TEST_F(EnlistApiTest, CommitAfterThePatience_AbortsOrCommits_ButLeavesNothing) {
  // The first connection is prepared for two seconds before the second is.
  database_.Exec("DROP TRIGGER slow ON ledger", "bank_a");
  participant_->Kill();
  StartParticipant();
  client::Transaction t = Begin();
  client::EnlistOptions options;
  options.grace_period = Duration::Seconds(1);
  EnlistAndRun(&t, *a_, Insert("slow"), options);
  EnlistAndRun(&t, *b_, Insert("slow"), options);
  const client::CommitResult result = t.Commit();
  EXPECT_NE(result.outcome, Outcome::kUnknown) << result;
  EXPECT_TRUE(NothingPreparedWithin(60));
  EXPECT_EQ(Ledger("bank_a").size(), result.committed() ? 1u : 0u);
  EXPECT_EQ(Ledger("bank_a"), Ledger("bank_b"));
}

TEST_F(EnlistApiTest, CoordinatorGoneAtRollback_TheBranchesAskWhenItIsBack) {
  client::Transaction t = Begin();
  client::EnlistOptions options;
  options.grace_period = Duration::Seconds(1);
  EnlistAndRun(&t, *a_, Insert("one"), options);
  EnlistAndRun(&t, *b_, "CREATE TEMP TABLE x(i int)", options);
  node_->Pause();
  std::thread later([&] {
    SleepMs(3000);
    node_->Resume();
  });
  const client::CommitResult result = t.Commit();
  later.join();
  EXPECT_EQ(result.outcome, Outcome::kAborted) << result;
  ExpectNothing();
}

TEST_F(EnlistApiTest, SerializationFailure_IsAConflictThatRunTriesAgain) {
  int tries = 0;
  client::EnlistOptions options;
  options.isolation = "serializable";
  const client::CommitResult result =
      client_->Run([&](client::Transaction& t) -> absl::Status {
        const auto branch = client::Enlist(&t, a_->get(), "bank-a", options);
        if (!branch.ok()) return branch.status();
        (void)a_->Run("SELECT balance FROM account WHERE id=1");
        if (++tries == 1)
          database_.Exec("UPDATE account SET balance=7 WHERE id=1", "bank_a");
        if (!a_->Run("UPDATE account SET balance=balance+1 WHERE id=1").empty()) {
          return absl::AbortedError("lost against another");
        }
        return absl::OkStatus();
      });
  EXPECT_TRUE(result.committed()) << result;
  EXPECT_EQ(tries, 2);
  EXPECT_EQ(database_.Exec("SELECT balance FROM account WHERE id=1", "bank_a"), "8");
}

}  // namespace
}  // namespace concordat::testing
