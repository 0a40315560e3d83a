// One branch as the BranchTable keeps it. Only for branch_*.cc.
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
  Timestamp since;  // since when it is in that state

  // --- calls, while it is active ---
  Duration idle_timeout;
  Timestamp last_call;       // when the last call began or ended
  uint64_t call_number = 0;  // of the last Execute that began
  bool executing = false;    // a call runs
  Timestamp deadline;        // of the last call
  bool may_prepare = false;  // in the last call
  // Requests that wait for the running call.
  absl::InlinedVector<RequestToken, 1> execute_tokens;
  // The reply of the last call. Null while a call runs, when the reply was dropped for
  // space, and after PREPARE or CommitOnePhase.
  ExecuteReplyPtr last_reply;
  std::list<Branch*>::iterator kept;  // its place in kept_replies_; valid with last_reply
  bool ended = false;                 // no more work may come
  // A rollback was begun, perhaps not finished: it must never vote yes.
  bool rollback_begun = false;
  bool overdue = false;  // the running call took longer than its caller waits
  // Why this table has rolled it back; empty: it was told to.
  std::string why_rolled_back;

  // Requests that wait for the command that runs: PREPAREs, COMMITs, ROLLBACKs or
  // one-phase commits, as the state says.
  absl::InlinedVector<RequestToken, 1> tokens;
  // Other requests, which can be answered only when that command has ended.
  std::vector<Waiting> waiting;

  // The branch is prepared in the store.
  bool prepared = false;
  Decision decision = Decision::kNothing;  // the decision, as far as it was told
  Timestamp ask_at;                        // when the coordinators are asked next
  Duration ask_interval;                   // the pause after that
  bool asked = false;                      // the coordinators were asked once
};

template <class Body>
void BranchTable::RespondAll(Branch* branch, const Body& body) {
  for (RequestToken token : branch->tokens) Respond(token, body);
  branch->tokens.clear();
}

}  // namespace concordat::participant

#endif  // PARTICIPANT_SDK_CORE_BRANCH_RECORD_H_
