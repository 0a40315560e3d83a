#include "coordinator/base/xid.h"

#include <charconv>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "coordinator/base/check.h"

namespace concordat {

namespace {

constexpr std::string_view kTextPrefix = "concordat_";
constexpr size_t kClusterDigits = 16;

std::string Hex(uint64_t value) { return absl::StrCat(absl::Hex(value)); }

bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// Accepts only the spelling of Hex(), so that equal ids have equal texts.
std::optional<uint64_t> ParseHex(std::string_view text) {
  if (text.empty() || text.size() > 16) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  for (const char c : text) {
    if (!IsLowerHex(c)) return std::nullopt;
  }
  uint64_t value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string_view> Split(std::string_view text, char by) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(by, begin);
    parts.push_back(text.substr(begin, end == text.npos ? text.npos : end - begin));
    if (end == text.npos) return parts;
    begin = end + 1;
  }
}

absl::Status Malformed(std::string_view what, std::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("not a ", std::string(what), ": '", std::string(text), "'"));
}

std::string Bqual(const BranchId& branch) {
  return absl::StrCat(branch.resource, ".", Hex(branch.incarnation.value()), ".",
                      Hex(branch.number));
}

// Fills resource, incarnation and number from the three texts.
bool FillBranch(std::string_view resource, std::string_view incarnation,
                std::string_view number, BranchId* branch) {
  const auto drawn = ParseHex(incarnation);
  const auto count = ParseHex(number);
  if (!IsValidResourceName(resource) || !drawn || !count) return false;
  branch->resource = std::string(resource);
  branch->incarnation = Incarnation(*drawn);
  branch->number = *count;
  return true;
}

std::optional<ClusterId> ParseCluster(std::string_view text) {
  if (text.size() != kClusterDigits) return std::nullopt;
  while (text.size() > 1 && text[0] == '0') text.remove_prefix(1);
  const auto value = ParseHex(text);
  if (!value) return std::nullopt;
  return ClusterId(*value);
}

}  // namespace

bool IsValidResourceName(std::string_view name) {
  if (name.empty() || name.size() > kMaxResourceNameLength) return false;
  if (name[0] == '-' || name[0] == '_') return false;
  for (const char c : name) {
    const bool letter = c >= 'a' && c <= 'z';
    const bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != '-' && c != '_') return false;
  }
  return true;
}

std::string ToString(const Gtid& gtid) {
  return absl::StrCat(Hex(gtid.group.value()), ".", Hex(gtid.term.value()), ".",
                      Hex(gtid.sequence));
}

std::string ToString(const BranchId& branch) {
  return absl::StrCat(ToString(branch.gtid), "/", branch.resource, "/",
                      Hex(branch.incarnation.value()), ".", Hex(branch.number));
}

std::ostream& operator<<(std::ostream& out, const Gtid& gtid) {
  return out << ToString(gtid);
}
std::ostream& operator<<(std::ostream& out, const BranchId& branch) {
  return out << ToString(branch);
}

absl::StatusOr<Gtid> ParseGtid(std::string_view text) {
  const auto parts = Split(text, '.');
  if (parts.size() != 3) return Malformed("gtid", text);
  const auto group = ParseHex(parts[0]);
  const auto term = ParseHex(parts[1]);
  const auto sequence = ParseHex(parts[2]);
  if (!group || *group > UINT32_MAX || !term || !sequence || *sequence == 0) {
    return Malformed("gtid", text);
  }
  return Gtid{GroupId(static_cast<uint32_t>(*group)), Term(*term), *sequence};
}

absl::StatusOr<BranchId> ParseBranchId(std::string_view text) {
  const auto parts = Split(text, '/');
  if (parts.size() != 3) return Malformed("branch id", text);
  auto gtid = ParseGtid(parts[0]);
  if (!gtid.ok()) return Malformed("branch id", text);
  const auto numbers = Split(parts[2], '.');
  BranchId branch;
  branch.gtid = *gtid;
  if (numbers.size() != 2 || !FillBranch(parts[1], numbers[0], numbers[1], &branch)) {
    return Malformed("branch id", text);
  }
  return branch;
}

Xid MakeXid(ClusterId cluster, const BranchId& branch) {
  Xid xid;
  xid.gtrid = absl::StrCat(absl::Hex(cluster.value(), absl::kZeroPad16), "-",
                           ToString(branch.gtid));
  xid.bqual = Bqual(branch);
  CONCORDAT_CHECK(xid.gtrid.size() <= Xid::kMaxPartLength) << xid.gtrid;
  CONCORDAT_CHECK(xid.bqual.size() <= Xid::kMaxPartLength) << xid.bqual;
  return xid;
}

std::string XidText(const Xid& xid) {
  return absl::StrCat(std::string(kTextPrefix), xid.gtrid, "_", xid.bqual);
}

absl::StatusOr<ParsedXid> ParseXid(const Xid& xid) {
  const std::string text = xid.gtrid + "_" + xid.bqual;
  if (xid.format_id != Xid::kFormatId) return Malformed("Concordat xid", text);
  const auto gtrid = Split(xid.gtrid, '-');
  const auto bqual = Split(xid.bqual, '.');
  if (gtrid.size() != 2 || bqual.size() != 3) return Malformed("Concordat xid", text);
  const auto cluster = ParseCluster(gtrid[0]);
  auto gtid = ParseGtid(gtrid[1]);
  ParsedXid parsed;
  if (!cluster || !gtid.ok() ||
      !FillBranch(bqual[0], bqual[1], bqual[2], &parsed.branch)) {
    return Malformed("Concordat xid", text);
  }
  parsed.cluster = *cluster;
  parsed.branch.gtid = *gtid;
  return parsed;
}

absl::StatusOr<ParsedXid> ParseXidText(std::string_view text) {
  if (text.substr(0, kTextPrefix.size()) != kTextPrefix) {
    return Malformed("Concordat xid", text);
  }
  const std::string_view rest = text.substr(kTextPrefix.size());
  const size_t underscore = rest.find('_');  // a gtrid has none, a resource name may
  if (underscore == rest.npos) return Malformed("Concordat xid", text);
  Xid xid;
  xid.gtrid = std::string(rest.substr(0, underscore));
  xid.bqual = std::string(rest.substr(underscore + 1));
  return ParseXid(xid);
}

void Encode(const Gtid& gtid, ByteWriter* out) {
  out->Varint(gtid.group.value());
  out->Varint(gtid.term.value());
  out->Varint(gtid.sequence);
}

void Encode(const BranchId& branch, ByteWriter* out) {
  Encode(branch.gtid, out);
  out->Bytes(branch.resource);
  out->U64(branch.incarnation.value());
  out->Varint(branch.number);
}

Gtid DecodeGtid(ByteReader* in) {
  Gtid gtid;
  gtid.group = GroupId(static_cast<uint32_t>(in->Varint()));
  gtid.term = Term(in->Varint());
  gtid.sequence = in->Varint();
  return gtid;
}

BranchId DecodeBranchId(ByteReader* in) {
  BranchId branch;
  branch.gtid = DecodeGtid(in);
  branch.resource = std::string(in->Bytes());
  branch.incarnation = Incarnation(in->U64());
  branch.number = in->Varint();
  return branch;
}

}  // namespace concordat
