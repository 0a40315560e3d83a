// A branch at work, as the files of BranchWork share it.
#ifndef PARTICIPANT_MARIADB_BRANCH_RECORD_H_
#define PARTICIPANT_MARIADB_BRANCH_RECORD_H_

#include <string>
#include <vector>

#include "participant/mariadb/branch_work.h"

namespace concordat::participant::mariadb {

// A call, once it has been found good.
struct BranchWork::Call {
  std::vector<Statement> statements;
  bool writes = false;
  bool may_write = false;
  bool taints = false;
  bool last = false;  // it may prepare the branch
};

struct BranchWork::Branch {
  enum class Phase : uint8_t { kIdle, kWaiting, kRunning, kEnding, kUncertain };

  BranchId id;
  std::string xid;            // as XA START takes it
  std::string isolation_sql;  // goes before it
  Phase phase = Phase::kIdle;
  ConnectionPtr connection;  // held while a transaction is open, and to open one
  bool open = false;         // a transaction is
  bool savepoint = false;    // and has a savepoint, from before the last call
  bool written = false;      // it has, or must be taken to have, written
  bool may_write = false;    // it may have: the session is asked at the end
  bool tainted = false;      // the session is not fit for others

  // The call under way.
  Call call;
  bool opens = false;     // it began the transaction
  size_t first = 0;       // its first statement's place in the batch
  bool asks = false;      // its first statement asks how much the session has written
  size_t prepare_at = 0;  // where the statements of Prepare begin in it; 0: without
  Callback<wire::ExecuteReply> execute_done;
  // A Rollback came while it ran: it ends when the call has ended and the cancel request
  // cannot reach the session any more.
  Callback<FinishResult> rollback_done;
  bool call_ended = false;
  bool call_prepared = false;  // and has prepared the branch
  bool cancel_ended = false;
  bool rolling_back = false;  // ROLLBACK is under way

  bool alone = false;  // XA COMMIT ONE PHASE was sent
  Backend suspect;     // of an uncertain branch
};

}  // namespace concordat::participant::mariadb

#endif  // PARTICIPANT_MARIADB_BRANCH_RECORD_H_
