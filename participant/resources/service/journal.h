// The folder of a service's resource manager: its identity, the log, the checkpoint.
//
//   store        text: what the folder is, the cluster's id, the store's own id
//   generation   text: recognizes an older copy of the folder (StoreFolder)
//   lock         held by the process that serves it
//   checkpoint   records.h
//   wal/         the log
#ifndef PARTICIPANT_RESOURCES_SERVICE_JOURNAL_H_
#define PARTICIPANT_RESOURCES_SERVICE_JOURNAL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/ids.h"
#include "participant/resources/service/records.h"
#include "participant/store/store_folder.h"
#include "wal/log_writer.h"

namespace concordat::participant::service {

struct JournalOptions {
  uint64_t segment_bytes = 4ull << 20;
  // Space that is reserved for ending branches when the disk is full.
  uint64_t reserve_bytes = 4ull << 20;
  size_t queue_bytes = 1u << 20;
  // A checkpoint is due when the log has grown by this much.
  uint64_t checkpoint_bytes = 16ull << 20;
  // A caller flushes on its own thread, instead of waking another one, while a flush
  // takes less than this.
  Duration flush_here_below = Duration::Micros(300);
};

// Append, AppendLazily, PushLazy and BeginCheckpoint are called under the owner's mutex;
// the other functions are thread-safe. A failed write or flush ends the process
// (FatalIoError).
class Journal {
 public:
  Journal(std::string dir, FileEnv* env, JournalOptions options)
      : dir_(std::move(dir)), env_(env), options_(options) {}

  // Opens the folder, or makes it, and reads what is in it. `on_durable` is as in
  // LogWriterOptions; it may be called before Open returns.
  //   FAILED_PRECONDITION: locked, of another cluster, or not a service's folder
  //   DATA_LOSS: damaged
  //   RESOURCE_EXHAUSTED: the disk is full
  [[nodiscard]] absl::StatusOr<LogState> Open(ClusterId cluster,
                                              std::function<void(wal::Lsn)> on_durable);
  [[nodiscard]] bool is_open() const { return writer_ != nullptr; }
  [[nodiscard]] const std::string& store_id() const { return folder_.id(); }
  // See StoreFolder.
  [[nodiscard]] uint64_t generation() const { return folder_.generation(); }
  [[nodiscard]] absl::Status SetGeneration(uint64_t generation) {
    return folder_.SetGeneration(generation);
  }
  [[nodiscard]] const std::string& dir() const { return dir_; }

  // Appends a record that somebody waits for, after all lazy records. Returns the errors
  // of LogWriter::Append; nothing was written then.
  [[nodiscard]] absl::StatusOr<wal::Lsn> Append(RecordType type, std::string payload,
                                                wal::Reserve use);
  // Appends a record that may be lost in a crash. It is written with the next flush.
  void AppendLazily(RecordType type, std::string payload);
  // Passes the lazy records to the log. Returns the number of the last record that is in
  // the log.
  wal::Lsn PushLazy();

  [[nodiscard]] bool HasSpace() const { return writer_->HasSpace(wal::Reserve::kNormal); }
  [[nodiscard]] wal::Lsn durable_lsn() const { return writer_->durable_lsn(); }
  void Hold() { writer_->Hold(); }
  void Flush() { writer_->Flush(); }
  // Flushes everything and closes the folder.
  void Close();

  [[nodiscard]] bool checkpoint_due() const {
    return bytes_ >= options_.checkpoint_bytes;
  }
  // Returns the number of the first record that a checkpoint begun now does not hold.
  // Called under the mutex.
  [[nodiscard]] wal::Lsn BeginCheckpoint();
  // RESOURCE_EXHAUSTED: the disk is full, and the last checkpoint stays. Other failures
  // end the process.
  [[nodiscard]] absl::Status InstallCheckpoint(wal::Lsn start, std::string_view bytes);

  [[nodiscard]] uint64_t flush_count() const {
    return writer_ == nullptr ? 0 : writer_->flush_count();
  }

 private:
  [[nodiscard]] absl::Status OpenLog(wal::Lsn start, LogState* state,
                                     std::function<void(wal::Lsn)> on_durable);
  [[nodiscard]] absl::Status Damaged(std::string_view file, std::string_view what) const;

  const std::string dir_;
  FileEnv* const env_;
  const JournalOptions options_;
  StoreFolder folder_;                      // locked from Open to Close
  std::unique_ptr<wal::LogWriter> writer_;  // null until Open
  std::vector<wal::Record> lazy_;           // records not yet passed to the log
  size_t lazy_bytes_ = 0;                   // of the records in lazy_
  uint64_t bytes_ = 0;                      // written since the last checkpoint
};

}  // namespace concordat::participant::service

#endif  // PARTICIPANT_RESOURCES_SERVICE_JOURNAL_H_
