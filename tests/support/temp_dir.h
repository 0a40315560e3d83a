// A folder of a test, which is removed with its content.
#ifndef TESTS_SUPPORT_TEMP_DIR_H_
#define TESTS_SUPPORT_TEMP_DIR_H_

#include <memory>
#include <string>
#include <utility>

#include "coordinator/base/check.h"
#include "examples/processes/temp_folder.h"

namespace concordat::testing {

class TempDir {
 public:
  // Creates it below `parent`; if that is empty, below TMPDIR, or /tmp.
  explicit TempDir(const std::string& parent = "") {
    auto folder = example::TempFolder::Create("test", parent);
    CONCORDAT_CHECK(folder.ok()) << folder.status().message();
    folder_ = *std::move(folder);
  }

  [[nodiscard]] const std::string& path() const { return folder_->path(); }
  [[nodiscard]] std::string File(const std::string& name) const {
    return path() + "/" + name;
  }

 private:
  std::unique_ptr<example::TempFolder> folder_;
};

}  // namespace concordat::testing

#endif  // TESTS_SUPPORT_TEMP_DIR_H_
