// A branch at work, as the files of BranchWork share it.
#ifndef PARTICIPANT_POSTGRESQL_BRANCH_RECORD_H_
#define PARTICIPANT_POSTGRESQL_BRANCH_RECORD_H_

#include <string>
#include <vector>

#include "participant/postgresql/branch_work.h"

namespace concordat::participant::postgresql {

// A call, once it has been found good.
struct BranchWork::Call {
  std::vector<Statement> statements;
  bool writes = false;
  bool taints = false;
  bool last = false;  // it may prepare the branch
};

struct BranchWork::Branch {
  enum class Phase : uint8_t { kIdle, kWaiting, kRunning, kEnding, kUncertain };

  BranchId id;
  std::string begin_sql;
  Phase phase = Phase::kIdle;
  ConnectionPtr connection;  // held while a transaction is open, and to open one
  bool open = false;         // a transaction is
  bool savepoint = false;    // and has a savepoint, from before the last call
  bool written = false;      // it has, or must be taken to have, a transaction id
  bool tainted = false;      // the session is not fit for others

  // The call under way.
  Call call;
  bool opens = false;     // it began the transaction
  size_t first = 0;       // its first statement's place in the batch
  bool asks = false;      // its last statement asks whether there is a transaction id
  bool prepares = false;  // its last two statements are those of Prepare
  Callback<wire::ExecuteReply> execute_done;
  // A Rollback came while it ran: it ends when the call has ended and the cancel request
  // cannot reach the session any more.
  Callback<FinishResult> rollback_done;
  bool call_ended = false;
  bool call_prepared = false;  // and has prepared the branch
  bool cancel_ended = false;
  bool rolling_back = false;  // ROLLBACK is under way

  Backend suspect;  // of an uncertain branch
};

// What the statements of Prepare, at the end of a batch, have done (branch_end.cc).
[[nodiscard]] bool HasPrepared(const BatchResult& r);
[[nodiscard]] std::string WhyNotPrepared(const BatchResult& r);

}  // namespace concordat::participant::postgresql

#endif  // PARTICIPANT_POSTGRESQL_BRANCH_RECORD_H_
