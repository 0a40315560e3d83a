// A checkpoint: the shard's state in one file, so that the log before it is not needed
// any more. Written while the shard goes on working: it holds everything up to log
// record `start`, and of what came later some part. Replaying the log from `start`
// over it gives the present state, because a row keeps its version (store.h) and
// everything else is in the log again.
//
// File `checkpoint` in the shard's folder; numbers as coordinator/base/byte_codec.h:
//
//   "CNCDKV" u8 0 u8 format(1)
//   blocks: u32 length of the body, u32 CRC-32 of the body, body
//   body: u8 kind, then
//     1 start     varint start                                   first block
//     2 prepared  branch, writes                                 in doubt at `start`
//     3 alone     varint record, branch, writes                  committed in one phase
//     4 evidence  varint count; each: branch, u8 kind of evidence
//     5 rows      varint count; each: key, value, varint version
//     6 end       varint number of blocks before                 last block
//
// Made as `checkpoint.new`, flushed, renamed: the old one or the new one is there,
// never a part.
#ifndef PARTICIPANT_RESOURCES_KV_CHECKPOINT_H_
#define PARTICIPANT_RESOURCES_KV_CHECKPOINT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/xid.h"
#include "participant/resources/kv/evidence.h"
#include "participant/resources/kv/store.h"
#include "wal/log.h"

namespace concordat::participant::kv {

struct BranchWrites {
  BranchId branch;
  WriteSet writes;
  wal::Lsn record;  // of a one-phase commit
};

// What a checkpoint file holds.
struct CheckpointState {
  wal::Lsn start = wal::Lsn(1);  // the first record to replay
  std::vector<BranchWrites> prepared;
  std::vector<BranchWrites> alone;
  EvidenceTable evidence;
  Rows rows;
};

// Writes blocks one after the other. Not thread-safe.
class CheckpointWriter {
 public:
  // Creates `checkpoint.new` in `dir`.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<CheckpointWriter>> Create(
      FileEnv* env, const std::string& dir);

  [[nodiscard]] absl::Status AddStart(wal::Lsn start);
  [[nodiscard]] absl::Status AddPrepared(const BranchWrites& branch);
  [[nodiscard]] absl::Status AddAlone(const BranchWrites& branch);
  // Already encoded: see EncodeEvidence, EncodeRows.
  [[nodiscard]] absl::Status AddBlock(std::string_view body);
  // The end block, and a flush.
  [[nodiscard]] absl::Status Finish();
  // Takes the place of the last checkpoint, durably.
  [[nodiscard]] absl::Status Install();
  [[nodiscard]] uint64_t bytes() const { return offset_; }

 private:
  CheckpointWriter(FileEnv* env, std::string dir) : env_(env), dir_(std::move(dir)) {}

  FileEnv* const env_;
  const std::string dir_;
  std::unique_ptr<File> file_;
  uint64_t offset_ = 0;
  uint64_t blocks_ = 0;
};

[[nodiscard]] std::string EncodeEvidence(const EvidenceTable::Bucket& bucket);
// Up to about `max_bytes` of rows from `*from` on; `*from` is then the first key that
// is left, `*done` says that there is none.
[[nodiscard]] std::string EncodeRows(const Rows& rows, size_t max_bytes,
                                     std::string* from, bool* done);

// NOT_FOUND when there is none. DATA_LOSS, naming file and offset, when it is damaged.
[[nodiscard]] absl::StatusOr<CheckpointState> ReadCheckpoint(FileEnv* env,
                                                             const std::string& dir);

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_CHECKPOINT_H_
