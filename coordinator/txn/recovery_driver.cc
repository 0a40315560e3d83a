#include "coordinator/txn/recovery_driver.h"

namespace concordat::txn {

void DriveInherited(const TransactionTable& table, Driver* driver, Timestamp now) {
  for (const auto& [gtid, entry] : table.live()) {
    if (entry.staged || entry.decided) driver->Inherit(gtid, entry, now);
  }
}

}  // namespace concordat::txn
