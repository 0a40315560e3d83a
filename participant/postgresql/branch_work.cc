// Calls: from a request to a reply.
#include "participant/postgresql/branch_work.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "participant/postgresql/branch_record.h"
#include "participant/postgresql/statement_check.h"
#include "participant/postgresql/value.h"

namespace concordat::participant::postgresql {

namespace {

wire::ExecuteReply MakeReply(wire::Code::type code, std::string message) {
  wire::ExecuteReply reply;
  reply.result.code = code;
  if (!message.empty()) reply.result.__set_message(std::move(message));
  return reply;
}

// The last two statements of the batch are the row of evidence and PREPARE TRANSACTION.
bool FailedToPrepare(const BatchResult& r) {
  return r.FirstFailed() + 2 >= r.results.size();
}

}  // namespace

BranchWork::BranchWork(const PostgresqlOptions* options, ClusterId cluster, Pool* pool,
                       Settler* settler, std::atomic<uint32_t>* count, Counters* counters)
    : options_(*options),
      cluster_(cluster),
      pool_(pool),
      settler_(settler),
      count_(count),
      counters_(counters) {}

BranchWork::~BranchWork() = default;

BranchWork::Branch* BranchWork::Find(const BranchId& id) {
  const auto it = branches_.find(id);
  return it == branches_.end() ? nullptr : it->second.get();
}

void BranchWork::Start(const BranchId& id, std::string begin_sql) {
  auto branch = std::make_unique<Branch>();
  branch->id = id;
  branch->begin_sql = std::move(begin_sql);
  branches_.emplace(id, std::move(branch));
}

void BranchWork::GiveBack(Branch* branch, bool clean) {
  branch->open = false;
  branch->savepoint = false;
  if (branch->connection == nullptr) return;
  const ConnectionPtr connection = std::exchange(branch->connection, nullptr);
  if (!connection->alive() && branch->phase != Branch::Phase::kUncertain) {
    settler_->Abandon(connection->backend());
  }
  if (!clean || branch->tainted || connection->plans_stale()) {
    connection->Close("it is not used again");
  }
  branch->tainted = false;
  pool_->Release(connection);
}

void BranchWork::Remove(Branch* branch, bool clean) {
  const std::unique_ptr<Branch> out = std::move(branches_.at(branch->id));
  branches_.erase(out->id);
  count_->fetch_sub(1, std::memory_order_relaxed);
  GiveBack(out.get(), clean);
}

// --- a call begins ---

absl::Status BranchWork::Check(const wire::ExecuteRequest& request, Call* call) const {
  if (!request.__isset.sql || request.sql.empty()) {
    return absl::InvalidArgumentError("a PostgreSQL database takes SQL statements");
  }
  for (const wire::SqlStatement& item : request.sql) {
    const absl::StatusOr<StatementKind> kind = CheckStatement(item.sql);
    if (!kind.ok()) return kind.status();
    call->writes = call->writes || kind->writes;
    call->taints = call->taints || kind->taints;
    Statement statement{item.sql, {}, /*keep=*/true};
    for (const wire::Value& value : item.parameters) {
      absl::StatusOr<Param> param = ToParam(value);
      if (!param.ok()) return param.status();
      statement.params.push_back(*std::move(param));
    }
    if (statement.params.size() > 65535) {
      return absl::InvalidArgumentError("more than 65535 parameters");
    }
    call->statements.push_back(std::move(statement));
  }
  return absl::OkStatus();
}

void BranchWork::Execute(const BranchId& id, const wire::ExecuteRequest& request,
                         Callback<wire::ExecuteReply> done) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Branch::Phase::kIdle) {
    return done(MakeReply(wire::Code::BRANCH_GONE, "the branch is over, or ending"));
  }
  Call call;
  if (const absl::Status s = Check(request, &call); !s.ok()) {
    return done(MakeReply(wire::Code::INVALID, std::string(s.message())));
  }
  call.last = request.__isset.prepare && request.prepare;
  branch->call = std::move(call);
  branch->execute_done = std::move(done);
  if (branch->connection == nullptr) {
    branch->phase = Branch::Phase::kWaiting;
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

void BranchWork::OnConnection(const BranchId& id,
                              absl::StatusOr<ConnectionPtr> connection) {
  Branch* branch = Find(id);
  if (branch == nullptr || branch->phase != Branch::Phase::kWaiting) {
    if (connection.ok()) pool_->Release(*std::move(connection));
    return;
  }
  if (!connection.ok()) {
    branch->phase = Branch::Phase::kIdle;
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
void BranchWork::RunCall(Branch* branch) {
  branch->phase = Branch::Phase::kRunning;
  branch->opens = !branch->open;
  branch->tainted = branch->tainted || branch->call.taints;
  branch->asks = !branch->written && !branch->call.writes;
  // A branch that may have written nothing keeps its locks: it votes when it is asked.
  branch->prepares = branch->call.last && !branch->asks;
  std::vector<Statement> batch;
  batch.reserve(branch->call.statements.size() + 4);
  if (branch->savepoint) batch.emplace_back().sql = "RELEASE SAVEPOINT concordat_call";
  batch.emplace_back().sql =
      branch->opens ? branch->begin_sql : "SAVEPOINT concordat_call";
  branch->savepoint = !branch->opens;
  branch->first = batch.size();
  for (const Statement& s : branch->call.statements) batch.push_back(s);
  if (branch->asks) {
    Statement& question = batch.emplace_back();
    question.sql = "SELECT pg_current_xact_id_if_assigned() IS NOT NULL";
    question.keep = true;
  }
  if (branch->prepares) {
    batch.push_back(InsertEvidence(cluster_, branch->id, /*alone=*/false));
    batch.push_back(PrepareTransaction(GidOf(cluster_, branch->id)));
  }
  branch->connection->Run(std::move(batch), [this, id = branch->id](BatchResult r) {
    OnCall(id, std::move(r));
  });
}

// --- a call ends ---

void BranchWork::OnCall(const BranchId& id, BatchResult r) {
  Branch* branch = Find(id);
  if (branch == nullptr) return;
  if (branch->rollback_done) return OnCallAfterRollback(branch, r);
  if (r.lost) return OnCallLost(branch, r);
  if (!r.ok()) return OnCallFailed(branch, r);
  if (branch->prepares) return OnCallPrepared(branch, r);
  OnCallDone(branch, r);
}

// Its caller has been answered.
void BranchWork::OnCallAfterRollback(Branch* branch, const BatchResult& r) {
  branch->call_ended = true;
  branch->call_prepared = branch->prepares && HasPrepared(r);
  if (r.lost) {
    Callback<FinishResult> done = std::exchange(branch->rollback_done, nullptr);
    if (branch->prepares) {
      BecomeUncertain(branch);
      return RollBackUncertain(branch->id, std::move(done));
    }
    Remove(branch, /*clean=*/false);
    return done({Finish::kDone, ""});
  }
  if (branch->cancel_ended) RollBackCanceled(branch);
}

void BranchWork::OnCallLost(Branch* branch, const BatchResult& r) {
  if (!branch->prepares) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   absl::StrCat(r.Error(), "; the branch is rolled back"));
  }
  // It may be prepared: found out when somebody wants to end it.
  BecomeUncertain(branch);
  Answer(branch, wire::Code::UNKNOWN,
         absl::StrCat(r.Error(), "; roll the transaction back"));
}

// Prepared whatever there is to say of its rows.
void BranchWork::OnCallPrepared(Branch* branch, const BatchResult& r) {
  if (!HasPrepared(r)) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   absl::StrCat("the branch could not be prepared: ", WhyNotPrepared(r)));
  }
  wire::ExecuteReply reply = MakeReply(wire::Code::OK, "");
  if (!Collect(*branch, r, &reply)) reply = MakeReply(wire::Code::INVALID, TooManyRows());
  reply.__set_prepared(true);
  Callback<wire::ExecuteReply> done = std::exchange(branch->execute_done, nullptr);
  settler_->AddPrepared(branch->id);
  Remove(branch, r.transaction == PQTRANS_IDLE);
  done(std::move(reply));
}

std::string BranchWork::TooManyRows() const {
  return absl::StrCat("the rows of the call exceed max_result_bytes (",
                      options_.max_result_bytes, "), ", kMaxAnswerRows, " rows or ",
                      kMaxAnswerValues, " values: ask for fewer");
}

void BranchWork::OnCallDone(Branch* branch, const BatchResult& r) {
  if (r.transaction != PQTRANS_INTRANS) {
    return EndWith(branch, wire::Code::RESOURCE_ERROR,
                   "a statement has ended the transaction of the branch");
  }
  wire::ExecuteReply reply = MakeReply(wire::Code::OK, "");
  if (!Collect(*branch, r, &reply)) {
    return UndoCall(branch, wire::Code::INVALID, TooManyRows());
  }
  branch->open = true;
  if (branch->asks) {
    branch->written = Field(r.results.back().get(), 0, 0) == "t";
  } else {
    branch->written = true;
  }
  branch->phase = Branch::Phase::kIdle;
  branch->call = {};
  std::exchange(branch->execute_done, nullptr)(std::move(reply));
}

bool BranchWork::Collect(const Branch& branch, const BatchResult& r,
                         wire::ExecuteReply* reply) const {
  uint64_t bytes = 0;
  uint64_t values = 0;
  reply->__isset.sql = true;
  reply->sql.resize(branch.call.statements.size());
  for (size_t i = 0; i < reply->sql.size(); ++i) {
    ToWire(r.results[branch.first + i].get(), &reply->sql[i], &bytes);
    const wire::SqlResult& one = reply->sql[i];
    values += one.rows.size() * one.columns.size();
    if (bytes > options_.max_result_bytes || one.rows.size() > kMaxAnswerRows ||
        values > kMaxAnswerValues) {
      return false;
    }
  }
  return true;
}

void BranchWork::OnCallFailed(Branch* branch, const BatchResult& r) {
  const PGresult* failure = r.results[r.FirstFailed()].get();
  const std::string state = SqlState(failure);
  std::string text = ErrorText(failure);
  wire::Code::type code = Classify(state);
  // The tables have changed under a statement that the session keeps: a new session
  // will do.
  if (branch->connection->plans_stale()) code = wire::Code::CONFLICT;
  const bool prepare_failed = branch->prepares && FailedToPrepare(r);
  if (prepare_failed && code != wire::Code::CONFLICT) {
    // When PREPARE itself has failed the server has rolled back already (scenario 28).
    code = wire::Code::RESOURCE_ERROR;
    text = WhyNotPrepared(r);
  } else if (!prepare_failed && (state == "25P02" || r.transaction == PQTRANS_IDLE)) {
    code = wire::Code::RESOURCE_ERROR;  // the transaction was over before
  }
  if (EndsBranch(code)) return EndWith(branch, code, std::move(text));
  UndoCall(branch, code, std::move(text));
}

void BranchWork::UndoCall(Branch* branch, wire::Code::type code, std::string message) {
  std::vector<Statement> undo;
  if (branch->opens) {
    undo = {{"ROLLBACK"}};
  } else {
    undo = {{"ROLLBACK TO SAVEPOINT concordat_call"}};
  }
  branch->connection->Run(std::move(undo), [this, id = branch->id, code,
                                            message = std::move(message)](BatchResult r) {
    Branch* b = Find(id);
    if (b == nullptr) return;
    if (b->rollback_done) return OnCall(id, std::move(r));
    if (!r.ok()) return EndWith(b, wire::Code::RESOURCE_ERROR, message);
    if (b->opens) GiveBack(b, r.transaction == PQTRANS_IDLE);
    b->phase = Branch::Phase::kIdle;
    b->call = {};
    Answer(b, code, message);
  });
}

// Its transaction, if there is one left, goes first: when the caller hears of the end,
// the locks are free.
void BranchWork::EndWith(Branch* branch, wire::Code::type code, std::string message) {
  Callback<wire::ExecuteReply> done = std::move(branch->execute_done);
  branch->execute_done = nullptr;
  RollBackNow(branch,
              [done = std::move(done), code, message = std::move(message)](
                  FinishResult) mutable { done(MakeReply(code, std::move(message))); });
}

void BranchWork::Answer(Branch* branch, wire::Code::type code, std::string message) {
  std::exchange(branch->execute_done, nullptr)(MakeReply(code, std::move(message)));
}

}  // namespace concordat::participant::postgresql
