#include "participant/postgresql/start_check.h"

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "participant/postgresql/sql.h"

namespace concordat::participant::postgresql {

namespace {

constexpr char kServer[] =
    "SELECT current_database(), current_user, pg_is_in_recovery(),"
    " current_setting('transaction_read_only'),"
    " current_setting('max_prepared_transactions'), current_setting('max_connections'),"
    " COALESCE((SELECT setting FROM pg_settings WHERE name='config_file'),"
    "  'postgresql.conf'),"
    " current_setting('fsync'), current_setting('server_encoding')";
// By the catalogs, which may be read without rights on what they list.
constexpr char kTableRights[] =
    "SELECT c.relpersistence, has_schema_privilege(n.oid,'USAGE'),"
    " has_table_privilege(c.oid,'SELECT') AND has_table_privilege(c.oid,'INSERT')"
    "  AND has_table_privilege(c.oid,$3),"
    " (SELECT string_agg(a.attname||' '||format_type(a.atttypid,a.atttypmod), ', '"
    "   ORDER BY a.attnum) FROM pg_attribute a"
    "   WHERE a.attrelid=c.oid AND a.attnum>0 AND NOT a.attisdropped),"
    " EXISTS(SELECT 1 FROM pg_index i WHERE i.indrelid=c.oid AND i.indisprimary"
    "   AND i.indnatts=$4::int)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace"
    " WHERE n.nspname=$1 AND c.relname=$2 AND c.relkind IN ('r','p')";

// One of ours, as it must be.
struct TableNeeds {
  const char* name;
  const char* columns;
  const char* right;  // besides SELECT and INSERT
  const char* key_columns;
  const char* key_words;
};
constexpr TableNeeds kBranches = {kTable, kEvidenceColumns, "DELETE", "7", "seven"};
constexpr TableNeeds kMarks = {kMarkTable, kMarkColumns, "UPDATE", "2", "two"};

Statement AskTable(const TableNeeds& needs) {
  return {kTableRights,
          {Text(kSchema), Text(needs.name), Text(needs.right), Text(needs.key_columns)}};
}

absl::Status Refused(std::string why) { return absl::FailedPreconditionError(why); }

absl::Status CheckServer(const PGresult* row, const PostgresqlOptions& options) {
  const std::string database(Field(row, 0, 0));
  if (Field(row, 0, 2) == "t") {
    return Refused(absl::StrCat(
        "the server is a standby, and cannot write: name the primary in the URL (several "
        "hosts and target_session_attrs=read-write find it)"));
  }
  if (Field(row, 0, 3) == "on") {
    return Refused(absl::StrCat("database ", database,
                                " is read-only for this role: reset "
                                "default_transaction_read_only of the role, the database "
                                "or the server"));
  }
  const int slots = std::atoi(std::string(Field(row, 0, 4)).c_str());
  const int connections = std::atoi(std::string(Field(row, 0, 5)).c_str());
  const std::string config(Field(row, 0, 6));
  const uint32_t own = options.max_connections + options.settle_connections + 2;
  if (slots == 0) {
    return Refused(
        absl::StrCat("max_prepared_transactions is 0, so the server cannot prepare: set "
                     "max_prepared_transactions = ",
                     connections, " in ", config, " and restart the server"));
  }
  if (static_cast<uint32_t>(connections) < own) {
    return Refused(absl::StrCat("max_connections is ", connections,
                                ", but this resource may use ", own, ": raise it in ",
                                config,
                                " and restart the server, or lower the resource's "
                                "max_connections"));
  }
  if (static_cast<uint32_t>(slots) < options.max_connections) {
    LogEvent(Level::kWarning, "few slots for prepared transactions")
        .Field("max_prepared_transactions", slots)
        .Field("max_connections", options.max_connections);
  }
  if (Field(row, 0, 7) != "on") {
    LogEvent(Level::kWarning, "fsync is off: what was committed may be lost")
        .Field("database", database);
  }
  return absl::OkStatus();
}

absl::Status CheckTable(const PGresult* rows, const TableNeeds& needs,
                        const std::string& role) {
  const std::string name = absl::StrCat(kSchema, ".", needs.name);
  if (PQntuples(rows) == 0) {
    return Refused(absl::StrCat(
        "the table ", name,
        " is not there: make it with \"concordat rm init URL\", which shows its SQL"));
  }
  if (Field(rows, 0, 1) != "t" || Field(rows, 0, 2) != "t") {
    return Refused(absl::StrCat(
        "role ", role, " may not use ", name, ": GRANT USAGE ON SCHEMA ", kSchema, " TO ",
        role, "; GRANT SELECT, INSERT, ", needs.right, " ON ", name, " TO ", role));
  }
  if (Field(rows, 0, 0) != "p") {
    return Refused(absl::StrCat(name,
                                " is unlogged, and is empty after a crash: ALTER "
                                "TABLE ",
                                name, " SET LOGGED"));
  }
  const std::string columns(Field(rows, 0, 3));
  if (columns != needs.columns || Field(rows, 0, 4) != "t") {
    return Refused(absl::StrCat(
        name, " has the columns (", columns, "), wanted are (", needs.columns,
        ") with a primary key over the first ", needs.key_words,
        ": it is another program's, or another version's. Move it away, "
        "then \"concordat rm init URL\""));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Statement> StartQuestions() {
  return {{kServer}, AskTable(kBranches), AskServer(), AskTable(kMarks)};
}

Server AnsweringServer(const BatchResult& answers) {
  return ServerFrom(answers.results[2].get());
}

absl::Status CheckStart(const BatchResult& answers, const PostgresqlOptions& options) {
  if (answers.lost) return absl::UnavailableError(answers.Error());
  if (!answers.ok()) {
    return Refused(
        absl::StrCat("the server's settings cannot be read: ", answers.Error()));
  }
  const PGresult* server = answers.results[0].get();
  if (absl::Status s = CheckServer(server, options); !s.ok()) return s;
  const std::string role(Field(server, 0, 1));
  const absl::Status branches = CheckTable(answers.results[1].get(), kBranches, role);
  return branches.ok() ? CheckTable(answers.results[3].get(), kMarks, role) : branches;
}

}  // namespace concordat::participant::postgresql
