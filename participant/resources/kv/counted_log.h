// The shard's log on a LogWriter, with a count of what was written since the last
// checkpoint. Used under the shard's mutex.
#ifndef PARTICIPANT_RESOURCES_KV_COUNTED_LOG_H_
#define PARTICIPANT_RESOURCES_KV_COUNTED_LOG_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "participant/resources/kv/shard.h"
#include "wal/log_writer.h"

namespace concordat::participant::kv {

class CountedLog final : public ShardLog {
 public:
  // `bytes`: what recovery has read behind the last checkpoint.
  CountedLog(wal::LogWriter* writer, uint64_t bytes) : writer_(writer), bytes_(bytes) {}

  absl::StatusOr<wal::Lsn> Append(uint8_t type, std::string_view payload,
                                  wal::Reserve use) override {
    absl::StatusOr<wal::Lsn> lsn = writer_->Append(type, payload, use);
    if (lsn.ok()) bytes_ += payload.size() + kRecordOverhead;
    return lsn;
  }
  bool HasSpace() const override { return writer_->HasSpace(wal::Reserve::kNormal); }

  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  void ResetBytes() { bytes_ = 0; }
  static constexpr uint64_t kRecordOverhead = 16;

 private:
  wal::LogWriter* const writer_;
  uint64_t bytes_;
};

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_COUNTED_LOG_H_
