// Spare files: files of a segment's size, with their blocks allocated, that wait to
// become segments. With them the log can go on for a while when the disk is full.
#ifndef WAL_SPARE_POOL_H_
#define WAL_SPARE_POOL_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "coordinator/base/file_env.h"

namespace concordat::wal {

struct Spare {
  uint32_t number = 0;  // in the file's name
  // True: its blocks were never written. The file system updates its metadata at the
  // first write to each block, so zeros are written ahead in large pieces.
  bool fresh = false;
};

// Not thread-safe. A failure other than a full disk ends the process.
class SparePool {
 public:
  SparePool(FileEnv* env, std::string dir, uint64_t segment_bytes)
      : env_(env), dir_(std::move(dir)), segment_bytes_(segment_bytes) {}

  // Takes over the files that an earlier process left. Files of another size are removed.
  [[nodiscard]] absl::Status Adopt(const std::vector<uint32_t>& numbers);

  // Makes spares until there are `count`. RESOURCE_EXHAUSTED: the disk is full. No
  // partly made file remains.
  [[nodiscard]] absl::Status Fill(size_t count);

  // Takes the next spare to use, one that was written before if there is any. The pool
  // must not be empty.
  [[nodiscard]] Spare Take();

  // Turns the file of a released segment into a spare.
  void Recycle(const std::string& segment_path);

  [[nodiscard]] size_t size() const { return spares_.size(); }

 private:
  absl::Status MakeOne();

  FileEnv* const env_;
  const std::string dir_;
  const uint64_t segment_bytes_;
  std::vector<Spare> spares_;
  uint32_t next_number_ = 1;  // of the next spare file
};

// Ends the process through FatalIoError unless `status` is OK.
void DieUnlessOk(const absl::Status& status);

}  // namespace concordat::wal

#endif  // WAL_SPARE_POOL_H_
