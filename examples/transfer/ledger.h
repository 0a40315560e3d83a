// What the clients were told about each transfer: one side of the comparison at the end.
// The other side is the data of the banks (audit.h).
#ifndef EXAMPLES_TRANSFER_LEDGER_H_
#define EXAMPLES_TRANSFER_LEDGER_H_

#include <cstdint>
#include <vector>

#include "coordinator/base/xid.h"
#include "examples/transfer/input/money.h"

namespace concordat::transfer {

// How a transfer has ended, as its client was told.
enum class Told : uint8_t {
  kCommitted,
  kRefused,  // rolled back by the client: not enough money
  kAborted,  // given up after too many aborts
  kUnknown,  // it may have committed or aborted
};

struct LedgerEntry {
  struct Delta {
    uint32_t account = 0;  // its number in the Book
    Money amount;
  };

  uint64_t number = 0;  // of the transfer, from 1; also the key of its evidence
  Told told = Told::kUnknown;
  Gtid gtid;                  // of the last attempt
  std::vector<Delta> deltas;  // empty: nothing was written
};

using Ledger = std::vector<LedgerEntry>;

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_LEDGER_H_
