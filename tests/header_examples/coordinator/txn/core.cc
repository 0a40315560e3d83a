#include "coordinator/txn/core.h"

namespace concordat::txn {

void CoreExample(CoreOptions options, Term term, RequestToken token,
                 const BranchId& branch, LogIndex index, std::string_view bytes,
                 Timestamp now, absl::Status status, std::vector<std::string> proposals) {
  // EXAMPLE
}

}  // namespace concordat::txn
