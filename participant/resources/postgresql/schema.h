// What Concordat has in a PostgreSQL database, and who may do what with it.
//
// The schema "concordat" and all in it belong to the role concordat_owner, which nobody
// logs in as. The role that the resource is served under (it also runs what clients send)
// has no rights on the tables but to read them. It writes by functions that run with
// their owner's rights, and each of them wants a secret that the serving process has made
// up and told the database at the start of the session, before any client's statement ran
// in it:
//
//   open_session(secret)   once a session: who it works for. A second call fails, also
//                          when a client makes it
//   add_evidence(secret…)  the row of the branch, in the branch's transaction; a session
//                          whose branch is to be prepared is set back as well
//   forget(secret…)        deletes rows that nobody asks about any more
//   read_generation(…), set_generation(…)
//                          the store's generation, which never gets smaller
//   add_application_managed_evidence(…)
//                          for applications that prepare on connections of their own;
//                          refused in a session that was opened, and for branches of the
//                          other kind
//   reset_session(…)       with the caller's rights: nothing stays for the next branch
//
// The secret is a parameter of our own statements only. So a client's statement cannot
// read it, whatever it calls: pg_stat_activity and pg_prepared_statements show texts
// without parameters, and the table of the sessions shows the secret to nobody.
//
// What a client still can do, as any session of the role: end or cancel other sessions of
// the role (pg_terminate_backend). Their branches are rolled back, and what was being
// ended is found out by the evidence; nothing wrong is told. What somebody can do who has
// the role's password, and a connection of his own: end its prepared transactions, and
// open a session as a resource. He is the role.
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_SCHEMA_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_SCHEMA_H_

#include <string>

namespace concordat::participant::postgresql {

inline constexpr char kSchema[] = "concordat";
inline constexpr char kTable[] = "branches";
inline constexpr char kGenerationTable[] = "generations";
inline constexpr char kSessionTable[] = "sessions";
inline constexpr char kOwnerRole[] = "concordat_owner";

// The columns that the tables must have, as "name type, name type, …".
inline constexpr char kEvidenceColumns[] =
    "resource text, cluster bigint, gtid_group bigint, gtid_term bigint, "
    "gtid_sequence bigint, incarnation bigint, number bigint, how text";
inline constexpr char kGenerationColumns[] =
    "resource text, cluster bigint, generation bigint";
inline constexpr char kSessionColumns[] =
    "pid integer, started timestamp with time zone, role name, resource text, cluster "
    "bigint, secret text";
// Changes with the functions: comment of the schema. A database that has another one is
// made ready once more.
inline constexpr char kSchemaVersion[] = "Concordat 4";

// Makes everything; repeatable, and brings what an earlier version has made up to date.
// With the rights for `role`; empty: as comments.
[[nodiscard]] std::string InitSql(const std::string& role);
// The statements that give `role` its rights.
[[nodiscard]] std::string GrantSql(const std::string& role);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_SCHEMA_H_
