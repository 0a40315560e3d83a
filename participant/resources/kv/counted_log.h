// The shard's log on a LogWriter; it counts what was written since the last checkpoint.
// Used under the shard's mutex.
#ifndef PARTICIPANT_RESOURCES_KV_COUNTED_LOG_H_
#define PARTICIPANT_RESOURCES_KV_COUNTED_LOG_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "wal/log_writer.h"

namespace concordat::participant::kv {

class CountedLog {
 public:
  // `bytes`: how much recovery has read after the last checkpoint.
  CountedLog(wal::LogWriter* writer, uint64_t bytes) : writer_(writer), bytes_(bytes) {}

  // As wal::LogWriter::Append.
  [[nodiscard]] absl::StatusOr<wal::Lsn> Append(uint8_t type, std::string_view payload,
                                                wal::Reserve use) {
    absl::StatusOr<wal::Lsn> lsn = writer_->Append(type, payload, use);
    if (lsn.ok()) bytes_ += payload.size() + kRecordOverhead;
    return lsn;
  }
  // For new work.
  [[nodiscard]] bool HasSpace() const { return writer_->HasSpace(wal::Reserve::kNormal); }

  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  void ResetBytes() { bytes_ = 0; }
  // Approximate.
  static constexpr uint64_t kRecordOverhead = 16;

 private:
  wal::LogWriter* const writer_;  // not owned
  uint64_t bytes_;                // since the last checkpoint
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_COUNTED_LOG_H_
