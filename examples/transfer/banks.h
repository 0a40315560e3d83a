// The resources of a run, in which the banks are kept.
//
//   ParseBanks("postgresql,mariadb,kv")  ->  kv-1, mariadb-1, postgresql-1
#ifndef EXAMPLES_TRANSFER_BANKS_H_
#define EXAMPLES_TRANSFER_BANKS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/processes/database_server.h"
#include "examples/transfer/resource_access.h"

namespace concordat::transfer {

enum class BankKind : uint8_t { kKv, kSqlite, kPostgresql, kMariadb };

struct BankResource {
  BankKind kind;
  std::string name;  // kind and number, "kv-1"

  // Whether it has a database server besides the participant.
  [[nodiscard]] bool has_server() const {
    return kind == BankKind::kPostgresql || kind == BankKind::kMariadb;
  }
};
using BankResources = std::vector<BankResource>;  // in the order of their names

// Parses a list of kinds, separated by commas. INVALID_ARGUMENT: an unknown kind, or
// none.
[[nodiscard]] absl::StatusOr<BankResources> ParseBanks(std::string_view kinds);

[[nodiscard]] std::vector<std::string> NamesOf(const BankResources& banks);
// One for each bank, in the same order.
[[nodiscard]] std::vector<std::unique_ptr<ResourceAccess>> MakeAccesses(
    const BankResources& banks);

// For a bank without a server: the URL, with the data in `folder`. Also writes the schema
// there.
[[nodiscard]] absl::StatusOr<std::string> FileUrl(const BankResource& bank,
                                                  const std::string& folder);
// For a bank with a server: creates the server's data, in a folder of its own in
// `folder`.
[[nodiscard]] absl::StatusOr<std::unique_ptr<example::DatabaseServer>> PrepareServer(
    const BankResource& bank, const std::string& folder);
// The bank's URL; and the creation of its tables, for which the server must be running.
[[nodiscard]] std::string ServerUrl(const example::DatabaseServer& server);
[[nodiscard]] absl::Status MakeTables(const BankResource& bank,
                                      example::DatabaseServer* server);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_BANKS_H_
