#include "participant/sdk/core/branch_table.h"

namespace concordat::participant {

void BranchTableExample(Incarnation incarnation, BranchTableOptions options,
                        const Gtid& gtid, RequestToken token, Timestamp now) {
  // EXAMPLE
}

}  // namespace concordat::participant
