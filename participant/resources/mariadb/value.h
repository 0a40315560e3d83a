// Converts values between their wire form and MariaDB's.
//
//   parameter   integer, real   a literal of that type (BIGINT, DOUBLE)
//               text            utf8mb4
//               blob            binary
//   column      integers, YEAR             integer; a BIGINT UNSIGNED above 2⁶³−1 is text
//               BIT                        integer; a BIT(64) is a blob
//               FLOAT, DOUBLE              real. MariaDB prints a DOUBLE exactly, but
//               only
//                                          six digits of a FLOAT: cast it to DOUBLE
//               BINARY, BLOB, GEOMETRY     blob
//               everything else            text, as the server prints it; also DECIMAL,
//                                          which stays exact so
#ifndef PARTICIPANT_RESOURCES_MARIADB_VALUE_H_
#define PARTICIPANT_RESOURCES_MARIADB_VALUE_H_

#include <mysql.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"

namespace concordat::participant::mariadb {

// A literal that has no character that could end it: digits, or 0x and hexadecimal digits
// after the name of their character set. INVALID_ARGUMENT: a real that is infinite or not
// a number, which MariaDB does not have.
[[nodiscard]] absl::StatusOr<std::string> ToLiteral(const wire::Value& value);

// Converts a row of a result as Connector/C gives it.
[[nodiscard]] std::vector<wire::Value> RowToWire(const MYSQL_FIELD* fields,
                                                 unsigned columns, MYSQL_ROW row,
                                                 const unsigned long* sizes);

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_RESOURCES_MARIADB_VALUE_H_
