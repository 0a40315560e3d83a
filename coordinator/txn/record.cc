#include "coordinator/txn/record.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/check.h"

namespace concordat::txn {

namespace {

enum class Kind : uint8_t {
  kStaged = 1,
  kDecided = 2,
  kEnded = 3,
  kEnlisted = 4,
  kWatermark = 5,
  kResource = 6,
  kHeuristic = 7,
  kRetired = 8,
};

void PutText(const std::string& text, ByteWriter* out) {
  CONCORDAT_CHECK(text.size() <= kMaxDetailLength) << "text of " << text.size();
  out->Bytes(text);
}

// Without its gtid, which the record names.
void PutBranch(const Gtid& gtid, const BranchId& branch, ByteWriter* out) {
  CONCORDAT_CHECK(branch.gtid == gtid) << branch << " in a record of " << gtid;
  out->Bytes(branch.resource);
  out->U64(branch.incarnation.value());
  out->Varint(branch.number);
}

void Put(const StagedRecord& r, ByteWriter* out) {
  Encode(r.gtid, out);
  out->U8(static_cast<uint8_t>(r.mode));
  out->U8(r.all_prepared ? 1 : 0);
  out->Varint(r.timeout_ms);
  out->Varint(r.branches.size());
  for (const BranchId& branch : r.branches) PutBranch(r.gtid, branch, out);
}

void Put(const DecidedRecord& r, ByteWriter* out) {
  Encode(r.gtid, out);
  out->U8(static_cast<uint8_t>(r.outcome));
  out->U8(static_cast<uint8_t>(r.cause));
  PutText(r.detail, out);
  PutText(r.by, out);
  out->Varint(r.read_only.size());
  for (const BranchId& branch : r.read_only) PutBranch(r.gtid, branch, out);
}

void Put(const EndedRecord& r, ByteWriter* out) {
  out->Varint(r.gtids.size());
  for (const Gtid& gtid : r.gtids) Encode(gtid, out);
}

void Put(const EnlistedRecord& r, ByteWriter* out) { Encode(r.branch, out); }

void Put(const WatermarkRecord& r, ByteWriter* out) { Encode(r.gtid, out); }

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

void Put(const HeuristicRecord& r, ByteWriter* out) {
  Encode(r.branch, out);
  out->U8(static_cast<uint8_t>(r.what));
  PutText(r.detail, out);
}

void Put(const RetiredRecord& r, ByteWriter* out) {
  PutText(r.name, out);
  PutText(r.by, out);
}

Kind KindOf(const Record& record) {
  static_assert(std::variant_size_v<Record> == 8);
  // Kinds are numbered in the order of the variant.
  return static_cast<Kind>(record.index() + 1);
}

// Reads the fields of one record. Values that no version of ours writes make it fail.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : in_(bytes) {}

  Gtid ReadGtid() {
    Gtid gtid;
    const uint64_t group = in_.Varint();
    Expect(group <= UINT32_MAX);
    gtid.group = GroupId(static_cast<uint32_t>(group));
    gtid.term = Term(in_.Varint());
    gtid.sequence = in_.Varint();
    return gtid;
  }

  BranchId ReadBranchOf(const Gtid& gtid) {
    BranchId branch;
    branch.gtid = gtid;
    branch.resource = std::string(in_.Bytes());
    Expect(IsValidResourceName(branch.resource));
    branch.incarnation = Incarnation(in_.U64());
    branch.number = in_.Varint();
    return branch;
  }

  std::string ReadText() {
    const std::string_view text = in_.Bytes();
    Expect(text.size() <= kMaxDetailLength);
    return ok_ ? std::string(text) : std::string();
  }

  template <class E>
  E ReadEnum(E first, E last) {
    const uint8_t value = in_.U8();
    Expect(value >= static_cast<uint8_t>(first) && value <= static_cast<uint8_t>(last));
    return ok_ ? static_cast<E>(value) : first;
  }

  uint64_t ReadNumber() { return in_.Varint(); }
  uint64_t ReadFixed() { return in_.U64(); }
  bool ReadFlag() {
    const uint8_t value = in_.U8();
    Expect(value <= 1);
    return value == 1;
  }

  // Of elements that take at least `least` bytes each; 0 when it cannot be.
  uint64_t ReadCount(uint64_t least) {
    const uint64_t count = in_.Varint();
    Expect(count <= in_.remaining() / least);
    return ok() ? count : 0;
  }

  void Expect(bool condition) { ok_ = ok_ && in_.ok() && condition; }
  [[nodiscard]] bool ok() const { return ok_ && in_.ok(); }
  [[nodiscard]] bool complete() const { return ok() && in_.at_end(); }

 private:
  ByteReader in_;
  bool ok_ = true;
};

StagedRecord ReadStaged(FieldReader* in) {
  StagedRecord r;
  r.gtid = in->ReadGtid();
  r.mode = in->ReadEnum(CommitMode::kDecided, CommitMode::kParallel);
  r.all_prepared = in->ReadFlag();
  r.timeout_ms = in->ReadNumber();
  const uint64_t count = in->ReadCount(11);
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    r.branches.push_back(in->ReadBranchOf(r.gtid));
  }
  in->Expect(!r.all_prepared || !r.branches.empty());
  return r;
}

DecidedRecord ReadDecided(FieldReader* in) {
  DecidedRecord r;
  r.gtid = in->ReadGtid();
  r.outcome = in->ReadEnum(Outcome::kCommitted, Outcome::kAborted);
  r.cause = in->ReadEnum(AbortCause::kNone, kLastAbortCause);
  in->Expect((r.outcome == Outcome::kCommitted) == (r.cause == AbortCause::kNone));
  r.detail = in->ReadText();
  r.by = in->ReadText();
  const uint64_t count = in->ReadCount(11);
  in->Expect(count == 0 || r.outcome == Outcome::kCommitted);
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    r.read_only.push_back(in->ReadBranchOf(r.gtid));
  }
  return r;
}

EndedRecord ReadEnded(FieldReader* in) {
  EndedRecord r;
  const uint64_t count = in->ReadCount(3);
  for (uint64_t i = 0; i < count && in->ok(); ++i) r.gtids.push_back(in->ReadGtid());
  return r;
}

EnlistedRecord ReadEnlisted(FieldReader* in) {
  const Gtid gtid = in->ReadGtid();
  return EnlistedRecord{in->ReadBranchOf(gtid)};
}

ResourceRecord ReadResource(FieldReader* in) {
  ResourceRecord r;
  r.name = in->ReadText();
  in->Expect(IsValidResourceName(r.name));
  r.address = in->ReadText();
  r.kind = in->ReadText();
  r.incarnation = Incarnation(in->ReadFixed());
  r.cluster = ClusterId(in->ReadFixed());
  r.store = in->ReadText();
  r.replace_store = in->ReadFlag();
  r.generation = in->ReadNumber();
  return r;
}

HeuristicRecord ReadHeuristic(FieldReader* in) {
  HeuristicRecord r;
  const Gtid gtid = in->ReadGtid();
  r.branch = in->ReadBranchOf(gtid);
  r.what = in->ReadEnum(Heuristic::kCommit, Heuristic::kForgotten);
  r.detail = in->ReadText();
  return r;
}

RetiredRecord ReadRetired(FieldReader* in) {
  RetiredRecord r;
  r.name = in->ReadText();
  in->Expect(IsValidResourceName(r.name));
  r.by = in->ReadText();
  return r;
}

Record ReadRecord(Kind kind, FieldReader* in) {
  switch (kind) {
    case Kind::kStaged:
      return ReadStaged(in);
    case Kind::kDecided:
      return ReadDecided(in);
    case Kind::kEnded:
      return ReadEnded(in);
    case Kind::kEnlisted:
      return ReadEnlisted(in);
    case Kind::kWatermark:
      return WatermarkRecord{in->ReadGtid()};
    case Kind::kResource:
      return ReadResource(in);
    case Kind::kHeuristic:
      return ReadHeuristic(in);
    case Kind::kRetired:
      return ReadRetired(in);
  }
  in->Expect(false);
  return WatermarkRecord{};
}

std::string ListOf(const std::vector<BranchId>& branches) {
  std::string list = "[";
  for (const BranchId& branch : branches) {
    absl::StrAppend(&list, list.size() == 1 ? "" : " ", ToString(branch));
  }
  return list + "]";
}

std::string Text(const StagedRecord& r) {
  return absl::StrCat("STAGED ", ToString(r.gtid),
                      " mode=", std::string(ToString(r.mode)),
                      " timeout_ms=", r.timeout_ms, r.all_prepared ? " all-prepared" : "",
                      " branches=", ListOf(r.branches));
}

std::string Text(const DecidedRecord& r) {
  std::string line =
      absl::StrCat("DECIDED ", ToString(r.gtid), " ", std::string(ToString(r.outcome)));
  if (r.cause != AbortCause::kNone) {
    absl::StrAppend(&line, " cause=", std::string(ToString(r.cause)));
  }
  if (!r.read_only.empty()) absl::StrAppend(&line, " read-only=", ListOf(r.read_only));
  if (!r.by.empty()) absl::StrAppend(&line, " by='", r.by, "'");
  if (!r.detail.empty()) absl::StrAppend(&line, " detail='", r.detail, "'");
  return line;
}

std::string Text(const EndedRecord& r) {
  std::string line = "ENDED";
  for (const Gtid& gtid : r.gtids) absl::StrAppend(&line, " ", ToString(gtid));
  return line;
}

std::string Text(const EnlistedRecord& r) {
  return absl::StrCat("ENLISTED ", ToString(r.branch));
}

std::string Text(const WatermarkRecord& r) {
  return absl::StrCat("WATERMARK ", ToString(r.gtid));
}

std::string Text(const ResourceRecord& r) {
  return absl::StrCat("RESOURCE ", r.name, " kind=", r.kind, " address=", r.address,
                      " incarnation=", absl::Hex(r.incarnation.value()),
                      " cluster=", absl::Hex(r.cluster.value(), absl::kZeroPad16),
                      " store=", r.store, r.replace_store ? " replaces" : "",
                      r.generation == 0 ? "" : " generation=",
                      r.generation == 0 ? "" : GenerationText(r.generation));
}

std::string Text(const HeuristicRecord& r) {
  return absl::StrCat("HEURISTIC ", ToString(r.branch), " ",
                      std::string(ToString(r.what)), " detail='", r.detail, "'");
}

std::string Text(const RetiredRecord& r) {
  return absl::StrCat("RETIRED ", r.name, " by='", r.by, "'");
}

}  // namespace

// Howard Hinnant, "chrono-compatible low-level date algorithms", civil_from_days: the
// core has no clock, and this needs none.
std::string GenerationText(uint64_t generation) {
  if (generation == 0) return "before it kept a generation";
  const uint64_t seconds = generation / 1000;
  const uint64_t days = seconds / 86'400 + 719'468;
  const uint64_t era = days / 146'097;
  const uint64_t of_era = days % 146'097;
  const uint64_t year =
      (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const uint64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const uint64_t month = (5 * of_year + 2) / 153;  // from March
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
  out.U8(static_cast<uint8_t>(KindOf(record)));
  std::visit([&out](const auto& r) { Put(r, &out); }, record);
  return out.Take();
}

absl::StatusOr<Record> DecodeRecord(std::string_view bytes) {
  ByteReader head(bytes.substr(0, 2));
  const uint8_t version = head.U8();
  const uint8_t kind = head.U8();
  if (!head.ok()) return absl::DataLossError("transaction record is cut short");
  if (version != kRecordVersion) {
    return absl::UnimplementedError(absl::StrCat("transaction record of version ",
                                                 version, ", this program knows ",
                                                 kRecordVersion, ": upgrade this node"));
  }
  if (kind < static_cast<uint8_t>(Kind::kStaged) ||
      kind > static_cast<uint8_t>(Kind::kRetired)) {
    return absl::UnimplementedError(absl::StrCat("transaction record of kind ", kind,
                                                 " is not known: upgrade this node"));
  }
  FieldReader in(bytes.substr(2));
  Record record = ReadRecord(static_cast<Kind>(kind), &in);
  if (!in.complete()) {
    return absl::DataLossError(absl::StrCat("transaction record of kind ", kind, " and ",
                                            bytes.size(), " bytes is malformed"));
  }
  return record;
}

std::string Describe(const Record& record) {
  return std::visit([](const auto& r) { return Text(r); }, record);
}

}  // namespace concordat::txn
