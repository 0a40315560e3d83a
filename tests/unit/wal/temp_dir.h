// A directory for one test on the real file system, removed with its contents.
#ifndef TESTS_UNIT_WAL_TEMP_DIR_H_
#define TESTS_UNIT_WAL_TEMP_DIR_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "coordinator/base/check.h"

namespace concordat::wal {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "wal-XXXXXX").string();
    CONCORDAT_CHECK(::mkdtemp(name.data()) != nullptr) << name;
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace concordat::wal

#endif  // TESTS_UNIT_WAL_TEMP_DIR_H_
