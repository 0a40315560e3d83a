// The calls of the branch executor, from the request to the reply.
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/base/system_clock.h"
#include "participant/resources/database/branch_executor.h"

namespace concordat::participant::database {

namespace {

constexpr size_t kMaxParameters = 65535;

wire::ExecuteReply MakeReply(wire::Code::type code, std::string message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  if (!message.empty()) reply.result.__set_message(std::move(message));
  return reply;
}

void Append(std::vector<Statement> statements, std::vector<Statement>* batch) {
  for (Statement& s : statements) batch->push_back(std::move(s));
}

}  // namespace

// --- a call begins ---

absl::Status BranchExecutor::Check(const wire::ExecuteRequest& request,
                                   Call* call) const {
  if (!request.__isset.sql || request.sql.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a ", std::string(dialect_.rules().name), " database takes SQL statements"));
  }
  call->last = request.__isset.prepare && request.prepare;
  for (const wire::SqlStatement& item : request.sql) {
    if (item.parameters.size() > kMaxParameters) {
      return absl::InvalidArgumentError(
          absl::StrCat("more than ", kMaxParameters, " parameters"));
    }
    absl::StatusOr<ClientStatement> taken = dialect_.TakeStatement(item);
    if (!taken.ok()) return taken.status();
    if (taken->many_results && request.sql.size() > 1) {
      return absl::InvalidArgumentError(
          "CALL may give any number of results: it stands alone in its call");
    }
    call->writes = call->writes || taken->writes;
    call->may_write = call->may_write || taken->may_write;
    call->last = call->last && !taken->many_results;
    call->statements.push_back(std::move(taken->statement));
  }
  call->count = call->statements.size();
  return absl::OkStatus();
}

void BranchExecutor::Execute(const BranchId& id, const wire::ExecuteRequest& request,
                             Callback<wire::ExecuteReply> done) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Phase::kIdle) {
    return done(MakeReply(wire::Code::BRANCH_GONE, "the branch is over, or ending"));
  }
  Call call;
  if (const absl::Status s = Check(request, &call); !s.ok()) {
    return done(MakeReply(wire::Code::INVALID, std::string(s.message())));
  }
  branch->call = std::move(call);
  branch->execute_done = std::move(done);
  if (branch->session == nullptr) {
    branch->phase = Phase::kWaiting;
    return pool_->Acquire([this, id](absl::StatusOr<SessionPtr> session) {
      OnSession(id, std::move(session));
    });
  }
  if (!branch->session->alive()) {
    return EndWith(
        branch, wire::Code::BRANCH_GONE,
        "the connection was lost, and the database has rolled the branch back");
  }
  RunCall(branch);
}

void BranchExecutor::OnSession(const BranchId& id, absl::StatusOr<SessionPtr> session) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Phase::kWaiting) {
    if (session.ok()) pool_->Release(*std::move(session));
    return;
  }
  if (!session.ok()) {
    branch->phase = Phase::kIdle;
    return Answer(branch,
                  absl::IsResourceExhausted(session.status()) ? wire::Code::OVERLOADED
                                                              : wire::Code::UNAVAILABLE,
                  std::string(session.status().message()));
  }
  branch->session = *std::move(session);
  RunCall(branch);
}

// A savepoint is made only where there is something to go back to, so it costs nothing
// for a branch of one call, which most branches are. It is kept until the next call,
// because the call's result may turn out to be too large.
void BranchExecutor::RunCall(Branch* branch) {
  branch->phase = Phase::kRunning;
  branch->opens = !branch->open;
  branch->prepare_at = 0;
  branch->sent = SystemClock().Now();
  std::vector<Statement> batch = MakeBatch(branch);
  branch->savepoint = !branch->opens;
  SendCall(branch, std::move(batch));
}

// A branch that may have written nothing is never prepared by its call: it keeps its
// locks, and votes when it is asked.
std::vector<Statement> BranchExecutor::MakeBatch(Branch* branch) {
  Call& call = branch->call;
  std::string& written = branch->session->written;
  const bool with_call = dialect_.rules().write_question == WriteQuestion::kWithEachCall;
  if (call.writes) written.clear();
  branch->asks = !branch->written && !call.writes && call.may_write &&
                 (with_call || (branch->opens && written.empty()));
  std::vector<Statement> batch;
  batch.reserve(call.statements.size() + 6);
  if (branch->asks && !with_call) batch.push_back(dialect_.AskWritten());
  if (branch->opens) {
    Append(dialect_.Begin(branch->id, branch->begin_sql, branch->session.get()), &batch);
  } else {
    if (branch->savepoint) batch.push_back({"RELEASE SAVEPOINT concordat_call"});
    batch.push_back({"SAVEPOINT concordat_call"});
  }
  branch->first = batch.size();
  Append(std::move(call.statements), &batch);
  if (branch->asks && with_call) batch.push_back(dialect_.AskWritten());
  if (call.last && (branch->written || call.writes)) {
    EndStatements prepare = dialect_.Prepare(branch->id);
    branch->prepare_at = batch.size();
    branch->prepare_end = batch.size() + prepare.end;
    Append(std::move(prepare.statements), &batch);
  }
  return batch;
}

void BranchExecutor::SendCall(Branch* branch, std::vector<Statement> batch) {
  const BranchId& id = branch->id;
  const auto interruption = std::make_shared<Interruption>();
  branch->rows = std::make_shared<ClientRows>(
      branch->first, branch->call.count, options_.max_result_bytes,
      [this, id, interruption] { Interrupt(id, interruption); });
  branch->session->Run(
      std::move(batch),
      [this, id, interruption](BatchResult r) {
        if (r.row_too_large) return OnRowTooLarge(id, std::move(r));
        if (!interruption->begun) return OnCall(id, r);
        interruption->result = std::move(r);
        OnInterrupted(id, interruption);
      },
      branch->rows);
}

// --- too many rows ---

void BranchExecutor::Interrupt(const BranchId& id,
                               const std::shared_ptr<Interruption>& interruption) {
  Branch* branch = Find(id);
  if (branch == nullptr || !dialect_.rules().interrupts_long_answers) return;
  interruption->begun = true;
  resolver_->Cancel(branch->session->id(), [this, id, interruption](bool) {
    interruption->cancel_ended = true;
    OnInterrupted(id, interruption);
  });
}

void BranchExecutor::OnInterrupted(const BranchId& id,
                                   const std::shared_ptr<Interruption>& interruption) {
  if (!interruption->cancel_ended || !interruption->result.has_value()) return;
  OnCall(id, *std::exchange(interruption->result, std::nullopt));
}

// The connection was closed. A branch that has done nothing but this call lives on. Any
// other branch is over; the call would end it again if it were repeated.
void BranchExecutor::OnRowTooLarge(const BranchId& id, BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Phase::kRunning || branch->prepare_at > 0) {
    return OnCall(id, r);
  }
  std::string why = absl::StrCat(r.why_lost, ": ", TooManyRows());
  if (!branch->opens) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   absl::StrCat(why, "; the branch is rolled back"));
  }
  GiveBack(branch, /*clean=*/false);
  branch->phase = Phase::kIdle;
  branch->call = {};
  Answer(branch, wire::Code::INVALID, std::move(why));
}

std::string BranchExecutor::TooManyRows() const {
  return absl::StrCat("the rows of the call exceed max_result_bytes (",
                      options_.max_result_bytes, "), ", kMaxAnswerRows, " rows or ",
                      kMaxAnswerValues, " values: ask for fewer");
}

// --- a call ends ---

void BranchExecutor::OnCall(const BranchId& id, const BatchResult& r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (branch->phase == Phase::kCanceling) return OnCanceledCall(branch, r);
  if (r.lost || MayHavePrepared(*branch, r)) return OnCallLost(branch, r);
  if (!r.ok()) return OnCallFailed(branch, r);
  if (branch->prepare_at > 0) return OnCallPrepared(branch, r);
  OnCallDone(branch, r);
}

bool BranchExecutor::MayHavePrepared(const Branch& branch, const BatchResult& r) const {
  return branch.prepare_at > 0 && MayHaveEnded(r, branch.prepare_end);
}

// The caller was answered before.
void BranchExecutor::OnCanceledCall(Branch* branch, const BatchResult& r) {
  branch->call_end = CallEnd::kOver;
  if (r.lost || MayHavePrepared(*branch, r)) {
    branch->call_end = CallEnd::kLost;
    branch->why_lost = r.Error();
  } else if (branch->prepare_at > 0 && r.ok()) {
    branch->call_end = CallEnd::kPrepared;
  }
  RollBackCanceled(branch);
}

void BranchExecutor::OnCallLost(Branch* branch, const BatchResult& r) {
  if (branch->prepare_at == 0) {
    // Another attempt may succeed when the server can be reached again (scenario 101).
    return EndWith(branch, wire::Code::BRANCH_GONE,
                   absl::StrCat(r.Error(), "; the branch is rolled back"));
  }
  // It may be prepared. That is found out when somebody wants to end it.
  BecomeUncertain(branch, r.Error());
  Answer(branch, wire::Code::UNKNOWN,
         absl::StrCat(r.Error(), "; roll the transaction back"));
}

// The server measures a statement's time from a moment after the call was sent.
bool BranchExecutor::RanForItsTime(const Branch& branch) const {
  return options_.statement_time > Duration() &&
         SystemClock().Now() - branch.sent >= options_.statement_time;
}

void BranchExecutor::OnCallFailed(Branch* branch, const BatchResult& r) {
  if (branch->rows->too_many() && dialect_.rules().interrupts_long_answers) {
    return UndoCall(branch, wire::Code::INVALID, TooManyRows());
  }
  const StatementResult& failure = *r.Failure();
  const size_t failed = r.FirstFailed();
  wire::Code::type code = dialect_.Classify(failure);
  std::string text = r.Error();
  // A statement that the session keeps does not fit the tables any more. A new session
  // will be able to run it.
  if (branch->session->spent()) code = wire::Code::CONFLICT;
  if (dialect_.IsInterruption(failure) && !dialect_.rules().tells_time_limit_apart &&
      RanForItsTime(*branch)) {
    code = wire::Code::TIMED_OUT;
  }
  // A statement of our own failed, so the session is not in the state that we expect.
  if (failed < branch->first) code = wire::Code::RESOURCE_ERROR;
  if (branch->prepare_at > 0 && failed >= branch->prepare_at) {
    text = WhyNotEnded(dialect_, r);
    if (code != wire::Code::CONFLICT && code != wire::Code::TIMED_OUT) {
      code = wire::Code::RESOURCE_ERROR;
    }
  } else if (r.transaction == TransactionState::kNone) {
    code = wire::Code::RESOURCE_ERROR;  // the transaction was over before
  }
  if (EndsBranch(code)) return EndWith(branch, code, std::move(text));
  UndoCall(branch, code, std::move(text));
}

// The branch is prepared, also if the rows of the call are too many or it has written to
// a table that cannot roll back.
void BranchExecutor::OnCallPrepared(Branch* branch, const BatchResult& r) {
  const BranchId id = branch->id;
  wire::ExecuteReply reply = MakeReply(wire::Code::OK, "");
  if (branch->rows->too_many()) {
    reply = MakeReply(wire::Code::INVALID, TooManyRows());
  } else {
    reply.__set_sql(branch->rows->Take());
  }
  reply.__set_prepared(true);
  Callback<wire::ExecuteReply> done = std::exchange(branch->execute_done, nullptr);
  HandOver(branch, r.transaction == TransactionState::kNone);
  if (!r.WroteForGood()) return done(std::move(reply));
  const std::string why(dialect_.rules().wrote_for_good);
  resolver_->End(id, /*commit=*/false,
                 [done = std::move(done), why](FinishResult end) mutable {
                   if (end.state == FinishState::kDone) {
                     return done(MakeReply(wire::Code::RESOURCE_ERROR, why));
                   }
                   wire::ExecuteReply failed = MakeReply(wire::Code::UNKNOWN, why);
                   failed.__set_prepared(true);
                   done(std::move(failed));
                 });
}

void BranchExecutor::OnCallDone(Branch* branch, const BatchResult& r) {
  if (r.transaction != TransactionState::kOpen) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   "a statement has ended the transaction of the branch");
  }
  if (r.WroteForGood()) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   std::string(dialect_.rules().wrote_for_good));
  }
  if (branch->rows->too_many()) {
    return UndoCall(branch, wire::Code::INVALID, TooManyRows());
  }
  wire::ExecuteReply reply = MakeReply(wire::Code::OK, "");
  reply.__set_sql(branch->rows->Take());
  branch->open = true;
  branch->written = branch->written || branch->call.writes;
  branch->may_write = branch->may_write || branch->call.may_write;
  if (branch->asks && dialect_.rules().write_question == WriteQuestion::kWithEachCall) {
    branch->written = !dialect_.WrittenAnswer(r.results.back()).empty();
  } else if (branch->asks) {
    branch->session->written = dialect_.WrittenAnswer(r.results.front());
  }
  branch->phase = Phase::kIdle;
  branch->call = {};
  std::exchange(branch->execute_done, nullptr)(std::move(reply));
}

void BranchExecutor::UndoCall(Branch* branch, wire::Code::type code,
                              std::string message) {
  branch->prepare_at = 0;
  branch->session->written.clear();
  std::vector<Statement> undo = {{"ROLLBACK TO SAVEPOINT concordat_call"}};
  if (branch->opens) undo = dialect_.RollBack(branch->id);
  branch->session->Run(std::move(undo), [this, id = branch->id, code,
                                         message = std::move(message)](BatchResult r) {
    Branch* b = Find(id);
    if (b == nullptr) return;
    if (b->phase == Phase::kCanceling) return OnCanceledCall(b, r);
    if (r.lost) return OnCallLost(b, r);
    if (!r.ok()) return EndWith(b, wire::Code::RESOURCE_ERROR, message);
    if (b->opens) GiveBack(b, r.transaction == TransactionState::kNone);
    b->phase = Phase::kIdle;
    b->call = {};
    Answer(b, code, message);
  });
}

// The transaction, if there is one left, is ended first: when the caller learns that the
// branch is over, its locks are free.
void BranchExecutor::EndWith(Branch* branch, wire::Code::type code, std::string message) {
  Callback<wire::ExecuteReply> done = std::exchange(branch->execute_done, nullptr);
  RollBackNow(branch,
              [done = std::move(done), code, message = std::move(message)](
                  FinishResult) mutable { done(MakeReply(code, std::move(message))); });
}

void BranchExecutor::Answer(Branch* branch, wire::Code::type code, std::string message) {
  std::exchange(branch->execute_done, nullptr)(MakeReply(code, std::move(message)));
}

}  // namespace concordat::participant::database
