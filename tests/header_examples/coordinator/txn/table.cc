#include "coordinator/txn/table.h"

namespace concordat::txn {

void TableExample(LogIndex index, const Record& record, const Gtid& gtid) {
  // EXAMPLE
}

}  // namespace concordat::txn
