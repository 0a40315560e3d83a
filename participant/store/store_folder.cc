#include "participant/store/store_folder.h"

#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "coordinator/base/check.h"

namespace concordat::participant {
namespace {

bool IsOurs(const std::string& name) {
  for (const std::string_view ours :
       {"lock", "store", "store.new", "generation", "generation.new", "checkpoint",
        "checkpoint.new", "wal", "lost+found"}) {
    if (name == ours) return true;
  }
  return false;
}

absl::Status CheckFiles(FileEnv* env, const std::string& dir,
                        const StoreFolderKind& kind) {
  absl::StatusOr<std::vector<std::string>> names = env->List(dir);
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    if (IsOurs(name)) continue;
    return absl::FailedPreconditionError(
        absl::StrCat(dir, " is not the folder of ", kind.owner, ": it holds \"", name,
                     "\". Name an empty folder, or one that it has made", kind.advice));
  }
  return absl::OkStatus();
}

// The contents of the file `store`.
struct Found {
  std::string text;
  std::string id;
  uint64_t log_id = 0;  // 0: no log has been made yet
};

constexpr char kLogLine[] = "log ";

// Makes the identity of a folder that has no file `store` yet.
absl::StatusOr<Found> MakeIdentity(FileEnv* env, const std::string& dir,
                                   const std::string& head) {
  for (const char* part : {"/checkpoint", "/wal", "/generation"}) {
    if (env->OpenReadOnly(dir + part).ok()) {
      return absl::FailedPreconditionError(
          absl::StrCat(dir,
                       " holds a log or a checkpoint, but not the file \"store\" that "
                       "says whose they are. Restore it from a copy"));
    }
  }
  Found found;
  found.id = absl::StrFormat("%016x", env->NewId());
  found.text = absl::StrCat(head, found.id, "\n");
  const absl::Status written = WriteWholeFile(env, dir, "store", found.text);
  if (!written.ok()) return written;
  return found;
}

absl::StatusOr<Found> ParseIdentity(const std::string& dir, std::string text,
                                    size_t head) {
  const std::vector<std::string> lines =
      absl::StrSplit(text.substr(head), '\n', absl::SkipEmpty());
  Found found;
  if (!lines.empty()) found.id = lines[0];
  const bool with_log = lines.size() == 2 && lines[1].starts_with(kLogLine);
  if (with_log) {
    (void)absl::SimpleHexAtoi(lines[1].substr(std::strlen(kLogLine)), &found.log_id);
  }
  if (lines.size() == 1 || found.log_id != 0) {
    found.text = std::move(text);
    return found;
  }
  return absl::DataLossError(
      absl::StrCat(dir, "/store is damaged. Restore the folder from a copy"));
}

absl::StatusOr<Found> FindIdentity(FileEnv* env, const std::string& dir,
                                   const StoreFolderKind& kind, ClusterId cluster) {
  const std::string format = absl::StrCat(kind.format, "\n");
  const std::string head =
      absl::StrCat(format, absl::StrFormat("cluster %016x\nid ", cluster.value()));
  absl::StatusOr<std::string> text = ReadWholeFile(env, dir + "/store");
  if (absl::IsNotFound(text.status())) return MakeIdentity(env, dir, head);
  if (!text.ok()) return text.status();
  if (text->rfind(head, 0) == 0) return ParseIdentity(dir, *std::move(text), head.size());
  if (text->rfind(format, 0) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        dir, "/store is not that of ", kind.owner, ", or of a newer version of it"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(dir, " belongs to another cluster (", text->substr(format.size(), 24),
                   "; this one is ", absl::StrFormat("%016x", cluster.value()),
                   "). Name another folder, or the coordinators of that cluster"));
}

// Returns 0 when there is no generation.
absl::StatusOr<uint64_t> ReadGeneration(FileEnv* env, const std::string& dir) {
  const absl::StatusOr<std::string> text = ReadWholeFile(env, dir + "/generation");
  if (absl::IsNotFound(text.status())) return 0;
  if (!text.ok()) return text.status();
  uint64_t generation = 0;
  if (absl::SimpleAtoi(*text, &generation)) return generation;
  return absl::DataLossError(
      absl::StrCat(dir, "/generation holds no number. Restore the folder from a copy"));
}

}  // namespace

absl::StatusOr<StoreFolder> StoreFolder::Claim(FileEnv* env, const std::string& dir,
                                               const StoreFolderKind& kind,
                                               ClusterId cluster) {
  if (absl::Status s = env->CreateDir(dir); !s.ok()) return s;
  if (absl::Status s = CheckFiles(env, dir, kind); !s.ok()) return s;
  absl::StatusOr<std::unique_ptr<FileLock>> lock = env->Lock(dir + "/lock");
  if (!lock.ok()) {
    return absl::Status(
        lock.status().code(),
        absl::StrCat(lock.status().message(), ". The folder of ", kind.owner,
                     " is for one process: end the other one, or name "
                     "another folder"));
  }
  absl::StatusOr<Found> found = FindIdentity(env, dir, kind, cluster);
  if (!found.ok()) return found.status();
  const absl::StatusOr<uint64_t> generation = ReadGeneration(env, dir);
  if (!generation.ok()) return generation.status();
  StoreFolder folder;
  folder.env_ = env;
  folder.dir_ = dir;
  folder.generation_ = *generation;
  folder.text_ = std::move(found->text);
  folder.id_ = std::move(found->id);
  folder.log_id_ = found->log_id;
  folder.lock_ = *std::move(lock);
  return folder;
}

absl::Status StoreFolder::KeepLog(uint64_t log_id) {
  if (log_id_ == log_id) return absl::OkStatus();
  const std::string text =
      absl::StrCat(text_, kLogLine, absl::StrFormat("%016x", log_id), "\n");
  if (absl::Status s = WriteWholeFile(env_, dir_, "store", text); !s.ok()) return s;
  text_ = text;
  log_id_ = log_id;
  return absl::OkStatus();
}

absl::Status StoreFolder::SetGeneration(uint64_t generation) {
  const absl::StatusOr<uint64_t> there = ReadGeneration(env_, dir_);
  if (!there.ok()) return there.status();
  if (*there < generation_) {
    return absl::FailedPreconditionError(absl::StrCat(
        dir_, " was replaced by an older copy of itself under the process that serves ",
        "it: its generation is ", *there, ", and was ", generation_,
        ". End the process, and put back the newer one"));
  }
  const absl::Status written =
      WriteWholeFile(env_, dir_, "generation", absl::StrCat(generation, "\n"));
  if (written.ok()) {
    generation_ = generation;
    return written;
  }
  if (!absl::IsResourceExhausted(written)) {
    FatalIoError(absl::StrCat("generation in ", dir_, ": ", written.ToString()));
  }
  const absl::Status removed = env_->Remove(dir_ + "/generation.new");
  return removed.ok() || absl::IsNotFound(removed) ? written : removed;
}

}  // namespace concordat::participant
