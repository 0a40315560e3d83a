// Calls in a branch: operations, the locks they need, and what the locks of other
// branches do to them.
#include <utility>

#include "absl/strings/str_cat.h"
#include "participant/resources/kv/shard.h"

namespace concordat::participant::kv {
namespace {

using wire::Code;

constexpr std::string_view kLost =
    "the branch lost its locks to an older transaction and is rolled back; roll the "
    "transaction back and run it again";

wire::ExecuteReply ReplyOf(Code::type code, std::string_view message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  if (!message.empty()) reply.result.__set_message(std::string(message));
  return reply;
}

}  // namespace

OperationStatus Shard::CheckCall(const wire::ExecuteRequest& request) const {
  if (request.__isset.sql || request.__isset.opaque) {
    return {Code::INVALID, "this resource is a KV shard: it takes kv operations only"};
  }
  bool writes = false;
  for (size_t i = 0; i < request.kv.size(); ++i) {
    OperationStatus status = BranchView::Check(request.kv[i], options_.operations);
    if (!status.ok()) {
      status.message = absl::StrCat("operation ", i + 1, ": ", status.message);
      return status;
    }
    writes = writes || IsWrite(request.kv[i].verb);
  }
  if (writes && !log_->HasSpace()) {
    return {Code::OVERLOADED,
            "the disk is full: nothing new is written until there is space"};
  }
  return {};
}

void Shard::Execute(const BranchId& id, const wire::ExecuteRequest& request,
                    Callback<wire::ExecuteReply> done) {
  Branch* branch = Find(id);
  if (branch == nullptr ||
      (branch->state != State::kActive && branch->state != State::kWounded)) {
    return completions_.Add(std::move(done),
                            ReplyOf(Code::BRANCH_GONE, "the branch is not active here"));
  }
  if (branch->state == State::kWounded) {
    Erase(branch);
    return completions_.Add(std::move(done), ReplyOf(Code::CONFLICT, kLost));
  }
  const OperationStatus status = CheckCall(request);
  if (!status.ok()) {
    return completions_.Add(std::move(done), ReplyOf(status.code, status.message));
  }
  branch->work.emplace(Work{});  // clang 14 rejects emplace() without an argument
  branch->work->request = &request;
  branch->work->done = std::move(done);
  branch->work->reply.__isset.kv = true;
  branch->work->reply.kv.reserve(request.kv.size());
  Continue(branch);
  HandleLockEvents();
}

void Shard::Continue(Branch* branch) {
  Work& work = *branch->work;
  BranchView view(rows_, options_.operations, &branch->writes, &work.undo);
  for (; work.next < work.request->kv.size(); ++work.next) {
    const wire::KvOperation& operation = work.request->kv[work.next];
    if (branch->lock_count() >= options_.max_branch_locks) {
      return FailCall(branch, {Code::INVALID,
                               absl::StrCat("the branch reads or writes more than ",
                                            options_.max_branch_locks,
                                            " keys and ranges: use several transactions, "
                                            "or RANGE for keys beside each other")});
    }
    switch (Lock(branch, operation)) {
      case LockResult::kGranted:
        break;
      case LockResult::kWaits:
        return;
      case LockResult::kConflict:
        AbandonCall(branch, Code::CONFLICT,
                    "another branch of the same transaction holds a lock that this one "
                    "needs; the branch is rolled back");
        return Erase(branch);
    }
    const OperationStatus status = view.Run(operation, &work.reply.kv.emplace_back());
    if (!status.ok()) return FailCall(branch, status);
    if (!CountAnswer(&work)) {
      return FailCall(
          branch, {Code::INVALID,
                   absl::StrCat("the answer would hold more than ", kMaxAnswerBytes,
                                " bytes or ", kMaxAnswerValues, " pairs: ask for less")});
    }
    if (IsWrite(operation.verb)) {
      work.bytes += operation.key.size() + operation.value.size() + 32;
    }
  }
  if (branch->bytes + work.bytes > options_.max_branch_bytes) {
    return FailCall(branch,
                    {Code::INVALID, absl::StrCat("the branch writes more than ",
                                                 options_.max_branch_bytes, " bytes")});
  }
  branch->bytes += work.bytes;
  EndCall(branch);
}

// Counts the answer of the operation that has just run. False: it is too much for one
// answer.
bool Shard::CountAnswer(Work* work) {
  const std::vector<wire::KvPair>& pairs = work->reply.kv.back().pairs;
  work->answer_pairs += pairs.size();
  for (const wire::KvPair& pair : pairs) {
    work->answer_bytes += pair.key.size() + pair.value.size() + 24;
  }
  return work->answer_bytes <= kMaxAnswerBytes && work->answer_pairs <= kMaxAnswerValues;
}

LockResult Shard::Lock(Branch* branch, const wire::KvOperation& operation) {
  if (operation.verb == wire::KvVerb::RANGE) {
    const BranchView view(rows_, options_.operations, &branch->writes,
                          &branch->work->undo);
    return locks_.AcquireRange(branch, view.RangeToLock(operation));
  }
  return locks_.Acquire(
      branch, IsWrite(operation.verb) ? LockMode::kExclusive : LockMode::kShared,
      operation.key);
}

// The call changes nothing. Its locks stay, as two-phase locking demands.
void Shard::FailCall(Branch* branch, OperationStatus status) {
  Work& work = *branch->work;
  Revert(&work.undo, &branch->writes);
  work.reply = ReplyOf(
      status.code, work.next < work.request->kv.size()
                       ? absl::StrCat("operation ", work.next + 1, ": ", status.message)
                       : status.message);
  EndCall(branch);
}

void Shard::EndCall(Branch* branch) {
  completions_.Add(std::move(branch->work->done), std::move(branch->work->reply));
  branch->work.reset();
}

void Shard::AbandonCall(Branch* branch, Code::type code, std::string_view why) {
  if (!branch->work) return;
  branch->work->reply = ReplyOf(code, why);
  EndCall(branch);
}

void Shard::HandleLockEvents() {
  while (locks_.has_events()) {
    const std::vector<LockOwner*> wounded = locks_.TakeWounded();
    std::vector<LockOwner*> granted = locks_.TakeGranted();
    // Owners that were granted a lock and then wounded are taken out first, since they
    // will be erased.
    std::erase_if(granted, [](const LockOwner* owner) { return owner->wounded(); });
    for (LockOwner* owner : wounded) OnWounded(static_cast<Branch*>(owner));
    for (LockOwner* owner : granted) {
      // Such a call may wound a later owner, which the next round then erases.
      if (!owner->wounded()) Continue(static_cast<Branch*>(owner));
    }
  }
}

void Shard::OnWounded(Branch* branch) {
  branch->writes.clear();
  branch->state = State::kWounded;
  if (!branch->work) return;  // its next call gets CONFLICT
  AbandonCall(branch, Code::CONFLICT, kLost);
  Erase(branch);
}

}  // namespace concordat::participant::kv
