#include "participant/resources/sqlite/file_guard.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::participant::sqlite {

namespace {

std::string ReadHolder(int fd) {
  char text[32] = {};
  const ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : std::string("unknown");
}

}  // namespace

std::optional<FileIdentity> IdentityOf(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0) return std::nullopt;
  return FileIdentity{file.st_dev, file.st_ino};
}

absl::StatusOr<FileGuard> FileGuard::Take(const std::string& database_path) {
  const std::string path = database_path + "-concordat-lock";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot create the lock file: ", strerror(errno)));
  }
  FileGuard guard(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(database_path, " is served by process ", ReadHolder(fd),
                     " already (it holds ", path, "); end that one first"));
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": cannot write the lock file: ", strerror(errno)));
  }
  return guard;
}

FileGuard::FileGuard(FileGuard&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileGuard& FileGuard::operator=(FileGuard&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileGuard::~FileGuard() {
  // The file stays: if it were removed, two processes could lock two files of one name.
  if (fd_ >= 0) close(fd_);
}

}  // namespace concordat::participant::sqlite
