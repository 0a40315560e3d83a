// A branch that the application runs on a connection of its own. A Transaction prepares
// it before it asks the coordinators to commit, and rolls it back otherwise. Each
// database's library implements this interface (postgresql/enlist.h).
//
//   working ──Commit──> preparing ──kPrepared──> the participant's; connection free
//      │                    ├──kRefused──> rolled back; connection free ┐ the transaction
//      │                    └──kUnknown──> may be prepared: lost        ┘ is rolled back
//      └──Rollback, destruction, a prior failure──> rolled back; connection free
//
// Called only by the thread that uses the Transaction.
#ifndef COORDINATOR_CLIENT_APPLICATION_CONNECTION_H_
#define COORDINATOR_CLIENT_APPLICATION_CONNECTION_H_

#include <cstdint>
#include <string>

namespace concordat::client {

class ApplicationConnection {
 public:
  enum class Prepared : uint8_t {
    kPrepared,
    kRefused,   // it is rolled back and will never be prepared
    kConflict,  // as kRefused, but it may succeed the next time
    kUnknown,   // the answer was lost
  };
  struct Answer {
    Prepared prepared = Prepared::kUnknown;
    std::string detail;  // the reason, unless kPrepared
  };

  virtual ~ApplicationConnection() = default;
  // Sends the statements that prepare the branch. It is called for all branches of a
  // transaction before the first answer is awaited, so that their flushes run in
  // parallel.
  virtual void SendPrepare() = 0;
  // Waits for the answer to SendPrepare.
  virtual Answer AwaitPrepared() = 0;
  // Rolls the branch back. Called instead of SendPrepare.
  virtual void RollBack() = 0;
};

}  // namespace concordat::client

#endif  // COORDINATOR_CLIENT_APPLICATION_CONNECTION_H_
