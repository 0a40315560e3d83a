// Holds a SQLite file for this process: a lock file beside it, "FILE-concordat-lock",
// locked with flock and holding our process id. Locking the database file itself would
// not do: closing any descriptor of it drops SQLite's own POSIX locks.
#ifndef PARTICIPANT_RESOURCES_SQLITE_FILE_GUARD_H_
#define PARTICIPANT_RESOURCES_SQLITE_FILE_GUARD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace concordat::participant::sqlite {

// Which file a path names now. None: there is none.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
[[nodiscard]] std::optional<FileIdentity> IdentityOf(const std::string& path);

class FileGuard {
 public:
  // FAILED_PRECONDITION, naming the process, when another one (or another resource
  // manager of this process) has it.
  [[nodiscard]] static absl::StatusOr<FileGuard> Take(const std::string& database_path);
  FileGuard(FileGuard&& other) noexcept;
  FileGuard& operator=(FileGuard&& other) noexcept;
  ~FileGuard();

 private:
  explicit FileGuard(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_FILE_GUARD_H_
