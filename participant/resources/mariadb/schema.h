// What Concordat has on a MariaDB server: the database "concordat" with its tables, and
// the role that has the rights to them. Only that role has any; a session that runs
// clients' statements has it only while our own statements run.
#ifndef PARTICIPANT_RESOURCES_MARIADB_SCHEMA_H_
#define PARTICIPANT_RESOURCES_MARIADB_SCHEMA_H_

#include <string>

namespace concordat::participant::mariadb {

// With the rights to Concordat's tables, and to flush.
inline constexpr char kRole[] = "concordat_rm";

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
// Makes everything; repeatable.
[[nodiscard]] std::string InitSql();

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_SCHEMA_H_
