// What Concordat has on a MariaDB server: the database "concordat" with its tables, and
// the role that has the rights to them. Nobody else has rights to them. A session that
// runs clients' statements has the role only while our own statements run.
#ifndef PARTICIPANT_RESOURCES_MARIADB_SCHEMA_H_
#define PARTICIPANT_RESOURCES_MARIADB_SCHEMA_H_

#include <string>

namespace concordat::participant::mariadb {

// The role that has the rights to Concordat's tables, and the right to flush.
inline constexpr char kRole[] = "concordat_rm";

// The columns that the tables must have, as "name type, name type, …".
inline constexpr char kEvidenceColumns[] =
    "resource varchar(30), cluster bigint(20) unsigned, gtid_group int(10) unsigned, "
    "gtid_term bigint(20) unsigned, gtid_sequence bigint(20) unsigned, "
    "incarnation bigint(20) unsigned, number bigint(20) unsigned, how varchar(10)";
inline constexpr char kGenerationColumns[] =
    "resource varchar(30), cluster bigint(20) unsigned, generation bigint(20) unsigned";
inline constexpr char kSessionColumns[] =
    "id bigint(20) unsigned, server_start bigint(20), resource varchar(30), cluster "
    "bigint(20) unsigned";
// The SQL that creates all of it. It may be run again.
[[nodiscard]] std::string InitSql();

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_SCHEMA_H_
