#include "examples/transfer/input/smallbank.h"

namespace concordat::transfer {

void SmallbankExample(
    SmallBankOptions options, uint64_t seed, Money total,
    void (*LoadAccounts)(const std::vector<std::pair<AccountId, Money>>&),
    std::vector<Money> (*ReadWithLocks)(const std::vector<AccountId>&),
    bool (*CommitAll)(const std::vector<AccountOperation>&)) {
  // EXAMPLE
}

}  // namespace concordat::transfer
