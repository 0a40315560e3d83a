// After the transfers: waits until nothing is open any more, asks about those whose
// clients were told UNKNOWN, reads everything and compares.
#ifndef EXAMPLES_TRANSFER_VERIFY_H_
#define EXAMPLES_TRANSFER_VERIFY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "examples/transfer/audit.h"
#include "examples/transfer/bank_data.h"
#include "examples/transfer/book.h"
#include "examples/transfer/deployment.h"
#include "examples/transfer/ledger.h"

namespace concordat::transfer {

struct Verdict {
  AuditResult audit;
  example::OpenWork open;  // when the wait was over; none, or it took too long
  Duration settled_after;
  uint64_t asked_committed = 0;  // UNKNOWN at first, and then told this
  uint64_t asked_aborted = 0;
  uint64_t asked_in_vain = 0;  // left to the data

  [[nodiscard]] bool agrees() const { return audit.agrees() && open.none(); }
};

// UNAVAILABLE when the data cannot be read. The ledger's UNKNOWNs become what was told
// about them.
[[nodiscard]] absl::StatusOr<Verdict> Verify(Deployment* deployment, const Book& book,
                                             const Accesses& accesses, const Scale& scale,
                                             Ledger* ledger);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_VERIFY_H_
