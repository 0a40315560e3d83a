// The transfers of a run and their accounts, from a CSV file or from SmallBank.
#ifndef EXAMPLES_TRANSFER_INPUT_PLAN_H_
#define EXAMPLES_TRANSFER_INPUT_PLAN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "examples/transfer/input/account.h"
#include "examples/transfer/input/smallbank.h"
#include "examples/transfer/input/transfer_reader.h"
#include "examples/transfer/options.h"
#include "examples/transfer/work.h"

namespace concordat::transfer {

struct InputPlan {
  std::string description;
  std::vector<std::pair<AccountId, Money>> opening;
  WorkSource source;
  uint64_t total = 0;  // transfers in the source; 0: endless
  std::vector<BadRow> bad_rows;
  std::unique_ptr<SmallBank> small_bank;  // used by the source; null with a file
};

// NOT_FOUND: the file cannot be opened. DATA_LOSS: it cannot be read. INVALID_ARGUMENT:
// bad rows with --strict, no good row, or options that contradict each other.
[[nodiscard]] absl::StatusOr<InputPlan> MakeInputPlan(const Options& options);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_INPUT_PLAN_H_
