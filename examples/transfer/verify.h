// After the transfers: waits until nothing is open any more, asks for the outcomes of
// those whose clients were told UNKNOWN, reads all data and compares.
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
  example::OpenWork open;  // at the end of the wait; not none: it took too long
  Duration settled_after;
  // Transfers that were UNKNOWN at first, by the answer to the question.
  uint64_t asked_committed = 0;
  uint64_t asked_aborted = 0;
  uint64_t asked_in_vain = 0;  // still unknown: the data decide

  [[nodiscard]] bool agrees() const { return audit.agrees() && open.none(); }
};

// UNAVAILABLE: the data cannot be read. The entries of the ledger that were UNKNOWN get
// the outcome that was answered.
[[nodiscard]] absl::StatusOr<Verdict> Verify(Deployment* deployment, const Book& book,
                                             const Accesses& accesses, const Scale& scale,
                                             Ledger* ledger);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_VERIFY_H_
