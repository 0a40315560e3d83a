// How one kind of resource keeps balances and evidence: makes the requests and reads the
// answers. The transfers use only this interface, so they do not depend on the kind.
//
//   kind     accounts                               evidence
//   kv       "account/<key>" -> decimal units       "transfer/<number>" -> "gtid net"
//   SQL      accounts(id, balance)                  transfers(id, gtid, net)
#ifndef EXAMPLES_TRANSFER_RESOURCE_ACCESS_H_
#define EXAMPLES_TRANSFER_RESOURCE_ACCESS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/client/operations.h"
#include "examples/transfer/audit.h"
#include "examples/transfer/input/money.h"
#include "examples/transfer/input/smallbank.h"

namespace concordat::transfer {

using Balance = std::pair<std::string, Money>;  // an account's key, and its balance

// Immutable, and so thread-safe. Replies passed to it must have the result OK.
class ResourceAccess {
 public:
  virtual ~ResourceAccess() = default;

  // Opens accounts that do not exist yet.
  [[nodiscard]] virtual wire::ExecuteRequest Open(
      const std::vector<Balance>& accounts) const = 0;

  // Reads balances. With `lock` no other transaction can change them before this one
  // ends.
  [[nodiscard]] virtual wire::ExecuteRequest Read(const std::vector<std::string>& keys,
                                                  bool lock) const = 0;
  // The balances, in the order of the keys.
  [[nodiscard]] virtual absl::StatusOr<std::vector<Money>> ReadBalances(
      const wire::ExecuteReply& reply) const = 0;

  // Carries out the operations and writes the evidence.
  [[nodiscard]] virtual wire::ExecuteRequest Write(
      const std::vector<AccountOperation>& operations,
      const Evidence& evidence) const = 0;
  // FAILED_PRECONDITION: there was not enough money. INTERNAL: an account is missing.
  [[nodiscard]] virtual absl::Status CheckWrite(
      const std::vector<AccountOperation>& operations,
      const wire::ExecuteReply& reply) const = 0;

  // List accounts and evidence in order: at most kPage, those after the one named (empty
  // or 0: from the first on). Fewer than kPage: there are no more.
  static constexpr int32_t kPage = 1000;
  [[nodiscard]] virtual wire::ExecuteRequest ListBalances(
      const std::string& after) const = 0;
  [[nodiscard]] virtual absl::StatusOr<std::vector<Balance>> ListedBalances(
      const wire::ExecuteReply& reply) const = 0;
  [[nodiscard]] virtual wire::ExecuteRequest ListEvidence(uint64_t after) const = 0;
  [[nodiscard]] virtual absl::StatusOr<std::vector<Evidence>> ListedEvidence(
      const wire::ExecuteReply& reply) const = 0;
};

[[nodiscard]] std::unique_ptr<ResourceAccess> MakeKvAccess();

enum class SqlDialect : uint8_t { kSqlite, kPostgresql, kMariadb };
[[nodiscard]] std::unique_ptr<ResourceAccess> MakeSqlAccess(SqlDialect dialect);
// The tables that a SQL bank must have before it is used.
[[nodiscard]] std::string SqlSchema(SqlDialect dialect);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_RESOURCE_ACCESS_H_
