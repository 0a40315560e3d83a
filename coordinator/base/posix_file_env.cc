#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/system_clock.h"

namespace concordat {
namespace {

absl::Status Error(int error, std::string_view operation, const std::string& path) {
  const std::string message =
      absl::StrCat(std::string(operation), " of ", path.empty() ? "." : path);
  // A file that may not grow (RLIMIT_FSIZE) is treated like a full disk.
  if (error == EFBIG) return absl::ResourceExhaustedError(message + ": file too large");
  return absl::ErrnoToStatus(error, message);
}

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PosixFile() override { ::close(fd_); }

  absl::Status WriteAt(uint64_t offset, std::string_view data) override {
    while (!data.empty()) {
      const ssize_t n =
          ::pwrite(fd_, data.data(), data.size(), static_cast<off_t>(offset));
      if (n < 0) {
        if (errno == EINTR) continue;
        return Error(errno, "write", path_);
      }
      data.remove_prefix(static_cast<size_t>(n));
      offset += static_cast<uint64_t>(n);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> ReadAt(uint64_t offset, size_t size,
                                char* buffer) const override {
    size_t done = 0;
    while (done < size) {
      const ssize_t n =
          ::pread(fd_, buffer + done, size - done, static_cast<off_t>(offset + done));
      if (n < 0) {
        if (errno == EINTR) continue;
        return Error(errno, "read", path_);
      }
      if (n == 0) break;
      done += static_cast<size_t>(n);
    }
    return done;
  }

  absl::Status Sync() override {
    // Not repeated on EINTR: no flush is ever repeated.
    if (::fdatasync(fd_) != 0) return Error(errno, "fdatasync", path_);
    return absl::OkStatus();
  }

  absl::Status Preallocate(uint64_t size) override {
    int error;
    do {
      error = ::posix_fallocate(fd_, 0, static_cast<off_t>(size));
    } while (error == EINTR);
    if (error != 0) return Error(error, "preallocation", path_);
    return absl::OkStatus();
  }

  absl::Status Truncate(uint64_t size) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) {
      return Error(errno, "truncation", path_);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<uint64_t> Size() const override {
    struct stat st = {};
    if (::fstat(fd_, &st) != 0) return Error(errno, "stat", path_);
    return static_cast<uint64_t>(st.st_size);
  }

 private:
  const int fd_;
  const std::string path_;
};

class PosixLock final : public FileLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}
  ~PosixLock() override { ::close(fd_); }

 private:
  const int fd_;
};

std::string LockHolder(int fd) {
  char text[32];
  const ssize_t n = ::pread(fd, text, sizeof(text) - 1, 0);
  if (n <= 0) return "";
  std::string holder(text, static_cast<size_t>(n));
  holder.erase(std::find(holder.begin(), holder.end(), '\n'), holder.end());
  return absl::StrCat(" (process ", holder, ")");
}

// Only for error messages; the lock does not depend on it.
void WriteLockHolder(int fd) {
  const std::string text = absl::StrCat(::getpid(), "\n");
  if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, text.data(), text.size(), 0) < 0) return;
}

class PosixEnv final : public FileEnv {
 public:
  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path) override {
    return OpenWith(path, O_RDWR, "opening");
  }
  absl::StatusOr<std::unique_ptr<File>> OpenReadOnly(const std::string& path) override {
    return OpenWith(path, O_RDONLY, "opening");
  }
  absl::StatusOr<std::unique_ptr<File>> Create(const std::string& path) override {
    return OpenWith(path, O_RDWR | O_CREAT | O_EXCL, "creation");
  }

  absl::Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) return Error(errno, "removal", path);
    return absl::OkStatus();
  }

  absl::Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return Error(errno, "renaming", from);
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override {
    DIR* handle = ::opendir(dir.c_str());
    if (handle == nullptr) return Error(errno, "listing", dir);
    std::vector<std::string> names;
    errno = 0;
    while (const dirent* entry = ::readdir(handle)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    const int error = errno;
    ::closedir(handle);
    if (error != 0) return Error(error, "listing", dir);
    std::sort(names.begin(), names.end());
    return names;
  }

  absl::Status CreateDir(const std::string& dir) override {
    if (::mkdir(dir.c_str(), 0755) == 0) return SyncParent(dir);
    if (errno == EEXIST) return CheckIsDir(dir);
    if (errno != ENOENT) return Error(errno, "creation", dir);
    const size_t slash = dir.find_last_of('/');
    if (slash == std::string::npos || slash == 0) return Error(ENOENT, "creation", dir);
    if (absl::Status parent = CreateDir(dir.substr(0, slash)); !parent.ok())
      return parent;
    if (::mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) {
      return Error(errno, "creation", dir);
    }
    return SyncParent(dir);
  }

  absl::Status SyncDir(const std::string& dir) override {
    const int fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return Error(errno, "opening", dir);
    const int result = ::fsync(fd);
    const int error = errno;
    ::close(fd);
    if (result != 0) return Error(error, "fsync", dir);
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return Error(errno, "opening", path);
    auto lock = std::make_unique<PosixLock>(fd);
    // flock(2) locks the open file, so a second Lock in this process fails as well.
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return Error(errno, "locking", path);
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is locked by another process", LockHolder(fd)));
    }
    WriteLockHolder(fd);
    return lock;
  }

  uint64_t NewId() override { return SystemRandom64(); }

 private:
  static absl::StatusOr<std::unique_ptr<File>> OpenWith(const std::string& path,
                                                        int flags,
                                                        std::string_view operation) {
    const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
    if (fd < 0) return Error(errno, operation, path);
    return std::make_unique<PosixFile>(fd, path);
  }

  absl::Status SyncParent(const std::string& dir) {
    const size_t slash = dir.find_last_of('/');
    if (slash == std::string::npos) return SyncDir(".");
    return SyncDir(slash == 0 ? "/" : dir.substr(0, slash));
  }

  static absl::Status CheckIsDir(const std::string& dir) {
    struct stat st = {};
    if (::stat(dir.c_str(), &st) != 0) return Error(errno, "stat", dir);
    if (!S_ISDIR(st.st_mode)) return Error(ENOTDIR, "creation", dir);
    return absl::OkStatus();
  }
};

}  // namespace

FileEnv* PosixFileEnv() {
  static PosixEnv* const env = new PosixEnv;
  return env;
}

absl::StatusOr<std::string> ReadWholeFile(FileEnv* env, const std::string& path) {
  auto file = env->OpenReadOnly(path);
  if (!file.ok()) return file.status();
  auto size = (*file)->Size();
  if (!size.ok()) return size.status();
  std::string bytes(*size, '\0');
  auto read = (*file)->ReadAt(0, bytes.size(), bytes.data());
  if (!read.ok()) return read.status();
  bytes.resize(*read);
  return bytes;
}

absl::Status WriteWholeFile(FileEnv* env, const std::string& dir, const std::string& name,
                            std::string_view contents) {
  const std::string path = dir + "/" + name;
  const std::string fresh = path + ".new";
  if (absl::Status s = env->Remove(fresh); !s.ok() && !absl::IsNotFound(s)) return s;
  absl::StatusOr<std::unique_ptr<File>> file = env->Create(fresh);
  if (!file.ok()) return file.status();
  if (absl::Status s = (*file)->WriteAt(0, contents); !s.ok()) return s;
  if (absl::Status s = (*file)->Sync(); !s.ok()) return s;
  if (absl::Status s = env->Rename(fresh, path); !s.ok()) return s;
  return env->SyncDir(dir);
}

}  // namespace concordat
