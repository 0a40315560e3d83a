// The folder of a resource manager that keeps files of its own. It records whose the
// folder is, and makes sure that only one process uses it.
//
//   auto folder = StoreFolder::Claim(env, "/var/lib/bank-a", kKvFolder, cluster);
//   log_options.log_id = folder->log_id();   // 0 until a log has been made
//   auto log = wal::Log::Open(env, log_options, replay);
//   absl::Status kept = folder->KeepLog((*log)->log_id());
//   std::string store_id = folder->id();     // never changes (ResourceManager::store_id)
//
//   store        text: what the folder is, the cluster's id, the store's own id, and the
//                id of its log, so that a folder without its log is not served as empty
//   generation   text: recognizes an older copy (ResourceManager::SetGeneration)
//   lock         held by the process that serves it
//   checkpoint   belongs to the owner
//   wal/         the owner's log
#ifndef PARTICIPANT_STORE_STORE_FOLDER_H_
#define PARTICIPANT_STORE_STORE_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "coordinator/base/file_env.h"
#include "coordinator/base/ids.h"

namespace concordat::participant {

// What the folder is for, in the words of its messages.
struct StoreFolderKind {
  const char* format;  // first line of `store`: "concordat kv store, format 1"
  const char* owner;   // "a KV shard": the owner of the folder
  // A further sentence, or empty. Its message puts it after "Name an empty folder, or one
  // that it has made", so it begins with a space.
  const char* advice;
};

class StoreFolder {
 public:
  // Makes the folder, locks it, and reads or writes `store`.
  //   FAILED_PRECONDITION  locked; holds other files; of another kind or version, or of
  //                        another cluster; has a log but not the file `store`
  //   others               the folder could not be made, read or written
  [[nodiscard]] static absl::StatusOr<StoreFolder> Claim(FileEnv* env,
                                                         const std::string& dir,
                                                         const StoreFolderKind& kind,
                                                         ClusterId cluster);
  StoreFolder() = default;  // without a folder

  [[nodiscard]] const std::string& id() const { return id_; }
  // The log that belongs to the folder; 0: none has been made yet. To be passed to
  // wal::LogOptions, which refuses any other log, and a missing one.
  [[nodiscard]] uint64_t log_id() const { return log_id_; }
  // The log was opened: from now on it must be there. Durable when OK. Errors of the
  // file, including RESOURCE_EXHAUSTED.
  [[nodiscard]] absl::Status KeepLog(uint64_t log_id);
  // The last generation; 0: none yet.
  [[nodiscard]] uint64_t generation() const { return generation_; }
  // Writes the generation; it is durable when OK. Blocks for a flush.
  // FAILED_PRECONDITION: the folder was replaced by an older copy, or its generation is
  // missing. RESOURCE_EXHAUSTED: the disk is full, and the last generation stays. Another
  // failure of the disk ends the process. One call at a time.
  [[nodiscard]] absl::Status SetGeneration(uint64_t generation);
  // Unlocks the folder.
  void Release() { lock_.reset(); }

 private:
  FileEnv* env_ = nullptr;
  std::string dir_;
  std::string text_;     // of the file `store`
  std::string id_;       // see id()
  uint64_t log_id_ = 0;  // see log_id()
  uint64_t generation_ = 0;
  std::unique_ptr<FileLock> lock_;  // null: not locked
};

}  // namespace concordat::participant

#endif  // PARTICIPANT_STORE_STORE_FOLDER_H_
