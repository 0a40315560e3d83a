// BranchWork's calls: from a request to a reply. Part of branch_work.h.
#ifndef PARTICIPANT_RESOURCES_DATABASE_BRANCH_CALLS_H_
#define PARTICIPANT_RESOURCES_DATABASE_BRANCH_CALLS_H_

#include <string>
#include <utility>
#include <vector>

#include "participant/resources/database/branch_work.h"

namespace concordat::participant::database {

// --- a call begins ---

template <class Database>
void BranchWork<Database>::Execute(const BranchId& id,
                                   const wire::ExecuteRequest& request,
                                   Callback<wire::ExecuteReply> done) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Phase::kIdle) {
    return done(MakeReply(wire::Code::BRANCH_GONE, "the branch is over, or ending"));
  }
  Call call;
  call.last = request.__isset.prepare && request.prepare;
  if (const absl::Status s = Check(request, &call); !s.ok()) {
    return done(MakeReply(wire::Code::INVALID, std::string(s.message())));
  }
  branch->call = std::move(call);
  branch->execute_done = std::move(done);
  if (branch->connection == nullptr) {
    branch->phase = Phase::kWaiting;
    return pool_->Acquire([this, id](absl::StatusOr<ConnectionPtr> connection) {
      OnConnection(id, std::move(connection));
    });
  }
  if (!branch->connection->alive()) {
    return EndWith(
        branch, wire::Code::BRANCH_GONE,
        "the connection was lost, and the database has rolled the branch back");
  }
  RunCall(branch);
}

template <class Database>
void BranchWork<Database>::OnConnection(const BranchId& id,
                                        absl::StatusOr<ConnectionPtr> connection) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Phase::kWaiting) {
    if (connection.ok()) pool_->Release(*std::move(connection));
    return;
  }
  if (!connection.ok()) {
    branch->phase = Phase::kIdle;
    return Answer(branch,
                  absl::IsResourceExhausted(connection.status())
                      ? wire::Code::OVERLOADED
                      : wire::Code::UNAVAILABLE,
                  std::string(connection.status().message()));
  }
  branch->connection = *std::move(connection);
  RunCall(branch);
}

// A savepoint only where there is something to go back to: a branch of one call, which
// most are, pays nothing for it. It is kept until the next call, because what comes back
// may be too large.
template <class Database>
void BranchWork<Database>::RunCall(Branch* branch) {
  branch->phase = Phase::kRunning;
  branch->opens = !branch->open;
  branch->tainted = branch->tainted || branch->call.taints;
  branch->prepare_at = 0;
  branch->rows = {};
  branch->sent = SystemClock().Now();
  std::vector<Statement> batch = MakeBatch(branch);
  branch->savepoint = !branch->opens;
  SendCall(branch, std::move(batch));
}

// --- a call ends ---

template <class Database>
void BranchWork<Database>::OnCall(const BranchId& id, BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (branch->phase == Phase::kCanceling) return OnCanceledCall(branch, r);
  if (r.lost || MayHavePrepared(*branch, r)) return OnCallLost(branch, r);
  if (!r.ok()) return OnCallFailed(branch, r);
  if (branch->prepare_at > 0) return OnCallPrepared(branch, r);
  OnCallDone(branch, r);
}

// Its caller has been answered.
template <class Database>
void BranchWork<Database>::OnCanceledCall(Branch* branch, const BatchResult& r) {
  branch->call_end = CallEnd::kOver;
  if (r.lost || MayHavePrepared(*branch, r)) {
    branch->call_end = CallEnd::kLost;
    branch->why_lost = r.Error();
  } else if (branch->prepare_at > 0 && HasPrepared(*branch, r)) {
    branch->call_end = CallEnd::kPrepared;
  }
  RollBackCanceled(branch);
}

template <class Database>
void BranchWork<Database>::OnCallLost(Branch* branch, const BatchResult& r) {
  if (branch->prepare_at == 0) {
    // Another run may go well, when the server is there again (scenario 101).
    return EndWith(branch, wire::Code::BRANCH_GONE,
                   absl::StrCat(r.Error(), "; the branch is rolled back"));
  }
  // It may be prepared: found out when somebody wants to end it.
  BecomeUncertain(branch, r.Error());
  Answer(branch, wire::Code::UNKNOWN,
         absl::StrCat(r.Error(), "; roll the transaction back"));
}

template <class Database>
bool BranchWork<Database>::Collect(const Branch& branch, const BatchResult& r,
                                   wire::ExecuteReply* reply) const {
  uint64_t bytes = 0;
  uint64_t values = 0;
  reply->__isset.sql = true;
  reply->sql.resize(branch.call.statements.size());
  for (size_t i = 0; i < reply->sql.size(); ++i) {
    Database::ToWire(r, branch.first + i, &reply->sql[i], &bytes);
    const wire::SqlResult& one = reply->sql[i];
    values += one.rows.size() * one.columns.size();
    if (bytes > options_.max_result_bytes || one.rows.size() > kMaxAnswerRows ||
        values > kMaxAnswerValues) {
      return false;
    }
  }
  return true;
}

template <class Database>
std::string BranchWork<Database>::TooManyRows() const {
  return absl::StrCat("the rows of the call exceed max_result_bytes (",
                      options_.max_result_bytes, "), ", kMaxAnswerRows, " rows or ",
                      kMaxAnswerValues, " values: ask for fewer");
}

template <class Database>
void BranchWork<Database>::UndoCall(Branch* branch, wire::Code::type code,
                                    std::string message) {
  branch->prepare_at = 0;
  branch->connection->Run(
      UndoStatements(*branch),
      [this, id = branch->id, code, message = std::move(message)](BatchResult r) {
        Branch* b = Find(id);
        if (b == nullptr) return;
        if (b->phase == Phase::kCanceling) return OnCanceledCall(b, r);
        if (!r.ok()) return EndWith(b, wire::Code::RESOURCE_ERROR, message);
        if (b->opens) GiveBack(b, IsIdle(r));
        b->phase = Phase::kIdle;
        b->call = {};
        Answer(b, code, message);
      });
}

// Its transaction, if there is one left, goes first: when the caller hears of the end,
// the locks are free.
template <class Database>
void BranchWork<Database>::EndWith(Branch* branch, wire::Code::type code,
                                   std::string message) {
  Callback<wire::ExecuteReply> done = std::move(branch->execute_done);
  branch->execute_done = nullptr;
  RollBackNow(branch,
              [done = std::move(done), code, message = std::move(message)](
                  FinishResult) mutable { done(MakeReply(code, std::move(message))); });
}

template <class Database>
void BranchWork<Database>::Answer(Branch* branch, wire::Code::type code,
                                  std::string message) {
  std::exchange(branch->execute_done, nullptr)(MakeReply(code, std::move(message)));
}

}  // namespace concordat::participant::database

#endif  // PARTICIPANT_RESOURCES_DATABASE_BRANCH_CALLS_H_
