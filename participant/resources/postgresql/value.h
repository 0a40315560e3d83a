// Values of the wire and values of PostgreSQL.
//
//   parameter   integer, real, text    in text form; the server types the place it
//                                      stands in, as it does with a literal
//               blob                   bytea
//   column      smallint, integer, bigint, oid   integer
//               boolean                          integer, 0 or 1
//               real, double precision           real
//               bytea                            blob
//               everything else                  text, as the server prints it; numeric
//                                                too, so that it stays exact
#ifndef PARTICIPANT_RESOURCES_POSTGRESQL_VALUE_H_
#define PARTICIPANT_RESOURCES_POSTGRESQL_VALUE_H_

#include <libpq-fe.h>

#include <vector>

#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"
#include "participant/resources/database/client_rows.h"
#include "participant/resources/database/statement.h"

namespace concordat::participant::postgresql {

// INVALID_ARGUMENT: a text with a NUL character, which PostgreSQL does not have.
[[nodiscard]] absl::StatusOr<database::Param> ToParam(const wire::Value& value);

// A statement's rows come one in a result each.
[[nodiscard]] std::vector<wire::Value> RowToWire(const PGresult* row);
// The names of the columns, if they are still wanted.
void TakeColumns(const PGresult* result, size_t statement, database::ClientRows* rows);
// Of the last, empty result of a statement: its columns, and how many rows it has
// changed.
void TakeEnd(const PGresult* result, size_t statement, database::ClientRows* rows);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_VALUE_H_
