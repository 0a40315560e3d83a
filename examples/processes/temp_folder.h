// A folder of the run's own, removed with everything in it unless it is to be kept.
#ifndef EXAMPLES_PROCESSES_TEMP_FOLDER_H_
#define EXAMPLES_PROCESSES_TEMP_FOLDER_H_

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace concordat::example {

// Thread-safe.
class TempFolder {
 public:
  // "concordat-<name>.XXXXXX" in TMPDIR, or /tmp. The error says which folder could not
  // be made, and why.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<TempFolder>> Create(
      const std::string& name);
  ~TempFolder() { Remove(); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  void Keep() { keep_ = true; }
  // Now, and not again.
  void Remove();

 private:
  explicit TempFolder(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  std::atomic<bool> keep_{false};
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_TEMP_FOLDER_H_
