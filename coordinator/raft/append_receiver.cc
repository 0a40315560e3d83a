// AppendEntries at the receiver (paper, Figure 2 and section 5.3).
#include <algorithm>
#include <utility>

#include "coordinator/base/check.h"
#include "coordinator/raft/raft.h"

namespace concordat::raft {

void Raft::Handle(NodeId from, AppendRequest request) {
  FollowLeader(from);
  DetectLostTail(from, request);
  if (request.acknowledged_index > log_.last_index()) {
    AnswerLostTail(from, request);
    return;
  }
  if (!request.entries.empty() && !has_space_) {
    AnswerNoSpace(from, request.read_round);
    return;
  }
  if (!MatchesPrevious(request.prev_log_index, request.prev_log_term)) {
    RejectAppend(from, request);
    return;
  }
  const LogIndex last_new(request.prev_log_index.value() + request.entries.size());
  StoreEntries(std::move(request.entries));
  ReportRefilledTail();
  // Rule 5. Entries after the last new one were not compared with the leader's log. They
  // may come from another leader, so this message must not commit them.
  if (request.leader_commit > last_new) ++counters_.commit_capped_at_last_new_entry;
  const LogIndex commit = std::min(request.leader_commit, last_new);
  if (commit > commit_index_) SetCommitIndex(commit);
  AcknowledgeAppend(from, last_new, request.read_round);
}

AppendResponse Raft::NewResponse(uint64_t read_round) const {
  AppendResponse response;
  response.no_space = !has_space_;
  if (loss_round_term_ == term()) response.loss_round = loss_round_;
  response.read_round = read_round;
  return response;
}

// Within a term a node never takes entries back. So if the log ends before an entry that
// was acknowledged to this leader, its end was lost.
void Raft::DetectLostTail(NodeId leader, const AppendRequest& request) {
  if (loss_round_term_ != term()) loss_round_ = 0;
  loss_round_term_ = term();
  loss_round_ = std::max(loss_round_, request.loss_round);
  if (request.promised_index <= log_.last_index()) return;
  acknowledged_end_ = std::max(
      acknowledged_end_, LogPosition{request.promised_term, request.promised_index});
  if (std::exchange(tail_lost_reported_, true)) return;
  ++counters_.tails_lost;
  notices_.push_back(
      {Notice::Kind::kTailLost, leader, log_.last_index(), request.promised_index});
}

void Raft::ReportRefilledTail() {
  if (!tail_lost_reported_ || lost_tail()) return;
  tail_lost_reported_ = false;
  notices_.push_back(
      {Notice::Kind::kTailRefilled, leader_, log_.last_index(), acknowledged_end_.index});
}

void Raft::AnswerLostTail(NodeId leader, const AppendRequest& request) {
  AppendResponse response = NewResponse(request.read_round);
  response.lost_tail = true;
  response.rejected_index = request.acknowledged_index;
  response.hint_index = log_.last_index();
  response.hint_term = log_.last_term();
  SendWhenDurable(leader, response, LogIndex());
}

void Raft::AnswerNoSpace(NodeId leader, uint64_t read_round) {
  ++counters_.appends_refused_for_space;
  AppendResponse response = NewResponse(read_round);
  response.no_space = true;
  SendWhenDurable(leader, response, LogIndex());
}

bool Raft::MatchesPrevious(LogIndex index, Term term) const {
  // Entries before the base are committed, and so are in every leader's log.
  if (index < log_.base_index()) return true;
  const bool matches = log_.Matches(index, term);
  CONCORDAT_CHECK(matches || index > commit_index_)
      << "the leader's log differs at the committed entry " << index;
  return matches;
}

// Rule 2. The hint lets the leader find the place where the logs agree in few steps (end
// of section 5.3): our entries with a term above prev_log_term cannot be in the leader's
// log up to prev_log_index.
void Raft::RejectAppend(NodeId leader, const AppendRequest& request) {
  ++counters_.appends_rejected;
  const LogIndex candidate =
      log_.LastWithTermAtMost(request.prev_log_index, request.prev_log_term);
  AppendResponse response = NewResponse(request.read_round);
  response.rejected_index = request.prev_log_index;
  response.hint_index = std::max(candidate, commit_index_);
  response.hint_term = log_.TermAt(response.hint_index).value();
  SendWhenDurable(leader, response, LogIndex());
}

// Rules 3 and 4. Only a conflict truncates the log: the entries of a late, shorter
// message are here already, and entries after them may have been acknowledged.
void Raft::StoreEntries(std::vector<Entry> entries) {
  for (Entry& entry : entries) {
    if (entry.index <= log_.base_index()) continue;
    if (log_.Has(entry.index)) {
      if (log_.Matches(entry.index, entry.term)) continue;
      TruncateLog(entry.index);
    }
    AppendEntry(std::move(entry));
  }
}

void Raft::AcknowledgeAppend(NodeId leader, LogIndex match, uint64_t read_round) {
  AppendResponse response = NewResponse(read_round);
  response.success = true;
  // Committed entries are in the leader's log, even if this message did not compare them.
  response.match_index = std::max(match, std::min(commit_index_, persisted_index_));
  SendWhenDurable(leader, response, response.match_index);
}

}  // namespace concordat::raft
