// Compares what the clients were told with the data of the banks. Pure.
//
// Each transfer also writes, in the same transaction, a row of evidence at every resource
// that it changes: its number, its gtid and the change there. So when no branch is open
// any more:
//
//   told committed             exactly one row at each of its resources, none elsewhere
//   told refused or aborted    no row
//   told unknown               rows at all of its resources, or at none; that decides it
//   each account               opening balance + changes of committed transfers = balance
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
  Money net;  // how much the transfer has changed the resource's total

  friend bool operator==(const Evidence&, const Evidence&) = default;
};

// Everything that one resource has.
struct ResourceContents {
  std::map<std::string, Money> balances;  // by the account's key
  std::vector<Evidence> evidence;
};

struct AuditResult {
  Money money_after;     // the sum of all balances
  Money money_expected;  // opening balances and the changes of committed transfers
  uint64_t committed = 0;
  uint64_t unknown_committed = 0;  // told unknown, and found to be done
  uint64_t unknown_not_done = 0;   // told unknown, and found not to be done
  uint64_t accounts = 0;
  uint64_t evidence_rows = 0;
  // Texts for the first disagreements, and the number of all.
  std::vector<std::string> findings;
  uint64_t finding_count = 0;

  [[nodiscard]] bool agrees() const { return finding_count == 0; }
};

// `contents` has one element for each of the book's resources, in the same order.
[[nodiscard]] AuditResult Audit(const Book& book, const Ledger& ledger,
                                const std::vector<ResourceContents>& contents,
                                const Scale& scale);

}  // namespace concordat::transfer

#endif  // EXAMPLES_TRANSFER_AUDIT_H_
