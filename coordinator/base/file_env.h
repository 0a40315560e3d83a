// Files as the log sees them: a small set of operations that the operating system
// offers (PosixFileEnv) and that tests can make fail (fault_env.h).
//
//   FileEnv* env = PosixFileEnv();
//   auto file = env->Create("/var/lib/x/a");    // StatusOr<unique_ptr<File>>
//   (*file)->WriteAt(0, bytes);  (*file)->Sync();  env->SyncDir("/var/lib/x");
//
// Nothing is durable before Sync (bytes) and SyncDir (names). Paths are absolute or
// relative to the working directory; the separator is '/'.
//
// Errors, for every call: RESOURCE_EXHAUSTED when the disk or the quota is full,
// NOT_FOUND, ALREADY_EXISTS, and for EIO and the like whatever absl::ErrnoToStatus
// makes of it. The message names the path and the operation.
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

// An open file. Not thread-safe; two handles of one file may be used from two
// threads. The destructor closes it and flushes nothing.
class File {
 public:
  virtual ~File() = default;

  // Writes all of `data` at `offset`, growing the file when it ends before. After
  // an error any part of it may have been written.
  [[nodiscard]] virtual absl::Status WriteAt(uint64_t offset, std::string_view data) = 0;

  // Reads up to `size` bytes into `buffer`; fewer only at the end of the file.
  [[nodiscard]] virtual absl::StatusOr<size_t> ReadAt(uint64_t offset, size_t size,
                                                      char* buffer) const = 0;

  // fdatasync: when it returns OK, all bytes written before it, and the size, are
  // durable. After an error nothing is known about them, and a second call may
  // report success for bytes that were dropped: never retry it.
  [[nodiscard]] virtual absl::Status Sync() = 0;

  // Makes the file at least `size` bytes long with blocks of its own, so that a
  // later write inside cannot run out of space. New bytes read as zero.
  // RESOURCE_EXHAUSTED when there is no room: the file's size is then undefined.
  [[nodiscard]] virtual absl::Status Preallocate(uint64_t size) = 0;

  [[nodiscard]] virtual absl::Status Truncate(uint64_t size) = 0;
  [[nodiscard]] virtual absl::StatusOr<uint64_t> Size() const = 0;
};

// Held while it lives; let go of by the destructor, and by the end of the process.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

// Thread-safe.
class FileEnv {
 public:
  virtual ~FileEnv() = default;

  // An existing file, for reading and writing.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<File>> Open(
      const std::string& path) = 0;
  // An existing file, for reading only.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<File>> OpenReadOnly(
      const std::string& path) = 0;
  // A new, empty file. ALREADY_EXISTS when the name is taken.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<File>> Create(
      const std::string& path) = 0;
  [[nodiscard]] virtual absl::Status Remove(const std::string& path) = 0;
  // Atomic; replaces `to` when it exists.
  [[nodiscard]] virtual absl::Status Rename(const std::string& from,
                                            const std::string& to) = 0;
  // The names in a directory, sorted, without "." and "..".
  [[nodiscard]] virtual absl::StatusOr<std::vector<std::string>> List(
      const std::string& dir) = 0;
  // Makes the directory and those above it. OK when it is there already.
  [[nodiscard]] virtual absl::Status CreateDir(const std::string& dir) = 0;
  // When it returns OK, all creations, removals and renames made in this directory
  // before are durable.
  [[nodiscard]] virtual absl::Status SyncDir(const std::string& dir) = 0;
  // Takes the exclusive lock on a file, made when it is not there. Never waits:
  // FAILED_PRECONDITION, saying who holds it if that is known, when it is taken, be
  // it by this process.
  [[nodiscard]] virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(
      const std::string& path) = 0;
  // A number that no other log has: 64 random bits, never 0.
  [[nodiscard]] virtual uint64_t NewId() = 0;
};

// The operating system's files. Lives for ever.
[[nodiscard]] FileEnv* PosixFileEnv();

// All bytes of a file. For small files.
[[nodiscard]] absl::StatusOr<std::string> ReadWholeFile(FileEnv* env,
                                                        const std::string& path);
// Puts `dir`/`name` there durably with these contents, or leaves what there was: by way
// of `name`.new, of which an earlier try may have left something.
[[nodiscard]] absl::Status WriteWholeFile(FileEnv* env, const std::string& dir,
                                          const std::string& name,
                                          std::string_view contents);

}  // namespace concordat

#endif  // COORDINATOR_BASE_FILE_ENV_H_
