// Confirms and cancels what a branch holds, for as long as it takes; and recovers what
// was open at the start.
#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "coordinator/base/log.h"
#include "participant/resources/service/branches.h"

namespace concordat::participant::service {

// --- settling ---

void Branches::BeginSettling(Branch* branch, Goal goal) {
  branch->goal = goal;
  branch->phase = Phase::kSettling;
  if (!branch->calling) Settle(branch);
}

void Branches::Settle(Branch* branch) {
  for (Item& item : branch->items) {
    const bool missing = item.fate == Fate::kMissing && branch->goal == Goal::kCancel;
    if (item.fate != Fate::kHeld && !missing) continue;
    if (item.doubtful) return Call(branch, ServiceCall::Kind::kLookup, item);
    item.doubtful = true;  // until it has answered
    return Call(branch,
                branch->goal == Goal::kConfirm ? ServiceCall::Kind::kConfirm
                                               : ServiceCall::Kind::kCancel,
                item);
  }
  if (branch->goal == Goal::kConfirm) return FinishConfirmed(branch);
  FinishCancelled(branch);
}

void Branches::OnSettled(const Reservation& reservation, const absl::Status& status) {
  --calls_running_;
  Branch* branch = Find(BranchKey(reservation.branch));
  branch->calling = false;
  Item* item = FindItem(branch, reservation.number);
  const bool confirm = branch->goal == Goal::kConfirm;
  if (!status.ok()) {
    // It may have been done even so: Lookup comes first now.
    item->fate = Fate::kHeld;
    item->doubtful = true;
    return Fail(branch, absl::StrCat(confirm ? "Confirm" : "Cancel", " of reservation ",
                                     item->number, ": ", status.message()));
  }
  item->fate = confirm ? Fate::kConfirmed : Fate::kCancelled;
  item->doubtful = false;
  branch->attempts = 0;
  Settle(branch);
}

void Branches::OnLookedUp(const Reservation& reservation,
                          const absl::StatusOr<State>& state) {
  --calls_running_;
  Branch* branch = Find(BranchKey(reservation.branch));
  branch->calling = false;
  Item* item = FindItem(branch, reservation.number);
  if (!state.ok()) {
    return Fail(branch, absl::StrCat("Lookup of reservation ", item->number, ": ",
                                     state.status().message()));
  }
  item->doubtful = false;
  switch (*state) {
    case State::kTried:
      item->fate = Fate::kHeld;
      break;
    case State::kConfirmed:
      item->fate = Fate::kConfirmed;
      break;
    case State::kCancelled:
      item->fate = Fate::kCancelled;
      break;
    case State::kUnknown:
      item->fate = Fate::kMissing;
      break;
  }
  if (branch->phase != Phase::kLookingUp) return Settle(branch);
  if (!closing_) LookUpItems(branch);
}

// Answers the callbacks that wait, and schedules the next attempt.
void Branches::Fail(Branch* branch, std::string error) {
  const Timestamp now = clock_->Now();
  ++counts_.failed_calls;
  if (++branch->attempts == 1) {
    branch->failing_since = now;
    branch->delay = options_.first_retry;
  } else {
    branch->delay = std::min(branch->delay * 2, options_.max_retry);
  }
  branch->error = std::move(error);
  if (std::has_single_bit(branch->attempts)) {
    LogEvent(Level::kWarning, "service call failed, will be repeated")
        .Field("branch", branch->id)
        .Field("attempts", branch->attempts)
        .Field("error", branch->error);
  }
  if (branch->cancel_reply.has_value()) {
    CallBack(std::exchange(branch->execute, nullptr), *std::move(branch->cancel_reply));
    branch->cancel_reply.reset();
  }
  const std::string detail = absl::StrCat("is tried again, failed ", branch->attempts,
                                          " times: ", branch->error);
  AnswerFinish(branch, {FinishState::kRetry, detail});
  const bool decided = branch->logged == Logged::kDeciding;
  CallBack(std::exchange(branch->one_phase, nullptr),
           OnePhaseResult{decided ? OnePhase::kCommitted : OnePhase::kUnknown, detail});
  if (closing_) return;
  branch->retry_waits = true;
  work_.retries.push_back({BranchKey(branch->id), branch->delay});
}

void Branches::OnRetry(const BranchKey& key) {
  Branch* branch = Find(key);
  if (closing_ || branch == nullptr || !branch->retry_waits) return;
  branch->retry_waits = false;
  if (branch->phase == Phase::kLookingUp) return LookUpItems(branch);
  Settle(branch);
}

// --- ends ---

Branches::Results Branches::CountResults(const Branch& branch) {
  Results results;
  for (const Item& item : branch.items) {
    if (item.fate == Fate::kConfirmed) ++results.confirmed;
    if (item.fate == Fate::kCancelled) ++results.cancelled;
    if (item.fate == Fate::kMissing) ++results.missing;
  }
  return results;
}

void Branches::FinishConfirmed(Branch* branch) {
  const Results results = CountResults(*branch);
  if (results.cancelled + results.missing == 0)
    return EndCommitted(branch, branch->alone);
  if (!branch->alone) return EndHeuristically(branch, results);
  if (branch->logged != Logged::kDeciding) return EndCancelled(branch);
  // It was committed by our own decision, and the store has lost it: only an operator can
  // repair this.
  for (Item& item : branch->items) {
    if (item.fate != Fate::kCancelled && item.fate != Fate::kMissing) continue;
    item.fate = Fate::kHeld;
    item.doubtful = true;
  }
  Fail(branch, "committed in one phase, but Lookup finds it cancelled or missing");
}

void Branches::FinishCancelled(Branch* branch) {
  const Results results = CountResults(*branch);
  if (results.confirmed == 0) return EndCancelled(branch);
  if (branch->logged == Logged::kPrepared) return EndHeuristically(branch, results);
  // The process died while this one-phase commit was on its way to the store.
  if (branch->recovered && results.confirmed == 1) return EndCommitted(branch, true);
  ++counts_.contradictions;
  LogEvent(Level::kError, "service has confirmed what nobody had committed")
      .Field("branch", branch->id);
  AnswerFinish(branch, {results.cancelled == 0 ? FinishState::kHeuristicCommit
                                               : FinishState::kHeuristicMixed,
                        "Lookup finds it confirmed"});
  EndCancelled(branch);
}

// The record may be lost: then the next start finds the branch open and all its
// reservations confirmed.
void Branches::EndCommitted(Branch* branch, bool alone) {
  journal_->AppendLazily(alone ? RecordType::kAlone : RecordType::kCommitted,
                         BranchRecord(branch->id));
  evidence_.insert_or_assign(BranchKey(branch->id), alone);
  AnswerFinish(branch, {FinishState::kDone, ""});
  CallBack(std::exchange(branch->one_phase, nullptr),
           OnePhaseResult{OnePhase::kCommitted, ""});
  Erase(branch);
}

void Branches::EndCancelled(Branch* branch) {
  if (branch->logged != Logged::kNothing) {
    journal_->AppendLazily(RecordType::kCancelled, BranchRecord(branch->id));
  }
  if (branch->cancel_reply.has_value()) {
    CallBack(std::exchange(branch->execute, nullptr), *std::move(branch->cancel_reply));
  }
  AnswerFinish(branch, {FinishState::kDone, ""});
  CallBack(std::exchange(branch->one_phase, nullptr),
           OnePhaseResult{OnePhase::kRefused, "Lookup finds it cancelled"});
  Erase(branch);
}

// The branch was promised, and then ended the other way outside of our control. The
// coordinator records this. The log keeps the branch until no coordinator can ask any
// more, so that it is found again after a crash.
void Branches::EndHeuristically(Branch* branch, const Results& results) {
  FinishResult& verdict = branch->verdict;
  if (results.confirmed > 0 && results.cancelled + results.missing > 0) {
    verdict.state = FinishState::kHeuristicMixed;
  } else if (results.confirmed > 0) {
    verdict.state = FinishState::kHeuristicCommit;
    evidence_.insert_or_assign(BranchKey(branch->id), false);
  } else {
    verdict.state = results.missing > 0 ? FinishState::kHeuristicHazard
                                        : FinishState::kHeuristicRollback;
  }
  verdict.detail =
      absl::StrCat("Lookup finds ", results.confirmed, " confirmed, ", results.cancelled,
                   " cancelled, and no trace of ", results.missing);
  ++counts_.contradictions;
  branch->phase = Phase::kOver;
  branch->attempts = 0;
  AnswerFinish(branch, verdict);
}

// --- recovery ---

void Branches::Load(LogState state,
                    Callback<absl::StatusOr<std::vector<BranchId>>> recovered) {
  evidence_ = std::move(state.evidence);
  recovered_ = std::move(recovered);
  for (const auto& [key, open] : state.open) {
    auto branch = std::make_unique<Branch>();
    branch->id = open.id;
    branch->phase = Phase::kLookingUp;
    branch->logged = open.phase;
    branch->recovered = true;
    for (const uint64_t number : open.numbers) {
      branch->items.push_back({number, Fate::kHeld, true});
    }
    branches_.emplace(key, std::move(branch));
  }
  looking_up_ = branches_.size();
  for (const auto& [key, branch] : branches_) LookUpItems(branch.get());
  MaybeFinishRecovery();
}

void Branches::LookUpItems(Branch* branch) {
  for (const Item& item : branch->items) {
    if (item.doubtful) return Call(branch, ServiceCall::Kind::kLookup, item);
  }
  --looking_up_;
  branch->attempts = 0;
  Classify(branch);
  MaybeFinishRecovery();
}

void Branches::Classify(Branch* branch) {
  const Results results = CountResults(*branch);
  switch (branch->logged) {
    case Logged::kDeciding:
      branch->alone = true;
      return BeginSettling(branch, Goal::kConfirm);
    case Logged::kPrepared:
      if (results.confirmed == branch->items.size()) return EndCommitted(branch, false);
      branch->phase = Phase::kPrepared;
      return;
    case Logged::kTrying:
    case Logged::kNothing:
      break;
  }
  // If it was committed in one phase, FinishCancelled finds out.
  BeginSettling(branch, Goal::kCancel);
}

void Branches::MaybeFinishRecovery() {
  if (looking_up_ != 0 || recovered_ == nullptr) return;
  std::vector<BranchId> in_doubt;
  for (const auto& [key, branch] : branches_) {
    if (branch->phase == Phase::kPrepared) in_doubt.push_back(branch->id);
  }
  CallBack(std::exchange(recovered_, nullptr),
           absl::StatusOr<std::vector<BranchId>>(std::move(in_doubt)));
}

}  // namespace concordat::participant::service
