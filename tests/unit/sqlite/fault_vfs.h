// A SQLite VFS over the default one. It counts writes and flushes and makes them fail.
//
//   FaultVfs& vfs = FaultVfs::Get();  options.vfs = FaultVfs::kName;
//   vfs.FailWrites(SQLITE_FULL);  ...  vfs.Heal();
//   vfs.KillAt(17);  // SIGKILL in place of the 17th write or flush from now
#ifndef TESTS_UNIT_SQLITE_FAULT_VFS_H_
#define TESTS_UNIT_SQLITE_FAULT_VFS_H_

#include <atomic>
#include <cstdint>

namespace concordat::participant {

class FaultVfs {
 public:
  static constexpr const char* kName = "fault";

  // Registers the VFS at the first call.
  static FaultVfs& Get();

  // All writes (flushes) return this code until Heal. All functions are thread-safe.
  void FailWrites(int code) { write_error_ = code; }
  void FailFlushes(int code) { flush_error_ = code; }
  void Heal() { write_error_ = flush_error_ = 0; }

  // Ends the process with SIGKILL in place of the n-th write or flush from now. When n is
  // odd, half of the write is done first. 0: never.
  void KillAt(int64_t n) { kill_in_ = n; }

  [[nodiscard]] int64_t flushes() const { return flushes_; }
  [[nodiscard]] int64_t operations() const { return operations_; }

  // For the VFS's functions. True: half of the write is to be done before the process
  // ends.
  bool CountOperation();
  void CountFlush() { ++flushes_; }
  [[nodiscard]] int write_error() const { return write_error_; }
  [[nodiscard]] int flush_error() const { return flush_error_; }
  [[noreturn]] static void Die();

 private:
  FaultVfs();
  std::atomic<int> write_error_{0};
  std::atomic<int> flush_error_{0};
  std::atomic<int64_t> kill_in_{0};
  std::atomic<int64_t> flushes_{0};
  std::atomic<int64_t> operations_{0};
};

}  // namespace concordat::participant

#endif  // TESTS_UNIT_SQLITE_FAULT_VFS_H_
