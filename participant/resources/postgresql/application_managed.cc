#include "participant/resources/postgresql/application_managed.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "coordinator/base/signed.h"
#include "participant/resources/postgresql/schema.h"

namespace concordat::participant::postgresql {

namespace {

// A standby has the same id as its primary. A dump that is loaded elsewhere has another.
constexpr char kStoreId[] =
    "(SELECT system_identifier FROM pg_control_system())||'-'||"
    "(SELECT oid FROM pg_database WHERE datname=current_database())";

// The text as a string constant, for any value of standard_conforming_strings.
std::string Literal(const std::string& text) {
  return absl::StrCat(" E'", absl::StrReplaceAll(text, {{"'", "''"}, {"\\", "\\\\"}}),
                      "'");
}

constexpr char kApplicationManagedEvidence[] =
    "concordat.add_application_managed_evidence";

std::string Number(uint64_t n) { return absl::StrCat(Signed(n)); }

// PostgreSQL 15 manual, COMMIT PREPARED: "you must be either the same user that executed
// the transaction originally, or a superuser".
std::string RoleIsWrong(const Server& server) {
  return server.superuser ? "false"
                          : absl::StrCat("current_user<>", Literal(server.role));
}

std::string WhyRoleIsWrong(const Server& server, const BranchId& branch) {
  return absl::StrCat(
      "'the role of the connection is '||current_user||",
      Literal(absl::StrCat(", but resource ", branch.resource, " is served by role ",
                           server.role,
                           ", and only the role that has prepared a transaction, or a "
                           "superuser, can end it: connect as ",
                           server.role, ", or serve the resource as a superuser")));
}

std::string Check(const Server& server, const BranchId& branch) {
  return absl::StrCat(
      "SELECT CASE WHEN ", kStoreId, "<>", Literal(server.store_id),
      " THEN 'the connection leads to database '||current_database()||",
      Literal(absl::StrCat(", which is not database ", server.database, " that resource ",
                           branch.resource, " is")),
      " WHEN pg_is_in_recovery() THEN 'the connection leads to a standby, which cannot "
      "write'"
      " WHEN ",
      RoleIsWrong(server), " THEN ", WhyRoleIsWrong(server, branch),
      " WHEN NOT COALESCE(has_schema_privilege('", kSchema,
      "','USAGE') AND has_function_privilege('", kApplicationManagedEvidence,
      "(text,bigint,bigint,bigint,bigint,bigint,bigint)','EXECUTE'),false) THEN 'role "
      "'||current_user||' may not write evidence: GRANT USAGE ON SCHEMA ",
      kSchema, " TO '||current_user||'; GRANT EXECUTE ON FUNCTION ",
      kApplicationManagedEvidence, " TO '||current_user ELSE '' END");
}

std::string IsInside(const std::string& gid) {
  return absl::StrCat("COALESCE(current_setting('concordat.branch',true),'')='", gid,
                      "'");
}

// A check that fails casts a text that is not a number to a number, so that the error
// message contains the text.
std::string EvidenceSql(const Server& server, ClusterId cluster, const BranchId& branch,
                        const std::string& gid) {
  return absl::StrCat(
      "SELECT CASE WHEN NOT ", IsInside(gid),
      " THEN ('the application has ended the transaction of the branch itself, as role "
      "'||current_user)::int::text WHEN ",
      RoleIsWrong(server), " THEN (", WhyRoleIsWrong(server, branch),
      ")::int::text ELSE ", kApplicationManagedEvidence, "('", branch.resource, "',",
      Number(cluster.value()), ",", Number(branch.gtid.group.value()), ",",
      Number(branch.gtid.term.value()), ",", Number(branch.gtid.sequence), ",",
      Number(branch.incarnation.value()), ",", Number(branch.number), ")::text END");
}

}  // namespace

database::Statement AskServer() {
  return {absl::StrCat("SELECT ", kStoreId,
                       ", current_database(), current_user,"
                       " (SELECT rolsuper FROM pg_roles WHERE rolname=current_user)")};
}

Server ServerFrom(const database::StatementResult& row) {
  Server server;
  server.store_id = std::string(row.Field(0, 0));
  server.database = std::string(row.Field(0, 1));
  server.role = std::string(row.Field(0, 2));
  server.superuser = row.Field(0, 3) == "t";
  return server;
}

wire::ApplicationManagedBranch ApplicationManagedSql(const Server& server,
                                                     ClusterId cluster,
                                                     const BranchId& branch,
                                                     const std::string& begin_sql) {
  const std::string gid = XidText(MakeXid(cluster, branch));
  wire::ApplicationManagedBranch own;
  own.check = Check(server, branch);
  own.start = {begin_sql, absl::StrCat("SET LOCAL concordat.branch='", gid, "'")};
  own.prepare = {EvidenceSql(server, cluster, branch, gid),
                 absl::StrCat("PREPARE TRANSACTION '", gid, "'")};
  own.inside = absl::StrCat("SELECT ", IsInside(gid));
  return own;
}

}  // namespace concordat::participant::postgresql
