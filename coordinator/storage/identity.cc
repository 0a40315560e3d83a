#include "coordinator/storage/identity.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace concordat::storage {
namespace {

constexpr std::string_view kHead = "concordat coordinator node, format 1";
constexpr char kFile[] = "/node";

std::string Members(const Identity& identity) {
  return absl::StrJoin(identity.members, " ", [](std::string* out, NodeId node) {
    absl::StrAppend(out, node.value());
  });
}

std::vector<std::string> Lines(const Identity& identity) {
  return {std::string(kHead), absl::StrFormat("cluster %016x", identity.cluster.value()),
          absl::StrCat("node ", identity.node.value()),
          absl::StrCat("members ", Members(identity))};
}

absl::Status Compare(const std::string& dir, const std::vector<std::string>& found,
                     const Identity& identity) {
  const std::vector<std::string> wanted = Lines(identity);
  if (found.size() != wanted.size() || found[0] != wanted[0]) {
    return absl::DataLossError(
        absl::StrCat(dir, kFile,
                     " is not that of a coordinator node, or of a newer "
                     "version. Restore it from a copy of this node's folder"));
  }
  for (size_t i = 1; i < wanted.size(); ++i) {
    if (found[i] == wanted[i]) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        dir, " belongs to \"", found[i], "\", this node was started as \"", wanted[i],
        "\". Nothing was changed. Name the right folder, or start the node with the id, "
        "the cluster and all the members that it had; their addresses may change"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckFolder(wal::FileEnv* env, const std::string& dir) {
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
    if (absl::EndsWith(name, ".log")) continue;  // where --log-file may point
    return absl::FailedPreconditionError(
        absl::StrCat(dir, " is not a coordinator's data directory: it holds \"", name,
                     "\". Name an empty folder, or one that a coordinator has made"));
  }
  return absl::OkStatus();
}

absl::Status ClaimDirectory(wal::FileEnv* env, const std::string& dir,
                            const Identity& identity, bool fresh) {
  absl::StatusOr<std::string> text = wal::ReadWholeFile(env, dir + kFile);
  if (absl::IsNotFound(text.status())) {
    if (fresh) {
      return wal::WriteWholeFile(env, dir, "node",
                                 absl::StrJoin(Lines(identity), "\n") + "\n");
    }
    return absl::FailedPreconditionError(absl::StrCat(
        dir,
        " holds a log, but not the file \"node\" that says whose it is. Restore the "
        "file from a copy of this node's folder"));
  }
  if (!text.ok()) return text.status();
  const std::vector<std::string> lines = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  return Compare(dir, lines, identity);
}

}  // namespace concordat::storage
