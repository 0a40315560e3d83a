#include "wal/directory.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "wal/crc.h"
#include "wal/segment.h"

namespace concordat::wal {
namespace {

constexpr std::string_view kSegmentPrefix = "segment-";
constexpr std::string_view kSparePrefix = "spare-";
constexpr size_t kDigits = 10;

std::optional<uint32_t> NumberAfter(std::string_view prefix, const std::string& name) {
  if (name.size() != prefix.size() + kDigits) return std::nullopt;
  if (name.compare(0, prefix.size(), prefix) != 0) return std::nullopt;
  const std::string digits = name.substr(prefix.size());
  if (!std::all_of(digits.begin(), digits.end(),
                   [](char c) { return c >= '0' && c <= '9'; })) {
    return std::nullopt;
  }
  uint32_t number = 0;
  if (!absl::SimpleAtoi(digits, &number) || number == 0) return std::nullopt;
  return number;
}

std::string IdentityText(const LogIdentity& identity) {
  std::string text =
      absl::StrCat("concordat-wal\nformat ", kFormatVersion, "\nowner ", identity.owner,
                   "\nlog ", LogIdText(identity.log_id), "\n");
  absl::StrAppend(&text, "crc32 ", absl::Hex(Crc32(0, text), absl::kZeroPad8), "\n");
  return text;
}

// The value of a line "key value"; nullopt when the line has another key.
std::optional<std::string> Value(const std::string& line, std::string_view key) {
  if (line.compare(0, key.size(), key) != 0) return std::nullopt;
  return line.substr(key.size());
}

}  // namespace

std::string LogIdText(uint64_t log_id) {
  return absl::StrCat(absl::Hex(log_id, absl::kZeroPad16));
}

std::string LockPath(const std::string& dir) { return dir + "/LOCK"; }
std::string IdentityPath(const std::string& dir) { return dir + "/IDENTITY"; }
std::string NewIdentityPath(const std::string& dir) { return dir + "/IDENTITY.new"; }
std::string SegmentPath(const std::string& dir, uint32_t generation) {
  return absl::StrFormat("%s/segment-%010u", dir, generation);
}
std::string SparePath(const std::string& dir, uint32_t number) {
  return absl::StrFormat("%s/spare-%010u", dir, number);
}

absl::StatusOr<Listing> ListLog(FileEnv* env, const std::string& dir) {
  auto names = env->List(dir);
  if (!names.ok()) return names.status();
  Listing listing;
  for (const std::string& name : *names) {
    if (name == "LOCK" || name == "lost+found") continue;
    if (name == "IDENTITY") {
      listing.identity = true;
    } else if (name == "IDENTITY.new") {
      listing.identity_new = true;
    } else if (auto segment = NumberAfter(kSegmentPrefix, name)) {
      listing.segments.push_back(*segment);
    } else if (auto spare = NumberAfter(kSparePrefix, name)) {
      listing.spares.push_back(*spare);
    } else {
      listing.foreign.push_back(name);
    }
  }
  return listing;
}

bool IsValidOwner(std::string_view owner) {
  return !owner.empty() && owner.size() <= 64 &&
         std::all_of(owner.begin(), owner.end(),
                     [](char c) { return c > ' ' && c < 127; });
}

absl::Status WriteIdentity(FileEnv* env, const std::string& dir,
                           const LogIdentity& identity) {
  auto file = env->Create(NewIdentityPath(dir));
  if (!file.ok()) return file.status();
  absl::Status status = (*file)->WriteAt(0, IdentityText(identity));
  if (status.ok()) status = (*file)->Sync();
  if (status.ok()) status = env->Rename(NewIdentityPath(dir), IdentityPath(dir));
  if (status.ok()) status = env->SyncDir(dir);
  return status;
}

absl::StatusOr<LogIdentity> ReadIdentity(FileEnv* env, const std::string& dir) {
  const std::string path = IdentityPath(dir);
  auto text = ReadWholeFile(env, path);
  if (!text.ok()) return text.status();
  const absl::Status damaged = absl::DataLossError(path + " is damaged");

  // The checksum is checked first, so that a flipped bit is not taken for another
  // format version. It is the last line in every format version.
  const size_t sum = text->rfind("crc32 ");
  if (sum == std::string::npos) return damaged;
  const std::string body = text->substr(0, sum);
  if (text->substr(sum) !=
      absl::StrCat("crc32 ", absl::Hex(Crc32(0, body), absl::kZeroPad8), "\n")) {
    return damaged;
  }
  const std::vector<std::string> lines = absl::StrSplit(body, '\n');
  if (lines.size() < 2 || lines[0] != "concordat-wal") return damaged;
  const auto version = Value(lines[1], "format ");
  if (!version.has_value()) return damaged;
  if (*version != absl::StrCat(kFormatVersion)) {
    return absl::FailedPreconditionError(
        absl::StrCat(dir, " holds a log of format version ", *version,
                     ", this program reads ", kFormatVersion));
  }
  if (lines.size() < 4) return damaged;
  const auto owner = Value(lines[2], "owner ");
  const auto log_id = Value(lines[3], "log ");
  LogIdentity identity;
  if (!owner.has_value() || !log_id.has_value() ||
      !absl::SimpleHexAtoi(*log_id, &identity.log_id)) {
    return damaged;
  }
  identity.owner = *owner;
  return identity;
}

}  // namespace concordat::wal
