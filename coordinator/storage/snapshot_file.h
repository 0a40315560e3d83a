// A snapshot of a group's state machine in a file, written and read in parts.
//
//   8 bytes       "CNCDSNP5"
//   varint        length of the header
//   header        8 bytes: id of the node's log
//                 varints: group, index, term
//                 the configuration, with its length as a varint before it
//   4 bytes       CRC-32 of the header
//   the state
//   4 bytes each  CRC-32 of each block of 64 KiB of the state; the last may be shorter
//   footer        8 bytes: length of the state
//                 4 bytes: CRC-32 of the checksums above
//                 4 bytes: CRC-32 of these 12 bytes
//
// So a part of the state can be read and checked without the rest. The log's id shows
// files of another node, or of a log that is lost.
//
// The calls block on a FileEnv. Not thread-safe.
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

// A file that is being written. It has a temporary name until it is complete and durable.
// The destructor removes it if it was not finished.
class SnapshotWriter {
 public:
  struct Place {
    FileEnv* env = nullptr;
    std::string dir;
    std::string name;       // its name in `dir` when it is complete
    std::string temporary;  // its name in `dir` until then
  };
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SnapshotWriter>> Create(
      Place place, uint64_t log_id, GroupId group, const raft::SnapshotMeta& meta);
  ~SnapshotWriter();
  SnapshotWriter(const SnapshotWriter&) = delete;
  SnapshotWriter& operator=(const SnapshotWriter&) = delete;

  // Writes the next part of the state. After an error, here or below, only the destructor
  // may be called. RESOURCE_EXHAUSTED: the disk is full.
  [[nodiscard]] absl::Status Append(std::string_view part);
  // The state is complete. After OK the file is durable and has its name.
  [[nodiscard]] absl::Status Finish();

  [[nodiscard]] uint64_t state_bytes() const { return state_bytes_; }

 private:
  SnapshotWriter(Place place, std::unique_ptr<File> file)
      : place_(std::move(place)), file_(std::move(file)) {}
  absl::Status Write(std::string_view bytes);

  const Place place_;
  std::unique_ptr<File> file_;
  uint64_t end_ = 0;     // bytes of the file so far
  uint64_t synced_ = 0;  // bytes of the file that are flushed
  uint64_t state_bytes_ = 0;
  uint32_t block_crc_ = 0;  // of the block that is not full yet
  ByteWriter checksums_;    // of the full blocks
  bool finished_ = false;   // by Finish, with OK
};

// A complete file. Its header and checksums are in memory.
class SnapshotFile {
 public:
  // NOT_FOUND; DATA_LOSS: it is damaged; FAILED_PRECONDITION: it belongs to another log.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<SnapshotFile>> Open(
      FileEnv* env, std::string path, uint64_t log_id);
  // Checks to which log the file belongs, and reads only its header. FAILED_PRECONDITION:
  // it belongs to another log. Does not report damage.
  [[nodiscard]] static absl::Status CheckOwner(FileEnv* env, const std::string& path,
                                               uint64_t log_id);

  [[nodiscard]] const raft::SnapshotMeta& meta() const { return meta_; }
  [[nodiscard]] uint64_t state_bytes() const { return state_bytes_; }
  // Reads a part, which must be in the state. DATA_LOSS: it is damaged.
  [[nodiscard]] absl::StatusOr<std::string> Read(uint64_t offset, uint64_t size) const;

 private:
  SnapshotFile(std::string path, std::unique_ptr<File> file)
      : path_(std::move(path)), file_(std::move(file)) {}
  absl::Status ReadChecksums();

  const std::string path_;
  const std::unique_ptr<File> file_;
  raft::SnapshotMeta meta_;
  uint64_t state_at_ = 0;  // offset of the state in the file
  uint64_t state_bytes_ = 0;
  std::vector<uint32_t> checksums_;  // of each block of the state
};

}  // namespace concordat::storage

#endif  // COORDINATOR_STORAGE_SNAPSHOT_FILE_H_
