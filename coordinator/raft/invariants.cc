#include "coordinator/raft/invariants.h"

#include <algorithm>
#include <iterator>
#include <sstream>

namespace concordat::raft {

std::optional<Term> InvariantsChecker::TermLog::At(LogIndex index) const {
  if (index == base) return base_term;
  if (index < base || index > last()) return std::nullopt;
  return terms[index.value() - base.value() - 1];
}

void InvariantsChecker::TermLog::KeepUpTo(LogIndex index) {
  if (index >= last()) return;
  terms.resize(index < base ? 0 : index.value() - base.value());
}

void InvariantsChecker::TermLog::CompactTo(LogIndex index, Term term) {
  if (index <= base) return;
  if (At(index) == term) {
    const uint64_t count = index.value() - base.value();
    terms.erase(terms.begin(), terms.begin() + static_cast<std::ptrdiff_t>(count));
  } else {
    terms.clear();
  }
  base = index;
  base_term = term;
}

template <class... Parts>
void InvariantsChecker::Violation(const Parts&... parts) {
  if (violations_.size() >= 100) return;
  std::ostringstream text;
  (text << ... << parts);
  violations_.push_back(text.str());
}

std::optional<Term> InvariantsChecker::CommittedTerm(LogIndex index) const {
  if (index.is_none() || index.value() > committed_.size()) return std::nullopt;
  return committed_[index.value() - 1].term;
}

// --- Steps ----------------------------------------------------------------------

void InvariantsChecker::AfterStep(const Raft& raft) {
  NodeView& view = nodes_[raft.self()];
  if (raft.term() < view.term) {
    Violation("node ", raft.self(), ": term went back from ", view.term, " to ",
              raft.term());
  }
  if (raft.commit_index() < view.commit) {
    Violation("node ", raft.self(), ": commit index went back from ", view.commit, " to ",
              raft.commit_index());
  }
  if (raft.is_leader()) CheckLeader(raft, view);
  CheckLog(raft, &view.log);
  CheckCommit(raft, view);
  CheckAppliedJump(raft, &view);
  view.term = raft.term();
  view.role = raft.role();
  view.commit = raft.commit_index();
  view.configuration = raft.configuration();
  view.configuration_index = raft.configuration_index();
}

void InvariantsChecker::CheckLeader(const Raft& raft, const NodeView& view) {
  // Election safety: at most one leader in a term.
  const auto [leader, is_new] = leaders_.try_emplace(raft.term(), raft.self());
  if (leader->second != raft.self()) {
    Violation("term ", raft.term(), " has two leaders, ", leader->second, " and ",
              raft.self());
  }
  if (!raft.configuration().IsVoter(raft.self())) {
    Violation("leader ", raft.self(), " of term ", raft.term(), " is no voter");
  }
  const bool was_leader = view.role == Role::kLeader && view.term == raft.term();
  if (!was_leader) {
    CheckLeaderIsComplete(raft);
    return;
  }
  if (raft.configuration_index() != view.configuration_index) {
    CheckMemberChange(raft, view);
  }
  // Leader append-only.
  if (raft.log().last_index() < view.log.last() ||
      raft.log().TermAt(view.log.last()) != view.log.At(view.log.last())) {
    Violation("leader ", raft.self(), " of term ", raft.term(),
              " overwrote or dropped entries of its log before ", view.log.last());
  }
}

// Thesis, sections 4.1 and 4.2: quorums of the members before and after a change have a
// node in common, the change before is committed, and so is an entry of this term.
void InvariantsChecker::CheckMemberChange(const Raft& raft, const NodeView& view) {
  const std::vector<NodeId>& before = view.configuration.voters();
  const std::vector<NodeId>& after = raft.configuration().voters();
  std::vector<NodeId> changed;
  std::set_symmetric_difference(before.begin(), before.end(), after.begin(), after.end(),
                                std::back_inserter(changed));
  if (changed.size() > 1) {
    Violation("leader ", raft.self(), " changed ", changed.size(),
              " voters at once, by entry ", raft.configuration_index());
  }
  if (raft.commit_index() < view.configuration_index) {
    Violation("leader ", raft.self(), " changed the members by entry ",
              raft.configuration_index(), " before entry ", view.configuration_index,
              " was committed");
  }
  if (!raft.log().Matches(raft.commit_index(), raft.term())) {
    Violation("leader ", raft.self(), " changed the members in term ", raft.term(),
              " before an entry of that term was committed");
  }
}

// Leader completeness: all entries that were committed in earlier terms are in the log.
// By log matching it is enough to look for the last of them.
void InvariantsChecker::CheckLeaderIsComplete(const Raft& raft) {
  size_t count = committed_.size();
  while (count > 0 && committed_[count - 1].in_term >= raft.term()) --count;
  if (count == 0) return;
  const LogIndex last(count);
  if (last < raft.log().base_index()) return;
  if (!raft.log().Matches(last, committed_[count - 1].term)) {
    Violation("leader ", raft.self(), " of term ", raft.term(),
              " lacks the committed entry ", last, "/", committed_[count - 1].term);
  }
}

void InvariantsChecker::CheckLog(const Raft& raft, TermLog* known) {
  const Log& log = raft.log();
  if (log.base_index() > known->base) {
    known->CompactTo(log.base_index(), log.TermAt(log.base_index()).value());
    const auto committed = CommittedTerm(log.base_index());
    if (committed.has_value() && !log.Matches(log.base_index(), *committed)) {
      Violation("node ", raft.self(), ": snapshot at ", log.base_index(),
                " is not of the committed entry");
    }
  }
  // When an entry has not changed, neither have those before it: CheckEntry has seen each
  // (index, term) together with the term of the entry before.
  known->KeepUpTo(log.last_index());
  while (known->last() > known->base &&
         !log.Matches(known->last(), known->terms.back())) {
    known->KeepUpTo(known->last().Previous());
  }
  for (LogIndex i = known->last().Next(); i <= log.last_index(); i = i.Next()) {
    const Entry& entry = log.At(i);
    CheckEntry(raft.self(), entry, known->At(i.Previous()).value_or(Term()));
    if (entry.term > raft.term()) {
      Violation("node ", raft.self(), ": entry ", entry, " is newer than its term ",
                raft.term());
    }
    known->terms.push_back(entry.term);
  }
}

// Log matching, by induction: two entries with the same index and term are equal, and the
// entries before them have the same term.
void InvariantsChecker::CheckEntry(NodeId node, const Entry& entry, Term previous_term) {
  const auto [known, is_new] =
      entries_.try_emplace(std::make_pair(entry.index, entry.term),
                           KnownEntry{previous_term, entry.type, entry.data});
  if (is_new) return;
  if (known->second.type != entry.type || known->second.data != entry.data) {
    Violation("node ", node, ": entry ", entry, " differs from another node's");
  }
  if (known->second.previous_term != previous_term) {
    Violation("node ", node, ": before entry ", entry, " stands one of term ",
              previous_term, ", elsewhere of term ", known->second.previous_term);
  }
}

void InvariantsChecker::CheckCommit(const Raft& raft, const NodeView& view) {
  // Section 5.4.2. A violation does harm only after elections as in Figure 8, which are
  // rare in random runs. Therefore it is checked directly.
  if (raft.is_leader() && raft.commit_index() > view.commit &&
      !raft.log().Matches(raft.commit_index(), raft.term())) {
    Violation("leader ", raft.self(), " of term ", raft.term(), " committed ",
              raft.commit_index(), ", an entry of an earlier term, by counting copies");
  }
  for (LogIndex i = view.commit.Next(); i <= raft.commit_index(); i = i.Next()) {
    const std::optional<Term> committed = CommittedTerm(i);
    const std::optional<Term> term = raft.log().TermAt(i);
    if (!term.has_value()) {  // the entry came in a snapshot
      if (!committed.has_value()) {
        Violation("node ", raft.self(), ": snapshot holds entry ", i,
                  ", which was not committed");
      }
      continue;
    }
    if (!committed.has_value()) {
      CheckNewlyCommitted(raft, i, *term);
    } else if (*committed != *term) {
      Violation("node ", raft.self(), ": committed ", i, "/", *term, ", elsewhere ", i,
                "/", *committed, " is");
    }
  }
}

void InvariantsChecker::CheckNewlyCommitted(const Raft& raft, LogIndex index, Term term) {
  if (!QuorumHasDurable(raft.configuration(), index, term, NodeId())) {
    Violation("node ", raft.self(), " of term ", raft.term(), " committed ", index, "/",
              term, ", which no quorum has on its disks");
  }
  if (index.value() != committed_.size() + 1) return;  // a violation was reported
  committed_.push_back(Committed{term, raft.term()});
  // Leader completeness, for nodes that are leaders already.
  for (const auto& [node, view] : nodes_) {
    if (view.role != Role::kLeader || view.term <= raft.term()) continue;
    if (index >= view.log.base && view.log.At(index) != term) {
      Violation("leader ", node, " of term ", view.term, " lacks ", index, "/", term,
                ", committed in term ", raft.term());
    }
  }
}

void InvariantsChecker::OnTailLost(NodeId node, LogIndex last) {
  nodes_[node].durable_log.KeepUpTo(last);
}

void InvariantsChecker::OnDiskLost(NodeId node) {
  NodeView& view = nodes_[node];
  TermLog lost = std::move(view.durable_log);
  view = NodeView();
  view.lost_log = std::move(lost);
  std::erase_if(votes_, [node](const auto& vote) { return vote.first.first == node; });
}

LogIndex InvariantsChecker::DurableEnd(NodeId node) const {
  const auto it = nodes_.find(node);
  return it == nodes_.end() ? LogIndex() : it->second.durable_log.last();
}

LogIndex InvariantsChecker::FirstThatMayBeLost(NodeId node) const {
  const auto it = nodes_.find(node);
  if (it == nodes_.end()) return LogIndex(1);
  const TermLog& log = it->second.durable_log;
  LogIndex first = log.last().Next();
  while (first > log.base.Next() &&
         MayBeLost(first.Previous(), log.At(first.Previous()).value(), node)) {
    first = first.Previous();
  }
  return first;
}

bool InvariantsChecker::MayBeLost(LogIndex index, Term term, NodeId node) const {
  return std::all_of(nodes_.begin(), nodes_.end(), [&](const auto& other) {
    const Configuration& configuration = other.second.configuration;
    return configuration.empty() || QuorumHasDurable(configuration, index, term, node);
  });
}

bool InvariantsChecker::QuorumHasDurable(const Configuration& configuration,
                                         LogIndex index, Term term,
                                         NodeId without) const {
  return configuration.HasQuorum([this, index, term, without](NodeId voter) {
    const auto it = nodes_.find(voter);
    if (it == nodes_.end() || voter == without) return false;
    const auto has = [index, term](const TermLog& log) {
      return index < log.base || log.At(index) == term;
    };
    // Nothing may depend on a copy that is gone: see MayBeLost.
    const bool committing = without.is_none();
    return has(it->second.durable_log) || (committing && has(it->second.lost_log));
  });
}

void InvariantsChecker::CheckAppliedJump(const Raft& raft, NodeView* view) {
  if (raft.applied_index() <= view->applied) return;
  if (raft.applied_index() != raft.snapshot().index) {
    Violation("node ", raft.self(), ": applied index ", raft.applied_index(),
              " but entries only up to ", view->applied, " were applied");
  }
  view->applied = raft.applied_index();
}

// --- Disk -----------------------------------------------------------------------

void InvariantsChecker::OnDurable(NodeId node, const Persist& persist) {
  NodeView& view = nodes_[node];
  TermLog& log = view.durable_log;
  if (persist.snapshot.has_value()) {
    const SnapshotMeta& meta = *persist.snapshot;
    const bool void_tail = log.last() > meta.index && meta.index >= log.base &&
                           log.At(meta.index) != meta.term;
    if (void_tail && !persist.discard_log) {
      Violation("node ", node, ": kept entries behind a snapshot at ", meta.index,
                " that they do not follow");
    }
    if (persist.discard_log) log.terms.clear();
    log.CompactTo(meta.index, meta.term);
  }
  // The node may have taken the entries before it heard of the term that is written with
  // them, but it had heard of the terms of the entries themselves.
  const Term heard = view.durable_state.term;
  if (persist.hard_state.has_value()) {
    CheckDurableState(node, view.durable_state, *persist.hard_state);
    view.durable_state = *persist.hard_state;
  }
  for (const Entry& entry : persist.entries) {
    if (entry.index <= log.base || entry.index > log.last().Next()) {
      Violation("node ", node, ": entry ", entry, " written behind ", log.last());
      return;
    }
    const std::optional<Term> before = log.At(entry.index);
    // A node that has not heard of the term in which others committed the entry may still
    // follow a leader of an older term: the quorum did not include its copy.
    if (before.has_value() && before == CommittedTerm(entry.index) &&
        entry.term != *before &&
        std::max(heard, entry.term) >= committed_[entry.index.value() - 1].in_term) {
      Violation("node ", node, ": ", entry, " overwrites a committed entry on disk");
    }
    if (before != entry.term) log.KeepUpTo(entry.index.Previous());
    if (entry.index > log.last()) log.terms.push_back(entry.term);
  }
  // The first entry voids all stored entries after it, even if it repeats the stored one.
  if (!persist.entries.empty()) log.KeepUpTo(persist.entries.back().index);
}

void InvariantsChecker::CheckDurableState(NodeId node, const HardState& before,
                                          const HardState& after) {
  if (after.term < before.term) {
    Violation("node ", node, ": term on disk went back from ", before.term, " to ",
              after.term);
  }
  if (after.term == before.term && !before.vote.is_none() && after.vote != before.vote) {
    Violation("node ", node, ": vote on disk for term ", after.term, " changed from ",
              before.vote, " to ", after.vote);
  }
}

void InvariantsChecker::AfterStart(const Raft& raft) {
  NodeView& view = nodes_[raft.self()];
  CheckRecoveredState(raft, view);
  NodeView fresh;
  const Log& log = raft.log();
  fresh.log.base = log.base_index();
  fresh.log.base_term = log.TermAt(log.base_index()).value();
  CheckLog(raft, &fresh.log);
  fresh.durable_log = fresh.log;
  fresh.lost_log = std::move(view.lost_log);
  fresh.durable_state = raft.hard_state();
  fresh.term = raft.term();
  fresh.commit = fresh.applied = raft.commit_index();
  if (raft.commit_index() > committed()) {
    Violation("node ", raft.self(), ": recovered a snapshot at ", raft.commit_index(),
              ", committed is ", committed());
  }
  view = std::move(fresh);
}

// A crash may leave more on the disk than was promised, never less.
void InvariantsChecker::CheckRecoveredState(const Raft& raft, const NodeView& before) {
  const NodeId node = raft.self();
  if (raft.term() < before.durable_state.term) {
    Violation("node ", node, " forgot the term ", before.durable_state.term);
  }
  // The latest vote of this node that another node has been told.
  auto vote = votes_.upper_bound(std::make_pair(node, Term(UINT64_MAX)));
  if (vote != votes_.begin() && (--vote)->first.first == node) {
    const Term voted_in = vote->first.second;
    const bool forgotten =
        voted_in > raft.term() ||
        (voted_in == raft.term() && raft.hard_state().vote != vote->second);
    if (forgotten) Violation("node ", node, " forgot its vote in term ", voted_in);
  }
  // Committed entries that were on its disk.
  const LogIndex last = std::min(committed(), before.durable_log.last());
  if (last <= raft.log().base_index() || last < before.durable_log.base) return;
  const Term term = CommittedTerm(last).value();
  if (before.durable_log.At(last) == term && !raft.log().Matches(last, term)) {
    Violation("node ", node, " lost the committed entry ", last, "/", term);
  }
}

// --- Messages and the state machine ---------------------------------------------

void InvariantsChecker::OnMessage(const Message& message) {
  if (std::holds_alternative<VoteRequest>(message.body)) {
    CheckVote(message.from, message.term, message.from);
  } else if (const auto* vote = std::get_if<VoteResponse>(&message.body)) {
    if (vote->granted) CheckVote(message.from, message.term, message.to);
  } else if (const auto* response = std::get_if<AppendResponse>(&message.body)) {
    if (response->success) CheckAcknowledgement(message, *response);
  } else if (std::holds_alternative<AppendRequest>(message.body)) {
    const auto [leader, is_new] = leaders_.try_emplace(message.term, message.from);
    if (leader->second != message.from) {
      Violation("node ", message.from, " sends as leader of term ", message.term,
                ", which is ", leader->second);
    }
  }
}

void InvariantsChecker::CheckVote(NodeId voter, Term term, NodeId candidate) {
  const auto [vote, is_new] = votes_.try_emplace(std::make_pair(voter, term), candidate);
  if (vote->second != candidate) {
    Violation("node ", voter, " voted twice in term ", term, ": for ", vote->second,
              " and ", candidate);
  }
  const HardState& durable = nodes_[voter].durable_state;
  if (durable.term < term || (durable.term == term && durable.vote != candidate)) {
    Violation("node ", voter, " promised its vote in term ", term, " to ", candidate,
              " before it was durable");
  }
}

void InvariantsChecker::CheckAcknowledgement(const Message& message,
                                             const AppendResponse& response) {
  const NodeView& view = nodes_[message.from];
  if (view.durable_state.term < message.term) {
    Violation("node ", message.from, " acknowledged in term ", message.term,
              " before that term was durable");
  }
  // What an answer of an earlier term has promised, a later leader may rightly have
  // removed.
  if (view.durable_state.term != message.term) return;
  if (view.durable_log.last() < response.match_index) {
    Violation("node ", message.from, " acknowledged ", response.match_index,
              ", durable is ", view.durable_log.last());
  }
}

void InvariantsChecker::OnApplied(NodeId node, const Entry& entry) {
  NodeView& view = nodes_[node];
  if (entry.index != view.applied.Next()) {
    Violation("node ", node, " applied ", entry, " after ", view.applied);
  }
  view.applied = entry.index;
  const std::optional<Term> committed = CommittedTerm(entry.index);
  if (committed != entry.term) {
    Violation("node ", node, " applied ", entry, ", which is not the committed entry");
    return;
  }
  // State-machine safety: all nodes apply the same entry at an index.
  const auto known = entries_.find(std::make_pair(entry.index, entry.term));
  if (known == entries_.end() || known->second.data != entry.data ||
      known->second.type != entry.type) {
    Violation("node ", node, " applied ", entry, " with content unlike the log's");
  }
}

}  // namespace concordat::raft
