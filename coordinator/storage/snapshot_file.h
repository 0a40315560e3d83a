// A snapshot of a group's state machine in a file, written and read in parts.
//
//   8 bytes   "CNCDSNP4"
//   header    a varint, its length; then 8 bytes: the id of the node's log; varints:
//   group,
//             index, term; 16 bytes: cluster; varints: the number of voters, and each
//   4 bytes   CRC-32 of the header
//   state
//   4 bytes   each: CRC-32 of each 64 KiB of the state, of the rest the last
//   footer    8 bytes: the length of the state; 4 bytes: CRC-32 of the checksums above;
//             4 bytes: CRC-32 of these 12
//
// A part of the state is read and checked without the rest. The log's id keeps out the
// files of another node or of a log that is gone.
//
// Blocking calls on a FileEnv. Not thread-safe.
#ifndef COORDINATOR_STORAGE_SNAPSHOT_FILE_H_
#define COORDINATOR_STORAGE_SNAPSHOT_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/base/byte_codec.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/ids.h"
#include "coordinator/raft/types.h"

namespace concordat::storage {

// A file that is being written. It bears another name until it is whole and durable, and
// is removed by the destructor when it does not come to that.
class SnapshotWriter {
 public:
  struct Place {
    FileEnv* env = nullptr;
    std::string dir;
    std::string name;       // in `dir`, when it is whole
    std::string temporary;  // in `dir`, until then
  };
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SnapshotWriter>> Create(
      Place place, uint64_t log_id, GroupId group, const raft::SnapshotMeta& meta);
  ~SnapshotWriter();
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

  // The next part of the state. After an error, here and below, only the destructor is
  // called. RESOURCE_EXHAUSTED: the disk is full.
  [[nodiscard]] absl::Status Append(std::string_view part);
  // The state is whole. Durable, and there under its name, when it returns OK.
  [[nodiscard]] absl::Status Finish();

  [[nodiscard]] uint64_t state_bytes() const { return state_bytes_; }

 private:
  SnapshotWriter(Place place, std::unique_ptr<File> file)
      : place_(std::move(place)), file_(std::move(file)) {}
  absl::Status Write(std::string_view bytes);

  const Place place_;
  std::unique_ptr<File> file_;
  uint64_t end_ = 0;  // of the file
  uint64_t synced_ = 0;
  uint64_t state_bytes_ = 0;
  uint32_t block_crc_ = 0;  // of the block that is not full yet
  ByteWriter checksums_;
  bool finished_ = false;
};

// A whole file, whose header and checksums are in memory.
class SnapshotFile {
 public:
  // NOT_FOUND, DATA_LOSS when it does not check, FAILED_PRECONDITION when it is of
  // another log.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SnapshotFile>> Open(
      FileEnv* env, std::string path, uint64_t log_id);
  // Whose it is, without reading more than its header: FAILED_PRECONDITION when it is of
  // another log. That it is damaged is not reported here.
  [[nodiscard]] static absl::Status CheckOwner(FileEnv* env, const std::string& path,
                                               uint64_t log_id);

  [[nodiscard]] const raft::SnapshotMeta& meta() const { return meta_; }
  [[nodiscard]] uint64_t state_bytes() const { return state_bytes_; }
  // That part of the state, which must be in it. DATA_LOSS when it does not check.
  [[nodiscard]] absl::StatusOr<std::string> Read(uint64_t offset, uint64_t size) const;

 private:
  SnapshotFile(std::string path, std::unique_ptr<File> file)
      : path_(std::move(path)), file_(std::move(file)) {}
  absl::Status ReadChecksums();

  const std::string path_;
  const std::unique_ptr<File> file_;
  raft::SnapshotMeta meta_;
  uint64_t state_at_ = 0;  // in the file
  uint64_t state_bytes_ = 0;
  std::vector<uint32_t> checksums_;  // of the state's blocks
};

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_SNAPSHOT_FILE_H_
