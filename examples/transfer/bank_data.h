// Opens the accounts of a book at its resources, and reads all data back, in ordinary
// transactions.
#ifndef EXAMPLES_TRANSFER_BANK_DATA_H_
#define EXAMPLES_TRANSFER_BANK_DATA_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/client/client.h"
#include "examples/transfer/audit.h"
#include "examples/transfer/book.h"
#include "examples/transfer/resource_access.h"

namespace concordat::transfer {

using Accesses = std::vector<std::unique_ptr<ResourceAccess>>;

// The error names the resource and the reason. Some accounts may be open then.
[[nodiscard]] absl::Status OpenAccounts(client::Client* client, const Book& book,
                                        const Accesses& accesses);

// Reads all balances and all evidence of each resource, each resource in one transaction.
[[nodiscard]] absl::StatusOr<std::vector<ResourceContents>> ReadEverything(
    client::Client* client, const Book& book, const Accesses& accesses);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_BANK_DATA_H_
