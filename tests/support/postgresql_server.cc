#include "tests/support/postgresql_server.h"

#include <libpq-fe.h>
#include <signal.h>

#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "tests/support/waiting.h"

namespace concordat::testing {

namespace {

constexpr double kStartSeconds = 60;

struct Close {
  void operator()(PGconn* connection) const { PQfinish(connection); }
  void operator()(PGresult* result) const { PQclear(result); }
};
using Session = std::unique_ptr<PGconn, Close>;
using Answer = std::unique_ptr<PGresult, Close>;

}  // namespace

bool PostgresqlServer::Available() { return example::CheckPostgresqlInstalled().ok(); }

PostgresqlServer::PostgresqlServer(PostgresqlServerOptions options)
    // "Fast": with SIGTERM the server would wait for its sessions.
    : PrivateServer(example::PreparePostgresql, SIGINT) {
  Set("max_prepared_transactions", absl::StrCat(options.max_prepared_transactions));
  Set("max_connections", absl::StrCat(options.max_connections));
  Set("fsync", options.fsync ? "on" : "off");
  Set("shared_buffers", "16MB");
  Set("log_min_messages", "warning");
  Set("log_line_prefix", "'%m [%p] %a '");
  std::ofstream conf(Configuration(), std::ios::app);
  for (const std::string& line : options.settings) conf << line << "\n";
  conf.close();
  Start();
}

void PostgresqlServer::Start() {
  // After a crash the old server's children may keep the shared memory for a moment;
  // until then the new server refuses to start.
  const auto accepts = [this] { return PQping(Url().c_str()) == PQPING_OK; };
  const bool started = WaitUntil(kStartSeconds, [&] { return StartOnce({}, accepts); });
  CONCORDAT_CHECK(started) << "it does not start: " << Log();
}

std::string PostgresqlServer::Configuration() const {
  return server().data() + "/postgresql.conf";
}

void PostgresqlServer::Set(const std::string& name, const std::string& value) {
  std::ofstream(Configuration(), std::ios::app) << name << " = " << value << "\n";
}

void PostgresqlServer::BecomeStandby() {
  std::ofstream(server().data() + "/standby.signal") << "";
}

std::string PostgresqlServer::TryExec(const std::string& sql,
                                      const std::string& database) {
  const Session session(PQconnectdb(Url(database).c_str()));
  if (PQstatus(session.get()) != CONNECTION_OK) {
    return std::string("ERROR 08000 ") + PQerrorMessage(session.get());
  }
  PQsetNoticeProcessor(
      session.get(), [](void*, const char*) {}, nullptr);
  const Answer answer(PQexec(session.get(), sql.c_str()));
  const ExecStatusType status = PQresultStatus(answer.get());
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
    const char* state = PQresultErrorField(answer.get(), PG_DIAG_SQLSTATE);
    return std::string("ERROR ") + (state == nullptr ? "08000" : state) + " " +
           PQresultErrorMessage(answer.get());
  }
  if (PQntuples(answer.get()) == 0) return "";
  return PQgetvalue(answer.get(), 0, 0);
}

std::string PostgresqlServer::Exec(const std::string& sql, const std::string& database) {
  std::string result = TryExec(sql, database);
  CONCORDAT_CHECK(result.rfind("ERROR ", 0) != 0) << sql << ": " << result;
  return result;
}

std::vector<std::string> PostgresqlServer::Column(const std::string& sql,
                                                  const std::string& database) {
  const Session session(PQconnectdb(Url(database).c_str()));
  const Answer answer(PQexec(session.get(), sql.c_str()));
  CONCORDAT_CHECK(PQresultStatus(answer.get()) == PGRES_TUPLES_OK)
      << sql << ": " << PQerrorMessage(session.get());
  std::vector<std::string> values;
  for (int row = 0; row < PQntuples(answer.get()); ++row) {
    values.emplace_back(PQgetvalue(answer.get(), row, 0));
  }
  return values;
}

}  // namespace concordat::testing
