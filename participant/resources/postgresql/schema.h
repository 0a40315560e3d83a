// What Concordat has in a PostgreSQL database, and who may do what with it.
//
// The schema "concordat" and everything in it belong to the role concordat_owner, which
// cannot log in. The role under which the resource is served also runs clients'
// statements, and may only read the tables. It writes through functions that run with
// their owner's rights. Each of them needs a secret, which the serving process makes up
// and tells the database at the start of a session, before any client's statement runs
// there:
//
//   open_session(secret)   is called once in a session, and says for whom it works. A
//                          second call fails, also when a client makes it
//   add_evidence(secret…)  writes the branch's row, in the branch's transaction; and
//                          resets the session if the branch is to be prepared
//   forget(secret…)        deletes rows that nobody asks about any more
//   read_generation(…), set_generation(…)
//                          the store's generation, which never becomes smaller
//   add_application_managed_evidence(…)
//                          for applications that prepare on connections of their own. It
//                          is refused in a session that was opened with open_session, and
//                          for branches of the other kind
//   reset_session(…)       runs with the caller's rights, and removes what a branch has
//                          left in the session
//
// The secret is a parameter of our own statements only. So a client's statement cannot
// read it, whatever it calls: pg_stat_activity and pg_prepared_statements show statements
// without their parameters, and nobody may read the secrets in the table of sessions.
//
// What a client still can do, as any session of the role can, is to end or cancel other
// sessions of the role (pg_terminate_backend). Their branches are rolled back, and the
// evidence says what became of those that were being ended, so that no wrong outcome is
// reported. Somebody who has the role's password, and connects himself, can end the
// role's prepared transactions and open a session as a resource does. There is no defence
// against that.
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
// The comment of the schema. It is changed when the functions change: InitSql has to be
// run again in a database that has another one.
inline constexpr char kSchemaVersion[] = "Concordat 4";

// The SQL that creates all of it, and gives `role` its rights. If `role` is empty, the
// rights are shown as comments. The SQL may be run again, and brings what an earlier
// version has created up to date.
[[nodiscard]] std::string InitSql(const std::string& role);
// The statements that give `role` its rights.
[[nodiscard]] std::string GrantSql(const std::string& role);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_SCHEMA_H_
