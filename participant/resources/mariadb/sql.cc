#include "participant/resources/mariadb/sql.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/base/check.h"

namespace concordat::participant::mariadb {

namespace {

constexpr std::string_view kCommitted = "prepared";
constexpr std::string_view kCommittedAlone = "alone";

bool IsOneOf(unsigned error, std::initializer_list<unsigned> errors) {
  return std::find(errors.begin(), errors.end(), error) != errors.end();
}

// The names in a branch id have letters, digits, '-' and '_' only.
std::string Quoted(const std::string& name) {
  CONCORDAT_CHECK(IsValidResourceName(name)) << name;
  return absl::StrCat("'", name, "'");
}

std::string KeyCondition(ClusterId cluster, const BranchId& branch) {
  return absl::StrCat(
      "resource=", Quoted(branch.resource), " AND cluster=", cluster.value(),
      " AND gtid_group=", branch.gtid.group.value(),
      " AND gtid_term=", branch.gtid.term.value(),
      " AND gtid_sequence=", branch.gtid.sequence,
      " AND incarnation=", branch.incarnation.value(), " AND number=", branch.number);
}

Statement Xa(const char* verb, const std::string& xid, const char* more = "") {
  return {absl::StrCat("XA ", verb, " ", xid, more)};
}

}  // namespace

// The key begins with what one resource deletes by (DeleteEvidence), and new rows go to
// the end of each resource's part of it. The name of the store is made once, and goes
// where the data goes.
std::string InitSql() {
  return R"sql(-- For an administrator. The user that a resource is served under needs the
-- role made here, and no rights of his own to the database concordat:
--   GRANT concordat_rm TO user;
CREATE DATABASE IF NOT EXISTS concordat;
CREATE TABLE IF NOT EXISTS concordat.branches (
  resource varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cluster bigint unsigned NOT NULL,
  gtid_group int unsigned NOT NULL,
  gtid_term bigint unsigned NOT NULL,
  gtid_sequence bigint unsigned NOT NULL,
  incarnation bigint unsigned NOT NULL,
  number bigint unsigned NOT NULL,
  how varchar(10) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  PRIMARY KEY (resource, cluster, gtid_group, gtid_term, gtid_sequence,
               incarnation, number)
) ENGINE=InnoDB COMMENT='Branches of global transactions that were committed here. Kept
by Concordat: it reads them after lost answers, and deletes them when nobody can ask.';
CREATE TABLE IF NOT EXISTS concordat.generations (
  resource varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cluster bigint unsigned NOT NULL,
  generation bigint unsigned NOT NULL,
  PRIMARY KEY (resource, cluster)
) ENGINE=InnoDB COMMENT='How far the server has come, in milliseconds since 1970, written
every few seconds while there is work. By it Concordat tells an older copy of the server
from it. Never change it.';
CREATE TABLE IF NOT EXISTS concordat.store (
  one int NOT NULL PRIMARY KEY CHECK (one = 1),
  id char(36) CHARACTER SET ascii NOT NULL
) ENGINE=InnoDB COMMENT='The name of this server as a store of Concordat. Never change it.';
CREATE TABLE IF NOT EXISTS concordat.sessions (
  id bigint unsigned NOT NULL PRIMARY KEY,
  server_start bigint NOT NULL,
  resource varchar(30) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  cluster bigint unsigned NOT NULL
) ENGINE=InnoDB COMMENT='Connections of Concordat, for the next process: it ends what an
earlier one has left.';
INSERT IGNORE INTO concordat.store VALUES (1, UUID());
COMMIT;
CREATE ROLE IF NOT EXISTS concordat_rm;
GRANT SELECT, INSERT, DELETE ON concordat.branches TO concordat_rm;
GRANT SELECT, INSERT, UPDATE ON concordat.generations TO concordat_rm;
GRANT SELECT, INSERT, DELETE ON concordat.sessions TO concordat_rm;
GRANT SELECT ON concordat.store TO concordat_rm;
GRANT RELOAD, PROCESS ON *.* TO concordat_rm;
)sql";
}

// --- branches ---

std::string XidSql(ClusterId cluster, const BranchId& branch) {
  const Xid xid = MakeXid(cluster, branch);
  return absl::StrCat("0x", absl::BytesToHexString(xid.gtrid), ",0x",
                      absl::BytesToHexString(xid.bqual), ",", xid.format_id);
}

std::string RecoveredText(const Xid& xid) {
  return absl::StrCat("X'", absl::BytesToHexString(xid.gtrid), "',X'",
                      absl::BytesToHexString(xid.bqual), "',", xid.format_id);
}

Statement Recover() { return {"XA RECOVER FORMAT='SQL'"}; }

// X'…',X'…',1129202500 in hexadecimal digits, because ours have '-' and '.' in them;
// parts of letters and digits only are printed as they are. The lengths are columns of
// their own, so nothing that looks like ours can be taken for it.
absl::StatusOr<ParsedXid> ParseRecovered(const Result& rows, size_t row) {
  const absl::Status other = absl::InvalidArgumentError("not Concordat's");
  uint32_t format_id = 0;
  size_t gtrid = 0;
  size_t bqual = 0;
  const auto number = [&](unsigned column, auto* to) {
    const std::string_view text = rows.Field(row, column);
    return absl::SimpleAtoi(absl::string_view(text.data(), text.size()), to);
  };
  if (!number(0, &format_id) || !number(1, &gtrid) || !number(2, &bqual) ||
      format_id != Xid::kFormatId || gtrid > Xid::kMaxPartLength ||
      bqual > Xid::kMaxPartLength) {
    return other;
  }
  const std::string data(rows.Field(row, 3));
  if (data.size() < 2 * (gtrid + bqual) + 7) return other;
  Xid xid;
  xid.gtrid = absl::HexStringToBytes(data.substr(2, 2 * gtrid));
  xid.bqual = absl::HexStringToBytes(data.substr(6 + 2 * gtrid, 2 * bqual));
  if (data != RecoveredText(xid)) return other;
  return ParseXid(xid);
}

Statement XaStart(const std::string& xid) { return Xa("START", xid); }
Statement XaEnd(const std::string& xid) { return Xa("END", xid); }
Statement XaPrepare(const std::string& xid) { return Xa("PREPARE", xid); }
Statement XaCommit(const std::string& xid) { return Xa("COMMIT", xid); }
Statement XaCommitOnePhase(const std::string& xid) {
  return Xa("COMMIT", xid, " ONE PHASE");
}
Statement XaRollback(const std::string& xid) { return Xa("ROLLBACK", xid); }

Statement FlushEngine() { return {"FLUSH LOCAL ENGINE LOGS"}; }

Statement FlushCommits() {
  Statement flush = FlushEngine();
  flush.only_with_binlog = true;
  return flush;
}

std::vector<Statement> FlushCommitsWithRole() {
  std::vector<Statement> all = {TakeRole(), FlushCommits(), DropRole()};
  for (Statement& statement : all) statement.only_with_binlog = true;
  return all;
}

// --- evidence ---

Statement InsertEvidence(ClusterId cluster, const BranchId& branch, bool alone) {
  return {absl::StrCat("INSERT INTO concordat.branches VALUES (", Quoted(branch.resource),
                       ",", cluster.value(), ",", branch.gtid.group.value(), ",",
                       branch.gtid.term.value(), ",", branch.gtid.sequence, ",",
                       branch.incarnation.value(), ",", branch.number, ",'",
                       std::string(alone ? kCommittedAlone : kCommitted), "')")};
}

Statement SelectEvidence(ClusterId cluster, const BranchId& branch) {
  return {absl::StrCat("SELECT how FROM concordat.branches WHERE ",
                       KeyCondition(cluster, branch))};
}

Statement DeleteEvidence(const Owner& owner, const Gtid& below) {
  return {absl::StrCat(
      "DELETE FROM concordat.branches WHERE resource=", Quoted(owner.resource),
      " AND cluster=", owner.cluster.value(), " AND gtid_group=", below.group.value(),
      " AND (gtid_term<", below.term.value(), " OR (gtid_term=", below.term.value(),
      " AND gtid_sequence<", below.sequence, ")) LIMIT ", kDeleteBatch)};
}

Evidence EvidenceFrom(const Result& rows) {
  if (rows.row_count() == 0) return Evidence::kNone;
  return rows.Field(0, 0) == kCommittedAlone ? Evidence::kCommittedAlone
                                             : Evidence::kCommitted;
}

// --- the generation ---

Statement InsertGeneration(const Owner& owner) {
  return {absl::StrCat("INSERT IGNORE INTO concordat.generations VALUES (",
                       Quoted(owner.resource), ",", owner.cluster.value(), ",0)")};
}

Statement SelectGeneration(const Owner& owner) {
  return {absl::StrCat("SELECT generation FROM concordat.generations WHERE resource=",
                       Quoted(owner.resource), " AND cluster=", owner.cluster.value())};
}

Statement UpdateGeneration(const Owner& owner, uint64_t known, uint64_t generation) {
  return {absl::StrCat("UPDATE concordat.generations SET generation=", generation,
                       " WHERE resource=", Quoted(owner.resource), " AND cluster=",
                       owner.cluster.value(), " AND generation>=", known)};
}

// --- sessions ---

Statement WrittenRowsQuery() {
  return {
      "SHOW SESSION STATUS WHERE Variable_name IN "
      "('Handler_delete','Handler_update','Handler_write')"};
}

std::string WrittenRows(const Result& rows) {
  std::string all;
  for (size_t row = 0; row < rows.row_count(); ++row) {
    absl::StrAppend(&all, std::string(rows.Field(row, 1)), ";");
  }
  return all;
}

Statement TakeRole() {
  Statement take{absl::StrCat("SET ROLE ", kRole)};
  take.changes_session = true;
  return take;
}

Statement DropRole() {
  Statement drop{"SET ROLE NONE"};
  drop.changes_session = true;
  return drop;
}

Statement ReleaseLocks() {
  Statement release{
      "SELECT RELEASE_ALL_LOCKS(),@@session_track_state_change,"
      "@@session_track_transaction_info"};
  release.asks_reports = true;
  return release;
}

Statement AnnounceSession(const Owner& owner) {
  return {absl::StrCat("REPLACE INTO concordat.sessions SELECT CONNECTION_ID(),",
                       kServerStart, ",", Quoted(owner.resource), ",",
                       owner.cluster.value())};
}

Statement OtherSessions(const Owner& owner) {
  return {absl::StrCat(
      "SELECT id FROM (SELECT s.id FROM concordat.sessions s JOIN "
      "information_schema.PROCESSLIST p ON p.ID=s.id WHERE s.resource=",
      Quoted(owner.resource), " AND s.cluster=", owner.cluster.value(),
      " AND s.server_start=", kServerStart, " UNION SELECT IS_USED_LOCK('",
      GuardLock(owner), "')) o WHERE id IS NOT NULL AND id<>CONNECTION_ID()")};
}

Statement DeleteOldSessions(const Owner& owner) {
  return {absl::StrCat(
      "DELETE FROM concordat.sessions WHERE resource=", Quoted(owner.resource),
      " AND cluster=", owner.cluster.value(), " AND (server_start<>", kServerStart,
      " OR id NOT IN (SELECT ID FROM information_schema.PROCESSLIST))")};
}

Statement CountSession(const Backend& backend) {
  return {absl::StrCat("SELECT IF(SUM(ID=CONNECTION_ID())=1,SUM(ID=", backend.id, " AND ",
                       backend.server_start, "=", kServerStart,
                       "),NULL) FROM information_schema.PROCESSLIST WHERE ID IN "
                       "(CONNECTION_ID(),",
                       backend.id, ")")};
}

// A session that is interrupted while it waits for its client is called Killed until its
// next statement.
Statement SessionsAtRest(const std::vector<std::string>& ids) {
  return {
      absl::StrCat("SELECT ID,COMMAND='Sleep' OR (COMMAND='Killed' AND INFO IS NULL),",
                   kServerStart, " FROM information_schema.PROCESSLIST WHERE ID IN (",
                   absl::StrJoin(ids, ","), ")")};
}

bool Works(const Result& rows, const Backend& backend) {
  for (size_t row = 0; row < rows.row_count(); ++row) {
    if (rows.Field(row, 0) != backend.id) continue;
    return rows.Field(row, 1) == "0" && rows.Field(row, 2) == backend.server_start;
  }
  return false;
}

Statement KillSession(std::string_view id) {
  return {absl::StrCat("KILL HARD CONNECTION ", std::string(id))};
}

Statement KillQuery(std::string_view id) {
  return {absl::StrCat("KILL QUERY ", std::string(id))};
}

// At most 64 characters: 10 + 16 + 1 + kMaxResourceNameLength + 6.
std::string GuardLock(const Owner& owner) {
  CONCORDAT_CHECK(IsValidResourceName(owner.resource)) << owner.resource;
  return absl::StrCat("concordat_", absl::Hex(owner.cluster.value(), absl::kZeroPad16),
                      "_", owner.resource, "#guard");
}

absl::StatusOr<std::string> IsolationSql(std::string_view isolation) {
  const char* level = nullptr;
  if (isolation == "read-committed") level = "READ COMMITTED";
  if (isolation == "repeatable-read") level = "REPEATABLE READ";
  if (isolation == "serializable") level = "SERIALIZABLE";
  if (level != nullptr) return absl::StrCat("SET TRANSACTION ISOLATION LEVEL ", level);
  return absl::InvalidArgumentError(
      absl::StrCat("isolation \"", std::string(isolation),
                   "\" is not known here: read-committed, repeatable-read or "
                   "serializable"));
}

// --- errors: MariaDB's server/reference/error-codes ---

namespace {

// max_statement_time.
bool RanTooLong(unsigned error) { return IsOneOf(error, {1969, 3024}); }

}  // namespace

wire::Code::type Classify(const Result& failure) {
  const unsigned error = failure.error;
  // Deadlock, lock time-out, a row changed since the snapshot; and what a branch answers
  // once one of these has marked it to be rolled back.
  if (IsOneOf(error, {1205, 1213, 1020, 1402, 1613, 1614})) return wire::Code::CONFLICT;
  if (error == kXaRmFail && failure.message.find("ROLLBACK ONLY") != std::string::npos) {
    return wire::Code::CONFLICT;
  }
  // What the data or the user's own code forbids: constraints, CHECK OPTION, SIGNAL.
  const std::string_view sql_class = std::string_view(failure.sqlstate).substr(0, 2);
  if (sql_class == "23" || sql_class == "44" || sql_class == "45") {
    return wire::Code::CONDITION_FAILED;
  }
  // Disk full, out of memory, too many connections or prepared statements.
  if (IsOneOf(error, {1021, 1037, 1038, 1040, 1041, 1114, 1135, 1203, 1226, 1461})) {
    return wire::Code::OVERLOADED;
  }
  if (RanTooLong(error)) return wire::Code::TIMED_OUT;
  // The engine's failures, interruption, a server that became read-only; 1206, too many
  // locks, has rolled everything back.
  if (IsOneOf(error, {1030, 1053, 1180, 1181, 1206, 1290, 1317, 1397, 1400, 1401, 1792,
                      1836, 1927})) {
    return wire::Code::RESOURCE_ERROR;
  }
  return wire::Code::INVALID;
}

bool EndsBranch(wire::Code::type code) {
  return code == wire::Code::CONFLICT || code == wire::Code::RESOURCE_ERROR ||
         code == wire::Code::TIMED_OUT || code == wire::Code::BRANCH_GONE;
}

// What was interrupted, or ran out of time, may go well another time.
Vote RefusalOf(const BatchResult& r) {
  if (r.lost) return Vote::kLost;
  const size_t failed = r.FirstFailed();
  if (failed == r.results.size()) return Vote::kRefused;
  const Result& failure = r.results[failed];
  const bool again = Classify(failure) == wire::Code::CONFLICT ||
                     failure.error == kInterrupted || RanTooLong(failure.error);
  return again ? Vote::kConflict : Vote::kRefused;
}

// 1242: kServerStart was interrupted.
bool IsTransient(unsigned error) {
  return IsOneOf(error, {1021, 1037, 1038, 1040, 1041, 1053, 1114, 1135, 1205, 1213,
                         1203, 1223, 1226, 1242, 1290, 1317, 1836, 1927, 1969, 3024});
}

}  // namespace concordat::participant::mariadb
