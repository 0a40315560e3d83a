// SQLite values in the redo and in lock keys.
//
// In the redo a value keeps its exact storage class and bytes:
//   0 NULL | 1 integer, zigzag varint | 2 real, 8 bytes | 3 text, 4 blob: varint, bytes
// In a lock key two values are the same bytes exactly when a UNIQUE index would call
// them equal: 5 and 5.0 are, 'a' and 'A' under NOCASE are, 'a' and x'61' are not
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
// As SQL names it. kUnknown has no name: BINARY.
[[nodiscard]] const char* NameOf(Collation collation);

// A value that somebody else owns. Text and blobs point into it.
struct ValueView {
  int type = SQLITE_NULL;
  int64_t integer = 0;
  double real = 0;
  std::string_view bytes;

  [[nodiscard]] bool is_null() const { return type == SQLITE_NULL; }
  // The same storage class and the same bytes.
  friend bool operator==(const ValueView& a, const ValueView& b);
};

[[nodiscard]] ValueView View(sqlite3_value* value);
void EncodeValue(const ValueView& value, ByteWriter* out);
[[nodiscard]] ValueView DecodeValue(ByteReader* in);
// The value's bytes must live until the statement has run.
void BindValue(sqlite3_stmt* stmt, int index, const ValueView& value);

void AppendKeyValue(const ValueView& value, Collation collation, std::string* key);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_VALUE_H_
