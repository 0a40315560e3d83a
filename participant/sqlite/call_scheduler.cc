#include "participant/sqlite/call_scheduler.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace concordat::participant::sqlite {

namespace {

// Calls before prepares and commits get their turn again.
constexpr int kCallsAPhase = 128;

}  // namespace

wire::ExecuteReply MakeReply(wire::Code::type code, std::string message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  if (!message.empty()) reply.result.__set_message(message);
  return reply;
}

CallScheduler::CallScheduler(const SqliteOptions& options, BranchTable* branches,
                             Store* store, const Catalog* catalog, Scratch* scratch,
                             ReaderPool* readers,
                             std::function<void(const BranchId&)> drop)
    : options_(options),
      branches_(branches),
      store_(store),
      catalog_(catalog),
      scratch_(scratch),
      readers_(readers),
      drop_(std::move(drop)) {}

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
  if (!GiveToReader(branch)) ready_.push_back(branch);
}

bool CallScheduler::GiveToReader(Branch* branch) {
  if (readers_->empty() || branch->serializable || branch->HasChanges() ||
      !scratch_->KnownToRead(*branch->request)) {
    return false;
  }
  const wire::ExecuteRequest* request = std::exchange(branch->request, nullptr);
  readers_->Run(request, [this, id = branch->id, done = std::move(branch->reply)](
                             wire::ExecuteReply reply) mutable {
    if (reply.result.code == wire::Code::RESOURCE_ERROR) drop_(id);
    done(std::move(reply));
  });
  return true;
}

void CallScheduler::Answer(Branch* branch, wire::ExecuteReply reply) {
  branch->request = nullptr;
  std::exchange(branch->reply, nullptr)(std::move(reply));
}

void CallScheduler::Cancel(Branch* branch, wire::Code::type code,
                           const std::string& why) {
  if (branch->request == nullptr) return;
  if (branch->state == BranchState::kWaiting) {
    branches_->locks().RemoveWaiter(branch, branch->waits_for);
    branch->state = BranchState::kActive;
  } else {
    ready_.erase(std::remove(ready_.begin(), ready_.end(), branch), ready_.end());
  }
  Answer(branch, MakeReply(code, why));
}

void CallScheduler::RunPhase() {
  for (const std::string& key : branches_->TakeFreed()) WakeOldest(key);
  if (ready_.empty()) return;
  const int rc = scratch_->BeginPhase();
  foreign_version_ = store_->ForeignVersion();
  HoldChangedTables();
  for (int i = 0; i < kCallsAPhase && !ready_.empty(); ++i) {
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

// A prepared branch has the locks of the keys that its tables had then. When a table has
// others now, the branch holds the table as a whole until it ends: nobody can take a
// tuple that it would have locked.
void CallScheduler::HoldChangedTables() {
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
  if (result.end.code == wire::Code::OK) {
    for (const std::string& table : result.tables_read) {
      if (branch->serializable) {
        result.captured.locks.push_back({Catalog::LockKeyOf(table), LockMode::kRead});
      }
    }
    blocked_on = ClearTheWay(branch, result.captured.locks);
  }
  if (blocked_on.empty()) {
    Finish(branch, std::move(result));
  } else {
    Wait(branch, blocked_on);
  }
  // The next in line may go on, unless this one took the key whole or waits for it again.
  if (!woken_from.empty() && woken_from != blocked_on &&
      !branches_->locks().IsHeldExclusively(woken_from)) {
    WakeOldest(woken_from);
  }
}

std::string CallScheduler::ClearTheWay(Branch* branch,
                                       const std::vector<LockWant>& wants) {
  std::vector<Branch*> blockers;
  for (const LockWant& want : wants) {
    const size_t before = blockers.size();
    branches_->locks().FindBlockers(*branch, want, &blockers);
    for (size_t i = before; i < blockers.size(); ++i) {
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
    branches_->Wound(victim);  // told at its next call
    return;
  }
  Cancel(victim, wire::Code::CONFLICT, why);
  branches_->Remove(victim);
}

void CallScheduler::Wait(Branch* branch, const std::string& key) {
  if (branch->wait_until == Timestamp::Infinite()) {
    branch->wait_until = clock_.Now() + options_.lock_wait;
    deadlines_.emplace_back(branch->wait_until, branch->id);
  }
  branch->state = BranchState::kWaiting;
  branch->waits_for = key;
  branches_->locks().AddWaiter(branch, key);
}

void CallScheduler::Finish(Branch* branch, CallResult result) {
  if (result.end.code != wire::Code::OK) {
    const bool over = result.end.code == wire::Code::RESOURCE_ERROR;
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

void CallScheduler::Keep(Branch* branch, CallResult* result) {
  for (const LockWant& want : result->captured.locks) {
    branches_->locks().Grant(branch, want.key, want.mode);
  }
  branch->last_insert_rowid = result->last_insert_rowid;
  if (result->captured.redo.steps == 0) return;
  if (!branch->HasChanges()) branch->foreign_version = foreign_version_;
  branch->redo_bytes += result->captured.redo.bytes.size();
  branch->redo.push_back(std::move(result->captured.redo));
}

void CallScheduler::ExpireWaits() {
  const Timestamp now = clock_.Now();
  while (!deadlines_.empty() && deadlines_.front().first <= now) {
    Branch* branch = branches_->Find(deadlines_.front().second);
    deadlines_.pop_front();
    if (branch == nullptr || branch->state != BranchState::kWaiting ||
        branch->wait_until > now) {
      continue;
    }
    Cancel(branch, wire::Code::CONFLICT,
           absl::StrCat("waited ", options_.lock_wait.millis(),
                        " ms for a lock that another transaction holds"));
    branches_->Remove(branch);
  }
}

}  // namespace concordat::participant::sqlite
