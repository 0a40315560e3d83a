// The SQL that the resource manager itself says, and what error codes mean.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_SQL_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_SQL_H_

#include <string>
#include <string_view>
#include <vector>

#include "concordat_wire/participant_types.h"
#include "coordinator/base/xid.h"
#include "participant/resources/postgresql/connection.h"
#include "participant/resources/postgresql/schema.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant::postgresql {

// Whose branches.
struct Owner {
  ClusterId cluster;
  std::string resource;
  // What the functions of schema.h want to hear from this process.
  std::string secret;
};

// PostgreSQL's gid for the branch. Letters, digits, '.', '_' and '-' only.
[[nodiscard]] std::string GidOf(ClusterId cluster, const BranchId& branch);

// Says who the session works for; once, before any client's statement.
[[nodiscard]] Statement OpenSession(const Owner& owner);
// Takes the session back to what it was. One row: whether that has been possible.
[[nodiscard]] std::vector<Statement> ResetSession(size_t kept);
// The branch's evidence, in its transaction. What it checks holds until the commit or the
// PREPARE TRANSACTION that comes next: deferred triggers, which are clients' code, have
// run before. The last of them has one row: whether nothing of the branch will be in the
// session when it is prepared; false when it is `alone`.
[[nodiscard]] std::vector<Statement> AddEvidence(const Owner& owner,
                                                 const BranchId& branch, bool alone);
// One row with `how`, or none.
[[nodiscard]] Statement SelectEvidence(ClusterId cluster, const BranchId& branch);
// One row, when it is prepared in this database.
[[nodiscard]] Statement SelectPrepared(const std::string& gid);
// Some thousand rows at a time; how many it were.
[[nodiscard]] Statement DeleteEvidence(const Owner& owner, const Gtid& below);
inline constexpr int kDeleteBatch = 2000;

// The resource's generation (ResourceManager::SetGeneration); 0 when there was none yet.
[[nodiscard]] Statement ReadGeneration(const Owner& owner);
// Whether the generation was `known` or larger; then it is `generation` or larger now.
[[nodiscard]] Statement SetGeneration(const Owner& owner, uint64_t known,
                                      uint64_t generation);

[[nodiscard]] Statement PrepareTransaction(const std::string& gid);
[[nodiscard]] Statement FinishPrepared(const std::string& gid, bool commit);

// Ends the backend if it is still there; a row when it was.
[[nodiscard]] Statement TerminateBackend(const Backend& backend);
[[nodiscard]] Statement CancelBackend(const Backend& backend);

// "BEGIN ISOLATION LEVEL …". INVALID_ARGUMENT: not an isolation level.
[[nodiscard]] absl::StatusOr<std::string> BeginSql(std::string_view isolation);

// query_canceled: by statement_timeout, or by somebody.
inline constexpr std::string_view kCanceled = "57014";

// How a failed statement of a user's call is answered. CONFLICT, RESOURCE_ERROR and
// TIMED_OUT end the branch.
[[nodiscard]] wire::Code::type Classify(std::string_view sqlstate);
[[nodiscard]] bool EndsBranch(wire::Code::type code);
// The server could not do it now, and may do it the next time.
[[nodiscard]] bool IsTransient(std::string_view sqlstate);

// Parses a row of SelectEvidence.
[[nodiscard]] Evidence EvidenceFrom(const PGresult* rows);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_SQL_H_
