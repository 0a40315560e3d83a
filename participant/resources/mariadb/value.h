// Values of the wire and values of MariaDB.
//
//   parameter   integer, real   a literal of that type (BIGINT, DOUBLE)
//               text            utf8mb4
//               blob            binary
//   column      integers, YEAR             integer; BIGINT UNSIGNED above 2⁶³−1: text
//               BIT                        integer, or blob when it has 64 bits
//               FLOAT, DOUBLE              real. MariaDB prints DOUBLE exactly, and of
//                                          FLOAT six digits: give it as DOUBLE instead
//               BINARY, BLOB, GEOMETRY     blob
//               everything else            text, as the server prints it; DECIMAL too, so
//                                          that it stays exact
#ifndef PARTICIPANT_RESOURCES_MARIADB_VALUE_H_
#define PARTICIPANT_RESOURCES_MARIADB_VALUE_H_

#include <mysql.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"

namespace concordat::participant::mariadb {

// A literal without a character that could end it: digits, or 0x and hexadecimal digits
// with their character set before them. INVALID_ARGUMENT: a real that is not a number,
// which MariaDB does not have.
[[nodiscard]] absl::StatusOr<std::string> ToLiteral(const wire::Value& value);

// One row of a result, as Connector/C gives it.
[[nodiscard]] std::vector<wire::Value> RowToWire(const MYSQL_FIELD* fields,
                                                 unsigned columns, MYSQL_ROW row,
                                                 const unsigned long* sizes);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_VALUE_H_
