// Opens the accounts of a book at its resources, and reads back everything that is
// there, in transactions like anybody's.
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

// An error says which resource, and why; then some accounts are open and others not.
[[nodiscard]] absl::Status OpenAccounts(client::Client* client, const Book& book,
                                        const Accesses& accesses);

// All balances and all evidence of each resource, each resource in one transaction.
[[nodiscard]] absl::StatusOr<std::vector<ResourceContents>> ReadEverything(
    client::Client* client, const Book& book, const Accesses& accesses);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_BANK_DATA_H_
