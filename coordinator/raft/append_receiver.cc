// AppendEntries at the receiver (paper, Figure 2 and section 5.3).
#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

void Raft::Handle(NodeId from, AppendRequest request) {
  HearFromLeader(from);
  if (!MatchesPrevious(request.prev_log_index, request.prev_log_term)) {
    RejectAppend(from, request);
    return;
  }
  const LogIndex last_new(request.prev_log_index.value() + request.entries.size());
  StoreEntries(std::move(request.entries));
  // Rule 5. What stands behind the last new entry was not compared with the leader's
  // log: it may be another leader's, and must not be committed by this message.
  if (request.leader_commit > last_new) ++counters_.commit_capped_at_last_new_entry;
  const LogIndex commit = std::min(request.leader_commit, last_new);
  if (commit > commit_index_) SetCommitIndex(commit);
  AcknowledgeAppend(from, last_new, request.read_round);
}

bool Raft::MatchesPrevious(LogIndex index, Term term) const {
  // Before the base everything is committed, and so is in every leader's log.
  if (index < log_.base_index()) return true;
  const bool matches = log_.Matches(index, term);
  CONCORDAT_CHECK(matches || index > commit_index_)
      << "the leader's log differs at the committed entry " << index;
  return matches;
}

// Rule 2, with what the leader needs to find the place where the logs agree in few
// steps (end of section 5.3): entries of ours with a term above prev_log_term cannot
// be in its log before prev_log_index.
void Raft::RejectAppend(NodeId leader, const AppendRequest& request) {
  ++counters_.appends_rejected;
  const LogIndex candidate =
      log_.LastWithTermAtMost(request.prev_log_index, request.prev_log_term);
  AppendResponse response;
  response.rejected_index = request.prev_log_index;
  response.hint_index = std::max(candidate, commit_index_);
  response.hint_term = log_.TermAt(response.hint_index).value();
  response.read_round = request.read_round;
  SendWhenDurable(leader, response, LogIndex());
}

// Rules 3 and 4: only a conflict truncates. A late, shorter message finds its entries
// here already, and what follows them may have been acknowledged.
void Raft::StoreEntries(std::vector<Entry> entries) {
  for (Entry& entry : entries) {
    if (entry.index <= log_.base_index()) continue;
    if (log_.Has(entry.index)) {
      if (log_.Matches(entry.index, entry.term)) continue;
      TruncateLog(entry.index);
    }
    log_.Append(std::move(entry));
  }
}

void Raft::AcknowledgeAppend(NodeId leader, LogIndex match, uint64_t read_round) {
  AppendResponse response;
  response.success = true;
  // Committed entries are in the leader's log whatever this message compared.
  response.match_index = std::max(match, std::min(commit_index_, persisted_index_));
  response.read_round = read_round;
  SendWhenDurable(leader, response, response.match_index);
}

}  // namespace concordat::raft
