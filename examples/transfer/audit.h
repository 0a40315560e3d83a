// Compares what the clients were told with what the banks say. PURE.
//
// In its own transaction each transfer also leaves a row of evidence at every resource
// that it writes at: its number, its gtid and what it changed there. So, once no branch
// is open any more:
//
//   told committed     exactly one row at each of its resources, and none elsewhere
//   told anything else but unknown     no row anywhere
//   unknown            rows at all of its resources, or at none: that settles it
//   each account       opening balance + changes of the committed = balance, to the cent
#ifndef EXAMPLES_TRANSFER_AUDIT_H_
#define EXAMPLES_TRANSFER_AUDIT_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "examples/transfer/book.h"
#include "examples/transfer/input/money.h"
#include "examples/transfer/ledger.h"

namespace concordat::transfer {

// A row that a transfer wrote beside its money.
struct Evidence {
  uint64_t number = 0;
  std::string gtid;
  Money net;  // what the transfer changed the resource's total by

  friend bool operator==(const Evidence&, const Evidence&) = default;
};

// Everything that one resource has.
struct ResourceContents {
  std::map<std::string, Money> balances;  // by the account's key
  std::vector<Evidence> evidence;
};

struct AuditResult {
  Money money_after;     // the sum of what the banks have
  Money money_expected;  // opening balances and the changes of the committed
  uint64_t committed = 0;
  uint64_t unknown_committed = 0;  // told unknown, and found done
  uint64_t unknown_not_done = 0;   // told unknown, and found not done
  uint64_t accounts = 0;
  uint64_t evidence_rows = 0;
  // In words, what does not agree; the first of them, and how many there are.
  std::vector<std::string> findings;
  uint64_t finding_count = 0;

  [[nodiscard]] bool agrees() const { return finding_count == 0; }
};

// `contents` has one element for each of the book's resources, in their order.
[[nodiscard]] AuditResult Audit(const Book& book, const Ledger& ledger,
                                const std::vector<ResourceContents>& contents,
                                const Scale& scale);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_AUDIT_H_
