#include "tests/support/mariadb_server.h"

#include <mysql.h>
#include <signal.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "coordinator/base/check.h"

namespace concordat::testing {

namespace {

constexpr int kMostStarts = 3;

using Session = std::unique_ptr<MYSQL, void (*)(MYSQL*)>;

std::string ErrorOf(MYSQL* session) {
  return "ERROR " + std::to_string(mysql_errno(session)) + " " + mysql_error(session);
}

}  // namespace

bool MariadbServer::Available() { return example::CheckMariadbInstalled().ok(); }

MariadbServer::MariadbServer(MariadbServerOptions options)
    : PrivateServer(example::PrepareMariadb, SIGTERM), options_(std::move(options)) {
  Start();
}

void MariadbServer::Start() {
  std::vector<std::string> words = {"--character-set-server=utf8mb4",
                                    "--innodb-buffer-pool-size=32M",
                                    "--innodb-log-file-size=8M",
                                    "--innodb-fast-shutdown=1",
                                    "--skip-innodb-buffer-pool-load-at-startup",
                                    "--skip-innodb-buffer-pool-dump-at-shutdown"};
  if (!options_.fsync) words.emplace_back("--innodb-flush-method=nosync");
  if (options_.binlog) {
    words.insert(words.end(),
                 {"--log-bin=" + server().data() + "/binlog", "--server-id=1",
                  "--binlog-format=ROW", "--sync-binlog=1"});
  }
  words.insert(words.end(), options_.settings.begin(), options_.settings.end());
  // MariaDB 10.11 may fail an assertion of its own while it recovers from SIGKILL with
  // prepared branches (trx0purge.cc, "tail.trx_no <= last_trx_no"). It must then be
  // started again.
  const auto accepts = [this] { return TryExec("SELECT 1") == "1"; };
  for (int starts = 1; !StartOnce(words, accepts); ++starts) {
    CONCORDAT_CHECK(starts < kMostStarts) << "it does not start: " << Log();
    std::printf("  the server ended by itself in its recovery, and is started again\n");
  }
}

std::string MariadbServer::Query(const std::string& sql, const std::string& database,
                                 unsigned column, std::vector<std::string>* values) {
  const Session session(mysql_init(nullptr), mysql_close);
  mysql_options(session.get(), MYSQL_SET_CHARSET_NAME, "utf8mb4");
  if (mysql_real_connect(session.get(), nullptr, "root", nullptr, database.c_str(), 0,
                         SocketPath().c_str(), CLIENT_MULTI_STATEMENTS) == nullptr) {
    return ErrorOf(session.get());
  }
  int more = mysql_real_query(session.get(), sql.data(), sql.size());
  while (more == 0) {
    const std::unique_ptr<MYSQL_RES, void (*)(MYSQL_RES*)> rows(
        mysql_store_result(session.get()), mysql_free_result);
    if (rows != nullptr) {
      values->clear();
      while (const MYSQL_ROW row = mysql_fetch_row(rows.get())) {
        values->emplace_back(row[column] == nullptr ? "" : row[column]);
      }
    }
    more = mysql_next_result(session.get());
  }
  return more < 0 ? "" : ErrorOf(session.get());
}

std::string MariadbServer::TryExec(const std::string& sql, const std::string& database) {
  std::vector<std::string> values;
  std::string error = Query(sql, database, 0, &values);
  if (!error.empty()) return error;
  return values.empty() ? "" : values[0];
}

std::string MariadbServer::Exec(const std::string& sql, const std::string& database) {
  std::string result = TryExec(sql, database);
  CONCORDAT_CHECK(result.rfind("ERROR ", 0) != 0) << sql << ": " << result;
  return result;
}

std::vector<std::string> MariadbServer::Column(const std::string& sql,
                                               const std::string& database,
                                               unsigned column) {
  std::vector<std::string> values;
  const std::string error = Query(sql, database, column, &values);
  CONCORDAT_CHECK(error.empty()) << sql << ": " << error;
  return values;
}

}  // namespace concordat::testing
