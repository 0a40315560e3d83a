// What a branch has changed, in order: the rows, so that they can be changed again.
//
// The order matters: each step passed the file's constraints when the statements ran, and
// passes them again if nobody has changed the locked keys in between. Net changes by row
// would not: of two rows that swap a UNIQUE value, the first step would fail.
//
// Stored form of a branch's redo, written by EncodeRedo:
//   u8 version (2) | varint calls | call…
//   call:  varint tables | table… | varint steps | bytes (the steps)
//   table: bytes name | varint columns | u32 fingerprint of their names |
//          u32 fingerprint of the table's keys and references
//   step:  u8 'I' 'U' or 'D' | varint index of the table |
//     I: new values, of all columns but generated ones
//     D: old values, of the same columns
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
  std::string name;          // as the schema has it
  uint32_t columns = 0;      // how many it had
  uint32_t fingerprint = 0;  // of the columns' names
  // Fingerprint of what the locks were made from (Table::keys_fingerprint).
  uint32_t keys_fingerprint = 0;
};

// The changes of one call.
struct Redo {
  std::vector<RedoTable> tables;  // those that the steps change; steps name them by index
  uint64_t steps = 0;             // how many are in `bytes`
  std::string bytes;              // the encoded steps
};

enum class LockMode : uint8_t;

// A key that a branch locks, and how.
struct LockWant {
  std::string key;
  LockMode mode;
};

[[nodiscard]] std::string EncodeRedo(const std::vector<Redo>& calls);
// DATA_LOSS: the bytes do not come from EncodeRedo, or from a newer version of it.
[[nodiscard]] absl::StatusOr<std::vector<Redo>> DecodeRedo(std::string_view bytes);

// Encodes the locks of a branch: u8 version (2) | varint count | (u8 mode | bytes key)…
[[nodiscard]] std::string EncodeLocks(const std::vector<LockWant>& locks);
[[nodiscard]] absl::StatusOr<std::vector<LockWant>> DecodeLocks(std::string_view bytes);

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_REDO_H_
