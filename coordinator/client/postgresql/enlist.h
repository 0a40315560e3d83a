// The application's own PostgreSQL connection as a branch of a global transaction. Code
// that uses a PGconn, directly or through a driver or an object mapper, need not be
// changed; only BEGIN and COMMIT are now done by the transaction.
//
//   auto transaction = client->Begin();
//   if (auto s = Enlist(&*transaction, bank_a, "bank-a"); !s.ok()) return s.status();
//   PQexec(bank_a, "UPDATE account SET balance = balance - 5 WHERE id = 1");
//   auto credited = transaction->Sql("bank-b", credit);   // as at any other resource
//   CommitResult result = transaction->Commit();
//   // Whatever the outcome, the connection is outside of a transaction again, or lost.
//
// The resource is one that a participant (concordat-rm) serves in the same database. The
// participant gives the branch its id, and ends the branch once it is prepared. It does
// not use the connection. In Client::Run, the function must call Enlist in each attempt.
//
//   Enlist     the participant: a branch id               one round trip, nothing kept
//              the connection: check, BEGIN               two round trips
//   working    the application's own statements
//   Commit     the connection: evidence and PREPARE   one round trip, one flush; of
//     │        TRANSACTION                                all connections in parallel
//     │          │ refused, or the answer is lost: ROLLBACK of everything
//     │        the coordinators: commit                   always in two phases: the
//     │          │                                        evidence makes each branch a
//     │          │                                        written one, also of reads
//     │        the participant: "prepared?", COMMIT PREPARED
//     v
//   over       Rollback, destruction and a failed Commit: ROLLBACK on the connection
//
// What happens after a failure, without anybody's action:
//
//   the application dies before PREPARE    the server rolls back with the connection
//   … after PREPARE, before its commit     the branch keeps its locks for
//     request has arrived                  `grace_period` after PREPARE, and is then
//                                          rolled back
//   … after that                           the transaction is committed (or aborted, if
//                                          another branch refuses)
//   the connection breaks during PREPARE   Commit rolls back: kAborted. If a backend
//                                          prepares the branch later, that is found and
//                                          rolled back
//   the participant or a coordinator dies  as for any other branch
//   Commit comes later than that           perhaps kAborted, if the branch has inquired
//                                          before
//
// The rules, and what follows when they are broken:
//   - Between Enlist and the end the application must neither commit nor roll back by
//     itself (savepoints are allowed), nor close the PGconn. If it does, Commit aborts;
//     what the application has committed by itself stays committed.
//   - If the transaction has used what PREPARE TRANSACTION does not support (temporary
//     tables, LISTEN and NOTIFY, WITH HOLD cursors, exported snapshots), Commit aborts
//     with the server's message.
//   - If a statement has failed without a savepoint around it, Commit aborts, as the
//     server would.
//   - The role of the connection must be that of the participant (unless the latter is a
//     superuser) and may call concordat.add_own_evidence. Enlist checks this, and it is
//     checked again before PREPARE.
#ifndef COORDINATOR_CLIENT_POSTGRESQL_ENLIST_H_
#define COORDINATOR_CLIENT_POSTGRESQL_ENLIST_H_

#include <libpq-fe.h>

#include <string>

#include "absl/status/statusor.h"
#include "coordinator/base/clock.h"
#include "coordinator/base/xid.h"
#include "coordinator/client/client.h"

namespace concordat::client {

struct EnlistOptions {
  // "read-committed", "repeatable-read" or "serializable". Empty: what the transaction's
  // options name for the resource, otherwise the resource's default.
  std::string isolation{};
  // How long a prepared branch waits before it inquires about its outcome; it is then
  // rolled back if no commit was requested. Must be longer than the time that this
  // process may take from the first PREPARE to the arrival of its commit request, with
  // elections and stalls. A killed application keeps its locks for so long at most. Whole
  // seconds, 1 s to 65,535 s.
  Duration grace_period = Duration::Seconds(30);
  // The longest wait for the answer to PREPARE. After it the connection is shut down and
  // the transaction rolled back.
  Duration prepare_timeout = Duration::Seconds(10);
};

// Makes all that the connection does, until the transaction ends, a branch of it. The
// connection still belongs to the application and must outlive the transaction's end.
// Both may be used by one thread at a time. Returns the branch's id, for logs.
//   FAILED_PRECONDITION  the connection is in a transaction, busy or in pipeline mode; it
//                        is to another database, or its role is not suitable; or the
//                        transaction was joined. The message says what to change
//   INVALID_ARGUMENT     an option is wrong, or the resource is not a PostgreSQL database
//   NOT_FOUND            no such resource
//   UNAVAILABLE          the participant does not answer, or the connection is broken
// After an error nothing was begun, and the transaction is as before.
[[nodiscard]] absl::StatusOr<BranchId> Enlist(Transaction* transaction,
                                              PGconn* connection,
                                              const std::string& resource,
                                              EnlistOptions options = {});

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_POSTGRESQL_ENLIST_H_
