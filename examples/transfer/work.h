// The work of one transaction: a row of a CSV file or a SmallBank transaction.
#ifndef EXAMPLES_TRANSFER_WORK_H_
#define EXAMPLES_TRANSFER_WORK_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "examples/transfer/input/account.h"
#include "examples/transfer/input/money.h"
#include "examples/transfer/input/smallbank.h"
#include "examples/transfer/input/transfer_reader.h"

namespace concordat::transfer {

using Work = std::variant<Transfer, SmallBankTransaction>;

// Returns the next work. nullopt: there is no more.
using WorkSource = std::function<std::optional<Work>()>;

// The transfers in their order.
[[nodiscard]] WorkSource FromTransfers(std::vector<Transfer> transfers);
// Endless. The bank must outlive the source.
[[nodiscard]] WorkSource FromSmallBank(const SmallBank* bank, uint64_t seed);

// The first `count` of a source.
[[nodiscard]] WorkSource Limit(WorkSource source, uint64_t count);

// The accounts whose balances are needed to know what to do.
[[nodiscard]] std::vector<AccountId> ReadsOf(const Work& work);
// Whether the transaction may write after these reads, so that they must lock.
[[nodiscard]] bool Writes(const Work& work);

// What to do, in this order. `balances` are those of ReadsOf. OUT_OF_RANGE: a balance
// would overflow; roll back.
[[nodiscard]] absl::StatusOr<std::vector<AccountOperation>> PlanOf(
    const Work& work, const std::vector<Money>& balances);

// The change of an account by all operations of a transaction.
struct Change {
  AccountId account;
  Money delta;
};
[[nodiscard]] std::vector<Change> ChangesOf(
    const std::vector<AccountOperation>& operations, const std::vector<AccountId>& reads,
    const std::vector<Money>& balances);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_WORK_H_
