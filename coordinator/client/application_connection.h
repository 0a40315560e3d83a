// A branch that the application runs on a connection of its own, as a Transaction sees
// it: something to prepare before the coordinators are asked to commit, and to roll back
// otherwise. Libraries for one database each implement it (postgresql/enlist.h).
//
//   working ──Commit──> preparing ──kPrepared──> the participant's; connection free
//      │                    ├──kRefused──> rolled back; connection free ┐ the transaction
//      │                    └──kUnknown──> may be prepared: lost        ┘ is rolled back
//      └──Rollback, destruction, a prior failure──> rolled back; connection free
//
// Called by the thread that has the Transaction.
#ifndef COORDINATOR_CLIENT_APPLICATION_CONNECTION_H_
#define COORDINATOR_CLIENT_APPLICATION_CONNECTION_H_

#include <cstdint>
#include <string>

namespace concordat::client {

class ApplicationConnection {
 public:
  enum class Prepared : uint8_t {
    kPrepared,
    kRefused,   // it is rolled back, and never will be prepared
    kConflict,  // the same, and it may go well the next time
    kUnknown,   // the answer was lost
  };
  struct Answer {
    Prepared prepared = Prepared::kUnknown;
    std::string detail;
  };

  virtual ~ApplicationConnection() = default;
  // Sends what prepares the branch; of all of a transaction's before the first is waited
  // for, so that their flushes run in parallel.
  virtual void SendPrepare() = 0;
  // Waits for the answer.
  virtual Answer AwaitPrepared() = 0;
  // Instead of SendPrepare.
  virtual void RollBack() = 0;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_APPLICATION_CONNECTION_H_
