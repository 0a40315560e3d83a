#include "participant/resources/sqlite/call_scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::participant::sqlite {

namespace {

// The number of calls after which prepares and commits get their turn, and the time after
// which no further call begins when some of these wait.
constexpr int kCallsAPhase = 128;
constexpr Duration kPhase = Duration::Millis(10);
// How long one call may run while others wait. With kPhase before it and the batch after
// it, a prepare or commit waits less than 50 ms.
constexpr Duration kSlice = Duration::Millis(20);
// The pauses of a call that was stopped.
constexpr Duration kFirstPause = Duration::Millis(20);
constexpr uint32_t kMaxDoublings = 5;

}  // namespace

wire::ExecuteReply MakeReply(wire::Code::type code, std::string message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  if (!message.empty()) reply.result.__set_message(message);
  return reply;
}

CallScheduler::CallScheduler(const SqliteOptions& options, BranchTable* branches,
                             Store* store, const Catalog* catalog, Scratch* scratch,
                             ReaderPool* readers, std::function<bool()> others_wait,
                             std::function<void(const BranchId&)> drop)
    : options_(options),
      branches_(branches),
      store_(store),
      catalog_(catalog),
      scratch_(scratch),
      readers_(readers),
      others_wait_(std::move(others_wait)),
      drop_(std::move(drop)) {}

bool CallScheduler::MustYield() const {
  return clock_.Now() - call_began_ > kSlice && (others_wait_() || !ready_.empty());
}

Timestamp CallScheduler::NextDeadline() const {
  Timestamp next = deadlines_.empty() ? Timestamp::Infinite() : deadlines_.begin()->first;
  for (const Branch* branch : yielded_) next = std::min(next, branch->run_at);
  return next;
}

void CallScheduler::Submit(Branch* branch, const wire::ExecuteRequest& request,
                           Callback<wire::ExecuteReply> done) {
  if (!request.__isset.sql || request.sql.empty()) {
    done(MakeReply(wire::Code::INVALID,
                   "a SQLite resource takes SQL statements (the field sql)"));
    return;
  }
  branch->request = &request;
  branch->reply = std::move(done);
  branch->wait_until = Timestamp::Infinite();
  branch->yields = 0;
  branch->deadline = Timestamp::Infinite();
  if (request.context.__isset.deadline_ms) {
    branch->deadline =
        clock_.Now() + Duration::Millis(std::max(request.context.deadline_ms, 1));
  }
  // A serializable branch first takes the locks of what it reads.
  if (!branch->serializable && IsForReader(*branch)) {
    SendToReader(branch);
  } else {
    ready_.push_back(branch);
  }
}

bool CallScheduler::CanGoToReader(const Branch& branch, const CallResult& result) const {
  return result.end.yielded && IsForReader(branch);
}

void CallScheduler::AddReadLocks(const Branch& branch, CallResult* result) const {
  // A reader will read all of these tables, even if the call did not get that far here.
  const std::vector<std::string> tables =
      result->end.yielded ? scratch_->TablesReadBy(*branch.request) : result->tables_read;
  for (const std::string& table : tables) {
    result->captured.locks.push_back({Catalog::LockKeyOf(table), LockMode::kRead});
  }
}

bool CallScheduler::IsForReader(const Branch& branch) const {
  return !readers_->empty() && !branch.HasChanges() &&
         scratch_->KnownToRead(*branch.request);
}

void CallScheduler::SendToReader(Branch* branch) {
  const wire::ExecuteRequest* request = std::exchange(branch->request, nullptr);
  readers_->Run(branch->id, request, branch->deadline,
                [this, id = branch->id,
                 done = std::move(branch->reply)](wire::ExecuteReply reply) mutable {
                  if (EndsBranch(reply.result.code)) drop_(id);
                  done(std::move(reply));
                });
}

void CallScheduler::Answer(Branch* branch, wire::ExecuteReply reply) {
  branch->request = nullptr;
  std::exchange(branch->reply, nullptr)(std::move(reply));
}

void CallScheduler::Cancel(Branch* branch, wire::Code::type code,
                           const std::string& why) {
  if (branch->request == nullptr) return readers_->Stop(branch->id);
  if (branch->state == BranchState::kWaiting) {
    branches_->locks().RemoveWaiter(branch, branch->waits_for);
    branch->state = BranchState::kActive;
  } else {
    ready_.erase(std::remove(ready_.begin(), ready_.end(), branch), ready_.end());
    yielded_.erase(std::remove(yielded_.begin(), yielded_.end(), branch), yielded_.end());
  }
  Answer(branch, MakeReply(code, why));
}

void CallScheduler::RunPhase() {
  for (const std::string& key : branches_->TakeFreed()) WakeOldest(key);
  WakeYielded();
  if (ready_.empty()) return;
  const Timestamp phase_began = clock_.Now();
  const int rc = scratch_->BeginPhase();
  foreign_version_ = store_->ForeignVersion();
  LockChangedTables();
  for (int i = 0; i < kCallsAPhase && !ready_.empty(); ++i) {
    call_began_ = clock_.Now();
    if (call_began_ - phase_began > kPhase && others_wait_()) break;
    Branch* branch = ready_.front();
    ready_.pop_front();
    if (rc == SQLITE_DONE) {
      RunOne(branch);
    } else {
      Answer(branch,
             MakeReply(wire::Code::OVERLOADED,
                       absl::StrCat("the file cannot be locked: ", sqlite3_errstr(rc))));
    }
  }
  scratch_->EndPhase();
}

// A prepared branch holds the locks of the keys that its tables had when it was prepared.
// When a table has other keys now, the branch holds the table as a whole until it ends,
// so that no other branch can take a tuple that it would have locked.
void CallScheduler::LockChangedTables() {
  if (std::exchange(seen_loads_, catalog_->loads()) == catalog_->loads()) return;
  branches_->ForEach([this](Branch* branch) {
    if (branch->state != BranchState::kPrepared) return;
    for (const Redo& call : branch->redo) {
      for (const RedoTable& was : call.tables) {
        const Table* table = catalog_->Find(was.name);
        if (table == nullptr || table->keys_fingerprint == was.keys_fingerprint) continue;
        branches_->locks().Grant(branch, table->lock_key, LockMode::kExclusive);
      }
    }
  });
}

void CallScheduler::WakeOldest(const std::string& key) {
  Branch* branch = branches_->locks().OldestWaiter(key);
  if (branch == nullptr) return;
  branches_->locks().RemoveWaiter(branch, key);
  branch->state = BranchState::kActive;
  ready_.push_front(branch);
}

void CallScheduler::RunOne(Branch* branch) {
  if (branch->state == BranchState::kWounded) {
    Answer(branch,
           MakeReply(wire::Code::CONFLICT, "lost its locks to an older transaction"));
    branches_->Remove(branch);
    return;
  }
  const std::string woken_from = std::exchange(branch->waits_for, std::string());
  CallResult result = scratch_->Run(*branch, *branch->request);
  std::string blocked_on;
  if (result.end.code == wire::Code::OK || CanGoToReader(*branch, result)) {
    if (branch->serializable) AddReadLocks(*branch, &result);
    blocked_on = ResolveConflicts(branch, result.captured.locks, &result.end);
  }
  if (!blocked_on.empty()) {
    Wait(branch, blocked_on);
  } else if (!result.end.yielded) {
    Finish(branch, std::move(result));
  } else if (CanGoToReader(*branch, result)) {
    GrantAll(branch, result.captured.locks);
    SendToReader(branch);
  } else {
    Yield(branch);
  }
  // The next waiting branch may run, unless this one locked the key exclusively or waits
  // for it again.
  if (!woken_from.empty() && woken_from != blocked_on &&
      !branches_->locks().IsHeldExclusively(woken_from)) {
    WakeOldest(woken_from);
  }
}

std::string CallScheduler::ResolveConflicts(Branch* branch,
                                            const std::vector<LockWant>& wants,
                                            RunResult* end) {
  std::vector<Branch*> blockers;
  for (const LockWant& want : wants) {
    const size_t before = blockers.size();
    branches_->locks().FindBlockers(*branch, want, &blockers);
    for (size_t i = before; i < blockers.size(); ++i) {
      if (blockers[i]->id.gtid == branch->id.gtid) {
        // That branch ends when the transaction ends, which would wait for this call.
        *end = {
            wire::Code::CONFLICT,
            "another branch of the same transaction holds a lock that this one needs; "
            "the branch is rolled back"};
        return "";
      }
      if (!blockers[i]->CanBeWounded() || IsOlder(*blockers[i], *branch)) return want.key;
    }
  }
  for (Branch* victim : blockers) Wound(victim, *branch);
  return "";
}

void CallScheduler::Wound(Branch* victim, const Branch& by) {
  const std::string why = absl::StrCat("lost its locks to the older transaction ",
                                       ToString(by.id.gtid), "; roll back and run again");
  if (victim->request == nullptr) {
    branches_->Wound(victim);  // its next call gets CONFLICT
    return;
  }
  Cancel(victim, wire::Code::CONFLICT, why);
  branches_->Remove(victim);
}

// The call's work has been undone.
void CallScheduler::Yield(Branch* branch) {
  const Duration pause =
      kFirstPause * (int64_t{1} << std::min(branch->yields, kMaxDoublings));
  ++branch->yields;
  branch->run_at = clock_.Now() + pause;
  BeginWait(branch);
  yielded_.push_back(branch);
}

void CallScheduler::WakeYielded() {
  const Timestamp now = clock_.Now();
  const auto due =
      std::stable_partition(yielded_.begin(), yielded_.end(),
                            [now](const Branch* branch) { return branch->run_at > now; });
  ready_.insert(ready_.end(), due, yielded_.end());
  yielded_.erase(due, yielded_.end());
}

// The time runs for all waits of one call together.
void CallScheduler::BeginWait(Branch* branch) {
  if (branch->wait_until != Timestamp::Infinite()) return;
  branch->wait_until = std::min(clock_.Now() + options_.lock_wait, branch->deadline);
  deadlines_.emplace(branch->wait_until, branch->id);
}

void CallScheduler::Wait(Branch* branch, const std::string& key) {
  BeginWait(branch);
  branch->state = BranchState::kWaiting;
  branch->waits_for = key;
  branches_->locks().AddWaiter(branch, key);
}

void CallScheduler::Finish(Branch* branch, CallResult result) {
  if (result.end.code != wire::Code::OK) {
    const bool over = EndsBranch(result.end.code);
    Answer(branch, MakeReply(result.end.code, std::move(result.end.message)));
    if (over) branches_->Remove(branch);
    return;
  }
  Keep(branch, &result);
  wire::ExecuteReply reply;
  reply.result.code = wire::Code::OK;
  reply.sql = std::move(result.rows);
  reply.__isset.sql = true;
  Answer(branch, std::move(reply));
}

void CallScheduler::GrantAll(Branch* branch, const std::vector<LockWant>& wants) {
  for (const LockWant& want : wants) {
    const size_t before = branch->locks.size();
    branches_->locks().Grant(branch, want.key, want.mode);
    if (branch->locks.size() > before) branch->redo_bytes += want.key.size();
  }
}

void CallScheduler::Keep(Branch* branch, CallResult* result) {
  GrantAll(branch, result->captured.locks);
  branch->last_insert_rowid = result->last_insert_rowid;
  if (result->captured.redo.steps == 0) return;
  if (!branch->HasChanges()) branch->foreign_version = foreign_version_;
  branch->redo_bytes += result->captured.redo.bytes.size();
  branch->redo.push_back(std::move(result->captured.redo));
}

void CallScheduler::ExpireWaits() {
  const Timestamp now = clock_.Now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    Branch* branch = branches_->Find(deadlines_.begin()->second);
    deadlines_.erase(deadlines_.begin());
    if (branch != nullptr && branch->request != nullptr && branch->wait_until <= now) {
      Expire(branch, now);
    }
  }
}

void CallScheduler::Expire(Branch* branch, Timestamp now) {
  const bool waits = branch->state == BranchState::kWaiting;
  if (!waits && std::find(yielded_.begin(), yielded_.end(), branch) == yielded_.end()) {
    // The call is about to run. If it has to wait once more, its time has run out.
    branch->wait_until = now + kPhase;
    deadlines_.emplace(branch->wait_until, branch->id);
    return;
  }
  if (branch->deadline <= now) {
    Cancel(branch, wire::Code::TIMED_OUT,
           absl::StrCat("the caller's deadline came while the call waited ",
                        waits ? "for a lock that another transaction holds"
                              : "for a moment in which nobody else was at work",
                        "; the branch is rolled back"));
  } else if (waits) {
    Cancel(branch, wire::Code::CONFLICT,
           absl::StrCat("waited ", options_.lock_wait.millis(),
                        " ms for a lock that another transaction holds"));
  } else {
    return Cancel(
        branch, wire::Code::OVERLOADED,
        absl::StrCat("the call would hold the file for longer than ", kSlice.millis(),
                     " ms while others are at work; it was stopped ", branch->yields,
                     " times in ", options_.lock_wait.millis(),
                     " ms, and nothing was done. Split it into smaller ones, or "
                     "run it when there is less to do"));
  }
  branches_->Remove(branch);
}

}  // namespace concordat::participant::sqlite
