#include "participant/resources/postgresql/sql.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::participant::postgresql {

namespace {

constexpr std::string_view kCommittedAlone = "alone";  // the column `how`

// As PostgreSQL's bigint, which is signed.
Param Number(uint64_t n) { return Text(absl::StrCat(static_cast<int64_t>(n))); }

std::vector<Param> KeyParams(ClusterId cluster, const BranchId& branch) {
  return {Text(branch.resource),
          Number(cluster.value()),
          Number(branch.gtid.group.value()),
          Number(branch.gtid.term.value()),
          Number(branch.gtid.sequence),
          Number(branch.incarnation.value()),
          Number(branch.number)};
}

std::string Quoted(const std::string& gid) {
  CONCORDAT_CHECK(gid.find('\'') == gid.npos) << gid;
  return absl::StrCat("'", gid, "'");
}

bool InClass(std::string_view sqlstate, std::string_view sql_class) {
  return sqlstate.substr(0, 2) == sql_class;
}

}  // namespace

std::string GidOf(ClusterId cluster, const BranchId& branch) {
  return XidText(MakeXid(cluster, branch));
}

// Its own statements are never kept under a name: a client's function could put another
// statement under it.
Statement OpenSession(const Owner& owner) {
  return {"SELECT concordat.open_session($1,$2,$3)",
          {Text(owner.secret), Text(owner.resource), Number(owner.cluster.value())}};
}

std::vector<Statement> ResetSession(size_t kept) {
  return {{"SET SESSION AUTHORIZATION DEFAULT"},
          {"SELECT concordat.reset_session($1)", {Text(absl::StrCat(kept))}}};
}

std::vector<Statement> AddEvidence(const Owner& owner, const BranchId& branch,
                                   bool alone) {
  return {{"SET CONSTRAINTS ALL IMMEDIATE"},
          {"SELECT concordat.add_evidence($1,$2,$3,$4,$5,$6,$7,current_user)",
           {Text(owner.secret), Number(branch.gtid.group.value()),
            Number(branch.gtid.term.value()), Number(branch.gtid.sequence),
            Number(branch.incarnation.value()), Number(branch.number),
            Text(alone ? "t" : "f")}}};
}

Statement SelectEvidence(ClusterId cluster, const BranchId& branch) {
  return {
      "SELECT how FROM concordat.branches WHERE resource=$1 AND cluster=$2 AND "
      "gtid_group=$3 AND gtid_term=$4 AND gtid_sequence=$5 AND incarnation=$6 AND "
      "number=$7",
      KeyParams(cluster, branch), /*keep=*/true};
}

Statement SelectPrepared(const std::string& gid) {
  return {"SELECT 1 FROM pg_prepared_xacts WHERE gid=$1 AND database=current_database()",
          {Text(gid)},
          /*keep=*/true};
}

Statement DeleteEvidence(const Owner& owner, const Gtid& below) {
  return {"SELECT concordat.forget($1,$2,$3,$4,$5)",
          {Text(owner.secret), Number(below.group.value()), Number(below.term.value()),
           Number(below.sequence), Text(absl::StrCat(kDeleteBatch))},
          /*keep=*/true};
}

Statement ReadGeneration(const Owner& owner) {
  return {"SELECT concordat.read_generation($1)", {Text(owner.secret)}};
}

Statement SetGeneration(const Owner& owner, uint64_t known, uint64_t generation) {
  return {"SELECT concordat.set_generation($1,$2,$3)",
          {Text(owner.secret), Number(known), Number(generation)},
          /*keep=*/true};
}

Statement PrepareTransaction(const std::string& gid) {
  return {absl::StrCat("PREPARE TRANSACTION ", Quoted(gid))};
}

Statement FinishPrepared(const std::string& gid, bool commit) {
  return {absl::StrCat(commit ? "COMMIT" : "ROLLBACK", " PREPARED ", Quoted(gid))};
}

namespace {
Statement SignalBackend(const char* function, const Backend& backend) {
  return {absl::StrCat("SELECT ", function,
                       "(pid) FROM pg_stat_activity WHERE pid=$1::int AND "
                       "extract(epoch FROM backend_start)=$2::numeric"),
          {Text(backend.pid), Text(backend.start)},
          /*keep=*/true};
}
}  // namespace

Statement TerminateBackend(const Backend& backend) {
  return SignalBackend("pg_terminate_backend", backend);
}

Statement CancelBackend(const Backend& backend) {
  return SignalBackend("pg_cancel_backend", backend);
}

absl::StatusOr<std::string> BeginSql(std::string_view isolation) {
  if (isolation == "read-committed") return "BEGIN ISOLATION LEVEL READ COMMITTED";
  if (isolation == "repeatable-read") return "BEGIN ISOLATION LEVEL REPEATABLE READ";
  if (isolation == "serializable") return "BEGIN ISOLATION LEVEL SERIALIZABLE";
  return absl::InvalidArgumentError(
      absl::StrCat("isolation \"", std::string(isolation),
                   "\" is not known here: read-committed, repeatable-read or "
                   "serializable"));
}

// PostgreSQL 15 manual, appendix A "PostgreSQL Error Codes".
wire::Code::type Classify(std::string_view sqlstate) {
  // Rolled back for others' sake, or a lock that did not come: run it again.
  if (InClass(sqlstate, "40") || sqlstate == "55P03") return wire::Code::CONFLICT;
  // What the data or the user's own code forbids.
  if (InClass(sqlstate, "23") || InClass(sqlstate, "44") || InClass(sqlstate, "P0")) {
    return wire::Code::CONDITION_FAILED;
  }
  // Disk full, out of memory, too many locks.
  if (InClass(sqlstate, "53")) return wire::Code::OVERLOADED;
  // The number of parameters is wrong.
  if (sqlstate == "08P01") return wire::Code::INVALID;
  for (const std::string_view broken : {"08", "57", "58", "F0", "XX"}) {
    if (InClass(sqlstate, broken)) return wire::Code::RESOURCE_ERROR;
  }
  return wire::Code::INVALID;
}

bool EndsBranch(wire::Code::type code) {
  return code == wire::Code::CONFLICT || code == wire::Code::RESOURCE_ERROR ||
         code == wire::Code::TIMED_OUT || code == wire::Code::BRANCH_GONE;
}

bool IsTransient(std::string_view sqlstate) {
  for (const std::string_view passing : {"08", "40", "53", "55", "57"}) {
    if (InClass(sqlstate, passing)) return true;
  }
  return false;
}

Evidence EvidenceFrom(const PGresult* rows) {
  if (PQntuples(rows) == 0) return Evidence::kNone;
  return Field(rows, 0, 0) == kCommittedAlone ? Evidence::kCommittedAlone
                                              : Evidence::kCommitted;
}

}  // namespace concordat::participant::postgresql
