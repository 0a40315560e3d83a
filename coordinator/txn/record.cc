#include "coordinator/txn/record.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
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
  kHeuristic = 6,
};
constexpr RecordFormat kFormat = {"transaction", kRecordVersion,
                                  static_cast<uint8_t>(Kind::kHeuristic)};

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

void Put(const HeuristicRecord& r, ByteWriter* out) {
  Encode(r.branch, out);
  out->U8(static_cast<uint8_t>(r.what));
  PutText(r.detail, out);
}

Kind KindOf(const Record& record) {
  static_assert(std::variant_size_v<Record> == 6);
  // Kinds are numbered in the order of the variant.
  return static_cast<Kind>(record.index() + 1);
}

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

HeuristicRecord ReadHeuristic(FieldReader* in) {
  HeuristicRecord r;
  const Gtid gtid = in->ReadGtid();
  r.branch = in->ReadBranchOf(gtid);
  r.what = in->ReadEnum(Heuristic::kCommit, Heuristic::kForgotten);
  r.detail = in->ReadText();
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
    case Kind::kHeuristic:
      return ReadHeuristic(in);
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

std::string Text(const HeuristicRecord& r) {
  return absl::StrCat("HEURISTIC ", ToString(r.branch), " ",
                      std::string(ToString(r.what)), " detail='", r.detail, "'");
}

}  // namespace

std::string EncodeRecord(const Record& record) {
  ByteWriter out;
  out.U8(kRecordVersion);
  out.U8(static_cast<uint8_t>(KindOf(record)));
  std::visit([&out](const auto& r) { Put(r, &out); }, record);
  return out.Take();
}

absl::StatusOr<Record> DecodeRecord(std::string_view bytes) {
  const auto kind = ReadRecordKind(kFormat, bytes);
  if (!kind.ok()) return kind.status();
  FieldReader in(bytes.substr(RecordFormat::kHeadBytes));
  Record record = ReadRecord(static_cast<Kind>(*kind), &in);
  return in.complete() ? absl::StatusOr<Record>(std::move(record))
                       : MalformedRecord(kFormat, bytes);
}

std::string Describe(const Record& record) {
  return std::visit([](const auto& r) { return Text(r); }, record);
}

}  // namespace concordat::txn
