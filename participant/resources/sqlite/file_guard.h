// Reserves a SQLite file for this process with a lock file beside it,
// "FILE-concordat-lock". The lock file is locked with flock and holds our process id. The
// database file itself cannot be locked: closing any descriptor of it releases SQLite's
// own POSIX locks.
#ifndef PARTICIPANT_RESOURCES_SQLITE_FILE_GUARD_H_
#define PARTICIPANT_RESOURCES_SQLITE_FILE_GUARD_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace concordat::participant::sqlite {

// Identifies the file that a path names now. nullopt: there is no file.
struct FileIdentity {
  uint64_t device = 0;
  uint64_t inode = 0;
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
[[nodiscard]] std::optional<FileIdentity> IdentityOf(const std::string& path);

class FileGuard {
 public:
  // FAILED_PRECONDITION, with the process's id: another process (or another resource
  // manager of this process) has reserved the file.
  [[nodiscard]] static absl::StatusOr<FileGuard> Take(const std::string& database_path);
  FileGuard(FileGuard&& other) noexcept;
  FileGuard& operator=(FileGuard&& other) noexcept;
  ~FileGuard();

 private:
  explicit FileGuard(int fd) : fd_(fd) {}
  int fd_;  // the locked lock file; -1 after a move
};

}  // namespace concordat::participant::sqlite

#endif  // PARTICIPANT_RESOURCES_SQLITE_FILE_GUARD_H_
