// The application's own PostgreSQL connection as a branch of a global transaction. What
// works on a PGconn today, by hand, through a driver or an object mapper, goes on as it
// is; only BEGIN and COMMIT are the transaction's now.
//
//   auto transaction = client->Begin();
//   if (auto s = Enlist(&*transaction, bank_a, "bank-a"); !s.ok()) return s.status();
//   PQexec(bank_a, "UPDATE account SET balance = balance - 5 WHERE id = 1");
//   auto moved = transaction->Sql("bank-b", …);      // through a participant, or Enlist
//   CommitResult result = transaction->Commit();
//   // whatever came out, the connection is outside of a transaction again, or lost
//
// The resource is one that a participant (concordat-rm) serves, in the same database.
// The participant gives the branch its name, and ends it once it is prepared; it never
// sees the connection. In Client::Run the lambda enlists anew each time.
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
// What happens when something dies, and nobody has to do anything about it:
//
//   the application before PREPARE       the server rolls back with the connection
//   … after PREPARE, before its commit   the branch is left alone for `grace_period`
//     request has arrived                after PREPARE, then rolled back; locks are held
//                                        till then
//   … after that                         the transaction is committed (or aborted, when
//                                        another branch refuses)
//   the connection during PREPARE        Commit rolls back: kAborted. What a backend
//                                        prepares after all is found and rolled back
//   the participant, the coordinators    as for any other branch
//   Commit asked for after that time     perhaps kAborted, as the branch has asked first
//
// The rules, and what is seen when they are broken:
//   - Between Enlist and the end the application neither commits nor rolls back by
//     itself (savepoints are fine), nor closes the PGconn. When it has, Commit aborts;
//     what it has committed by itself stays committed.
//   - What PREPARE TRANSACTION cannot do (temporary tables, LISTEN and NOTIFY, WITH HOLD
//     cursors, exported snapshots) makes Commit abort, with the server's words.
//   - A statement that has failed without a savepoint around it: Commit aborts, as the
//     server would.
//   - The connection's role is the participant's (or the participant's a superuser), and
//     may call concordat.add_application_managed_evidence. Checked by Enlist, and again
//     before PREPARE.
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
  // "read-committed", "repeatable-read", "serializable". Empty: what the transaction's
  // options name for the resource, or else the resource's default.
  std::string isolation{};
  // A prepared branch is left alone for so long before it asks for its outcome, and is
  // rolled back when nobody has asked to commit: longer than this process may take from
  // the first PREPARE to the arrival of its commit request, elections and stalls
  // included. As long, at most, does a killed application hold its locks. Whole seconds,
  // 1 s to 65,535 s.
  Duration grace_period = Duration::Seconds(30);
  // The longest wait for the answer to PREPARE. The connection is cut off then, and the
  // transaction rolled back.
  Duration prepare_timeout = Duration::Seconds(10);
};

// Makes what the connection does next, until the transaction ends, a branch of it. The
// connection stays the application's, and must outlive the transaction's end. Both by
// one thread at a time. Returns the branch's name, for logs.
//   FAILED_PRECONDITION  the connection is in a transaction, busy or in pipeline mode; it
//                        leads to another database, or its role will not do; or the
//                        transaction was joined. Nothing was begun; the message says
//                        what to change
//   INVALID_ARGUMENT     an option; or the resource is no PostgreSQL database
//   NOT_FOUND            no such resource
//   UNAVAILABLE          the participant or the connection; nothing was begun
// After an error the transaction is as it was.
[[nodiscard]] absl::StatusOr<BranchId> Enlist(Transaction* transaction,
                                              PGconn* connection,
                                              const std::string& resource,
                                              EnlistOptions options = {});

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_POSTGRESQL_ENLIST_H_
