// A file environment in memory that fails on purpose, for tests and the simulator.
// One seed decides every choice it makes. One FaultEnv is one machine's disk.
//
//   FaultEnv env(seed);
//   { auto log = Log::Open(&env, ...);  ... }   // use, then drop every object of it
//   env.Crash();                                // power off and on again
//   auto log = Log::Open(&env, ...);
//
// Faults that are legal, that is, that the log must survive or report:
//   - at a crash, each 512-byte sector written since its file's last Sync is, one by
//     one, the new or the old one (a write torn inside a sector is not legal); a file
//     that has grown since then has its new size or the old one, and sectors of the
//     new part that were not kept read as zero;
//   - at a crash, each creation, removal and rename since the directory's last
//     SyncDir has happened or not, in any combination that makes sense (a file that
//     was never created cannot be renamed). A rename is atomic. Directories
//     themselves are not lost;
//   - a write, flush, creation or preallocation returns an error; the space runs out;
//   - a bit of durable bytes flips: to be reported, never to be believed.
// What must never be asked of the log: bytes that Sync made durable vanish at a crash
// (ZeroFrom on a promised part is for tests that say what then can and cannot be
// known).
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
    kRandom,   // each sector and each name by itself, sometimes all, sometimes none
  };
  // The machine goes off and on: handles and locks are void (using one afterwards is
  // an error of the test), a scheduled power-off and errors are cleared.
  void Crash(Unsynced unsynced = Unsynced::kRandom);

  // After `operations` more writes, syncs, creations, removals, renames, directory
  // syncs, truncations and preallocations, every call fails with UNAVAILABLE until
  // Crash.
  void PowerOffAfter(uint64_t operations);
  // Operations of that kind so far.
  [[nodiscard]] uint64_t operations() const;

  // The next WriteAt, the next Sync of a file, or the next SyncDir fails as EIO does.
  void FailNextWrite();
  void FailNextSync();
  void FailNextSyncDir();

  // Space for all files together. Writing or preallocating beyond is
  // RESOURCE_EXHAUSTED. Unlimited at first.
  void SetCapacity(uint64_t bytes);
  [[nodiscard]] uint64_t used_bytes() const;

  // Damage to durable bytes. `bit` is 0 to 7. The file must be there.
  void FlipBit(const std::string& path, uint64_t offset, int bit);
  // Zeroes the file from `offset` on; its size stays.
  void ZeroFrom(const std::string& path, uint64_t offset);
  // Cuts the file off or zero-extends it, durably.
  void Resize(const std::string& path, uint64_t size);

  // Called at the start of each File::Sync, on its thread, with no lock held: a test
  // can hold up a flush in it.
  void SetSyncHook(std::function<void()> hook);
  [[nodiscard]] uint64_t sync_count() const;

  // A copy of the disk as it is now, synced or not, with no locks and no faults set:
  // to try many damages on one log.
  [[nodiscard]] std::unique_ptr<FaultEnv> Clone(uint64_t seed) const;

 private:
  struct Inode;
  struct PendingName;
  class FaultFile;
  class HeldLock;

  // Counts an operation; an error when the power is off.
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
  Random random_ ABSL_GUARDED_BY(mutex_);
  Names names_ ABSL_GUARDED_BY(mutex_);          // as the process sees them
  Names durable_names_ ABSL_GUARDED_BY(mutex_);  // as a crash with nothing kept leaves
  std::vector<PendingName> pending_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> locks_ ABSL_GUARDED_BY(mutex_);  // path -> boot
  uint64_t boot_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t power_off_at_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  uint64_t capacity_ ABSL_GUARDED_BY(mutex_) = UINT64_MAX;
  uint64_t syncs_ ABSL_GUARDED_BY(mutex_) = 0;
  bool fail_write_ ABSL_GUARDED_BY(mutex_) = false;
  bool fail_sync_ ABSL_GUARDED_BY(mutex_) = false;
  bool fail_sync_dir_ ABSL_GUARDED_BY(mutex_) = false;
  std::function<void()> sync_hook_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace concordat

#endif  // COORDINATOR_BASE_FAULT_ENV_H_
