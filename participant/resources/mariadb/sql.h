// The SQL that the resource manager itself says, and what error numbers mean.
#ifndef PARTICIPANT_RESOURCES_MARIADB_SQL_H_
#define PARTICIPANT_RESOURCES_MARIADB_SQL_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"
#include "coordinator/base/xid.h"
#include "participant/resources/mariadb/connection.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant::mariadb {

inline constexpr char kSchema[] = "concordat";
inline constexpr char kTable[] = "branches";

// The columns that the evidence table must have, as "name type, name type, …".
inline constexpr char kEvidenceColumns[] =
    "resource varchar(30), cluster bigint(20) unsigned, gtid_group int(10) unsigned, "
    "gtid_term bigint(20) unsigned, gtid_sequence bigint(20) unsigned, "
    "incarnation bigint(20) unsigned, number bigint(20) unsigned, how varchar(10)";
inline constexpr char kGenerationColumns[] =
    "resource varchar(30), cluster bigint(20) unsigned, generation bigint(20) unsigned";
inline constexpr char kSessionColumns[] =
    "id bigint(20) unsigned, server_start bigint(20), resource varchar(30), cluster "
    "bigint(20) unsigned";
[[nodiscard]] std::string InitSql();

// As XA START takes it: "0x…,0x…,1129202500".
[[nodiscard]] std::string XidSql(ClusterId cluster, const BranchId& branch);
// As XA RECOVER FORMAT='SQL' prints ours.
[[nodiscard]] std::string RecoveredText(const Xid& xid);
// A row of XA RECOVER FORMAT='SQL': whose branch. INVALID_ARGUMENT: not ours.
[[nodiscard]] absl::StatusOr<ParsedXid> ParseRecovered(const Result& rows, size_t row);
// One row a prepared branch of the server, whoever's.
[[nodiscard]] Statement Recover();

[[nodiscard]] Statement InsertEvidence(ClusterId cluster, const BranchId& branch,
                                       bool alone);
// One row with `how`, or none.
[[nodiscard]] Statement SelectEvidence(ClusterId cluster, const BranchId& branch);
// Some thousand rows at a time.
[[nodiscard]] Statement DeleteEvidence(const Owner& owner, const Gtid& below);
inline constexpr uint64_t kDeleteBatch = 2000;

// The resource's generation (ResourceManager::SetGeneration). Its row, if there is none
// yet; one row.
[[nodiscard]] Statement InsertGeneration(const Owner& owner);
[[nodiscard]] Statement SelectGeneration(const Owner& owner);
// Changes the row when its generation is `known` or larger, but not `generation` already.
[[nodiscard]] Statement UpdateGeneration(const Owner& owner, uint64_t known,
                                         uint64_t generation);

[[nodiscard]] Statement XaStart(const std::string& xid);
[[nodiscard]] Statement XaEnd(const std::string& xid);
[[nodiscard]] Statement XaPrepare(const std::string& xid);
[[nodiscard]] Statement XaCommit(const std::string& xid);
[[nodiscard]] Statement XaCommitOnePhase(const std::string& xid);
[[nodiscard]] Statement XaRollback(const std::string& xid);

// What InnoDB has in memory is on disk when this has come back. Needs RELOAD. Behind a
// look at what other sessions did: they show it before they flush it, or never flush it.
[[nodiscard]] Statement FlushEngine();
// With a binary log InnoDB does not flush what commits: the server would commit it again
// from the log after a crash. But it does not do so for XA COMMIT (10.11): the branch is
// prepared again. So nothing is called committed before this has come back.
[[nodiscard]] Statement FlushCommits();
// The same for a session that runs users' statements.
[[nodiscard]] std::vector<Statement> FlushCommitsWithRole();

// How many rows this session has written so far, in one row for each kind of writing.
// Costs the server 0.4 ms.
[[nodiscard]] Statement WrittenRowsQuery();
[[nodiscard]] std::string WrittenRows(const Result& rows);

// The role that has the rights to Concordat's tables, and to flush. Sessions that run
// users' statements have it only while our own statements run.
inline constexpr char kRole[] = "concordat_rm";
[[nodiscard]] Statement TakeRole();
[[nodiscard]] Statement DropRole();
// Gives up the user locks that a branch may have left.
[[nodiscard]] Statement ReleaseLocks();
// An expression: when the server was started, in seconds since 1970. Exact, for both
// terms are of the moment at which the statement began. When it is interrupted, the
// table is empty and the statement goes well (10.11.19): the second term, of two rows,
// makes an error of that.
inline constexpr char kServerStart[] =
    "COALESCE((SELECT UNIX_TIMESTAMP()-CAST(VARIABLE_VALUE AS SIGNED) FROM "
    "information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME='UPTIME'),"
    "(SELECT 1 UNION SELECT 2))";
// The session's row in concordat.sessions, by which the next process finds it.
[[nodiscard]] Statement AnnounceSession(const Owner& owner);
// Their ids, with the guard's, but for this one.
[[nodiscard]] Statement OtherSessions(const Owner& owner);
// Rows of sessions that are over.
[[nodiscard]] Statement DeleteOldSessions(const Owner& owner);
// One row: 0 when the session is over; NULL when the list of sessions, which misses even
// the one that asks, says nothing.
[[nodiscard]] Statement CountSession(const Backend& backend);
// One row for each of them that the server has, after which Works knows of it.
[[nodiscard]] Statement SessionsAtRest(const std::vector<std::string>& ids);
// The session is doing something. False: it waits for its client, or is over.
[[nodiscard]] bool Works(const Result& rows, const Backend& backend);
[[nodiscard]] Statement KillSession(std::string_view id);
[[nodiscard]] Statement KillQuery(std::string_view id);
// The user lock of the process that serves the resource.
[[nodiscard]] std::string GuardLock(const Owner& owner);

// "SET TRANSACTION ISOLATION LEVEL …". INVALID_ARGUMENT: not an isolation level.
[[nodiscard]] absl::StatusOr<std::string> IsolationSql(std::string_view isolation);

// Error numbers that more than one place asks for.
inline constexpr unsigned kInterrupted = 1317, kXaNota = 1397, kXaRmFail = 1399,
                          kXaRollback = 1402;

// How a failed statement of a user's call is answered. CONFLICT, RESOURCE_ERROR and
// TIMED_OUT end the branch.
[[nodiscard]] wire::Code::type Classify(const Result& failure);
// How a branch votes whose prepare, or commit in one phase, failed or was lost:
// kConflict, kLost, or kRefused, which would be refused again (scenario 101).
[[nodiscard]] Vote RefusalOf(const BatchResult& r);
[[nodiscard]] bool EndsBranch(wire::Code::type code);
// The server could not do it now, and may do it the next time.
[[nodiscard]] bool IsTransient(unsigned error);

// Parses the rows of SelectEvidence.
[[nodiscard]] Evidence EvidenceFrom(const Result& rows);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_SQL_H_
