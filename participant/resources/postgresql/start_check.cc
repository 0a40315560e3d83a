#include "participant/resources/postgresql/start_check.h"

#include <cstdlib>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "coordinator/base/log.h"
#include "participant/resources/postgresql/schema.h"

namespace concordat::participant::postgresql {

using database::Statement;
using database::StatementResult;
using database::Text;

namespace {

constexpr char kServer[] =
    "SELECT current_database(), current_user, pg_is_in_recovery(),"
    " current_setting('transaction_read_only'),"
    " current_setting('max_prepared_transactions'), current_setting('max_connections'),"
    " COALESCE((SELECT setting FROM pg_settings WHERE name='config_file'),"
    "  'postgresql.conf'),"
    " current_setting('fsync'), current_setting('server_encoding')";
// Asks the catalogs, which may be read without any rights to what they list.
constexpr char kTableRights[] =
    "SELECT c.relpersistence, has_schema_privilege(n.oid,'USAGE')"
    "  AND has_any_column_privilege(c.oid,'SELECT'),"
    " has_table_privilege(c.oid,'INSERT,UPDATE,DELETE,TRUNCATE,TRIGGER'),"
    " (SELECT string_agg(a.attname||' '||format_type(a.atttypid,a.atttypmod), ', '"
    "   ORDER BY a.attnum) FROM pg_attribute a"
    "   WHERE a.attrelid=c.oid AND a.attnum>0 AND NOT a.attisdropped),"
    " EXISTS(SELECT 1 FROM pg_index i WHERE i.indrelid=c.oid AND i.indisprimary"
    "   AND i.indnatts=$3::int)"
    " FROM pg_class c JOIN pg_namespace n ON n.oid=c.relnamespace"
    " WHERE n.nspname=$1 AND c.relname=$2 AND c.relkind IN ('r','p')";

// Asks what the role may do, the version of the schema, whether all of its functions may
// be called, and whether they can see when a session began.
constexpr char kRole[] =
    "SELECT r.rolsuper, r.rolcreaterole,"
    " (SELECT string_agg(g.rolname, ', ') FROM pg_roles g WHERE g.rolname IN"
    "   ('pg_execute_server_program','pg_read_server_files','pg_write_server_files')"
    "   AND pg_has_role(r.oid,g.oid,'MEMBER')),"
    " EXISTS(SELECT 1 FROM pg_roles o WHERE o.rolname=$2"
    "   AND pg_has_role(r.oid,o.oid,'MEMBER')),"
    " COALESCE((SELECT obj_description(n.oid,'pg_namespace') FROM pg_namespace n"
    "   WHERE n.nspname=$1),''),"
    " NOT EXISTS(SELECT 1 FROM pg_proc p JOIN pg_namespace n ON n.oid=p.pronamespace"
    "   WHERE n.nspname=$1 AND p.proname<>'session'"
    "   AND NOT has_function_privilege(p.oid,'EXECUTE')),"
    " EXISTS(SELECT 1 FROM pg_roles o WHERE o.rolname=$2"
    "   AND pg_has_role(o.oid,'pg_read_all_stats','USAGE'))"
    " FROM pg_roles r WHERE r.rolname=current_user";

// What one of Concordat's tables must be like.
struct TableNeeds {
  const char* name;
  const char* columns;
  bool logged;
  const char* key_columns;
  const char* key_words;
};
constexpr TableNeeds kBranches = {kTable, kEvidenceColumns, true, "7", "seven"};
constexpr TableNeeds kGenerationsNeeds = {kGenerationTable, kGenerationColumns, true, "2",
                                          "two"};
constexpr TableNeeds kSessionsNeeds = {kSessionTable, kSessionColumns, false, "1", "one"};

Statement AskTable(const TableNeeds& needs) {
  return {kTableRights, {Text(kSchema), Text(needs.name), Text(needs.key_columns)}};
}

absl::Status Refused(std::string why) { return absl::FailedPreconditionError(why); }

absl::Status CheckServer(const StatementResult& row, const DatabaseOptions& options) {
  const std::string database(row.Field(0, 0));
  if (row.Field(0, 2) == "t") {
    return Refused(absl::StrCat(
        "the server is a standby, and cannot write: name the primary in the URL (several "
        "hosts and target_session_attrs=read-write find it)"));
  }
  if (row.Field(0, 3) == "on") {
    return Refused(absl::StrCat("database ", database,
                                " is read-only for this role: reset "
                                "default_transaction_read_only of the role, the database "
                                "or the server"));
  }
  const int slots = std::atoi(std::string(row.Field(0, 4)).c_str());
  const int connections = std::atoi(std::string(row.Field(0, 5)).c_str());
  const std::string config(row.Field(0, 6));
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
        .Field("resource", options.resource)
        .Field("max_prepared_transactions", slots)
        .Field("max_connections", options.max_connections)
        .Field("consequence",
               absl::StrCat("when ", slots,
                            " branches are in doubt at one time, PREPARE of the next is "
                            "refused and its transaction aborts; a slot is free when "
                            "COMMIT has reached the branch, a moment after the client "
                            "was told"));
  }
  if (row.Field(0, 7) != "on") {
    LogEvent(Level::kWarning, "fsync is off: what was committed may be lost")
        .Field("resource", options.resource)
        .Field("database", database);
  }
  return absl::OkStatus();
}

constexpr char kOnceMore[] =
    "run \"concordat-rm init URL\" once more, as the owner of the database";

std::string NoRights(const std::string& role, const std::string& name) {
  return absl::StrCat("role ", role, " may not use ", name,
                      ": run \"concordat-rm init URL --role ", role,
                      "\" as the owner of the database, or there: ",
                      absl::StrReplaceAll(GrantSql(role), {{"\n", " "}}));
}

absl::Status CheckTable(const StatementResult& rows, const TableNeeds& needs,
                        const std::string& role, bool superuser) {
  const std::string name = absl::StrCat(kSchema, ".", needs.name);
  if (rows.rows.empty()) {
    return Refused(absl::StrCat(
        "the table ", name,
        " is not there: make it with \"concordat-rm init URL\", which shows its SQL"));
  }
  const std::string columns(rows.Field(0, 3));
  if (columns != needs.columns || rows.Field(0, 4) != "t") {
    return Refused(absl::StrCat(
        name, " has the columns (", columns, "), wanted are (", needs.columns,
        ") with a primary key over the first ", needs.key_words,
        ": it is another program's, or another version's. Move it away, "
        "then \"concordat-rm init URL\""));
  }
  if (rows.Field(0, 1) != "t") return Refused(NoRights(role, name));
  if (rows.Field(0, 2) == "t" && !superuser) {
    return Refused(absl::StrCat("role ", role, " may write ", name,
                                " itself, and so could what clients send: ", kOnceMore));
  }
  if (needs.logged && rows.Field(0, 0) != "p") {
    return Refused(absl::StrCat(name,
                                " is unlogged, and is empty after a crash: ALTER "
                                "TABLE ",
                                name, " SET LOGGED"));
  }
  return absl::OkStatus();
}

// Warns of a role that works, but gives clients' statements rights that no client should
// have.
void WarnOfRole(const StatementResult& row, const std::string& role,
                const DatabaseOptions& options) {
  const std::string files(row.Field(0, 2));
  std::string why;
  if (row.Field(0, 0) == "t") {
    why =
        "it is a superuser: what clients send can run programs and read and write files "
        "of the server (COPY), change Concordat's tables and end any session";
  } else if (row.Field(0, 1) == "t") {
    why = "it has CREATEROLE: what clients send can give it other roles' rights";
  } else if (!files.empty()) {
    why = absl::StrCat("it is a member of ", files,
                       ": what clients send can use the server's files or programs");
  }
  if (why.empty()) return;
  LogEvent(Level::kWarning, "the role of the resource has more rights than are good")
      .Field("resource", options.resource)
      .Field("role", role)
      .Field("why", why)
      .Field("instead", "a role of its own: concordat-rm init URL --role ROLE");
}

absl::Status CheckRole(const StatementResult& row, const std::string& role) {
  const bool superuser = row.Field(0, 0) == "t";
  if (!superuser && row.Field(0, 3) == "t") {
    return Refused(absl::StrCat("role ", role, " is a member of ", kOwnerRole,
                                ", and so what clients send could change Concordat's "
                                "tables: REVOKE ",
                                kOwnerRole, " FROM ", role));
  }
  if (row.Field(0, 4) != kSchemaVersion) {
    return Refused(absl::StrCat("the schema ", kSchema,
                                " was made by another version: ", kOnceMore));
  }
  if (row.Field(0, 5) != "t") {
    return Refused(NoRights(role, absl::StrCat("the functions of schema ", kSchema)));
  }
  if (row.Field(0, 6) != "t") {
    return Refused(absl::StrCat("GRANT pg_read_all_stats TO ", kOwnerRole,
                                ": it has to see when a session began"));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Statement> StartQuestions() {
  return {{kServer},
          AskTable(kBranches),
          AskServer(),
          AskTable(kGenerationsNeeds),
          AskTable(kSessionsNeeds),
          {kRole, {Text(kSchema), Text(kOwnerRole)}}};
}

Server AnsweringServer(const database::BatchResult& answers) {
  return ServerFrom(answers.results[2]);
}

absl::Status CheckStart(const database::BatchResult& answers,
                        const DatabaseOptions& options) {
  if (answers.lost) return absl::UnavailableError(answers.Error());
  if (!answers.ok()) {
    return Refused(
        absl::StrCat("the server's settings cannot be read: ", answers.Error()));
  }
  const StatementResult& server = answers.results[0];
  if (absl::Status s = CheckServer(server, options); !s.ok()) return s;
  const std::string role(server.Field(0, 1));
  const StatementResult& rights = answers.results[5];
  const bool superuser = rights.Field(0, 0) == "t";
  const std::pair<size_t, const TableNeeds*> tables[] = {
      {1, &kBranches}, {3, &kGenerationsNeeds}, {4, &kSessionsNeeds}};
  for (const auto& [answer, needs] : tables) {
    const absl::Status s = CheckTable(answers.results[answer], *needs, role, superuser);
    if (!s.ok()) return s;
  }
  if (absl::Status s = CheckRole(rights, role); !s.ok()) return s;
  WarnOfRole(rights, role, options);
  return absl::OkStatus();
}

}  // namespace concordat::participant::postgresql
