// Linearizable reads without an entry in the log (thesis, section 6.4): the leader notes
// the commit index, and then a quorum confirms that it was still the leader afterwards.
// Leases, which depend on clocks, are not used.
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

absl::Status Raft::ReadIndex(ReadToken token) {
  if (!is_leader()) {
    return absl::FailedPreconditionError(
        leader_.is_none()
            ? "not the leader, and the leader is not known"
            : absl::StrCat("not the leader; node ", leader_.value(), " is"));
  }
  waiting_reads_.push_back(token);
  return absl::OkStatus();
}

// Until an entry of this term is committed, the commit index may be lower than that of a
// read which an earlier leader has answered.
bool Raft::CommittedInOwnTerm() const { return commit_index_ >= term_start_index_; }

// All reads since the last round share the next one. Every append carries the number of
// the latest round, so that a later round confirms the earlier ones, and heartbeats
// repeat what was lost.
void Raft::StartReadRound() {
  if (waiting_reads_.empty() || !CommittedInOwnTerm()) return;
  ++read_round_;
  for (ReadToken token : std::exchange(waiting_reads_, {})) {
    pending_reads_.push_back(PendingRead{token, commit_index_, read_round_});
  }
  for (auto& [node, progress] : progress_) progress.heartbeat_due = true;
  FinishReads();  // a single node is its own quorum
}

void Raft::FinishReads() {
  if (pending_reads_.empty()) return;
  const uint64_t confirmed = configuration().QuorumValue([this](NodeId voter) {
    return voter == config_.self ? read_round_ : progress_.at(voter).acked_read_round;
  });
  while (!pending_reads_.empty() && pending_reads_.front().round <= confirmed) {
    const PendingRead& read = pending_reads_.front();
    read_states_.push_back(ReadState{read.token, read.index});
    pending_reads_.pop_front();
  }
}

}  // namespace concordat::raft
