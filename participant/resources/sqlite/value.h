// SQLite values in the redo and in lock keys.
//
// In the redo a value keeps its exact storage class and bytes:
//   0 NULL | 1 integer, zigzag varint | 2 real, 8 bytes | 3 text, 4 blob: varint, bytes
// In a lock key, two values have the same bytes exactly when a UNIQUE index would call
// them equal: 5 and 5.0 are equal, 'a' and 'A' under NOCASE are, 'a' and x'61' are not
// (www.sqlite.org/datatype3.html, sections 4 and 7).
#ifndef PARTICIPANT_RESOURCES_SQLITE_VALUE_H_
#define PARTICIPANT_RESOURCES_SQLITE_VALUE_H_

#include <sqlite3.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "coordinator/base/byte_codec.h"

namespace concordat::participant::sqlite {

enum class Collation : uint8_t { kBinary, kNoCase, kRTrim, kUnknown };
[[nodiscard]] Collation ParseCollation(std::string_view name);
// The collation's name in SQL. kUnknown has none: BINARY is returned.
[[nodiscard]] const char* NameOf(Collation collation);

// A value without its own memory: text and blobs point into memory of the owner.
struct ValueView {
  int type = SQLITE_NULL;  // SQLite's storage class, SQLITE_INTEGER to SQLITE_NULL
  int64_t integer = 0;     // of SQLITE_INTEGER
  double real = 0;         // of SQLITE_FLOAT
  std::string_view bytes;  // of text or a blob

  [[nodiscard]] bool is_null() const { return type == SQLITE_NULL; }
  // True: the same storage class and the same bytes.
  friend bool operator==(const ValueView& a, const ValueView& b);
};

[[nodiscard]] ValueView View(sqlite3_value* value);
void EncodeValue(const ValueView& value, ByteWriter* out);
[[nodiscard]] ValueView DecodeValue(ByteReader* in);
// The value's bytes must be valid until the statement has run.
void BindValue(sqlite3_stmt* stmt, int index, const ValueView& value);

void AppendKeyValue(const ValueView& value, Collation collation, std::string* key);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_VALUE_H_
