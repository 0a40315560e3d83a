#include "coordinator/registry/record.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/record_fields.h"

namespace concordat::registry {

namespace {

enum class Kind : uint8_t { kResource = 1, kRetired = 2 };
constexpr RecordFormat kFormat = {"registry", kRecordVersion,
                                  static_cast<uint8_t>(Kind::kRetired)};

void Put(const ResourceRecord& r, ByteWriter* out) {
  PutText(r.name, out);
  PutText(r.address, out);
  PutText(r.kind, out);
  out->U64(r.incarnation.value());
  out->U64(r.cluster.value());
  PutText(r.store, out);
  out->U8(r.replace_store ? 1 : 0);
  out->Varint(r.generation);
}

void Put(const RetiredRecord& r, ByteWriter* out) {
  PutText(r.name, out);
  PutText(r.by, out);
}

ResourceRecord ReadResource(FieldReader* in) {
  ResourceRecord r;
  r.name = in->ReadResourceName();
  r.address = in->ReadText();
  r.kind = in->ReadText();
  r.incarnation = Incarnation(in->ReadFixed());
  r.cluster = ClusterId(in->ReadFixed());
  r.store = in->ReadText();
  r.replace_store = in->ReadFlag();
  r.generation = in->ReadNumber();
  return r;
}

RetiredRecord ReadRetired(FieldReader* in) {
  RetiredRecord r;
  r.name = in->ReadResourceName();
  r.by = in->ReadText();
  return r;
}

std::string Text(const ResourceRecord& r) {
  return absl::StrCat("RESOURCE ", r.name, " kind=", r.kind, " address=", r.address,
                      " incarnation=", absl::Hex(r.incarnation.value()),
                      " cluster=", absl::Hex(r.cluster.value(), absl::kZeroPad16),
                      " store=", r.store, r.replace_store ? " replaces" : "",
                      r.generation == 0 ? "" : " generation=",
                      r.generation == 0 ? "" : GenerationText(r.generation));
}

std::string Text(const RetiredRecord& r) {
  return absl::StrCat("RETIRED ", r.name, " by='", r.by, "'");
}

}  // namespace

// The algorithm civil_from_days of Howard Hinnant, "chrono-compatible low-level date
// algorithms". It uses no clock and no time zone.
std::string GenerationText(uint64_t generation) {
  if (generation == 0) return "before it kept a generation";
  const uint64_t seconds = generation / 1000;
  const uint64_t days = seconds / 86'400 + 719'468;
  const uint64_t era = days / 146'097;
  const uint64_t of_era = days % 146'097;
  const uint64_t year =
      (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const uint64_t month = (5 * of_year + 2) / 153;  // 0 is March
  const uint64_t day = of_year - (153 * month + 2) / 5 + 1;
  const uint64_t civil = month < 10 ? month + 3 : month - 9;
  return absl::StrFormat("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                         year + era * 400 + (civil <= 2 ? 1 : 0), civil, day,
                         seconds / 3600 % 24, seconds / 60 % 60, seconds % 60,
                         generation % 1000);
}

std::string EncodeRecord(const Record& record) {
  ByteWriter out;
  out.U8(kRecordVersion);
  out.U8(static_cast<uint8_t>(record.index() + 1));
  std::visit([&out](const auto& r) { Put(r, &out); }, record);
  return out.Take();
}

absl::StatusOr<Record> DecodeRecord(std::string_view bytes) {
  const auto kind = ReadRecordKind(kFormat, bytes);
  if (!kind.ok()) return kind.status();
  FieldReader in(bytes.substr(RecordFormat::kHeadBytes));
  Record record;
  switch (static_cast<Kind>(*kind)) {
    case Kind::kResource:
      record = ReadResource(&in);
      break;
    case Kind::kRetired:
      record = ReadRetired(&in);
      break;
  }
  return in.complete() ? absl::StatusOr<Record>(std::move(record))
                       : MalformedRecord(kFormat, bytes);
}

std::string Describe(const Record& record) {
  return std::visit([](const auto& r) { return Text(r); }, record);
}

}  // namespace concordat::registry
