#include "participant/resources/service/branches.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "coordinator/base/check.h"

namespace concordat::participant::service {
namespace {

using wire::Code;

wire::ExecuteReply ReplyOf(Code::type code, std::string message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  reply.result.__set_message(std::move(message));
  return reply;
}

}  // namespace

Branches::~Branches() = default;

// --- helpers ---

Branches::Branch* Branches::Find(const BranchKey& key) const {
  const auto it = branches_.find(key);
  return it == branches_.end() ? nullptr : it->second.get();
}

Branches::Item* Branches::FindItem(Branch* branch, uint64_t number) const {
  for (Item& item : branch->items) {
    if (item.number == number) return &item;
  }
  return nullptr;
}

void Branches::Erase(Branch* branch) { branches_.erase(BranchKey(branch->id)); }

template <class T>
void Branches::CallBack(Callback<T> callback, T result) {
  if (callback == nullptr) return;
  work_.callbacks.push_back(
      [callback = std::move(callback), result = std::move(result)]() mutable {
        callback(std::move(result));
      });
}

void Branches::AnswerExecute(Branch* branch, Code::type code, std::string why) {
  CallBack(std::exchange(branch->execute, nullptr), ReplyOf(code, std::move(why)));
}

void Branches::AnswerFinish(Branch* branch, const FinishResult& result) {
  for (auto& done : std::exchange(branch->finish, {})) CallBack(std::move(done), result);
}

void Branches::Call(Branch* branch, ServiceCall::Kind kind, const Item& item) {
  CONCORDAT_CHECK(!branch->calling) << "two calls for " << branch->id;
  if (kind == ServiceCall::Kind::kConfirm) ++counts_.confirms;
  if (kind == ServiceCall::Kind::kCancel) ++counts_.cancels;
  if (kind == ServiceCall::Kind::kLookup) ++counts_.lookups;
  branch->calling = true;
  ++calls_running_;
  work_.calls.push_back({kind, Reservation{branch->id, item.number}, ""});
}

std::vector<uint64_t> Branches::HeldNumbers(const Branch& branch) {
  std::vector<uint64_t> numbers;
  for (const Item& item : branch.items) {
    if (item.fate == Fate::kHeld) numbers.push_back(item.number);
  }
  return numbers;
}

// --- work ---

absl::Status Branches::Start(const BranchId& id) {
  const BranchKey key(id);
  const bool used = Find(key) != nullptr || evidence_.contains(key) ||
                    (key.incarnation == highest_started_.incarnation &&
                     key.number <= highest_started_.number);
  if (used) {
    return absl::FailedPreconditionError("a branch of this id was here before");
  }
  if (!journal_->HasSpace()) {
    return absl::ResourceExhaustedError("the disk is full: no new work is taken");
  }
  highest_started_ = key;
  auto branch = std::make_unique<Branch>();
  branch->id = id;
  branches_.emplace(key, std::move(branch));
  return absl::OkStatus();
}

void Branches::Execute(const BranchId& id, const wire::ExecuteRequest& request,
                       bool query, Callback<wire::ExecuteReply> done) {
  Branch* branch = Find(BranchKey(id));
  if (branch == nullptr || branch->phase != Phase::kActive) {
    return CallBack(std::move(done),
                    ReplyOf(Code::BRANCH_GONE, "the branch is not active here"));
  }
  if (!request.__isset.opaque) {
    return CallBack(std::move(done),
                    ReplyOf(Code::INVALID, "a service takes opaque requests only"));
  }
  if (branch->execute != nullptr || request.call_number <= branch->last_call) {
    return CallBack(std::move(done), ReplyOf(Code::INVALID,
                                             "calls come one at a time, with numbers "
                                             "that grow; this one was made before"));
  }
  if (!query) {
    branch->last_call = request.call_number;
    return BeginTry(branch, request.opaque, std::move(done));
  }
  branch->last_call = request.call_number;
  branch->execute = std::move(done);
  Call(branch, ServiceCall::Kind::kQuery, Item());
  work_.calls.back().request = request.opaque;
}

void Branches::BeginTry(Branch* branch, const std::string& request,
                        Callback<wire::ExecuteReply> done) {
  if (branch->items.size() >= options_.max_reservations) {
    return CallBack(std::move(done),
                    ReplyOf(Code::INVALID, "too many calls in a branch"));
  }
  const uint64_t number = branch->items.size() + 1;
  // This is on disk before Try is called: a reservation that the log does not know would
  // never be released after a crash.
  const absl::StatusOr<wal::Lsn> lsn = journal_->Append(
      RecordType::kTrying, TryingRecord(branch->id, number), wal::Reserve::kNormal);
  if (!lsn.ok()) {
    return CallBack(std::move(done),
                    ReplyOf(Code::OVERLOADED, std::string(lsn.status().message())));
  }
  branch->logged = Logged::kTrying;
  branch->items.push_back({number, Fate::kNothing, false});
  branch->execute = std::move(done);
  branch->calling = true;
  pending_.push_back(
      {*lsn, Pending::What::kTry, BranchKey(branch->id), number, request, Gtid()});
}

void Branches::RunTry(Branch* branch, Pending* pending) {
  branch->calling = false;
  if (branch->goal == Goal::kCancel) return Settle(branch);  // rolled back meanwhile
  Item* item = FindItem(branch, pending->number);
  item->fate = Fate::kHeld;
  item->doubtful = true;
  ++counts_.tries;
  Call(branch, ServiceCall::Kind::kTry, *item);
  work_.calls.back().request = std::move(pending->request);
}

void Branches::OnTried(const Reservation& reservation, TryResult result) {
  --calls_running_;
  Branch* branch = Find(BranchKey(reservation.branch));
  branch->calling = false;
  Item* item = FindItem(branch, reservation.number);
  if (result.kind == TryResult::Kind::kReserved) {
    item->doubtful = false;
    if (result.text.size() > options_.max_answer_bytes) {
      result = TryResult::Failed("the service's answer is too long");
    }
  } else if (result.kind != TryResult::Kind::kFailed) {
    item->doubtful = false;
    item->fate = Fate::kNothing;
  }
  if (result.kind == TryResult::Kind::kRefused) ++counts_.refused;
  if (result.kind == TryResult::Kind::kConflict) ++counts_.conflicts;
  if (branch->goal == Goal::kCancel) return Settle(branch);
  switch (result.kind) {
    case TryResult::Kind::kReserved: {
      wire::ExecuteReply reply;
      reply.result.code = Code::OK;
      reply.__set_opaque(std::move(result.text));
      return CallBack(std::exchange(branch->execute, nullptr), std::move(reply));
    }
    case TryResult::Kind::kRefused:
      return AnswerExecute(branch, Code::CONDITION_FAILED, std::move(result.text));
    case TryResult::Kind::kConflict:
      branch->cancel_reply = ReplyOf(Code::CONFLICT, std::move(result.text));
      return BeginSettling(branch, Goal::kCancel);
    case TryResult::Kind::kFailed:
      branch->cancel_reply = ReplyOf(Code::RESOURCE_ERROR, std::move(result.text));
      return BeginSettling(branch, Goal::kCancel);
  }
}

void Branches::OnQueried(const Reservation& reservation, QueryResult result) {
  --calls_running_;
  Branch* branch = Find(BranchKey(reservation.branch));
  branch->calling = false;
  if (branch->goal == Goal::kCancel) return Settle(branch);
  if (result.ok() && result->size() > options_.max_answer_bytes) {
    result = absl::InvalidArgumentError("the service's answer is too long");
  }
  if (result.ok()) {
    wire::ExecuteReply reply;
    reply.result.code = Code::OK;
    reply.__set_opaque(*std::move(result));
    return CallBack(std::exchange(branch->execute, nullptr), std::move(reply));
  }
  std::string why(result.status().message());
  if (absl::IsInvalidArgument(result.status())) {
    return AnswerExecute(branch, Code::INVALID, std::move(why));
  }
  branch->cancel_reply = ReplyOf(Code::RESOURCE_ERROR, std::move(why));
  BeginSettling(branch, Goal::kCancel);
}

// --- ends ---

void Branches::Prepare(const BranchId& id, Callback<PrepareResult> done) {
  Branch* branch = Find(BranchKey(id));
  if (branch == nullptr || branch->phase != Phase::kActive) {
    return CallBack(std::move(done), VoteAgain(branch));
  }
  if (branch->calling) {
    CallBack(std::move(done),
             PrepareResult{Vote::kRefused, "work is still running in the branch"});
    AnswerExecute(branch, Code::BRANCH_GONE, "PREPARE came while it ran");
    return BeginSettling(branch, Goal::kCancel);
  }
  const std::vector<uint64_t> numbers = HeldNumbers(*branch);
  if (numbers.empty()) {
    CallBack(std::move(done), PrepareResult{Vote::kReadOnly, ""});
    return EndCancelled(branch);
  }
  const absl::StatusOr<wal::Lsn> lsn = journal_->Append(
      RecordType::kPrepared, NumbersRecord(id, numbers), wal::Reserve::kNormal);
  if (absl::IsUnavailable(lsn.status())) {
    return CallBack(std::move(done), PrepareResult{Vote::kUnavailable,
                                                   std::string(lsn.status().message())});
  }
  if (!lsn.ok()) {
    CallBack(std::move(done),
             PrepareResult{Vote::kRefused, std::string(lsn.status().message())});
    return BeginSettling(branch, Goal::kCancel);
  }
  branch->phase = Phase::kPreparing;
  branch->logged = Logged::kPrepared;
  branch->prepare = std::move(done);
  pending_.push_back({*lsn, Pending::What::kVote, BranchKey(id), 0, "", Gtid()});
}

PrepareResult Branches::VoteAgain(const Branch* branch) {
  if (branch != nullptr) {
    const bool promised = branch->phase == Phase::kPrepared ||
                          (branch->phase == Phase::kSettling &&
                           branch->goal == Goal::kConfirm && !branch->alone);
    if (promised) return {Vote::kPrepared, ""};
    if (branch->phase == Phase::kPreparing || branch->phase == Phase::kLookingUp) {
      return {Vote::kUnavailable, "cannot tell now"};
    }
  }
  return {Vote::kLost, "the branch is not active here"};
}

void Branches::EndVote(Branch* branch) {
  branch->phase = Phase::kPrepared;
  CallBack(std::exchange(branch->prepare, nullptr), PrepareResult{Vote::kPrepared, ""});
}

void Branches::Commit(const BranchId& id, Callback<FinishResult> done) {
  Branch* branch = Find(BranchKey(id));
  const bool confirming = branch != nullptr && branch->phase == Phase::kSettling &&
                          branch->goal == Goal::kConfirm && !branch->alone;
  if (confirming) return branch->finish.push_back(std::move(done));
  if (branch != nullptr && branch->phase == Phase::kOver) {
    return CallBack(std::move(done), branch->verdict);
  }
  if (branch == nullptr || branch->phase != Phase::kPrepared) {
    const bool known = branch == nullptr && LookUp(id) == Evidence::kCommitted;
    return CallBack(std::move(done),
                    FinishResult{known ? FinishState::kDone : FinishState::kRetry,
                                 "the branch is not prepared here"});
  }
  branch->finish.push_back(std::move(done));
  BeginSettling(branch, Goal::kConfirm);
}

void Branches::Rollback(const BranchId& id, Callback<FinishResult> done) {
  Branch* branch = Find(BranchKey(id));
  if (branch == nullptr) {
    const bool committed = evidence_.contains(BranchKey(id));
    return CallBack(
        std::move(done),
        committed ? FinishResult{FinishState::kHeuristicCommit, "it was committed before"}
                  : FinishResult{FinishState::kDone, ""});
  }
  if (branch->phase == Phase::kOver) return CallBack(std::move(done), branch->verdict);
  if (branch->goal == Goal::kCancel) return branch->finish.push_back(std::move(done));
  if (branch->phase != Phase::kActive && branch->phase != Phase::kPrepared) {
    return CallBack(std::move(done),
                    FinishResult{FinishState::kRetry, "the branch is being committed"});
  }
  AnswerExecute(branch, Code::BRANCH_GONE, "the branch was rolled back");
  branch->finish.push_back(std::move(done));
  BeginSettling(branch, Goal::kCancel);
}

void Branches::CommitOnePhase(const BranchId& id, Callback<OnePhaseResult> done) {
  Branch* branch = Find(BranchKey(id));
  if (branch == nullptr || branch->phase != Phase::kActive || branch->calling) {
    const auto known = evidence_.find(BranchKey(id));
    const bool alone = known != evidence_.end() && known->second;
    return CallBack(std::move(done),
                    OnePhaseResult{alone               ? OnePhase::kCommitted
                                   : branch == nullptr ? OnePhase::kLost
                                                       : OnePhase::kUnknown,
                                   alone ? "" : "the branch is not active here"});
  }
  const std::vector<uint64_t> numbers = HeldNumbers(*branch);
  if (numbers.empty()) {
    CallBack(std::move(done), OnePhaseResult{OnePhase::kReadOnly, ""});
    return EndCancelled(branch);
  }
  branch->alone = true;
  if (numbers.size() == 1) {  // the user's durable Confirm is the decision
    branch->one_phase = std::move(done);
    return BeginSettling(branch, Goal::kConfirm);
  }
  const absl::StatusOr<wal::Lsn> lsn = journal_->Append(
      RecordType::kDeciding, NumbersRecord(id, numbers), wal::Reserve::kNormal);
  if (!lsn.ok()) {
    CallBack(std::move(done),
             OnePhaseResult{OnePhase::kRefused, std::string(lsn.status().message())});
    return BeginSettling(branch, Goal::kCancel);
  }
  branch->one_phase = std::move(done);
  branch->phase = Phase::kDeciding;
  branch->logged = Logged::kDeciding;
  pending_.push_back({*lsn, Pending::What::kDecision, BranchKey(id), 0, "", Gtid()});
}

void Branches::OnDurable(wal::Lsn lsn) {
  while (!pending_.empty() && pending_.front().lsn <= lsn) {
    Pending pending = std::move(pending_.front());
    pending_.pop_front();
    Branch* branch = Find(pending.branch);
    switch (pending.what) {
      case Pending::What::kTry:
        RunTry(branch, &pending);
        break;
      case Pending::What::kVote:
        EndVote(branch);
        break;
      case Pending::What::kDecision:
        BeginSettling(branch, Goal::kConfirm);
        break;
      case Pending::What::kForget:
        work_.forget.push_back(pending.watermark);
        break;
    }
  }
}

// --- evidence ---

Evidence Branches::LookUp(const BranchId& id) const {
  const Branch* branch = Find(BranchKey(id));
  if (branch != nullptr && branch->phase != Phase::kOver) {
    if (branch->logged == Logged::kPrepared) {
      return branch->phase == Phase::kPreparing ? Evidence::kUnknown
                                                : Evidence::kPrepared;
    }
    if (branch->phase == Phase::kSettling) {
      if (branch->logged == Logged::kDeciding && branch->goal == Goal::kConfirm) {
        return Evidence::kCommittedAlone;
      }
      // Confirm was never called for the branch, and never will be.
      if (branch->goal == Goal::kCancel && !branch->recovered) return Evidence::kNone;
    }
    return Evidence::kUnknown;
  }
  const auto it = evidence_.find(BranchKey(id));
  if (it == evidence_.end()) return Evidence::kNone;
  return it->second ? Evidence::kCommittedAlone : Evidence::kCommitted;
}

void Branches::ForgetBelow(const Gtid& watermark) {
  const BranchKey begin(BranchId{Gtid{watermark.group, Term(), 0}, "", {}, 0});
  const BranchKey end(BranchId{watermark, "", {}, 0});
  evidence_.erase(evidence_.lower_bound(begin), evidence_.lower_bound(end));
  Gtid below = watermark;
  for (auto it = branches_.lower_bound(begin);
       it != branches_.end() && it->first < end;) {
    Branch* branch = it->second.get();
    if (branch->phase == Phase::kOver) {
      journal_->AppendLazily(RecordType::kCancelled, BranchRecord(branch->id));
      it = branches_.erase(it);
      continue;
    }
    below = std::min(below, branch->id.gtid);
    ++it;
  }
  // The ends of branches must be on disk before the user's store forgets them.
  const wal::Lsn last = journal_->PushLazy();
  if (last <= journal_->durable_lsn()) {
    work_.forget.push_back(below);
  } else {
    pending_.push_back({last, Pending::What::kForget, BranchKey(), 0, "", below});
  }
}

void Branches::BeginClose() {
  closing_ = true;
  if (recovered_ != nullptr) {
    CallBack(std::exchange(recovered_, nullptr),
             absl::StatusOr<std::vector<BranchId>>(absl::CancelledError("closed")));
  }
  std::vector<Branch*> active;
  for (auto& [key, branch] : branches_) {
    AnswerFinish(branch.get(), {FinishState::kRetry, "the service is closing"});
    if (branch->phase == Phase::kActive) active.push_back(branch.get());
  }
  for (Branch* branch : active) {
    AnswerExecute(branch, Code::BRANCH_GONE, "the service is closing");
    BeginSettling(branch, Goal::kCancel);
  }
}

// --- queries ---

std::string Branches::EncodeAllOpen(uint64_t* count) const {
  ByteWriter out;
  *count = 0;
  for (const auto& [key, branch] : branches_) {
    if (branch->logged == Logged::kNothing) continue;
    OpenBranch open{branch->id, branch->logged, {}};
    for (const Item& item : branch->items) {
      const bool trying = branch->logged == Logged::kTrying;
      if (trying || item.fate != Fate::kNothing) open.numbers.push_back(item.number);
    }
    EncodeOpen(open, &out);
    ++*count;
  }
  return out.Take();
}

ServiceStats Branches::Stats() const {
  const Timestamp now = clock_->Now();
  ServiceStats stats = counts_;
  stats.evidence = evidence_.size();
  for (const auto& [key, branch] : branches_) {
    if (branch->phase != Phase::kOver) ++stats.branches;
    if (branch->phase == Phase::kPrepared) ++stats.prepared;
    if (branch->phase == Phase::kSettling) ++stats.settling;
    if (branch->attempts == 0) continue;
    stats.stuck.push_back({branch->id,
                           branch->goal == Goal::kNone      ? "lookup"
                           : branch->goal == Goal::kConfirm ? "confirm"
                                                            : "cancel",
                           branch->attempts, now - branch->failing_since, branch->error});
  }
  return stats;
}

}  // namespace concordat::participant::service
