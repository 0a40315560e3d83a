#include <libpq-fe.h>

#include <array>
#include <memory>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/bench/commit/by_hand.h"

namespace concordat::bench {

namespace {

// One connection in pipeline mode.
class PostgresqlSession {
 public:
  explicit PostgresqlSession(const std::string& url) : pg_(PQconnectdb(url.c_str())) {
    CONCORDAT_CHECK(PQstatus(pg_) == CONNECTION_OK) << PQerrorMessage(pg_);
    PGresult* prepared =
        PQprepare(pg_, "work", "UPDATE accounts SET balance = balance + $1 WHERE id = $2",
                  0, nullptr);
    CONCORDAT_CHECK(PQresultStatus(prepared) == PGRES_COMMAND_OK) << PQerrorMessage(pg_);
    PQclear(prepared);
    CONCORDAT_CHECK(PQenterPipelineMode(pg_) == 1);
  }
  ~PostgresqlSession() { PQfinish(pg_); }
  PostgresqlSession(const PostgresqlSession&) = delete;
  PostgresqlSession& operator=(const PostgresqlSession&) = delete;

  void Send(const std::string& sql) {
    CONCORDAT_CHECK(PQsendQueryParams(pg_, sql.c_str(), 0, nullptr, nullptr, nullptr,
                                      nullptr, 0) == 1);
  }
  void SendWork(const std::string& delta, const std::string& account) {
    const std::array<const char*, 2> values = {delta.c_str(), account.c_str()};
    CONCORDAT_CHECK(
        PQsendQueryPrepared(pg_, "work", 2, values.data(), nullptr, nullptr, 0) == 1);
  }
  void Sync() { CONCORDAT_CHECK(PQpipelineSync(pg_) == 1); }
  void Await() {
    for (;;) {
      PGresult* result = PQgetResult(pg_);
      if (result == nullptr) continue;  // between two statements
      const ExecStatusType status = PQresultStatus(result);
      PQclear(result);
      if (status == PGRES_PIPELINE_SYNC) return;
      CONCORDAT_CHECK(status == PGRES_COMMAND_OK) << PQerrorMessage(pg_);
    }
  }

 private:
  PGconn* const pg_;
};

class PostgresqlClient final : public HandClient {
 public:
  PostgresqlClient(const ByHand& words, size_t client)
      : client_(client), first_(words.urls[0]), second_(words.urls[1]) {}

  void Prepare(uint64_t number, const std::string& first_account,
               const std::string& second_account) override {
    name_ = absl::StrCat("'by-hand-", client_, "-", number, "'");
    Begin(&first_, "-1", first_account);
    Begin(&second_, "1", second_account);
    first_.Await();
    second_.Await();
  }
  void Commit() override {
    for (PostgresqlSession* session : {&first_, &second_}) {
      session->Send("COMMIT PREPARED " + name_);
      session->Sync();
    }
    first_.Await();
    second_.Await();
  }

 private:
  void Begin(PostgresqlSession* session, const std::string& delta,
             const std::string& account) {
    session->Send("BEGIN");
    session->SendWork(delta, account);
    session->Send("PREPARE TRANSACTION " + name_);
    session->Sync();
  }

  const size_t client_;
  PostgresqlSession first_;
  PostgresqlSession second_;
  std::string name_;
};

}  // namespace

Figures RunPostgresqlByHand(const ByHand& words) {
  return RunByHand(words, [&words](size_t client) {
    return std::make_unique<PostgresqlClient>(words, client);
  });
}

}  // namespace concordat::bench
