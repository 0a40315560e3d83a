#include "examples/transfer/banks.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace concordat::transfer {

namespace {

struct KindName {
  const char* name;
  BankKind kind;
};
constexpr std::array<KindName, 4> kKinds = {{{"kv", BankKind::kKv},
                                             {"mariadb", BankKind::kMariadb},
                                             {"postgresql", BankKind::kPostgresql},
                                             {"sqlite", BankKind::kSqlite}}};

std::unique_ptr<ResourceAccess> MakeAccess(BankKind kind) {
  switch (kind) {
    case BankKind::kKv:
      return MakeKvAccess();
    case BankKind::kSqlite:
      return MakeSqlAccess(SqlDialect::kSqlite);
    case BankKind::kPostgresql:
      return MakeSqlAccess(SqlDialect::kPostgresql);
    case BankKind::kMariadb:
      break;
  }
  return MakeSqlAccess(SqlDialect::kMariadb);
}

}  // namespace

absl::StatusOr<BankResources> ParseBanks(std::string_view kinds) {
  BankResources banks;
  std::map<std::string, int> counts;
  for (const std::string& word : std::vector<std::string>(
           absl::StrSplit(std::string(kinds), ',', absl::SkipEmpty()))) {
    const auto* found = std::find_if(kKinds.begin(), kKinds.end(),
                                     [&word](auto& kind) { return word == kind.name; });
    if (found == kKinds.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", word, "\" is no kind of bank; there are ",
          absl::StrJoin(kKinds, ", ", [](std::string* out, const KindName& kind) {
            out->append(kind.name);
          })));
    }
    banks.push_back({found->kind, absl::StrCat(word, "-", ++counts[word])});
  }
  if (banks.empty()) return absl::InvalidArgumentError("no bank is named");
  std::sort(banks.begin(), banks.end(),
            [](const auto& left, const auto& right) { return left.name < right.name; });
  return banks;
}

std::vector<std::string> NamesOf(const BankResources& banks) {
  std::vector<std::string> names;
  for (const BankResource& bank : banks) names.push_back(bank.name);
  return names;
}

std::vector<std::unique_ptr<ResourceAccess>> MakeAccesses(const BankResources& banks) {
  std::vector<std::unique_ptr<ResourceAccess>> accesses;
  for (const BankResource& bank : banks) accesses.push_back(MakeAccess(bank.kind));
  return accesses;
}

absl::StatusOr<std::string> FileUrl(const BankResource& bank, const std::string& folder) {
  if (bank.kind == BankKind::kKv) return absl::StrCat("kv://", folder, "/", bank.name);
  const std::string schema = absl::StrCat(folder, "/schema.sql");
  std::ofstream out(schema);
  out << SqlSchema(SqlDialect::kSqlite);
  out.close();
  if (!out) return absl::UnavailableError(absl::StrCat("cannot write ", schema));
  return absl::StrCat("sqlite://", folder, "/", bank.name, ".db?schema=", schema);
}

absl::StatusOr<std::unique_ptr<example::DatabaseServer>> PrepareServer(
    const BankResource& bank, const std::string& folder) {
  return bank.kind == BankKind::kPostgresql
             ? example::PreparePostgresql(bank.name, folder)
             : example::PrepareMariadb(bank.name, folder);
}

// A database does not know for which locks other branches of a transaction wait
// elsewhere. Only the time-out ends a deadlock across databases; the transfer is then
// tried again.
std::string ServerUrl(const example::DatabaseServer& server) {
  const std::string url = server.url();
  return absl::StrCat(url, url.find('?') == std::string::npos ? "?" : "&",
                      "lock_wait_ms=300");
}

absl::Status MakeTables(const BankResource& bank, example::DatabaseServer* server) {
  return server->RunSql(SqlSchema(bank.kind == BankKind::kPostgresql
                                      ? SqlDialect::kPostgresql
                                      : SqlDialect::kMariadb));
}

}  // namespace concordat::transfer
