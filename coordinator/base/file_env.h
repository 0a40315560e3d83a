// The operations on files that the log needs. PosixFileEnv is the operating system's; the
// one in fault_env.h fails when a test wants it to.
//
//   FileEnv* env = PosixFileEnv();
//   auto file = env->Create("/var/lib/x/a");    // StatusOr<unique_ptr<File>>
//   (*file)->WriteAt(0, bytes);  (*file)->Sync();  env->SyncDir("/var/lib/x");
//
// Nothing is durable before Sync (bytes) and SyncDir (names). Paths are absolute or
// relative to the working directory; the separator is '/'.
//
// Errors of every call: RESOURCE_EXHAUSTED when the disk or the quota is full, NOT_FOUND,
// ALREADY_EXISTS, and for EIO and others the result of absl::ErrnoToStatus. The message
// names the path and the operation.
#ifndef COORDINATOR_BASE_FILE_ENV_H_
#define COORDINATOR_BASE_FILE_ENV_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace concordat {

// An open file. Not thread-safe, but two handles of one file may be used by two threads.
// The destructor closes the file and flushes nothing.
class File {
 public:
  virtual ~File() = default;

  // Writes all of `data` at `offset`; the file grows if necessary. After an error any
  // part of `data` may have been written.
  [[nodiscard]] virtual absl::Status WriteAt(uint64_t offset, std::string_view data) = 0;

  // Reads `size` bytes into `buffer`, or fewer at the end of the file. Returns how many.
  [[nodiscard]] virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, size_t size,
                                                      char* buffer) const = 0;

  // fdatasync(2). After OK, all bytes written before and the size are durable. After an
  // error nothing is known about them, and a second call may report success for bytes
  // that were dropped. So a call that failed must never be repeated.
  [[nodiscard]] virtual absl::Status Sync() = 0;

  // Makes the file at least `size` bytes long and allocates its blocks, so that a later
  // write within cannot run out of space. New bytes read as zero. RESOURCE_EXHAUSTED when
  // there is no room; the file's size is then undefined.
  [[nodiscard]] virtual absl::Status Preallocate(uint64_t size) = 0;

  [[nodiscard]] virtual absl::Status Truncate(uint64_t size) = 0;
  [[nodiscard]] virtual absl::StatusOr<uint64_t> Size() const = 0;
};

// A lock that is held until this object is destroyed or the process ends.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Thread-safe.
class FileEnv {
 public:
  virtual ~FileEnv() = default;

  // Opens an existing file for reading and writing.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<File>> Open(
      const std::string& path) = 0;
  // Opens an existing file for reading only.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<File>> OpenReadOnly(
      const std::string& path) = 0;
  // Creates a new, empty file. ALREADY_EXISTS when the name is taken.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<File>> Create(
      const std::string& path) = 0;
  [[nodiscard]] virtual absl::Status Remove(const std::string& path) = 0;
  // Atomic; replaces `to` when it exists.
  [[nodiscard]] virtual absl::Status Rename(const std::string& from,
                                            const std::string& to) = 0;
  // The names in a directory, sorted, without "." and "..".
  [[nodiscard]] virtual absl::StatusOr<std::vector<std::string>> List(
      const std::string& dir) = 0;
  // Creates the directory and its parents. OK when the directory exists already.
  [[nodiscard]] virtual absl::Status CreateDir(const std::string& dir) = 0;
  // After OK, all earlier creations, removals and renames in this directory are durable.
  [[nodiscard]] virtual absl::Status SyncDir(const std::string& dir) = 0;
  // Takes the exclusive lock on a file, which is created if necessary. Never waits:
  // FAILED_PRECONDITION when the lock is held, also by this process. The message says by
  // whom, if that is known.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(
      const std::string& path) = 0;
  // A new id for a log: 64 random bits, never 0.
  [[nodiscard]] virtual uint64_t NewId() = 0;
};

// The operating system's files. The object is never destroyed.
[[nodiscard]] FileEnv* PosixFileEnv();

// Reads all bytes of a file. For small files.
[[nodiscard]] absl::StatusOr<std::string> ReadWholeFile(FileEnv* env,
                                                        const std::string& path);
// Replaces the file `dir`/`name` durably and atomically: after an error or a crash it has
// the old contents or the new ones. Writes `name`.new first, which an earlier attempt may
// have left behind.
[[nodiscard]] absl::Status WriteWholeFile(FileEnv* env, const std::string& dir,
                                          const std::string& name,
                                          std::string_view contents);

}  // namespace concordat

#endif  // COORDINATOR_BASE_FILE_ENV_H_
