// What a new leader does first: it goes on with everything that earlier leaders had
// log-committed and not finished. An election aborts nothing.
#ifndef COORDINATOR_TXN_RECOVERY_DRIVER_H_
#define COORDINATOR_TXN_RECOVERY_DRIVER_H_

#include "coordinator/base/clock.h"
#include "coordinator/txn/driver.h"
#include "coordinator/txn/table.h"

namespace concordat::txn {

// Every STAGED without DECIDED is asked for its votes again, with its deadline counted
// from now; every DECIDED without ENDED is told again. What is only enlisted is left
// alone: its client may still commit it. To be called when the entry of the leader's
// own term is applied, not before: the table is complete only then.
void DriveInherited(const TransactionTable& table, Driver* driver, Timestamp now);

}  // namespace concordat::txn

#endif  // COORDINATOR_TXN_RECOVERY_DRIVER_H_
