// Converts values between their wire form and PostgreSQL's.
//
//   parameter   integer, real, text    in text form; the server infers the type from the
//                                      statement, as it does for a literal
//               blob                   bytea
//   column      smallint, integer, bigint, oid   integer
//               boolean                          integer, 0 or 1
//               real, double precision           real
//               bytea                            blob
//               everything else                  text, as the server prints it; also
//                                                numeric, which stays exact so
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_VALUE_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_VALUE_H_

#include <libpq-fe.h>

#include <vector>

#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"
#include "participant/resources/database/client_rows.h"
#include "participant/resources/database/statement.h"

namespace concordat::participant::postgresql {

// INVALID_ARGUMENT: the text has a NUL character, which PostgreSQL does not allow.
[[nodiscard]] absl::StatusOr<database::Param> ToParam(const wire::Value& value);

// Converts a row, which is a result of its own.
[[nodiscard]] std::vector<wire::Value> RowToWire(const PGresult* row);
// Passes on the names of the columns, if they are still wanted.
void TakeColumns(const PGresult* result, size_t statement, database::ClientRows* rows);
// Passes on what the last, empty result of a statement has: its columns, and how many
// rows the statement has changed.
void TakeEnd(const PGresult* result, size_t statement, database::ClientRows* rows);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_VALUE_H_
