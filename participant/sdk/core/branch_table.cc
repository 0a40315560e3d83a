#include "participant/sdk/core/branch_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"
#include "participant/sdk/core/branch_number.h"
#include "participant/sdk/core/branch_record.h"

namespace concordat::participant {

BranchTable::BranchTable(std::string resource, Incarnation incarnation,
                         BranchTableOptions options)
    : resource_(std::move(resource)),
      incarnation_(incarnation),
      options_(options),
      remembered_(options.max_remembered) {}

BranchTable::~BranchTable() = default;

// --- recovery and stopping ---

void BranchTable::Recovered(const std::vector<RecoveredBranch>& prepared, Timestamp now) {
  CONCORDAT_CHECK(!recovered_) << "recovered twice";
  recovered_ = true;
  for (const RecoveredBranch& branch : prepared) {
    Take(branch, "prepared before this start, in doubt", now);
  }
}

void BranchTable::Adopt(const RecoveredBranch& prepared, Timestamp now) {
  CONCORDAT_CHECK(recovered_) << "adopted before recovery";
  Take(prepared, "found prepared in the store, in doubt", now);
}

void BranchTable::Take(const RecoveredBranch& prepared, std::string detail,
                       Timestamp now) {
  if (Branch* known = Find(prepared.branch)) {
    const Duration wait =
        prepared.ask_after <= Duration() ? options_.in_doubt_inquiry : prepared.ask_after;
    if (known->state == BranchState::kPrepared) AskNoLaterThan(known, now + wait);
    return;
  }
  Branch* branch = Insert(prepared.branch, BranchState::kPrepared, now);
  EnterPrepared(branch, prepared.ask_after, now);
  Emit(EventKind::kRecovered, prepared.branch, std::move(detail));
}

void BranchTable::RollBackActive(Timestamp now) {
  std::vector<BranchKey> keys;
  for (const auto& [key, branch] : branches_) {
    if (branch->state == BranchState::kActive) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  for (const BranchKey& key : keys) {
    BeginRollback(branches_.at(key).get(), RequestToken(), now);
  }
}

// --- starting ---

StartResult BranchTable::Start(const Gtid& gtid, Duration idle_timeout, Timestamp now) {
  if (!recovered_ || stopped_) return {StartRefusal::kUnavailable, {}};
  if (IsBelowWatermark(gtid)) return {StartRefusal::kTooOld, {}};
  if (branches_.size() >= options_.max_branches) return {StartRefusal::kOverloaded, {}};
  if (of_transaction_.contains(gtid)) return {StartRefusal::kSecond, FirstOf(gtid)};
  const BranchId id{gtid, resource_, incarnation_, ++last_number_};
  Branch* branch = Insert(id, BranchState::kActive, now);
  branch->idle_timeout = idle_timeout <= Duration()
                             ? options_.idle_timeout
                             : std::min(idle_timeout, options_.max_idle_timeout);
  branch->last_call = now;
  return {StartRefusal::kNone, id};
}

StartResult BranchTable::StartApplicationManaged(const Gtid& gtid,
                                                 Duration grace_period) {
  if (!recovered_ || stopped_) return {StartRefusal::kUnavailable, {}};
  if (IsBelowWatermark(gtid)) return {StartRefusal::kTooOld, {}};
  if (last_number_ >= kMaxApplicationManagedCount) return {StartRefusal::kOverloaded, {}};
  const uint64_t number = ApplicationManagedNumber(++last_number_, grace_period);
  return {StartRefusal::kNone, BranchId{gtid, resource_, incarnation_, number}};
}

void BranchTable::StartFailed(const BranchId& branch) { Erase(branch); }

BranchId BranchTable::FirstOf(const Gtid& gtid) const {
  BranchId first;
  for (const auto& [key, branch] : branches_) {
    const BranchId& id = branch->id;
    if (id.gtid == gtid && (first.number == 0 || id < first)) first = id;
  }
  return first;
}

// --- from coordinators ---

void BranchTable::OnInquiryAnswer(const BranchId& id, InquiryAnswer answer,
                                  Timestamp now) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->state != BranchState::kPrepared) return;
  if (answer == InquiryAnswer::kWait) return;
  const bool commit = answer == InquiryAnswer::kCommit;
  Emit(EventKind::kSettledByInquiry, id, commit ? "commit" : "rollback");
  Request(commit ? RequestKind::kCommit : RequestKind::kRollback, id, RequestToken(),
          now);
}

void BranchTable::OnWatermark(const Gtid& watermark) {
  Gtid& known = watermarks_[watermark.group];
  if (!known.is_none() && watermark <= known) return;
  known = watermark;
  remembered_.ForgetBelow(watermark);
  Send(CommandKind::kForgetBelow, BranchId{watermark, resource_, incarnation_, 0});
}

bool BranchTable::IsBelowWatermark(const Gtid& gtid) const {
  const auto it = watermarks_.find(gtid.group);
  return it != watermarks_.end() && gtid < it->second;
}

// --- time ---

void BranchTable::Tick(Timestamp now) {
  if (now < next_scan_) return;
  next_scan_ = now + options_.scan_interval;
  // The order of the hash table differs from run to run; the order of the output must
  // not.
  std::vector<BranchKey> due;
  for (const auto& [key, branch] : branches_) {
    const bool active =
        branch->state == BranchState::kActive &&
        now >= (branch->executing ? branch->deadline
                                  : branch->last_call + branch->idle_timeout);
    const bool ask = branch->state == BranchState::kPrepared && now >= branch->ask_at;
    if (active || ask) due.push_back(key);
  }
  std::sort(due.begin(), due.end());
  for (const BranchKey& key : due) {
    Branch* branch = branches_.at(key).get();
    if (branch->state == BranchState::kActive) {
      TickActive(branch, now);
    } else {
      TickPrepared(branch, now);
    }
  }
}

// This is allowed because the branch has not voted (X/Open DTP, 2.3.2: an RM may roll
// back a branch by itself at any time before it has agreed to commit).
void BranchTable::TickActive(Branch* branch, Timestamp now) {
  branch->overdue = branch->executing;
  branch->why_rolled_back =
      branch->executing
          ? absl::StrCat("call ", branch->call_number,
                         " took longer than its caller waits")
          : absl::StrCat("no call for ", branch->idle_timeout.millis(), " ms");
  Emit(branch->executing ? EventKind::kOverdueRollback : EventKind::kIdleRollback,
       branch->id, branch->why_rolled_back);
  BeginRollback(branch, RequestToken(), now);
}

void BranchTable::TickPrepared(Branch* branch, Timestamp now) {
  if (!branch->asked) {
    branch->asked = true;
    Emit(EventKind::kInquiry, branch->id,
         absl::StrCat("in doubt for ", (now - branch->since).millis(), " ms"));
  }
  output_.inquiries.push_back(branch->id);
  branch->ask_at = now + branch->ask_interval;
  branch->ask_interval =
      std::min(branch->ask_interval * 2, options_.max_inquiry_interval);
}

// Only for branches that were to be left alone.
void BranchTable::AskNoLaterThan(Branch* branch, Timestamp at) {
  if (IsApplicationManaged(branch->id.number))
    branch->ask_at = std::min(branch->ask_at, at);
}

// --- queries ---

std::vector<HeldBranch> BranchTable::Held(Timestamp now) const {
  std::vector<HeldBranch> held;
  for (const auto& [key, branch] : branches_) {
    if (branch->state == BranchState::kLookingUp) continue;
    held.push_back({branch->id, branch->state, now - branch->since});
  }
  std::sort(held.begin(), held.end(),
            [](const HeldBranch& a, const HeldBranch& b) { return a.branch < b.branch; });
  return held;
}

BranchTableStats BranchTable::Stats(Timestamp now) const {
  BranchTableStats stats;
  stats.remembered = remembered_.size();
  stats.kept_reply_bytes = kept_reply_bytes_;
  for (const auto& [key, branch] : branches_) {
    ++stats.held;
    if (branch->state == BranchState::kActive) ++stats.active;
    if (branch->state != BranchState::kPrepared) continue;
    ++stats.in_doubt;
    stats.oldest_in_doubt = std::max(stats.oldest_in_doubt, now - branch->since);
  }
  return stats;
}

// --- helpers ---

BranchTableOutput BranchTable::TakeOutput() {
  return std::exchange(output_, BranchTableOutput());
}

BranchTable::Branch* BranchTable::Find(const BranchId& id) {
  const auto it = branches_.find(BranchKey(id));
  return it == branches_.end() ? nullptr : it->second.get();
}

BranchTable::Branch* BranchTable::Insert(const BranchId& id, BranchState state,
                                         Timestamp now) {
  auto branch = std::make_unique<Branch>();
  branch->id = id;
  branch->state = state;
  branch->since = now;
  Branch* result = branch.get();
  branches_.emplace(BranchKey(id), std::move(branch));
  if (options_.one_branch_a_transaction) ++of_transaction_[id.gtid];
  return result;
}

void BranchTable::Erase(const BranchId& id) {
  if (branches_.erase(BranchKey(id)) == 0 || !options_.one_branch_a_transaction) return;
  const auto count = of_transaction_.find(id.gtid);
  if (--count->second == 0) of_transaction_.erase(count);
}

void BranchTable::Send(CommandKind kind, const BranchId& id, RequestToken token) {
  output_.commands.push_back({kind, id, token});
}

void BranchTable::Emit(EventKind kind, const BranchId& id, std::string detail) {
  output_.events.push_back({kind, id, std::move(detail)});
}

void BranchTable::RespondProtocolError(const BranchId& id, RequestToken token,
                                       std::string detail) {
  Emit(EventKind::kProtocolError, id, detail);
  Respond(token, FinishAnswer{FinishState::kRetry, true,
                              absl::StrCat("protocol error: ", detail)});
}

void BranchTable::AnswerExecutes(Branch* branch, const ExecuteAnswer& answer) {
  branch->executing = false;
  for (RequestToken token : branch->execute_tokens) Respond(token, answer);
  branch->execute_tokens.clear();
}

std::string_view ToString(BranchState state) {
  switch (state) {
    case BranchState::kActive:
      return "active";
    case BranchState::kPreparing:
      return "preparing";
    case BranchState::kPrepared:
      return "prepared";
    case BranchState::kCommitting:
      return "committing";
    case BranchState::kCommittingAlone:
      return "committing alone";
    case BranchState::kRollingBack:
      return "rolling back";
    case BranchState::kLookingUp:
      return "looking up";
  }
  return "?";
}

std::string_view ToString(EventKind kind) {
  switch (kind) {
    case EventKind::kRecovered:
      return "branch recovered";
    case EventKind::kIdleRollback:
      return "idle branch rolled back";
    case EventKind::kOverdueRollback:
      return "overdue branch rolled back";
    case EventKind::kInquiry:
      return "branch in doubt asks";
    case EventKind::kSettledByInquiry:
      return "branch settled by inquiry";
    case EventKind::kHeuristic:
      return "heuristic outcome";
    case EventKind::kProtocolError:
      return "protocol error";
  }
  return "?";
}

}  // namespace concordat::participant
