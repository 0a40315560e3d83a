// The fields of replicated records, which each state machine writes and reads with a
// codec of its own.
//
//   FieldReader in(bytes);
//   record.name = in.ReadText();
//   record.what = in.ReadEnum(Heuristic::kCommit, Heuristic::kForgotten);
//   if (!in.complete()) return absl::DataLossError("a malformed record");
#ifndef COORDINATOR_BASE_RECORD_FIELDS_H_
#define COORDINATOR_BASE_RECORD_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/xid.h"

namespace concordat {

// The longest text in a record, in bytes. Whoever proposes a record cuts longer ones.
inline constexpr size_t kMaxDetailLength = 1024;

// At most kMaxDetailLength bytes of it.
[[nodiscard]] std::string Truncated(std::string_view text);

// A text longer than kMaxDetailLength is a programmer's error (checked).
void PutText(std::string_view text, ByteWriter* out);

// A state machine's records. Each begins with the version and the kind, a byte each; its
// fields follow.
struct RecordFormat {
  static constexpr size_t kHeadBytes = 2;
  std::string_view machine;  // in messages: "registry"
  uint8_t version = 1;
  uint8_t last_kind = 1;  // kinds are numbered from 1
};
// The kind of the record. DATA_LOSS: it is too short to have one. UNIMPLEMENTED: a
// version or a kind that this program does not know.
[[nodiscard]] absl::StatusOr<uint8_t> ReadRecordKind(const RecordFormat& format,
                                                     std::string_view record);
// DATA_LOSS, for a record whose kind is known and whose fields cannot be read.
[[nodiscard]] absl::Status MalformedRecord(const RecordFormat& format,
                                           std::string_view record);

// Reads the fields of one record. A value that no version of ours writes makes it fail:
// from then on ok() is false, and what is read means nothing.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : in_(bytes) {}

  [[nodiscard]] Gtid ReadGtid();
  // A branch that was written without its gtid, which the record names.
  [[nodiscard]] BranchId ReadBranchOf(const Gtid& gtid);
  [[nodiscard]] std::string ReadText();
  [[nodiscard]] std::string ReadResourceName();
  [[nodiscard]] uint64_t ReadNumber() { return in_.Varint(); }
  [[nodiscard]] uint64_t ReadFixed() { return in_.U64(); }  // 8 bytes
  [[nodiscard]] bool ReadFlag();
  // The number of elements that follow, which take at least `least` bytes each; 0 when
  // there is no room for them.
  [[nodiscard]] uint64_t ReadCount(uint64_t least);

  template <class E>
  [[nodiscard]] E ReadEnum(E first, E last) {
    const uint8_t value = in_.U8();
    Expect(value >= static_cast<uint8_t>(first) && value <= static_cast<uint8_t>(last));
    return ok_ ? static_cast<E>(value) : first;
  }

  void Expect(bool condition) { ok_ = ok_ && in_.ok() && condition; }
  [[nodiscard]] bool ok() const { return ok_ && in_.ok(); }
  // All of the record was read, and nothing beyond it.
  [[nodiscard]] bool complete() const { return ok() && in_.at_end(); }

 private:
  ByteReader in_;
  bool ok_ = true;
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_RECORD_FIELDS_H_
