#include "examples/processes/programs.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace concordat::example {

namespace {

absl::StatusOr<std::string> FindProgram(const std::filesystem::path& here,
                                        const std::string& name,
                                        const std::string& build_folder) {
  for (const auto& place : {here / name, here / ".." / ".." / build_folder / name}) {
    if (access(place.c_str(), X_OK) == 0) {
      return std::filesystem::weakly_canonical(place).string();
    }
  }
  return absl::NotFoundError(absl::StrCat(
      name, " is neither in ", here.string(), " nor where a build puts it; build it: ",
      "tests/build.sh release concordatd concordat-rm"));
}

}  // namespace

absl::StatusOr<Programs> FindPrograms() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::NotFoundError("cannot read /proc/self/exe");
  auto concordatd = FindProgram(self.parent_path(), "concordatd", "coordinator/daemon");
  if (!concordatd.ok()) return concordatd.status();
  auto concordat_rm =
      FindProgram(self.parent_path(), "concordat-rm", "participant/daemon");
  if (!concordat_rm.ok()) return concordat_rm.status();
  return Programs{*std::move(concordatd), *std::move(concordat_rm)};
}

}  // namespace concordat::example
