#include "coordinator/base/record_fields.h"

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat {

std::string Truncated(std::string_view text) {
  return std::string(text.substr(0, kMaxDetailLength));
}

void PutText(std::string_view text, ByteWriter* out) {
  CONCORDAT_CHECK(text.size() <= kMaxDetailLength) << "text of " << text.size();
  out->Bytes(text);
}

absl::StatusOr<uint8_t> ReadRecordKind(const RecordFormat& format,
                                       std::string_view record) {
  const std::string machine(format.machine);
  ByteReader head(record.substr(0, RecordFormat::kHeadBytes));
  const uint8_t version = head.U8();
  const uint8_t kind = head.U8();
  if (!head.ok()) return absl::DataLossError(machine + " record is cut short");
  if (version != format.version) {
    return absl::UnimplementedError(absl::StrCat(machine, " record of version ", version,
                                                 ", this program knows ", format.version,
                                                 ": upgrade this node"));
  }
  if (kind < 1 || kind > format.last_kind) {
    return absl::UnimplementedError(absl::StrCat(machine, " record of kind ", kind,
                                                 " is not known: upgrade this node"));
  }
  return kind;
}

absl::Status MalformedRecord(const RecordFormat& format, std::string_view record) {
  const auto kind = static_cast<uint8_t>(record[1]);
  return absl::DataLossError(absl::StrCat(std::string(format.machine), " record of kind ",
                                          kind, " and ", record.size(),
                                          " bytes is malformed"));
}

Gtid FieldReader::ReadGtid() {
  Gtid gtid;
  const uint64_t group = in_.Varint();
  Expect(group <= UINT32_MAX);
  gtid.group = GroupId(static_cast<uint32_t>(group));
  gtid.term = Term(in_.Varint());
  gtid.sequence = in_.Varint();
  return gtid;
}

BranchId FieldReader::ReadBranchOf(const Gtid& gtid) {
  BranchId branch;
  branch.gtid = gtid;
  branch.resource = ReadResourceName();
  branch.incarnation = Incarnation(in_.U64());
  branch.number = in_.Varint();
  return branch;
}

std::string FieldReader::ReadText() {
  const std::string_view text = in_.Bytes();
  Expect(text.size() <= kMaxDetailLength);
  return ok_ ? std::string(text) : std::string();
}

std::string FieldReader::ReadResourceName() {
  std::string name = ReadText();
  Expect(IsValidResourceName(name));
  return name;
}

bool FieldReader::ReadFlag() {
  const uint8_t value = in_.U8();
  Expect(value <= 1);
  return value == 1;
}

uint64_t FieldReader::ReadCount(uint64_t least) {
  const uint64_t count = in_.Varint();
  Expect(count <= in_.remaining() / least);
  return ok() ? count : 0;
}

}  // namespace concordat
