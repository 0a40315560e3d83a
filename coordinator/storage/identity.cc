#include "coordinator/storage/identity.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "wal/directory.h"

namespace concordat::storage {
namespace {

constexpr std::string_view kHead = "concordat coordinator node, format 2";
constexpr char kLogLine[] = "log ";
constexpr size_t kMembersLine = 3;  // which line it is
constexpr char kFile[] = "/node";

std::string Members(const NodeIdentity& identity) {
  if (identity.members.empty()) return "-";
  return absl::StrJoin(identity.members, " ", [](std::string* out, NodeId node) {
    absl::StrAppend(out, node.value());
  });
}

// The lines of the file except the last, which names the log.
std::vector<std::string> Lines(const NodeIdentity& identity) {
  return {std::string(kHead), absl::StrCat("cluster ", identity.cluster_name),
          absl::StrCat("node ", identity.node.value()),
          absl::StrCat("members ", Members(identity))};
}

absl::Status NotOurs(const std::string& dir) {
  return absl::DataLossError(absl::StrCat(
      dir, kFile,
      " is not that of a coordinator node, or of another version. Restore it "
      "from a copy of this node's folder"));
}

absl::Status Differs(const std::string& dir, const std::string& found,
                     const std::string& wanted) {
  return absl::FailedPreconditionError(absl::StrCat(
      dir, " belongs to \"", found, "\", this node was started as \"", wanted,
      "\". Nothing was changed. Name the right folder, or start the node with the id, "
      "the cluster and all the members that it had; their addresses may change"));
}

absl::StatusOr<uint64_t> Compare(const std::string& dir,
                                 const std::vector<std::string>& found,
                                 const NodeIdentity& identity) {
  const std::vector<std::string> wanted = Lines(identity);
  uint64_t log_id = 0;
  if (found.size() != wanted.size() + 1 || found[0] != wanted[0] ||
      !absl::StartsWith(found.back(), kLogLine) ||
      !absl::SimpleHexAtoi(found.back().substr(std::strlen(kLogLine)), &log_id) ||
      log_id == 0) {
    return NotOurs(dir);
  }
  for (size_t i = 1; i < kMembersLine; ++i) {
    if (found[i] != wanted[i]) return Differs(dir, found[i], wanted[i]);
  }
  return log_id;
}

}  // namespace

absl::Status CheckFolder(FileEnv* env, const std::string& dir) {
  absl::StatusOr<std::vector<std::string>> names = env->List(dir);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  if (!names.ok()) return names.status();
  if (std::find(names->begin(), names->end(), "node") != names->end()) {
    return absl::OkStatus();
  }
  constexpr std::string_view kOurs[] = {"node", "node.new", "log", "snapshots",
                                        "lost+found"};
  for (const std::string& name : *names) {
    if (std::find(std::begin(kOurs), std::end(kOurs), name) != std::end(kOurs)) continue;
    if (absl::EndsWith(name, ".log")) continue;  // perhaps the file of --log-file
    return absl::FailedPreconditionError(
        absl::StrCat(dir, " is not a coordinator's data directory: it holds \"", name,
                     "\". Name an empty folder, or one that a coordinator has made"));
  }
  return absl::OkStatus();
}

bool IsValidClusterName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != ' ' &&
         name.back() != ' ' && std::all_of(name.begin(), name.end(), [](char c) {
           return c >= ' ' && c < 127;
         });
}

absl::StatusOr<uint64_t> RecordedLog(FileEnv* env, const std::string& dir,
                                     const NodeIdentity& identity) {
  absl::StatusOr<std::string> text = ReadWholeFile(env, dir + kFile);
  if (absl::IsNotFound(text.status())) return 0;
  if (!text.ok()) return text.status();
  const std::vector<std::string> lines = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  return Compare(dir, lines, identity);
}

absl::Status CheckMembers(FileEnv* env, const std::string& dir,
                          const NodeIdentity& identity) {
  absl::StatusOr<std::string> text = ReadWholeFile(env, dir + kFile);
  if (!text.ok()) return text.status();
  const std::vector<std::string> found = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  if (found.size() <= kMembersLine) return NotOurs(dir);
  const std::string wanted = Lines(identity)[kMembersLine];
  return found[kMembersLine] == wanted ? absl::OkStatus()
                                       : Differs(dir, found[kMembersLine], wanted);
}

absl::Status ClaimDirectory(FileEnv* env, const std::string& dir,
                            const NodeIdentity& identity, const OpenedLog& log) {
  const absl::StatusOr<uint64_t> recorded = RecordedLog(env, dir, identity);
  if (!recorded.ok()) return recorded.status();
  if (*recorded == log.id) return absl::OkStatus();
  if (*recorded != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        dir, " belongs to log ", wal::LogIdText(*recorded), ", and holds log ",
        wal::LogIdText(log.id), ". Put the right folder back"));
  }
  if (!log.fresh) {
    return absl::FailedPreconditionError(absl::StrCat(
        dir,
        " holds a log, but not the file \"node\" that says whose it is. Restore the "
        "file from a copy of this node's folder"));
  }
  std::vector<std::string> lines = Lines(identity);
  lines.push_back(absl::StrCat(kLogLine, wal::LogIdText(log.id)));
  return WriteWholeFile(env, dir, "node", absl::StrJoin(lines, "\n") + "\n");
}

}  // namespace concordat::storage
