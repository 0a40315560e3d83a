// What the banks are kept in: the resources of a run, by kind.
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

  // Whether it has a server of its own beside the participant.
  [[nodiscard]] bool has_server() const {
    return kind == BankKind::kPostgresql || kind == BankKind::kMariadb;
  }
};
using BankResources = std::vector<BankResource>;  // in the order of their names

// A list of kinds with commas. INVALID_ARGUMENT: no such kind, or none at all.
[[nodiscard]] absl::StatusOr<BankResources> ParseBanks(std::string_view kinds);

[[nodiscard]] std::vector<std::string> NamesOf(const BankResources& banks);
// In their order.
[[nodiscard]] std::vector<std::unique_ptr<ResourceAccess>> MakeAccesses(
    const BankResources& banks);

// The URL of one without a server, with its data in `folder`; writes the schema beside
// it.
[[nodiscard]] absl::StatusOr<std::string> FileUrl(const BankResource& bank,
                                                  const std::string& folder);
// Of one with a server. Makes its data, in a folder of its own in `folder`.
[[nodiscard]] absl::StatusOr<std::unique_ptr<example::DatabaseServer>> PrepareServer(
    const BankResource& bank, const std::string& folder);
// Its URL; and its tables, the server being up.
[[nodiscard]] std::string ServerUrl(const example::DatabaseServer& server);
[[nodiscard]] absl::Status MakeTables(const BankResource& bank,
                                      example::DatabaseServer* server);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_BANKS_H_
