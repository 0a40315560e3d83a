// A file environment in memory that fails on purpose, for tests and the simulator. One
// FaultEnv is the disk of one machine. Its seed decides every choice that it makes.
//
//   FaultEnv env(seed);
//   {
//     auto log = wal::Log::Open(&env, options, replay);
//     …            // use the log; every object on the disk is destroyed here
//   }
//   env.Crash();   // the power goes off and on again
//   auto log = wal::Log::Open(&env, options, replay);
//
// Legal faults, that is, faults which the log must survive or report:
//   - After a crash, each 512-byte sector that was written since the file's last Sync has
//     its new or its old contents, independently of the others (a sector is never torn).
//     A file that has grown since then has the new size or the old one; sectors of the
//     new part that were not kept read as zero.
//   - After a crash, each creation, removal and rename since the directory's last SyncDir
//     has happened or not, in any combination that makes sense (a file that was never
//     created cannot be renamed). A rename is atomic. Directories themselves are not
//     lost.
//   - A write, flush, creation or preallocation returns an error, or the space runs out.
//   - A bit of durable bytes flips. The log must report this.
// A fault that the log need not survive: bytes that Sync has made durable are gone after
// a crash. ZeroFrom on such bytes is for tests of what can still be found out then.
#ifndef COORDINATOR_BASE_FAULT_ENV_H_
#define COORDINATOR_BASE_FAULT_ENV_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/base/file_env.h"
#include "coordinator/base/mutex.h"
#include "coordinator/base/random.h"

namespace concordat {

// Thread-safe.
class FaultEnv final : public FileEnv {
 public:
  explicit FaultEnv(uint64_t seed);
  ~FaultEnv() override;

  absl::StatusOr<std::unique_ptr<File>> Open(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<File>> OpenReadOnly(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<File>> Create(const std::string& path) override;
  absl::Status Remove(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::StatusOr<std::vector<std::string>> List(const std::string& dir) override;
  absl::Status CreateDir(const std::string& dir) override;
  absl::Status SyncDir(const std::string& dir) override;
  absl::StatusOr<std::unique_ptr<FileLock>> Lock(const std::string& path) override;
  uint64_t NewId() override;

  // What a crash leaves of bytes and names that were not synced.
  enum class Unsynced {
    kDropAll,
    kKeepAll,  // as when only the process dies
    kRandom,   // each sector and each name by chance, sometimes all, sometimes none
  };
  // The machine is switched off and on. Handles and locks become void (a test must not
  // use them afterwards); a scheduled power-off and scheduled errors are cleared.
  void Crash(Unsynced unsynced = Unsynced::kRandom);

  // After `operations` more writes, syncs, creations, removals, renames, directory
  // syncs, truncations and preallocations, every call fails with UNAVAILABLE until
  // Crash.
  void PowerOffAfter(uint64_t operations);
  // How many such operations there were so far.
  [[nodiscard]] uint64_t operations() const;

  // The next WriteAt, the next Sync of a file, or the next SyncDir fails as EIO does.
  void FailNextWrite();
  void FailNextSync();
  void FailNextSyncDir();

  // Limits the space of all files together; unlimited at first. Writing or preallocating
  // more returns RESOURCE_EXHAUSTED.
  void SetCapacity(uint64_t bytes);
  [[nodiscard]] uint64_t used_bytes() const;

  // Damages durable bytes. `bit` is 0 to 7. The file must exist.
  void FlipBit(const std::string& path, uint64_t offset, int bit);
  // Zeroes the file from `offset` on, durably. The size does not change.
  void ZeroFrom(const std::string& path, uint64_t offset);
  // Truncates the file or extends it with zeros, durably.
  void Resize(const std::string& path, uint64_t size);

  // The hook is called at the start of each File::Sync, on the thread of the caller and
  // without a lock, so that a test can delay a flush in it.
  void SetSyncHook(std::function<void()> hook);
  [[nodiscard]] uint64_t sync_count() const;

  // A copy of the disk as it is now, synced or not, without locks and scheduled faults.
  // So a test can damage the same log in many ways.
  [[nodiscard]] std::unique_ptr<FaultEnv> Clone(uint64_t seed) const;

 private:
  struct Inode;
  struct PendingName;
  class FaultFile;
  class HeldLock;

  // Counts an operation. UNAVAILABLE when the power is off.
  absl::Status Operation() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status PowerStatus() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t Used() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<std::unique_ptr<File>> OpenAny(const std::string& path, bool writable);
  std::shared_ptr<Inode> Find(const std::string& path) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CrashNames(Unsynced unsynced) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CrashBytes(Inode* inode, Unsynced unsynced) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Grow(Inode* inode, uint64_t size) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  using Names = std::map<std::string, std::shared_ptr<Inode>>;

  mutable Mutex mutex_;
  Random random_ ABSL_GUARDED_BY(mutex_);        // every choice
  Names names_ ABSL_GUARDED_BY(mutex_);          // as the process sees them
  Names durable_names_ ABSL_GUARDED_BY(mutex_);  // as a crash with nothing kept leaves
  // Changes of names since the last SyncDir, in their order.
  std::vector<PendingName> pending_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> locks_ ABSL_GUARDED_BY(mutex_);  // by path: boot_ then
  uint64_t boot_ ABSL_GUARDED_BY(mutex_) = 1;  // counts crashes; older handles are void
  uint64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;  // see operations
  // The value of operations_ at which the power goes off.
  uint64_t power_off_at_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  uint64_t capacity_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;  // in bytes
  uint64_t syncs_ ABSL_GUARDED_BY(mutex_) = 0;              // of files
  // The next operation of this kind fails.
  bool fail_write_ ABSL_GUARDED_BY(mutex_) = false;
  bool fail_sync_ ABSL_GUARDED_BY(mutex_) = false;
  bool fail_sync_dir_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> sync_hook_ ABSL_GUARDED_BY(mutex_);  // may be empty
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_FAULT_ENV_H_
