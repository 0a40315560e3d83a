#include "participant/resources/mariadb/start_check.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "coordinator/base/log.h"
#include "participant/resources/mariadb/schema.h"
#include "participant/resources/mariadb/statements.h"

namespace concordat::participant::mariadb {

using database::Statement;
using database::StatementResult;

namespace {

// The indexes of the questions in the batch.
enum Question : size_t {
  kServer,
  kGalera,
  kColumns,
  kGenerations,
  kSessions,
  kEngines,
  kStore
};

enum ServerColumn : unsigned {
  kDatabase,
  kUser,
  kReadOnly,
  kInnodbReadOnly,
  kFlushAtCommit,
  kLogBin,
  kSyncBinlog,
  kBinlogFormat,
  kMaxConnections,
  kMaxAllowedPacket,
  kDatabaseHash
};
constexpr char kServerSql[] =
    "SELECT DATABASE(),CURRENT_USER(),@@global.read_only,@@global.innodb_read_only,"
    "@@global.innodb_flush_log_at_trx_commit,@@global.log_bin,@@global.sync_binlog,"
    "@@global.binlog_format,@@global.max_connections,@@global.max_allowed_packet,"
    "LEFT(SHA1(DATABASE()),16)";
// A server without Galera has no such variable.
constexpr char kGaleraSql[] =
    "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_VARIABLES WHERE "
    "VARIABLE_NAME='WSREP_ON'";
std::string ColumnsSql(const char* table) {
  return absl::StrCat(
      "SELECT t.ENGINE,(SELECT GROUP_CONCAT(CONCAT(c.COLUMN_NAME,' ',c.COLUMN_TYPE) "
      "ORDER BY c.ORDINAL_POSITION SEPARATOR ', ') FROM information_schema.COLUMNS c "
      "WHERE c.TABLE_SCHEMA=t.TABLE_SCHEMA AND c.TABLE_NAME='",
      table,
      "'),(SELECT COUNT(*) FROM information_schema.STATISTICS s WHERE "
      "s.TABLE_SCHEMA='concordat' AND s.TABLE_NAME='",
      table,
      "' AND s.INDEX_NAME='PRIMARY') FROM information_schema.TABLES t WHERE "
      "t.TABLE_SCHEMA='concordat' AND t.TABLE_NAME='",
      table, "'");
}
// Finds tables in which a branch could not be rolled back.
constexpr char kEnginesSql[] =
    "SELECT t.TABLE_NAME,t.ENGINE FROM information_schema.TABLES t WHERE "
    "t.TABLE_SCHEMA=DATABASE() AND t.TABLE_TYPE='BASE TABLE' AND t.ENGINE NOT IN "
    "(SELECT e.ENGINE FROM information_schema.ENGINES e WHERE e.XA='YES') "
    "ORDER BY 1 LIMIT 1";
// In bytes: enough for the parameters of the largest call, in hexadecimal digits.
constexpr uint64_t kLeastPacket = 8u << 20;

absl::Status Refused(std::string why) { return absl::FailedPreconditionError(why); }

absl::Status CheckWritable(const StatementResult& row) {
  if (row.Field(0, kReadOnly) != "0" || row.Field(0, kInnodbReadOnly) != "0") {
    return Refused(
        "the server is read-only: name the primary in the URL, or SET GLOBAL "
        "read_only=OFF (and innodb_read_only=OFF in its configuration)");
  }
  return absl::OkStatus();
}

// The vote PREPARED promises that the branch survives a loss of power.
absl::Status CheckDurable(const StatementResult& row) {
  const std::string flush(row.Field(0, kFlushAtCommit));
  if (flush != "1" && flush != "3") {
    return Refused(absl::StrCat(
        "innodb_flush_log_at_trx_commit is ", flush,
        ": what was prepared or committed may be lost in a crash. SET GLOBAL "
        "innodb_flush_log_at_trx_commit=1, and the same in the configuration"));
  }
  if (row.Field(0, kLogBin) == "0") return absl::OkStatus();
  if (row.Field(0, kSyncBinlog) != "1") {
    return Refused(absl::StrCat(
        "the binary log is on and sync_binlog is ",
        std::string(row.Field(0, kSyncBinlog)),
        ": after a crash the log and the tables may disagree on a branch. SET GLOBAL "
        "sync_binlog=1, and the same in the configuration"));
  }
  if (row.Field(0, kBinlogFormat) == "STATEMENT") {
    return Refused(
        "binlog_format is STATEMENT, which InnoDB refuses for read-committed: SET GLOBAL "
        "binlog_format=ROW, and the same in the configuration");
  }
  return absl::OkStatus();
}

absl::Status CheckLimits(const StatementResult& row, const DatabaseOptions& options) {
  const auto number = [&row](unsigned column) {
    return std::strtoull(std::string(row.Field(0, column)).c_str(), nullptr, 10);
  };
  const uint64_t own = uint64_t{options.max_connections} + options.settle_connections + 2;
  if (number(kMaxConnections) < own) {
    return Refused(absl::StrCat("max_connections is ", number(kMaxConnections),
                                ", but this resource may use ", own,
                                ": SET GLOBAL max_connections=", own + 20,
                                ", or lower the resource's max_connections"));
  }
  if (number(kMaxAllowedPacket) < kLeastPacket) {
    return Refused(absl::StrCat(
        "max_allowed_packet is ", number(kMaxAllowedPacket),
        ", and larger calls would lose their connection: SET GLOBAL max_allowed_packet=",
        kLeastPacket, ", and the same in the configuration"));
  }
  return absl::OkStatus();
}

// What one of Concordat's tables must be like.
struct TableNeeds {
  const char* name;
  const char* columns;
  const char* key_columns;
  const char* key_words;
};
constexpr TableNeeds kBranchTable = {"concordat.branches", kEvidenceColumns, "7",
                                     "seven"};
constexpr TableNeeds kGenerationTable = {"concordat.generations", kGenerationColumns, "2",
                                         "two"};
constexpr TableNeeds kSessionTable = {"concordat.sessions", kSessionColumns, "1", "one"};

absl::Status CheckTable(const StatementResult& rows, const TableNeeds& needs) {
  if (rows.rows.empty()) {
    return Refused(absl::StrCat(
        "the table ", needs.name,
        " is not there, or this user may not see it: make it with \"concordat-rm init "
        "URL\", which shows its SQL"));
  }
  if (rows.Field(0, 0) != "InnoDB") {
    return Refused(absl::StrCat(needs.name, " has the engine ",
                                std::string(rows.Field(0, 0)),
                                ", and would not be rolled back with its branch: ALTER "
                                "TABLE ",
                                needs.name, " ENGINE=InnoDB"));
  }
  if (rows.Field(0, 1) != needs.columns || rows.Field(0, 2) != needs.key_columns) {
    return Refused(absl::StrCat(
        needs.name, " has the columns (", std::string(rows.Field(0, 1)),
        "), wanted are (", needs.columns, ") with a primary key over the first ",
        needs.key_words,
        ": it is another program's, or another version's. Move it away, then "
        "\"concordat-rm init URL\""));
  }
  return absl::OkStatus();
}

absl::Status CheckEngines(const StatementResult& rows) {
  if (rows.rows.empty()) return absl::OkStatus();
  const std::string name(rows.Field(0, 0));
  return Refused(absl::StrCat(
      "table ", name, " has the engine ", std::string(rows.Field(0, 1)),
      ", which cannot roll back, so what a branch writes there stays whatever becomes of "
      "it: ALTER TABLE `",
      name, "` ENGINE=InnoDB, or move it to another database"));
}

// Checks that rows can be written and rolled back with the role, and that the last
// question, a change of a generation without the role, has failed.
absl::Status CheckRights(const database::BatchResult& answers) {
  const std::string user(answers.results[kServer].Field(0, kUser));
  if (answers.ok()) {
    LogEvent(Level::kWarning,
             "this user has rights of its own to Concordat's tables, a superuser? A "
             "client's statements can change them. Serve under a user that has the role "
             "only")
        .Field("user", user)
        .Field("role", kRole);
    return absl::OkStatus();
  }
  if (answers.FirstFailed() + 1 == answers.results.size()) return absl::OkStatus();
  if (IsTransientError(answers.Failure()->number)) {
    return absl::UnavailableError(absl::StrCat(
        answers.Error(),
        "; the server takes no writes now (FLUSH TABLES WITH READ LOCK, a backup)"));
  }
  return Refused(absl::StrCat(
      "the role ", kRole, " of user ", user, " lacks rights (", answers.Error(),
      "): run \"concordat-rm init URL\" again, as an administrator, which grants them"));
}

}  // namespace

std::vector<Statement> StartQuestions() {
  const char* key =
      "resource='' AND cluster=0 AND gtid_group=0 AND gtid_term=0 AND gtid_sequence=0 "
      "AND incarnation=0 AND number=0";
  return {{kServerSql},
          {kGaleraSql},
          {ColumnsSql("branches")},
          {ColumnsSql("generations")},
          {ColumnsSql("sessions")},
          {kEnginesSql},
          {"SELECT id FROM concordat.store"},
          {"START TRANSACTION"},
          {"INSERT INTO concordat.branches VALUES ('',0,0,0,0,0,0,'probe')"},
          {absl::StrCat("SELECT how FROM concordat.branches WHERE ", key)},
          {absl::StrCat("DELETE FROM concordat.branches WHERE ", key)},
          {"INSERT INTO concordat.generations VALUES ('',0,0) ON DUPLICATE KEY UPDATE "
           "generation=1"},
          {"ROLLBACK"},
          FlushEngine(),
          DropRole(),
          {"UPDATE concordat.generations SET generation=generation WHERE FALSE"}};
}

std::string StoreId(const database::BatchResult& answers) {
  return absl::StrCat(std::string(answers.results[kStore].Field(0, 0)), "-",
                      std::string(answers.results[kServer].Field(0, kDatabaseHash)));
}

absl::Status CheckStart(const database::BatchResult& answers,
                        const DatabaseOptions& options) {
  if (answers.lost) return absl::UnavailableError(answers.Error());
  if (answers.FirstFailed() < kStore) {
    return Refused(
        absl::StrCat("the server's settings cannot be read: ", answers.Error()));
  }
  const StatementResult& server = answers.results[kServer];
  const StatementResult& galera = answers.results[kGalera];
  if (galera.rows.size() > 0 && galera.Field(0, 0) == "ON") {
    return Refused(
        "the server is a node of a Galera cluster, which does not replicate XA: use a "
        "server with wsrep_on=OFF");
  }
  for (absl::Status status :
       {CheckWritable(server), CheckDurable(server), CheckLimits(server, options),
        CheckTable(answers.results[kColumns], kBranchTable),
        CheckTable(answers.results[kGenerations], kGenerationTable),
        CheckTable(answers.results[kSessions], kSessionTable),
        CheckEngines(answers.results[kEngines]), CheckRights(answers)}) {
    if (!status.ok()) return status;
  }
  if (answers.results[kStore].rows.size() != 1) {
    return Refused(
        "concordat.store is empty: \"concordat-rm init URL\" names the server");
  }
  return absl::OkStatus();
}

}  // namespace concordat::participant::mariadb
