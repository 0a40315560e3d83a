#include "examples/processes/temp_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace concordat::example {

absl::StatusOr<std::unique_ptr<TempFolder>> TempFolder::Create(const std::string& name) {
  const char* base = getenv("TMPDIR");
  if (base == nullptr || *base == '\0') base = "/tmp";
  std::string path = absl::StrCat(base, "/concordat-", name, ".XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    return absl::UnavailableError(
        absl::StrCat("cannot make a folder in ", base, ": ", strerror(errno)));
  }
  return std::unique_ptr<TempFolder>(new TempFolder(std::move(path)));
}

void TempFolder::Remove() {
  if (keep_.exchange(true)) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace concordat::example
