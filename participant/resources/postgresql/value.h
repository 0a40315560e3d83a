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

#include <cstdint>

#include "absl/status/statusor.h"
#include "concordat_wire/participant_types.h"
#include "participant/resources/postgresql/connection.h"

namespace concordat::participant::postgresql {

// INVALID_ARGUMENT: a text with a NUL character, which PostgreSQL does not have.
[[nodiscard]] absl::StatusOr<Param> ToParam(const wire::Value& value);

// Adds rows of a statement, and their size, to `out` and `bytes`; with the last, empty
// result of the statement how many rows it has changed.
void ToWire(const PGresult* result, wire::SqlResult* out, uint64_t* bytes);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_RESOURCES_POSTGRESQL_VALUE_H_
