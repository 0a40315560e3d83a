// What a branch has changed, in order: the rows, so that they can be changed again.
//
// The order matters: each step passed the file's constraints when the statements ran,
// and passes them again when nobody has touched the locked keys in between. (Net
// changes by row would not: two rows that swap a UNIQUE value collide half-way.)
//
// Stored form of a branch's redo, written by EncodeRedo:
//   u8 version (2) | varint calls | call…
//   call:  varint tables | table… | varint steps | bytes (the steps)
//   table: bytes name | varint columns | u32 fingerprint of their names |
//          u32 fingerprint of the table's keys and references
//   step:  u8 'I' 'U' or 'D' | varint table, by position |
//     I: new values, of all columns but generated ones
//     D: old values, of the same
//     U: old primary key | bit mask of changed columns, a byte for 8, low bit first |
//        old and new value of each changed column
#ifndef PARTICIPANT_RESOURCES_SQLITE_REDO_H_
#define PARTICIPANT_RESOURCES_SQLITE_REDO_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace concordat::participant::sqlite {

struct RedoTable {
  std::string name;
  uint32_t columns = 0;
  uint32_t fingerprint = 0;
  // Of what the locks were made from (Table::keys_fingerprint).
  uint32_t keys_fingerprint = 0;
};

// The changes of one call.
struct Redo {
  std::vector<RedoTable> tables;
  uint64_t steps = 0;
  std::string bytes;
};

enum class LockMode : uint8_t;

// A key that a branch locks, and how.
struct LockWant {
  std::string key;
  LockMode mode;
};

[[nodiscard]] std::string EncodeRedo(const std::vector<Redo>& calls);
// DATA_LOSS when the bytes are not what EncodeRedo gives, or of a newer version.
[[nodiscard]] absl::StatusOr<std::vector<Redo>> DecodeRedo(std::string_view bytes);

// Locks beside it: u8 version (2) | varint count | (u8 mode | bytes key)…
[[nodiscard]] std::string EncodeLocks(const std::vector<LockWant>& locks);
[[nodiscard]] absl::StatusOr<std::vector<LockWant>> DecodeLocks(std::string_view bytes);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_REDO_H_
