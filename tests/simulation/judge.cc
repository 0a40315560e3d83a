#include "tests/simulation/judge.h"

#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/text.h"

namespace concordat::simulation {

namespace {}  // namespace

std::string_view ToString(BranchFact fact) {
  switch (fact) {
    case BranchFact::kActive:
      return "active";
    case BranchFact::kPrepared:
      return "prepared";
    case BranchFact::kReadOnly:
      return "read-only";
    case BranchFact::kCommitted:
      return "committed";
    case BranchFact::kAlone:
      return "committed in one phase";
    case BranchFact::kRolledBack:
      return "rolled back";
  }
  return "?";
}

// --- Views -------------------------------------------------------------------------

const Judge::Transaction* Judge::FindTransaction(const Gtid& gtid) const {
  const auto it = transactions_.find(gtid);
  return it == transactions_.end() ? nullptr : &it->second;
}

std::optional<BranchFact> Judge::FactOf(const BranchId& branch) const {
  const auto it = branches_.find(branch);
  return it == branches_.end() ? std::nullopt : std::optional(it->second.fact);
}

std::optional<Outcome> Judge::DecisionOf(const Gtid& gtid) const {
  const Transaction* transaction = FindTransaction(gtid);
  return transaction == nullptr ? std::nullopt : transaction->decision;
}

bool Judge::IsStaged(const Gtid& gtid) const {
  const Transaction* transaction = FindTransaction(gtid);
  return transaction != nullptr && transaction->staged;
}

bool Judge::InSet(const BranchId& branch) const {
  const Transaction* transaction = FindTransaction(branch.gtid);
  return transaction != nullptr && transaction->set.contains(branch);
}

std::optional<Outcome> Judge::ToldAbout(const Gtid& gtid) const {
  const Transaction* transaction = FindTransaction(gtid);
  return transaction == nullptr ? std::nullopt : transaction->told;
}

int64_t Judge::CommittedDelta(const std::string& resource) const {
  const auto it = committed_delta_.find(resource);
  return it == committed_delta_.end() ? 0 : it->second;
}

bool Judge::MayCommit(const BranchId& branch) const {
  return DecisionOf(branch.gtid) == Outcome::kCommitted && InSet(branch);
}

bool Judge::MayRollBack(const BranchId& branch) const {
  const auto decision = DecisionOf(branch.gtid);
  if (!decision) {
    // Below the watermark, and never staged: nothing can commit it any more.
    return reference_.IsForgotten(branch.gtid) && !IsStaged(branch.gtid);
  }
  return *decision == Outcome::kAborted || !InSet(branch);
}

// --- Participants ------------------------------------------------------------------

void Judge::SetFact(Branch* branch, BranchFact fact) {
  const auto is_open = [](BranchFact f) {
    return f == BranchFact::kActive || f == BranchFact::kPrepared;
  };
  if (is_open(branch->fact) && !is_open(fact)) --open_branches_;
  if (!is_open(branch->fact) && is_open(fact)) ++open_branches_;
  branch->fact = fact;
}

bool Judge::IsAllSettled() const { return open_branches_ == 0 && undecided_ == 0; }

Judge::Branch& Judge::Known(const BranchId& branch) {
  const auto it = branches_.find(branch);
  CONCORDAT_CHECK(it != branches_.end()) << "never started: " << branch;
  return it->second;
}

void Judge::OnStarted(const BranchId& branch) {
  const auto [it, is_new] = branches_.try_emplace(branch);
  if (!is_new) {
    world_->Fail(absl::StrCat("branch id used twice: ", ToString(branch)));
  } else {
    ++open_branches_;
  }
}

void Judge::OnPrepared(const BranchId& branch, int64_t delta) {
  Branch& known = Known(branch);
  if (known.fact != BranchFact::kActive) {
    world_->Fail(absl::StrCat("branch ", ToString(branch), " was ",
                              ToAbsl(ToString(known.fact)), " and is prepared now"));
  }
  SetFact(&known, BranchFact::kPrepared);
  known.delta = delta;
}

void Judge::OnReadOnly(const BranchId& branch) {
  Branch& known = Known(branch);
  if (known.fact != BranchFact::kActive && known.fact != BranchFact::kReadOnly) {
    world_->Fail(absl::StrCat("branch ", ToString(branch), " was ",
                              ToAbsl(ToString(known.fact)), " and is read-only now"));
  }
  SetFact(&known, BranchFact::kReadOnly);
}

void Judge::OnCommitted(const BranchId& branch) {
  Branch& known = Known(branch);
  if (known.fact != BranchFact::kPrepared) {
    world_->Fail(absl::StrCat("branch ", ToString(branch), " was ",
                              ToAbsl(ToString(known.fact)), " and has committed"));
  } else if (!MayCommit(branch)) {
    world_->Fail(absl::StrCat("branch ", ToString(branch),
                              " has committed without a log-committed decision that it "
                              "is part of"));
  }
  SetFact(&known, BranchFact::kCommitted);
  committed_delta_[branch.resource] += known.delta;
  // The decision added this branch's part when it became known.
  outstanding_ -= known.delta;
}

void Judge::OnCommittedAlone(const BranchId& branch, int64_t delta) {
  Branch& known = Known(branch);
  if (known.fact != BranchFact::kActive) {
    world_->Fail(absl::StrCat("branch ", ToString(branch), " was ",
                              ToAbsl(ToString(known.fact)),
                              " and has committed in one phase"));
  }
  SetFact(&known, BranchFact::kAlone);
  known.delta = delta;
  committed_delta_[branch.resource] += delta;
}

void Judge::OnRolledBack(const BranchId& branch) {
  Branch& known = Known(branch);
  switch (known.fact) {
    case BranchFact::kCommitted:
    case BranchFact::kAlone:
      world_->Fail(absl::StrCat("branch ", ToString(branch), " was ",
                                ToAbsl(ToString(known.fact)), " and has rolled back"));
      break;
    case BranchFact::kPrepared:
      if (MayRollBack(branch)) break;
      // Before it has voted, a branch may roll back by itself (X/Open DTP, 2.3.2).
      world_->rare().Add(Rare::kOverdueWhilePreparing);
      if (known.voted) {
        world_->Fail(absl::StrCat("prepared branch ", ToString(branch),
                                  " has rolled back without a log-committed decision "
                                  "against it"));
      }
      break;
    case BranchFact::kReadOnly:
      return;
    case BranchFact::kActive:
    case BranchFact::kRolledBack:
      break;
  }
  SetFact(&known, BranchFact::kRolledBack);
}

void Judge::OnVoteSent(const BranchId& branch, Vote vote) {
  const auto fact = FactOf(branch);
  // The votes of one call are sent together when the last is known. By then the
  // transaction of an earlier one may be decided; that vote was true, and has no effect.
  const bool overtaken = fact == BranchFact::kRolledBack && MayRollBack(branch);
  if (vote == Vote::kPrepared) Known(branch).voted = true;
  if (vote == Vote::kPrepared && fact != BranchFact::kPrepared &&
      fact != BranchFact::kCommitted && !overtaken) {
    world_->Fail(absl::StrCat("vote PREPARED sent for branch ", ToString(branch),
                              ", which is not durably prepared"));
  }
  if (vote == Vote::kReadOnly && fact != BranchFact::kReadOnly) {
    world_->Fail(absl::StrCat("vote READ_ONLY sent for branch ", ToString(branch),
                              ", which is not read-only"));
  }
  if (vote == Vote::kCommittedAlone && fact != BranchFact::kAlone) {
    world_->Fail(absl::StrCat("vote COMMITTED_ALONE sent for branch ", ToString(branch),
                              ", which did not commit in one phase"));
  }
  // A branch that was committed and forgotten is "not there", too (rule 3). ROLLBACK may
  // have arrived while the branch was being prepared.
  const bool against =
      vote == Vote::kRefused || vote == Vote::kConflict || vote == Vote::kLost;
  if (against && fact == BranchFact::kPrepared && !MayRollBack(branch)) {
    world_->Fail(absl::StrCat(
        "a vote against the commit was sent for the prepared branch ", ToString(branch)));
  }
}

void Judge::OnAcknowledgementSent(const BranchId& branch, txn::Verb verb,
                                  FinishState ack) {
  if (ack != FinishState::kDone) {
    return;
  }
  const auto fact = FactOf(branch);
  if (fact == BranchFact::kPrepared) {
    world_->Fail(absl::StrCat(ToAbsl(ToString(verb)), " of branch ", ToString(branch),
                              " acknowledged, and it is still prepared on the disk"));
  }
  if (verb == txn::Verb::kCommit && fact == BranchFact::kRolledBack &&
      MayCommit(branch)) {
    world_->Fail(absl::StrCat("COMMIT of branch ", ToString(branch),
                              " acknowledged, and it has rolled back"));
  }
}

void Judge::OnOnePhaseAnswerSent(const BranchId& branch, bool committed) {
  const auto fact = FactOf(branch);
  if (committed != (fact == BranchFact::kAlone)) {
    world_->Fail(absl::StrCat(
        "one-phase commit of branch ", ToString(branch),
        committed ? " reported and not there" : " denied, and it is there or may come"));
  }
  if (!committed && fact != BranchFact::kRolledBack && fact.has_value()) {
    world_->Fail(absl::StrCat("one-phase commit of branch ", ToString(branch),
                              " denied while it is ", ToAbsl(ToString(*fact))));
  }
}

// --- Coordinators ------------------------------------------------------------------

void Judge::OnApplied(NodeId node, LogIndex index, Term term, std::string_view bytes) {
  if (index <= applied()) {
    return;  // another node has applied the same entry; Raft's checker compares them
  }
  if (!machines_.set()->Apply(index, bytes, Timestamp()).ok()) {
    world_->Fail(absl::StrCat("node ", node.value(), " applied entry ", index.value(),
                              ", which does not decode"));
    return;
  }
  if (world_->keeps_history()) {
    world_->Note(absl::StrCat("log ", index.value(), " (first at node ", node.value(),
                              "): ", machines::DescribeCommand(bytes)));
  }
  hashes_.resize(index.value() + 1);
  hashes_[index.value()] = machines_.StateHash();
  world_->Mix(machines_.StateHash());
  const auto command = group::SplitCommand(bytes);
  if (command->machine != txn::kMachine) return;
  entry_term_ = term;
  std::visit([this](const auto& body) { Put(body); },
             *txn::DecodeRecord(command->command));
}

void Judge::OnStateHash(NodeId node, LogIndex index, uint64_t hash) {
  if (index.value() < hashes_.size() && hashes_[index.value()] != 0 &&
      hashes_[index.value()] != hash) {
    world_->Fail(absl::StrCat("node ", node.value(), " has another state than others at ",
                              index.value()));
  }
}

void Judge::Put(const txn::StagedRecord& record) {
  Transaction& transaction = transactions_[record.gtid];
  if (transaction.decision || transaction.staged || reference_.IsForgotten(record.gtid)) {
    return;  // the first decision, and the first set, win
  }
  transaction.staged = true;
  transaction.staged_in = entry_term_;
  ++undecided_;
  transaction.mode = record.mode;
  transaction.set = transaction.enlisted;
  for (const BranchId& branch : record.branches) {
    transaction.set.insert(branch);
    transaction.enlisted.erase(branch);
  }
  if (!transaction.enlisted.empty()) {
    world_->rare().Add(Rare::kEnlistedInSet);
  }
  CheckEnlistments(record.gtid, transaction);
  if (record.all_prepared && transaction.enlisted.empty()) {
    world_->rare().Add(Rare::kStagedDecided);
    transaction.decision = Outcome::kCommitted;
    --undecided_;
    OnCommitDecision(record.gtid, transaction);
  }
  CheckReference(record.gtid);
}

void Judge::Put(const txn::DecidedRecord& record) {
  Transaction& transaction = transactions_[record.gtid];
  if (transaction.decision || reference_.IsForgotten(record.gtid)) {
    return;
  }
  transaction.decision = record.outcome;
  if (transaction.staged) --undecided_;
  CountDecision(record, transaction);
  if (record.outcome == Outcome::kCommitted) {
    OnCommitDecision(record.gtid, transaction);
  } else {
    ++aborts_;
    for (const BranchId& branch : transaction.set) {
      if (FactOf(branch) == BranchFact::kCommitted) {
        world_->Fail(absl::StrCat("gtid ", ToString(record.gtid), " aborts, and branch ",
                                  ToString(branch), " has committed"));
      }
    }
    if (transaction.told == Outcome::kCommitted) {
      world_->Fail(absl::StrCat("gtid ", ToString(record.gtid),
                                " aborts, and a client was told that it committed"));
    }
  }
  CheckReference(record.gtid);
}

void Judge::OnCommitDecision(const Gtid& gtid, const Transaction& transaction) {
  ++commits_;
  CheckCommitDecision(gtid, transaction);
  if (transaction.told == Outcome::kAborted) {
    world_->Fail(absl::StrCat("gtid ", ToString(gtid),
                              " commits, and a client was told that it aborted"));
  }
}

void Judge::CountDecision(const txn::DecidedRecord& record,
                          const Transaction& transaction) {
  RarePaths& rare = world_->rare();
  if (record.outcome == Outcome::kCommitted) {
    if (transaction.staged_in < entry_term_) rare.Add(Rare::kInheritedCommitted);
    if (!transaction.answered_early_in.is_none() &&
        transaction.answered_early_in < entry_term_) {
      rare.Add(Rare::kEarlyAnswerLeaderLost);
    }
    for (const BranchId& branch : transaction.set) {
      if (transaction.mode != CommitMode::kParallel) break;
      if (FactOf(branch) != BranchFact::kReadOnly) continue;
      rare.Add(Rare::kEarlyAnswerHeldForReadOnly);
      break;
    }
    return;
  }
  if (record.cause == AbortCause::kTimedOut) rare.Add(Rare::kTimeoutAbort);
  if (transaction.staged) return;
  if (record.cause != AbortCause::kPresumed) {
    rare.Add(Rare::kRollbackUnknownGtid);
  } else if (transaction.enlisted.empty()) {
    rare.Add(Rare::kInquiryUnknownGtid);
  } else {
    rare.Add(Rare::kInquiryEnlistedOnly);
  }
}

void Judge::OnAnsweredEarly(const Gtid& gtid, Term term) {
  Term& first = transactions_[gtid].answered_early_in;
  if (first.is_none()) first = term;
}

void Judge::CheckCommitDecision(const Gtid& gtid, const Transaction& transaction) {
  if (!transaction.staged) {
    world_->Fail(absl::StrCat("gtid ", ToString(gtid), " commits and was never staged"));
  }
  int64_t sum = 0;
  for (const BranchId& branch : transaction.set) {
    const auto fact = FactOf(branch);
    if (fact == BranchFact::kReadOnly) {
      continue;
    }
    if (fact != BranchFact::kPrepared) {
      world_->Fail(absl::StrCat("gtid ", ToString(gtid), " commits, and branch ",
                                ToString(branch), " is ",
                                fact ? ToAbsl(ToString(*fact)) : "not known anywhere"));
      continue;
    }
    sum += branches_[branch].delta;
  }
  outstanding_ += sum;
  if (sum != 0) {
    world_->Fail(
        absl::StrCat("gtid ", ToString(gtid), " makes ", sum, " out of nothing"));
  }
  CheckEnlistments(gtid, transaction);
}

void Judge::CheckEnlistments(const Gtid& gtid, const Transaction& transaction) {
  for (const BranchId& branch : transaction.confirmed) {
    if (!transaction.set.contains(branch)) {
      world_->Fail(absl::StrCat("branch ", ToString(branch), " was enlisted in ",
                                ToString(gtid), " and is not in its set"));
    }
  }
}

// The reference table must agree with this account of the protocol.
void Judge::CheckReference(const Gtid& gtid) {
  const Transaction& transaction = transactions_[gtid];
  const auto settled = reference_.FindSettled(gtid);
  if (transaction.decision.has_value() != settled.has_value() ||
      (settled && settled->outcome != *transaction.decision)) {
    world_->Fail(absl::StrCat("the table has another outcome of ", ToString(gtid),
                              " than its records say"));
  }
  const txn::TransactionTable::Entry* entry = reference_.FindLive(gtid);
  if (entry != nullptr && entry->staged &&
      (std::set<BranchId>(entry->branches.begin(), entry->branches.end()) !=
           transaction.set ||
       entry->mode != transaction.mode)) {
    world_->Fail(absl::StrCat("the table has another set or mode of ", ToString(gtid),
                              " than its records say"));
  }
}

void Judge::Put(const txn::EndedRecord& record) {
  world_->rare().Add(Rare::kEndedRecord);
  for (const Gtid& gtid : record.gtids) {
    Transaction& transaction = transactions_[gtid];
    transaction.ended = true;
    for (const BranchId& branch : transaction.set) {
      const auto fact = FactOf(branch);
      if (fact == BranchFact::kPrepared || fact == BranchFact::kActive) {
        world_->Fail(absl::StrCat("gtid ", ToString(gtid), " has ended, and branch ",
                                  ToString(branch), " is ", ToAbsl(ToString(*fact))));
      }
    }
  }
}

void Judge::Put(const txn::EnlistedRecord& record) {
  Transaction& transaction = transactions_[record.branch.gtid];
  if (!transaction.staged && !transaction.decision &&
      !reference_.IsForgotten(record.branch.gtid)) {
    transaction.enlisted.insert(record.branch);
    world_->rare().Add(Rare::kEnlisted);
  }
}

void Judge::Put(const txn::WatermarkRecord&) {
  world_->rare().Add(Rare::kWatermarkPassed);
  for (const auto& [gtid, transaction] : transactions_) {
    if (!reference_.IsForgotten(gtid)) {
      break;
    }
    const bool open =
        transaction.staged &&
        (!transaction.decision ||
         (*transaction.decision == Outcome::kCommitted && !transaction.ended));
    if (open) {
      world_->Fail(
          absl::StrCat("the watermark passed ", ToString(gtid), ", which is not over"));
    }
  }
}

void Judge::Put(const txn::HeuristicRecord&) {
  world_->rare().Add(Rare::kHeuristicRecorded);
}

void Judge::OnVerbSent(NodeId node, txn::Verb verb, const BranchId& branch) {
  if (verb == txn::Verb::kCommit && !MayCommit(branch)) {
    world_->Fail(absl::StrCat("node ", node.value(), " sent COMMIT to ", ToString(branch),
                              " without a log-committed decision for it"));
  }
  if (verb == txn::Verb::kCommit && FactOf(branch) == BranchFact::kReadOnly) {
    world_->Fail(absl::StrCat("node ", node.value(), " sent COMMIT to ", ToString(branch),
                              ", which has voted READ_ONLY"));
  }
  if (verb == txn::Verb::kRollback && !MayRollBack(branch)) {
    world_->Fail(absl::StrCat("node ", node.value(), " sent ROLLBACK to ",
                              ToString(branch),
                              " without a log-committed decision against it"));
  }
}

void Judge::CheckOutcomeIsTrue(const Gtid& gtid, Outcome outcome, std::string_view who) {
  Transaction& transaction = transactions_[gtid];
  bool is_true = transaction.decision == outcome;
  if (outcome == Outcome::kCommitted && !transaction.decision && transaction.staged &&
      transaction.mode == CommitMode::kParallel) {
    // A log-committed STAGED record and all votes together are the decision.
    is_true = true;
    for (const BranchId& branch : transaction.set) {
      is_true = is_true && FactOf(branch) == BranchFact::kPrepared;
    }
  }
  if (!is_true) {
    world_->Fail(absl::StrCat(ToAbsl(who), ": ", ToAbsl(ToString(outcome)), " for ",
                              ToString(gtid), ", which is not so"));
  }
  if (transaction.told && *transaction.told != outcome) {
    world_->Fail(absl::StrCat(ToAbsl(who), ": ", ToAbsl(ToString(outcome)), " for ",
                              ToString(gtid), " after the opposite"));
  }
  transaction.told = outcome;
}

void Judge::OnOutcomeSent(NodeId node, const Gtid& gtid, Outcome outcome) {
  CheckOutcomeIsTrue(gtid, outcome, absl::StrCat("node ", node.value(), " answers"));
}

void Judge::OnClientTold(const Gtid& gtid, Outcome outcome) {
  CheckOutcomeIsTrue(gtid, outcome, "a client hears");
}

void Judge::OnClientConcluded(const Gtid& gtid) {
  Transaction& transaction = transactions_[gtid];
  // A staged transaction may be committed by the next leader, whatever this client was
  // told.
  if (transaction.decision != Outcome::kAborted && transaction.staged) {
    world_->Fail(absl::StrCat("a client takes ", ToString(gtid),
                              " for aborted, which has been staged"));
  }
  if (transaction.told == Outcome::kCommitted) {
    world_->Fail(absl::StrCat("a client takes ", ToString(gtid),
                              " for aborted after it was told COMMITTED"));
  }
  transaction.told = Outcome::kAborted;
}

void Judge::OnFateSent(NodeId node, const BranchId& branch, bool commit) {
  // Below the watermark every inquiry is answered ROLLBACK. Such a late inquiry may come
  // from a branch that has committed durably since, and has nothing left to roll back
  // (seed 47129). That it does not roll back is checked where branches end.
  if (!commit && reference_.IsForgotten(branch.gtid) &&
      FactOf(branch) == BranchFact::kCommitted) {
    return;
  }
  if (commit ? !MayCommit(branch) : !MayRollBack(branch)) {
    world_->Fail(absl::StrCat("node ", node.value(), " tells branch ", ToString(branch),
                              " to ", commit ? "commit" : "roll back",
                              " without a log-committed decision for that"));
  }
}

void Judge::OnEnlistmentConfirmed(const BranchId& branch) {
  Transaction& transaction = transactions_[branch.gtid];
  transaction.confirmed.insert(branch);
  if (transaction.staged) {
    CheckEnlistments(branch.gtid, transaction);
  } else if (transaction.decision != Outcome::kAborted &&
             !transaction.enlisted.contains(branch)) {
    world_->Fail(absl::StrCat("enlistment of ", ToString(branch),
                              " confirmed, and it is not in the log"));
  }
}

void Judge::CheckAllSettled() {
  for (const auto& [branch, known] : branches_) {
    if (known.fact == BranchFact::kPrepared || known.fact == BranchFact::kActive) {
      world_->Fail(absl::StrCat("branch ", ToString(branch), " is still ",
                                ToAbsl(ToString(known.fact)),
                                " long after the faults have stopped"));
      return;
    }
  }
  for (const auto& [gtid, transaction] : transactions_) {
    if (transaction.staged && !transaction.decision) {
      world_->Fail(absl::StrCat("gtid ", ToString(gtid), " is still undecided"));
    }
  }
  if (outstanding_ != 0) {
    world_->Fail(absl::StrCat(outstanding_, " is missing from the sum of all balances"));
  }
}

}  // namespace concordat::simulation
