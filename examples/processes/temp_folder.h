// A temporary folder for a run. It is removed with its contents unless Keep was called.
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
  // Creates "concordat-<name>.XXXXXX" in `parent`; if that is empty, in TMPDIR, or in
  // /tmp. The error says where it could not be created, and why.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<TempFolder>> Create(
      const std::string& name, std::string parent = "");
  ~TempFolder() { Remove(); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  void Keep() { keep_ = true; }
  // Removes the folder now. Later calls do nothing.
  void Remove();

 private:
  explicit TempFolder(std::string path) : path_(std::move(path)) {}

  const std::string path_;
  std::atomic<bool> keep_{false};
};

}  // namespace concordat::example

#endif  // EXAMPLES_PROCESSES_TEMP_FOLDER_H_
