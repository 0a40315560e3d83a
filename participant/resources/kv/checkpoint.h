// A checkpoint is the shard's state in one file; with it, older records of the log are
// not needed any more. It is written while the shard goes on working: it holds everything
// up to log record `start`, and some part of what came later. Replaying the log from
// `start` over it gives the present state, because a row keeps its version (store.h) and
// everything else is in the log again.
//
// File `checkpoint` in the shard's folder; numbers are encoded as in
// coordinator/base/byte_codec.h:
//
//   "CNCDKV" u8 0 u8 format(1)
//   blocks: u32 length of the body, u32 CRC-32 of the body, body
//   body: u8 kind, then
//     1 start     varint start                                   first block
//     2 prepared  branch, writes                                 in doubt at `start`
//     3 alone     varint record, branch, writes                  one-phase commit
//     4 evidence  varint count; each: branch, u8 kind of evidence
//     5 rows      varint count; each: key, value, varint version
//     6 end       varint number of blocks before                 last block
//
// It is made as `checkpoint.new`, flushed and renamed: so either the old one or the new
// one exists, and never a part of one.
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
#include "participant/resources/kv/evidence_table.h"
#include "participant/resources/kv/store.h"
#include "wal/log.h"

namespace concordat::participant::kv {

struct BranchWrites {
  BranchId branch;
  WriteSet writes;
  wal::Lsn record;  // the record of a one-phase commit; none for a prepared branch
};

// What a checkpoint file holds.
struct CheckpointState {
  wal::Lsn start = wal::Lsn(1);        // the first record to replay
  std::vector<BranchWrites> prepared;  // in doubt
  std::vector<BranchWrites> alone;     // a one-phase commit was queued and not durable
  EvidenceTable evidence;              // of all committed branches above the watermark
  Rows rows;
};

// Writes blocks one after another. Not thread-safe.
class CheckpointWriter {
 public:
  // Creates `checkpoint.new` in `dir`.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<CheckpointWriter>> Create(
      FileEnv* env, const std::string& dir);

  [[nodiscard]] absl::Status AddStart(wal::Lsn start);
  [[nodiscard]] absl::Status AddPrepared(const BranchWrites& branch);
  [[nodiscard]] absl::Status AddAlone(const BranchWrites& branch);
  // `body` is already encoded by EncodeEvidence or EncodeRows.
  [[nodiscard]] absl::Status AddBlock(std::string_view body);
  // Writes the end block and flushes the file.
  [[nodiscard]] absl::Status Finish();
  // Replaces the last checkpoint with this one, durably.
  [[nodiscard]] absl::Status Install();
  [[nodiscard]] uint64_t bytes() const { return offset_; }

 private:
  CheckpointWriter(FileEnv* env, std::string dir) : env_(env), dir_(std::move(dir)) {}

  FileEnv* const env_;
  const std::string dir_;
  std::unique_ptr<File> file_;  // `checkpoint.new`
  uint64_t offset_ = 0;         // bytes written
  uint64_t blocks_ = 0;         // blocks written
};

[[nodiscard]] std::string EncodeEvidence(const EvidenceTable::Bucket& bucket);
// Encodes up to about `max_bytes` of rows, beginning with key `*from`. Sets `*from` to
// the first key that is left, and `*done` when no row is left.
[[nodiscard]] std::string EncodeRows(const Rows& rows, size_t max_bytes,
                                     std::string* from, bool* done);

// NOT_FOUND: there is no checkpoint. DATA_LOSS: it is damaged; the error names file and
// offset.
[[nodiscard]] absl::StatusOr<CheckpointState> ReadCheckpoint(FileEnv* env,
                                                             const std::string& dir);

}  // namespace concordat::participant::kv

#endif  // PARTICIPANT_RESOURCES_KV_CHECKPOINT_H_
