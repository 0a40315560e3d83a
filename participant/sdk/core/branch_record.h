// One branch as the BranchTable keeps it. Private to branch_*.cc.
#ifndef PARTICIPANT_SDK_CORE_BRANCH_RECORD_H_
#define PARTICIPANT_SDK_CORE_BRANCH_RECORD_H_

#include <list>
#include <string>
#include <vector>

#include "participant/sdk/core/branch_table.h"

namespace concordat::participant {

struct BranchTable::Branch {
  BranchId id;
  BranchState state = BranchState::kActive;
  Timestamp since;  // in that state

  // Active: the calls in it.
  Duration idle_timeout;
  Timestamp last_call;
  uint64_t call_number = 0;  // of the last Execute begun
  bool executing = false;
  Timestamp deadline;                                   // of the last call
  bool may_prepare = false;                             // the last call
  absl::InlinedVector<RequestToken, 1> execute_tokens;  // joined to the running one
  // Null when a call runs, when it has been dropped for space, and after the end of work.
  ExecuteReplyPtr last_reply;
  std::list<Branch*>::iterator kept;  // in kept_replies_, with last_reply
  bool ended = false;                 // PREPARE came once: no more work
  bool doomed = false;   // a rollback was begun, if not finished: never vote yes
  bool overdue = false;  // because the running call took longer than its caller waits
  std::string why_rolled_back;  // by this table on its own; empty: it was told to

  // Joined to the command that runs: PREPAREs, COMMITs, ROLLBACKs or one-phase
  // commits, as the state says.
  absl::InlinedVector<RequestToken, 1> tokens;
  // Other requests that can be answered only when that command has ended.
  std::vector<Waiting> waiting;

  // The store has it as prepared.
  bool prepared = false;
  Told told = Told::kNothing;
  Timestamp ask_at;
  Duration ask_interval;
  bool asked = false;
};

template <class Body>
void BranchTable::RespondAll(Branch* branch, const Body& body) {
  for (RequestToken token : branch->tokens) Respond(token, body);
  branch->tokens.clear();
}

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_BRANCH_RECORD_H_
