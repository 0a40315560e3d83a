#include "examples/transfer/deployment.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace concordat::transfer {

namespace {

constexpr const char* kKv = "kv-1";
constexpr const char* kSqlite[] = {"sqlite-1", "sqlite-2"};

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
      "tests/build.sh release concordatd concordat-rm transfer"));
}

}  // namespace

std::vector<std::string> ResourceNames() { return {kKv, kSqlite[0], kSqlite[1]}; }

std::vector<std::unique_ptr<ResourceAccess>> MakeAccesses() {
  std::vector<std::unique_ptr<ResourceAccess>> accesses;
  for (const std::string& name : ResourceNames()) {
    accesses.push_back(name == kKv ? MakeKvAccess() : MakeSqliteAccess());
  }
  return accesses;
}

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

absl::StatusOr<std::string> ResourceUrl(const std::string& resource,
                                        const std::string& folder) {
  if (resource == kKv) return absl::StrCat("kv://", folder, "/", resource);
  const std::string schema = absl::StrCat(folder, "/schema.sql");
  std::ofstream out(schema);
  out << SqliteSchema();
  out.close();
  if (!out) return absl::UnavailableError(absl::StrCat("cannot write ", schema));
  return absl::StrCat("sqlite://", folder, "/", resource, ".db?schema=", schema);
}

}  // namespace concordat::transfer
