#include "coordinator/txn/record.h"

namespace concordat::txn {

void RecordExample(const Gtid& gtid) {
  // EXAMPLE
}

}  // namespace concordat::txn
