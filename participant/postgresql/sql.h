// The SQL that the resource manager itself says, and what error codes mean.
#ifndef PARTICIPANT_POSTGRESQL_SQL_H_
#define PARTICIPANT_POSTGRESQL_SQL_H_

#include <string>
#include <string_view>

#include "concordat_wire/participant_types.h"
#include "coordinator/base/xid.h"
#include "participant/postgresql/connection.h"
#include "participant/sdk/core/results.h"

namespace concordat::participant::postgresql {

// Whose branches.
struct Owner {
  ClusterId cluster;
  std::string resource;
};

inline constexpr char kSchema[] = "concordat";
inline constexpr char kTable[] = "branches";
inline constexpr char kMarkTable[] = "marks";
// The column `how` of a branch that was prepared.
inline constexpr char kHowPrepared[] = "prepared";

// The columns that the evidence table must have, as "name type, name type, …".
inline constexpr char kEvidenceColumns[] =
    "resource text, cluster bigint, gtid_group bigint, gtid_term bigint, "
    "gtid_sequence bigint, incarnation bigint, number bigint, how text";
inline constexpr char kMarkColumns[] = "resource text, cluster bigint, mark bigint";
[[nodiscard]] std::string InitSql();

// PostgreSQL's gid for the branch. Letters, digits, '.', '_' and '-' only.
[[nodiscard]] std::string GidOf(ClusterId cluster, const BranchId& branch);

[[nodiscard]] Statement InsertEvidence(ClusterId cluster, const BranchId& branch,
                                       bool alone);
// One row with `how`, or none.
[[nodiscard]] Statement SelectEvidence(ClusterId cluster, const BranchId& branch);
// One row, when it is prepared in this database.
[[nodiscard]] Statement SelectPrepared(const std::string& gid);
// Some thousand rows at a time.
[[nodiscard]] Statement DeleteEvidence(const Owner& owner, const Gtid& below);
inline constexpr int kDeleteBatch = 2000;

// The resource's mark (ResourceManager::SetMark). Its row, if there is none yet; one row.
[[nodiscard]] Statement InsertMark(const Owner& owner);
[[nodiscard]] Statement SelectMark(const Owner& owner);
// Changes the row when its mark is `known` or larger.
[[nodiscard]] Statement UpdateMark(const Owner& owner, uint64_t known, uint64_t mark);

[[nodiscard]] Statement PrepareTransaction(const std::string& gid);
[[nodiscard]] Statement FinishPrepared(const std::string& gid, bool commit);

// Ends the backend if it is still there; a row when it was.
[[nodiscard]] Statement TerminateBackend(const Backend& backend);
[[nodiscard]] Statement CancelBackend(const Backend& backend);

// "BEGIN ISOLATION LEVEL …". INVALID_ARGUMENT: not an isolation level.
[[nodiscard]] absl::StatusOr<std::string> BeginSql(std::string_view isolation);

// How a failed statement of a user's call is answered. CONFLICT and RESOURCE_ERROR end
// the branch.
[[nodiscard]] wire::Code::type Classify(std::string_view sqlstate);
[[nodiscard]] bool EndsBranch(wire::Code::type code);
// The server could not do it now, and may do it the next time.
[[nodiscard]] bool IsTransient(std::string_view sqlstate);

// Parses a row of SelectEvidence.
[[nodiscard]] Evidence EvidenceFrom(const PGresult* rows);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_POSTGRESQL_SQL_H_
