#include "examples/processes/temp_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace concordat::example {

absl::StatusOr<std::unique_ptr<TempFolder>> TempFolder::Create(const std::string& name,
                                                               std::string parent) {
  const char* standard = getenv("TMPDIR");
  if (parent.empty() && standard != nullptr) parent = standard;
  if (parent.empty()) parent = "/tmp";
  std::string path = absl::StrCat(parent, "/concordat-", name, ".XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("cannot make a folder in ", parent, ": ", strerror(errno)));
  }
  return std::unique_ptr<TempFolder>(new TempFolder(std::move(path)));
}

void TempFolder::Remove() {
  if (keep_.exchange(true)) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace concordat::example
